"""OPC UA devices: nodes as tags, status codes as quality, writes read back."""

from drivers.opcua.driver import OpcUaDriver
from drivers.opcua.node import DataValue, Info, Link, LinkError, Node

__all__ = ["DataValue", "Info", "Link", "LinkError", "Node", "OpcUaDriver"]
