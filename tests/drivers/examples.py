"""The drivers and the plant file of this room's README, and the device behind one of them."""

import asyncio
import re
from pathlib import Path
from typing import Any, Self

from drivers.driver import Driver

README = Path(__file__).parents[2] / "drivers" / "README.md"
# A plant behind the simulated tank of the README, and a recipe for it.
TANK_PLANT = """\
site = "tanks"

[device.R1-tank]
driver = "acme-tank"
address = "no wire"
options = { start_kg = 2.0 }
tags = [
  { name = "R1.weight", unit = "kg", low = 0, high = 10 },
  { name = "R1.pump",   unit = "%",  low = 0, high = 100, safe = 0 },
]

[reactor.R1]
volume_max_l = 10.0

[reactor.R1.loop.weight]
measured = "R1.weight"
outputs = [{ actuator = "R1.pump" }]
setpoint = 5.0
setpoint_low = 0.0
setpoint_high = 9.0
band = 0.1
kp = 60.0
ti_s = 600.0
"""
LEVEL_RECIPE = """\
name = "level"
organism = "water"

[start]
loops = { weight = "AUTO" }
setpoints = { weight = 5.0 }

[[phase]]
name = "hold"
until = { batch_h = 10.0 }
"""


def source(cls: str) -> str:
    """Return the code block of the README that defines a class."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = (b for b in blocks if f"\nclass {cls}(" in b)
    return found


def example(cls: str) -> Any:
    """Return a class of the README."""
    names: dict[str, Any] = {}
    exec(compile(source(cls), str(README), "exec"), names)
    found: type[Driver] = names[cls]
    return found


class FakeFeeder:
    """A balance with a pump: lines over TCP, as the README describes them.

    Attributes:
        weight: kg; ``None``: its cell is broken.
        pump: %.
    """

    def __init__(self) -> None:
        self.weight: float | None = 3.214
        self.pump = 0.0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._speaks = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def shows(self) -> dict[str, float]:
        shown = {"R1.pump": self.pump}
        return shown if self.weight is None else {"R1.weight": self.weight, **shown}

    async def cut(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self._speaks.set()
        for writer in self._writers:
            writer.transport.abort()
        while self._writers:  # noqa: ASYNC110 (they end within a few turns)
            await asyncio.sleep(0)
        await self._server.wait_closed()
        self._server = None

    async def mend(self) -> None:
        self._speaks.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def freeze(self) -> None:
        self._speaks.clear()

    async def spoil(self) -> str:
        self.weight = None
        return "R1.weight"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                await self._speaks.wait()
                writer.write(f"{self._answer(line.decode().strip())}\n".encode())
        except ConnectionError:
            pass  # the driver hung up
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    def _answer(self, question: str) -> str:
        if question == "W?":
            return f"W {'ERR' if self.weight is None else self.weight}"
        if question.startswith("P="):
            self.pump = round(float(question[2:]), 1)
        return f"P {self.pump}"
