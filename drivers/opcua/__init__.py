"""OPC UA devices: nodes as tags, status codes as quality, writes read back."""

from drivers.opcua.driver import DataValue, Link, LinkError, Node, OpcUaDriver

__all__ = ["DataValue", "Link", "LinkError", "Node", "OpcUaDriver"]
