"""Modbus devices: registers as tags, every reply checked, only actuators ever written."""

from drivers.modbus.driver import ModbusDriver, Watchdog
from drivers.modbus.fence import Fence
from drivers.modbus.link import Link, LinkError
from drivers.modbus.registers import Register

__all__ = ["Fence", "Link", "LinkError", "ModbusDriver", "Register", "Watchdog"]
