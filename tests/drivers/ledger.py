"""A device whose every value says where and when it was read, behind a real server."""

import zlib
from typing import Any

from controller.plant_file.device_settings import DeviceSettings
from sim.motion import Device


class Ledger(Device):
    """A device for ``sim.server.PlantServer``: a tag's value is made of its name and the epoch.

    What was written to an actuator stays in it; all else changes whenever the test moves
    ``epoch``, so a value that was read from another place or at another time shows.

    Attributes:
        epoch: the test's own time; setting it forgets ``was``.
        held: what was written.
        was: what actuators held before in this epoch. A write that nobody waits for any more may
            still arrive.
    """

    time = 0.0

    def __init__(self) -> None:
        self._epoch = 0
        self.held: dict[str, float] = {}
        self.was: dict[str, set[float]] = {}

    @property
    def epoch(self) -> int:
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch = epoch
        self.was.clear()

    def true(self, name: str, value: float) -> bool:
        """Return whether a tag holds ``value``, or did in this epoch."""
        return value == self.read(name) or value in self.was.get(name, ())

    def advance(self, time: float) -> None:
        self.time = max(self.time, time)

    def read(self, name: str) -> float:
        if name in self.held:
            return self.held[name]
        return float(zlib.crc32(f"{name} {self.epoch}".encode()) & 0xFFFF)

    def write(self, name: str, value: float) -> None:
        self.was.setdefault(name, set()).add(self.read(name))
        self.held[name] = value

    def actual(self, name: str) -> float:
        return self.read(name)

    def to_safe(self) -> None:
        self.held = dict.fromkeys(self.held, 0.0)


class Ticking(Ledger):
    """A ledger whose epoch is the second of plant time."""

    def __init__(self, time: float) -> None:
        super().__init__()
        self.time = time

    def advance(self, time: float) -> None:
        super().advance(time)
        self.epoch = int(self.time)


def tag_tables(prefix: str, actuators: int = 3) -> list[dict[str, Any]]:
    """Return 30 tags: 16 input registers, 3 holding ones, 11 longer numbers in both word orders.

    Every content of the registers is in range, so that the range hides no wrong value.

    Args:
        prefix: of their names, with the reactor.
        actuators: how many of the three single holding registers can be written.
    """
    full: dict[str, Any] = {"unit": "1", "low": 0, "high": 65535}
    tags = [{"name": f"{prefix}in{i}", "input": i, "type": "uint16"} | full for i in range(16)]
    for i in range(3):
        safe = {"safe": 0} if i < actuators else {}
        tags.append({"name": f"{prefix}held{i}", "holding": i, "type": "uint16"} | full | safe)
    for i in range(11):
        kind, words = ("uint32", "float32")[i % 2], ("big", "little")[i // 2 % 2]
        far = {"low": 0, "high": 2**32 - 1} if i % 2 == 0 else {"low": -3e38, "high": 3e38}
        place = {"name": f"{prefix}wide{i}", "holding": 4 + 2 * i, "type": kind, "words": words}
        tags.append(full | far | place)
    return tags


def as_node(tag: dict[str, Any]) -> dict[str, Any]:
    """Return a tag of ``tag_tables`` as an OPC UA node."""
    kept = {k: v for k, v in tag.items() if k in ("name", "unit", "low", "high", "safe")}
    return kept | {"node": f"nsu=urn:fermloop:test;s={tag['name']}"}


def modbus_device(reactor: str, port: int, timeout_s: float, **more: Any) -> DeviceSettings:
    """Return a device with ``tag_tables`` at a port of the loopback."""
    table = {
        "driver": "modbus_tcp",
        "address": f"127.0.0.1:{port}",
        "unit_id": 7,
        "timeout_s": timeout_s,
        "tags": tag_tables(f"{reactor}."),
    }
    return DeviceSettings.model_validate(table | more)
