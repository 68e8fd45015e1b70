"""Drivers that each break a rule, as people's do; all are the README's, spoilt."""

# pyright: basic
# The base classes are code blocks of a README: nobody knows their types.

import asyncio
import contextlib
import math
import socket
from typing import Any

from drivers.clock import SystemClock
from drivers.driver import DeviceError, Setup
from drivers.point import Quality, RangeError, Sample, Tag
from tests.drivers.examples import example

Feeder, Tank = example("Feeder"), example("Tank")
FORGOTTEN: list[socket.socket] = []


def no_driver(setup: Setup) -> Any:
    class Half:
        def __init__(self) -> None:
            self.name, self.address, self.tags = setup.name, setup.address, setup.tags

        async def close(self) -> None: ...

    return Half()


class ConnectsAtOnce(Feeder):
    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        host, _, port = setup.address.rpartition(":")
        socket.create_connection((host, int(port))).close()


class LosesATag(Feeder):
    async def read(self) -> Any:
        found = await super().read()
        del found["R1.pump"]
        return found


class AnotherUnit(Feeder):
    async def read(self) -> Any:
        found = await super().read()
        tag = Tag("R1.weight", "g", 0, 10_000)
        return found | {"R1.weight": found["R1.weight"]._replace(tag=tag)}


class Misreads(Feeder):
    async def read(self) -> Any:
        found = await super().read()
        weight = found["R1.weight"]
        return found | {"R1.weight": weight._replace(value=weight.value / 2)}


class OwnClock(Feeder):
    def __init__(self, setup: Setup) -> None:
        mine = SystemClock()
        super().__init__(
            Setup(
                *(
                    setup.name,
                    setup.address,
                    setup.tags,
                    setup.timeout_s,
                    mine,
                    {},
                    setup.tag_options,
                )
            )
        )


class OldStamp(Feeder):
    first = math.nan

    async def read(self) -> Any:
        found = await super().read()
        self.first = self._setup.clock.now() if math.isnan(self.first) else self.first
        return {n: s._replace(time=self.first) for n, s in found.items()}


class NanIsGood(Feeder):
    async def read(self) -> Any:
        found = await super().read()
        return {n: s._replace(quality=Quality.GOOD) for n, s in found.items()}


class KeepsTheLastValue(Feeder):
    last = 0.0

    async def read(self) -> Any:
        found = await super().read()
        weight = found["R1.weight"]
        self.last = self.last if math.isnan(weight.value) else weight.value
        kept = weight._replace(value=self.last, quality=Quality.GOOD)
        return found | {"R1.weight": kept}


class BadWithANumber(Feeder):
    async def read(self) -> Any:
        found = await super().read()
        weight = found["R1.weight"]._replace(quality=Quality.BAD, value=3.2)
        return found | {"R1.weight": weight}


class Clips(Feeder):
    async def write(self, values: dict[str, float]) -> Any:
        return await super().write({n: min(max(v, 0.0), 100.0) for n, v in values.items()})


class WritesBeforeItLooks(Feeder):
    async def write(self, values: dict[str, float]) -> Any:
        for name, value in values.items():
            await super().write({name: value})


class BlamesTheWorld(Feeder):
    async def write(self, values: dict[str, float]) -> Any:
        try:
            return await super().write(values)
        except RangeError as error:
            raise DeviceError(str(error)) from error


class Promises(Feeder):
    async def write(self, values: dict[str, float]) -> Any:
        held = await super().write(dict.fromkeys(values, 0.0))
        return {n: s._replace(value=values[n]) for n, s in held.items()}


class Whispers(Feeder):
    async def write(self, values: dict[str, float]) -> Any:
        await super().write(values)
        return {}


class NeverReturns(Feeder):
    gone = False

    async def read(self) -> Any:
        if self.gone:
            raise DeviceError("gone for good")
        try:
            return await super().read()
        except DeviceError:
            self.gone = True
            raise


class RaisesWhatComes(Feeder):
    async def read(self) -> Any:
        try:
            return await super().read()
        except DeviceError as error:
            raise error.__cause__ or error from None


class Remembers(Feeder):
    memory: Any = None

    async def read(self) -> Any:
        try:
            self.memory = await super().read()
        except DeviceError:
            if self.memory is None:
                raise
        return self.memory


class NoTimeout(Feeder):
    async def _ask(self, questions: Any) -> Any:
        try:
            async with self._lock:
                return {t.name: await self._answer(t, text) for t, text in questions.items()}
        except OSError as error:
            raise DeviceError("gone") from error
        except ValueError as error:
            raise DeviceError("gone") from error


class Blocks(Feeder):
    """Waits for an answer as a library without asyncio does."""

    async def read(self) -> Any:
        host, _, port = self.address.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), 0.1) as wire:
                wire.sendall(b"W?\n")
                # a server in this very thread cannot answer; a frozen one would not either
                wire.settimeout(0.3 if self._wire is not None else 0.0)
                with contextlib.suppress(BlockingIOError):
                    wire.recv(100)
        except OSError as error:
            raise DeviceError("gone") from error
        return await super().read()


class SwallowsCancellation(Feeder):
    async def read(self) -> Any:
        try:
            return await super().read()
        except asyncio.CancelledError:
            return {}


class CannotBeCancelled(Feeder):
    async def read(self) -> Any:
        try:
            return await super().read()
        except asyncio.CancelledError:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            raise


class LeavesTheAnswer(Feeder):
    """Keeps the wire after a call that failed, and what may still come on it."""

    keep = False

    async def _answer(self, tag: Tag, text: str) -> Any:
        self.keep = True
        found = await super()._answer(tag, text)
        self.keep = False
        return found

    async def close(self) -> None:
        kept, self.keep = self.keep, False
        if not kept:
            await super().close()


class OneAtATime(Feeder):
    async def _ask(self, questions: Any) -> Any:
        if self._lock.locked():
            raise DeviceError("busy")
        return await super()._ask(questions)


class ClosesOnce(Feeder):
    shut = False

    async def close(self) -> None:
        if self.shut:
            raise RuntimeError("closed already")
        self.shut = True
        await super().close()


class ClosedForEver(Feeder):
    shut = False

    async def close(self) -> None:
        self.shut = True
        await super().close()

    async def read(self) -> Any:
        if self.shut:
            raise DeviceError("closed")
        return await super().read()


class LeavesATask(Feeder):
    async def read(self) -> Any:
        self.task = asyncio.create_task(asyncio.Event().wait(), name="watches the wire")
        return await super().read()


class LeavesASocket(Feeder):
    """Opens a port for the device's alarms, and forgets it."""

    async def read(self) -> Any:
        FORGOTTEN.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        return await super().read()


class SaysAString(Feeder):
    def warnings(self) -> Any:
        return "not calibrated"


class RawOfOthers(Feeder):
    def raw(self) -> Any:
        return {"R2.weight": "W 3"}


class IsNobody(Feeder):
    async def identify(self) -> Any:
        return "Acme"


class WallTank(Tank):
    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._clock = SystemClock()


class WiredTank(Tank):
    async def read(self) -> dict[str, Sample]:
        await asyncio.open_connection("127.0.0.1", 9)
        return {}
