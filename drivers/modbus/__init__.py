"""Modbus devices: registers as tags, every reply checked, only actuators ever written."""

from drivers.modbus.cells import Cell, Info, Status
from drivers.modbus.driver import ModbusDriver, Watchdog
from drivers.modbus.fence import Fence
from drivers.modbus.link import Link, LinkError
from drivers.modbus.plan import Limits, Read, ReadPlan
from drivers.modbus.registers import Register

__all__ = [
    "Cell",
    "Fence",
    "Info",
    "Limits",
    "Link",
    "LinkError",
    "ModbusDriver",
    "Read",
    "ReadPlan",
    "Register",
    "Status",
    "Watchdog",
]
