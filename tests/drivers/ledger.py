"""A device whose every value says where and when it was read, behind a real server."""

import zlib
from typing import Any

from controller.device_settings import DeviceSettings


class Ledger:
    """A device for ``sim.server.PlantServer``: a tag's value is made of its name and the epoch.

    What was written to an actuator stays in it; all else changes whenever the test moves
    ``epoch``, so a value that was read from another place or at another time shows.

    Attributes:
        epoch: the test's own time.
        held: what was written.
    """

    time = 0.0

    def __init__(self) -> None:
        self.epoch = 0
        self.held: dict[str, float] = {}

    def advance(self, time: float) -> None:
        self.time = max(self.time, time)

    def read(self, name: str) -> float:
        if name in self.held:
            return self.held[name]
        return float(zlib.crc32(f"{name} {self.epoch}".encode()) & 0xFFFF)

    def write(self, name: str, value: float) -> None:
        self.held[name] = value

    def actual(self, name: str) -> float:
        return self.read(name)

    def to_safe(self) -> None:
        self.held = dict.fromkeys(self.held, 0.0)


def modbus_device(reactor: str, port: int, timeout_s: float, **more: Any) -> DeviceSettings:
    """Return 30 tags: input registers, longer numbers in both word orders, three actuators.

    Every content of the registers is in range, so that the range hides no wrong value.
    """
    full = {"unit": "1", "low": 0, "high": 65535}
    tags: list[dict[str, Any]] = [
        {"name": f"{reactor}.in{i}", "input": i, "type": "uint16"} | full for i in range(16)
    ]
    tags += [
        {"name": f"{reactor}.held{i}", "holding": i, "type": "uint16", "safe": 0} | full
        for i in (0, 1, 2)
    ]
    for i in range(11):
        kind, words = ("uint32", "float32")[i % 2], ("big", "little")[i // 2 % 2]
        far = {"low": 0, "high": 2**32 - 1} if i % 2 == 0 else {"low": -3e38, "high": 3e38}
        place = {"name": f"{reactor}.wide{i}", "holding": 4 + 2 * i, "type": kind, "words": words}
        tags.append(full | far | place)
    return DeviceSettings.model_validate(
        {
            "driver": "modbus_tcp",
            "address": f"127.0.0.1:{port}",
            "unit_id": 7,
            "timeout_s": timeout_s,
            "tags": tags,
        }
        | more
    )
