"""Modbus lines of the plant file: who shares one, and what may not differ on it."""

from collections.abc import Iterator
from typing import Any

import pytest

from controller.consistency.devices import wrong_keys, wrong_lines
from controller.devices.devices import wire
from controller.devices.lines import Lines
from controller.plant_file.device_settings import DeviceSettings

TAG = {"name": "R1.ph", "unit": "[pH]", "low": 0, "high": 14, "input": 0, "type": "float32"}
TLS = {"ca": "ca.pem", "certificate": "ours.pem", "key": "ours.key"}


def device(driver: str, address: str, unit_id: int = 1, **more: Any) -> DeviceSettings:
    keys = {"driver": driver, "address": address, "unit_id": unit_id, "tags": [TAG]}
    return DeviceSettings.model_validate(keys | more)


def pair(driver: str, address: str, **second: Any) -> dict[str, DeviceSettings]:
    return {"a": device(driver, address), "b": device(driver, address, 2, **second)}


@pytest.mark.parametrize(
    ("driver", "address", "more"),
    [
        ("modbus_tcp", "127.0.0.1:502", {"gap_s": 0.01, "transaction_zero": True}),
        ("modbus_tcp", "[::1]:502", {}),
        ("modbus_tls", "127.0.0.1:802", {"tls": TLS}),
        ("modbus_rtu_over_tcp", "127.0.0.1:4001", {"gap_s": 0.01}),
        ("modbus_rtu", "/dev/ttyUSB0", {"serial": {"baudrate": 9600, "echo": True}}),
        ("modbus_rtu", "/dev/ttyUSB0", {}),
    ],
)
def test_devices_of_one_line_share_it_and_others_do_not(
    driver: str, address: str, more: dict[str, Any]
) -> None:
    lines = Lines()
    links = [wire(device(driver, address, unit, **more), lines) for unit in (1, 2)]
    links.append(wire(device(driver, address + "1", **more), lines))
    buses = [link._bus for link in links]
    assert buses[0] is buses[1]
    assert buses[0] is not buses[2]
    assert [link.unit for link in links] == [1, 2, 1]
    assert {link.transaction_zero for link in links} == {more.get("transaction_zero", False)}
    assert buses[0].address == address.replace("[", "").replace("]", "")


def wrong() -> Iterator[tuple[dict[str, DeviceSettings], str]]:
    port = "/dev/ttyUSB0"
    yield (
        pair("modbus_rtu", port, serial={"echo": True}),
        "device.b.serial: must be as in device.a; they share a line",
    )
    yield (
        pair("modbus_rtu", port, gap_s=0.01),
        "device.b.gap_s: must be as in device.a; they share a line",
    )
    yield (
        {"a": device("modbus_rtu", port), "b": device("modbus_rtu", port)},
        "device.b.unit_id: 1 is not allowed; device.a has it",
    )


@pytest.mark.parametrize(("devices", "line"), list(wrong()))
def test_what_devices_of_one_line_say_of_it_must_be_the_same(
    devices: dict[str, DeviceSettings], line: str
) -> None:
    assert list(wrong_lines(devices)) == [line]


@pytest.mark.parametrize("unit", [0, 248, 255])
def test_units_that_a_serial_line_cannot_have_are_refused(unit: int) -> None:
    line = f"device.a.unit_id: {unit} is not allowed; 1 to 247 on a serial line"
    for driver, address in (("modbus_rtu", "/dev/ttyS0"), ("modbus_rtu_over_tcp", "h:4001")):
        assert list(wrong_keys("device.a", device(driver, address, unit))) == [line]
    assert list(wrong_keys("device.a", device("modbus_tcp", "h:502", unit))) == []
