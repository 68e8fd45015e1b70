"""A Modbus device as tags: what to ask in a scan, how an answer must look, what it means."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from drivers.clock import Clock
from drivers.driver import DeviceError, Driver, Identity
from drivers.modbus.fence import ADVANCE, SIMULATOR_UNIT, Fence
from drivers.modbus.link import Link, LinkError
from drivers.modbus.registers import MAX_GAP, Block, Register, blocks
from drivers.point import RangeError, Sample, Tag

__all__ = ["ModbusDriver", "Watchdog"]

VENDOR, PRODUCT = "fermloop", "simulator"
_IDENTIFY = bytes((0x2B, 0x0E, 0x01, 0x00))  # Read Device Identification, basic, from object 0
_PACE = struct.pack(">BHH", 3, 0, 8)
_ADVANCE_S = 30.0  # wall s that the simulated plant may take for one advance
_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledged, not done",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target did not respond",
}


@dataclass(frozen=True, slots=True)
class Watchdog:
    """A register that must keep changing, or the device makes itself safe.

    Attributes:
        holding: its address.
        armed_input: address of the input register that is 1 while the watchdog is armed.
    """

    holding: int
    armed_input: int | None = None


class _Plan(NamedTuple):
    """How a set of actuators is written and read back."""

    tags: tuple[Tag, ...]
    writes: list[Block]
    readbacks: list[Block]


class ModbusDriver(Driver):
    """A device behind a Modbus link.

    Args:
        name: as in the plant file.
        registers: where its tags live; only those of actuators are ever written.
        link: the wire.
        clock: stamps the samples.
        watchdog: fed by ``heartbeat``, if the device has one.

    Raises:
        ValueError: registers overlap each other or the watchdog.
    """

    def __init__(
        self,
        name: str,
        registers: Sequence[Register],
        link: Link,
        clock: Clock,
        watchdog: Watchdog | None = None,
    ) -> None:
        self.name = name
        self.address = link.address
        self.tags: Sequence[Tag] = tuple(r.tag for r in registers)
        self._link = link
        self._fence = link.fence = Fence(registers, watchdog.holding if watchdog else None)
        self._clock = clock
        self._actuators = {r.tag.name: r for r in registers if r.tag.safe is not None}
        self._registers = list(registers)
        self._watchdog = watchdog
        self._armed: bool | None = None  # None until a read has told
        self._armed_name = f"{name} armed"
        if watchdog is not None:
            beat = Tag(f"{name} watchdog", "1", 0, 0xFFFF)
            blocks([*registers, Register(beat, "holding", watchdog.holding)])  # must not overlap
            if watchdog.armed_input is not None:
                armed = Tag(self._armed_name, "1", 0, 0xFFFF)
                self._registers.append(Register(armed, "input", watchdog.armed_input))
        self._last_good: float | None = None
        self._ask(MAX_GAP)

    async def identify(self) -> Identity:
        reply = await self._who()
        if reply is None:
            # Some devices keep silent where they should refuse. One that answers a read and then
            # keeps silent again is such a one, and not our simulator on a busy machine.
            await self.read()
            reply = await self._who()
            if reply is None:
                self._fence.lock_step = False
                return Identity()
        vendor, product = _identification(reply)
        if (vendor, product) != (VENDOR, PRODUCT):
            self._fence.lock_step = False
            return Identity(f"{vendor} {product}".strip())
        (reply,) = await self._exchange([_PACE], ["the simulator's pace"], SIMULATOR_UNIT)
        self._check(_PACE, reply, b"\x03\x10", 18, "the simulator's pace")
        speed, plant_time = struct.unpack(">2x2d", reply)
        self._fence.lock_step = speed == 0
        return Identity(f"{vendor} {product}", speed, plant_time)

    async def _who(self) -> bytes | None:
        """Ask for the identification; return ``None`` if a connected device keeps silent."""
        try:
            (reply,) = await self._link.exchange([_IDENTIFY])
        except LinkError as error:
            if error.silent:
                self._link.reset()  # silence to this is no reason to wait before the next request
                return None
            self._fail(str(error).replace("{what}", "the device identification"))
        return reply

    async def read(self) -> dict[str, Sample]:
        replies = await self._read()
        now = self._clock.now()
        found: dict[str, Sample] = {}
        for block, reply in zip(self._blocks, replies, strict=True):
            block.samples(reply, now, found)
        self._last_good = now
        if self._watchdog is not None and self._watchdog.armed_input is not None:
            self._armed = found.pop(self._armed_name).value == 1
        return found

    async def write(self, values: dict[str, float]) -> dict[str, Sample]:
        plan = self._plan(tuple(values))
        for tag in plan.tags:
            tag.require(values[tag.name])
        wanted = {n: self._actuators[n].encode(v) for n, v in values.items()}
        requests = [b.write_request([wanted[n] for n in b.names]) for b in plan.writes]
        asked = [f"a write of {b}" for b in plan.writes] + [f"{b}" for b in plan.readbacks]
        replies = await self._exchange([*requests, *(b.request for b in plan.readbacks)], asked)
        for request, reply, what in zip(requests, replies, asked, strict=False):
            self._check(request, reply, request[:5], 5, what)
        if not self._accept(plan.readbacks, replies[len(requests) :]):
            return await self.write(values)  # it has holes: read back without them
        now = self._clock.now()
        held: dict[str, Sample] = {}
        for block, reply in zip(plan.readbacks, replies[len(requests) :], strict=True):
            block.samples(reply, now, held)
            for register in block.registers:
                name = register.tag.name
                if block.part(reply, register) != wanted[name]:
                    self._fail(
                        f"{name} reads back {held[name].value:g} {register.tag.unit} "
                        f"after {values[name]:g} was written"
                    )
        return held

    async def heartbeat(self, count: int) -> bool:
        if self._watchdog is None:
            return True
        request = struct.pack(">BHHBH", 16, self._watchdog.holding, 1, 2, count & 0xFFFF)
        what = f"the heartbeat in register {self._watchdog.holding}"
        (reply,) = await self._exchange([request], [what])
        self._check(request, reply, request[:5], 5, what)
        if self._watchdog.armed_input is None:
            return True
        if self._armed is None:  # nothing was read since the last failure
            await self.read()
        return bool(self._armed)

    async def advance(self, plant_time: float) -> None:
        if not self._fence.lock_step:
            raise DeviceError(f"{self._where}: is no simulator in lock-step")
        request = ADVANCE + struct.pack(">d", plant_time)
        what = "an advance of the simulated plant"
        (reply,) = await self._exchange([request], [what], SIMULATOR_UNIT, _ADVANCE_S)
        self._check(request, reply, request[:5], 5, what)

    async def close(self) -> None:
        self._armed = None
        await self._link.close()

    @property
    def _where(self) -> str:
        return f"{self.name} at {self.address}"

    def _ask(self, gap: int) -> None:
        """Lay out the requests of a read, with at most ``gap`` unused registers between two."""
        self._gap = gap
        self._blocks = blocks(self._registers, gap)
        self._requests = [b.request for b in self._blocks]
        self._asked = [str(b) for b in self._blocks]
        self._plans: dict[tuple[str, ...], _Plan] = {}

    def _plan(self, names: tuple[str, ...]) -> _Plan:
        plan = self._plans.get(names)
        if plan is None:
            for name in names:
                if name not in self._actuators:
                    allowed = ", ".join(self._actuators) or "none"
                    raise RangeError(f"{name}: no actuator of {self.name}; those are {allowed}")
            registers = [self._actuators[n] for n in names]
            if len(self._plans) >= 256:  # every subset of many actuators must not pile up
                self._plans.clear()
            plan = self._plans[names] = _Plan(
                tuple(r.tag for r in registers), blocks(registers, 0), blocks(registers, self._gap)
            )
        return plan

    async def _read(self) -> list[bytes]:
        while True:
            asked = self._blocks
            replies = await self._exchange(self._requests, self._asked)
            if self._accept(asked, replies):
                return replies

    async def _exchange(
        self,
        requests: Sequence[bytes],
        asked: Sequence[str],
        unit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[bytes]:
        try:
            return await self._link.exchange(requests, unit=unit, timeout_s=timeout_s)
        except LinkError as error:
            self._fail(str(error).replace("{what}", asked[error.index]))

    def _accept(self, asked: Sequence[Block], replies: Sequence[bytes]) -> bool:
        """Check the replies to reads; return False where the device has holes: ask without gaps."""
        for block, reply in zip(asked, replies, strict=True):
            if len(reply) == block.length and reply.startswith(block.head):
                continue
            if self._gap and not block.gapless and reply == bytes((block.head[0] | 0x80, 2)):
                self._ask(0)
                return False
            self._check(block.request, reply, block.head, block.length, str(block))
        return True

    def _check(self, request: bytes, reply: bytes, head: bytes, length: int, what: str) -> None:
        """Raise unless ``reply`` is a whole answer to ``request``: what pymodbus does not check."""
        if reply.startswith(head) and len(reply) == length:
            return
        code = request[0]
        if len(reply) == 2 and reply[0] == code | 0x80:
            text = _EXCEPTIONS.get(reply[1], "unknown")
            self._fail(f"exception {reply[1]} ({text}) to {what}")
        self._link.reset()  # what follows such a reply cannot be trusted either
        if not reply or reply[0] != code:
            got = f"{reply[0]}" if reply else "nothing"
            self._fail(f"function code {got} in reply to {what}, not {code}")
        self._fail(f"{len(reply)} bytes {reply[:8].hex(' ')} in reply to {what}, not {length}")

    def _fail(self, text: str) -> NoReturn:
        self._armed = None
        ago = ""
        if self._last_good is not None:
            ago = f" (last good {self._clock.now() - self._last_good:.1f} s ago)"
        raise DeviceError(f"{self._where}: {text}{ago}")


def _identification(reply: bytes) -> tuple[str, str]:
    """Return vendor and product code of a Read Device Identification reply; empty if it is none.

    Source: MODBUS Application Protocol Specification V1.1b3, section 6.21.
    """
    objects: dict[int, str] = {}
    if len(reply) >= 7 and reply[:2] == b"\x2b\x0e":
        at = 7
        for _ in range(reply[6]):
            if at + 2 > len(reply) or at + 2 + reply[at + 1] > len(reply):
                break
            text = reply[at + 2 : at + 2 + reply[at + 1]]
            objects[reply[at]] = "".join(c for c in text.decode("latin-1") if c.isprintable())
            at += 2 + len(text)
    return objects.get(0, ""), objects.get(1, "")
