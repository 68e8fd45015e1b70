"""Modbus devices: registers as tags, every reply checked, only actuators ever written."""

from drivers.modbus.driver import Link, LinkError, ModbusDriver, Watchdog
from drivers.modbus.registers import Register

__all__ = ["Link", "LinkError", "ModbusDriver", "Register", "Watchdog"]
