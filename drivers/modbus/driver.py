"""A Modbus device as tags: what to ask in a scan, how an answer must look, what it means."""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from drivers.clock import Clock
from drivers.driver import DeviceError, Driver, Identity
from drivers.modbus.blocks import Block
from drivers.modbus.cells import Cell, Info
from drivers.modbus.fence import ADVANCE, SIMULATOR_UNIT, Fence
from drivers.modbus.link import Link, LinkError
from drivers.modbus.plan import Limits, Read, ReadPlan, require_apart
from drivers.modbus.registers import Register
from drivers.modbus.writes import How, WritePlan
from drivers.point import RangeError, Sample, Tag

__all__ = ["ModbusDriver", "Watchdog"]

VENDOR, PRODUCT = "fermloop", "simulator"
WATCHDOG = "the watchdog"
_IDENTIFY = bytes((0x2B, 0x0E, 0x01, 0x00))  # Read Device Identification, basic, from object 0
_PACE = struct.pack(">BHH", 3, 0, 13)
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


class ModbusDriver(Driver):
    """A device behind a Modbus link.

    Args:
        name: as in the plant file.
        registers: where its tags live; only those of actuators are ever written.
        link: the wire; its fence will let out what these registers allow.
        clock: stamps the samples.
        watchdog: fed by ``heartbeat``, if the device has one.
        infos: read by ``identify``. Those with ``equals`` are read again, before anything is
            believed or written, after each new connection and each failure.
        limits: of one read request.
        writes: by which function codes.

    Raises:
        ValueError: registers overlap each other or the watchdog, or do not fit ``limits`` or
            ``writes``.
    """

    def __init__(
        self,
        name: str,
        registers: Sequence[Register],
        link: Link,
        clock: Clock,
        watchdog: Watchdog | None = None,
        *,
        infos: Sequence[Info] = (),
        limits: Limits | None = None,
        writes: How = "multiple",
    ) -> None:
        self.name = name
        self.address = link.address
        self.tags: Sequence[Tag] = tuple(r.tag for r in registers)
        self._link = link
        self._clock = clock
        self._actuators = {r.tag.name: r for r in registers if r.tag.safe is not None}
        self._registers = tuple(registers)
        self._armed: bool | None = None  # None until a read has told
        self._armed_cell: Cell | None = None
        self._beat: WritePlan | None = None
        if watchdog is not None:
            fed = Register(Tag(WATCHDOG, "1", 0, 0xFFFF), "holding", watchdog.holding)
            require_apart([*registers, fed])
            self._beat = WritePlan([fed], writes, Limits())
            self._beat.asked[:] = [f"the heartbeat in register {watchdog.holding}"]
            if watchdog.armed_input is not None:
                self._armed_cell = Cell("input", watchdog.armed_input)
        self._infos = tuple(infos)
        self._demands = tuple(i for i in infos if i.equals is not None)
        self._fence = link.fence = Fence(
            registers, watchdog.holding if watchdog else None, guarded=bool(self._demands)
        )
        self._writes: How = writes
        self._last_good: float | None = None
        self._replies: Sequence[bytes] = ()
        self._ask(limits or Limits())
        WritePlan(tuple(self._actuators.values()), writes, self._limits)  # must fit

    @property
    def plan(self) -> tuple[Read, ...]:
        """The requests of one read."""
        return self._plan.reads

    async def identify(self) -> Identity:
        identity = await self._identity()
        if not self._infos:
            return identity
        return replace(identity, info=await self._inform(self._infos))

    async def _identity(self) -> Identity:
        self._fence.lock_step = False
        reply = await self._who()
        if reply is None:
            # Some devices keep silent where they should refuse. One that answers a read and then
            # keeps silent again is such a one, and not our simulator on a busy machine.
            await self.read()
            reply = await self._who()
            if reply is None:
                return Identity()
        vendor, product = _identification(reply)
        if (vendor, product) != (VENDOR, PRODUCT):
            return Identity(f"{vendor} {product}".strip())
        identity = await self.pace()
        self._fence.lock_step = identity.speed == 0
        return identity

    async def pace(self) -> Identity:
        (reply,) = await self._exchange([_PACE], ["the simulator's pace"], SIMULATOR_UNIT)
        self._check(_PACE, reply, b"\x03\x1a", 28, "the simulator's pace")
        speed, plant_time, paused = struct.unpack(">2x2d8xH", reply)
        if not (0 <= speed < math.inf and 0 <= plant_time < math.inf):
            self._fail(f"no simulator's pace: speed {speed:g}, plant time {plant_time:g}")
        return Identity(f"{VENDOR} {PRODUCT}", speed, plant_time, paused=paused != 0)

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

    async def _inform(self, infos: Sequence[Info]) -> Mapping[str, str]:
        """Return what the device says of itself; open the fence if it is what it must be.

        Raises:
            DeviceError: it is not.
        """
        plan = self._info_plan(infos)
        return self._told(infos, plan, await self._exchange(plan.requests, plan.asked))

    def _info_plan(self, infos: Sequence[Info]) -> ReadPlan:
        return ReadPlan((), self._limits._replace(gap=0), {i.name: i.cell for i in infos})

    def _told(
        self, infos: Sequence[Info], plan: ReadPlan, replies: Sequence[bytes]
    ) -> Mapping[str, str]:
        self._accept(plan.blocks, replies)
        told = {i.name: plan.part(replies, i.cell) for i in infos}
        for info in infos:
            data = told[info.name]
            if info.wrong(data):
                words = data.hex(" ", 2).upper()
                self._fence.renewed()
                self._fail(
                    f"{info.name} is {info.shown(data)} ({words}), not {info.equals}: another "
                    "device, or another order of words or bytes"
                )
        self._fence.open = True
        return {i.name: i.shown(told[i.name]) for i in infos}

    async def read(self) -> dict[str, Sample]:
        replies = await self._read()
        now = self._clock.now()
        found = self._plan.samples(replies, now)
        self._replies = replies
        self._last_good = now
        if self._armed_cell is not None:
            part = self._plan.blocks[self._armed_at].part(replies[self._armed_at], self._armed_cell)
            self._armed = self._armed_cell.number(part) == 1
        return found

    def warnings(self) -> Sequence[str]:
        return self._link.warnings()

    def raw(self) -> Mapping[str, str]:
        return self._plan.raw(self._replies) if self._replies else {}

    async def write(self, values: dict[str, float]) -> dict[str, Sample]:
        plan = self._written(tuple(values))
        for tag in plan.tags:
            tag.require(values[tag.name])
        wanted = {n: self._actuators[n].encode(v) for n, v in values.items()}
        if not self._fence.open:
            await self._inform(self._demands)
        requests = plan.requests(wanted)
        replies = await self._exchange(requests, plan.asked)
        for echo in plan.echoes(requests, replies):
            self._check(*echo)
        held = plan.held(replies)
        if not self._accept(plan.readbacks, held):
            return await self.write(values)  # it has holes: read back without them
        return self._confirmed(plan, held, values, wanted)

    def _confirmed(
        self,
        plan: WritePlan,
        held: Sequence[bytes],
        values: Mapping[str, float],
        wanted: Mapping[str, bytes],
    ) -> dict[str, Sample]:
        """Return what the device holds if that is, word for word, what was written."""
        now = self._clock.now()
        found: dict[str, Sample] = {}
        for block, reply in zip(plan.readbacks, held, strict=True):
            block.samples(reply, now, found)
            if reply[2:] == b"".join(map(wanted.__getitem__, block.names)):
                continue  # all of it, as nearly always
            for register in block.registers:
                name = register.tag.name
                if block.part(reply, register) != wanted[name]:
                    self._fail(
                        f"{name} reads back {found[name].value:g} {register.tag.unit} "
                        f"after {values[name]:g} was written"
                    )
        return found

    async def heartbeat(self, count: int) -> bool:
        if self._beat is None:
            return True
        if not self._fence.open:
            await self._inform(self._demands)
        requests = self._beat.moves({WATCHDOG: struct.pack(">H", count & 0xFFFF)})
        replies = await self._exchange(requests, self._beat.asked)
        for echo in self._beat.echoes(requests, replies):
            self._check(*echo)
        if self._armed_cell is None:
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

    def _ask(self, limits: Limits) -> None:
        """Lay out the requests of a read."""
        self._limits = limits
        armed = {} if self._armed_cell is None else {f"{self.name} armed": self._armed_cell}
        self._plan = ReadPlan(self._registers, limits, armed)
        self._armed_at = 0 if self._armed_cell is None else self._plan.place(self._armed_cell)
        self._plans: dict[tuple[str, ...], WritePlan] = {}

    def _written(self, names: tuple[str, ...]) -> WritePlan:
        """Return how a set of actuators is written."""
        plan = self._plans.get(names)
        if plan is None:
            for name in names:
                if name not in self._actuators:
                    allowed = ", ".join(self._actuators) or "none"
                    raise RangeError(f"{name}: no actuator of {self.name}; those are {allowed}")
            registers = [self._actuators[n] for n in names]
            if len(self._plans) >= 256:  # every subset of many actuators must not pile up
                self._plans.clear()
            plan = self._plans[names] = WritePlan(registers, self._writes, self._limits)
        return plan

    async def _read(self) -> list[bytes]:
        """Return checked replies of a device that is the right one."""
        while True:
            plan = self._plan
            if self._fence.open:
                replies = await self._exchange(plan.requests, plan.asked)
                if not self._fence.open:
                    continue  # the connection was renewed: who was that?
            else:
                first = self._info_plan(self._demands)
                replies = await self._exchange(
                    [*first.requests, *plan.requests], [*first.asked, *plan.asked]
                )
                size = len(first.requests)
                self._told(self._demands, first, replies[:size])
                replies = replies[size:]
            if self._accept(plan.blocks, replies):
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
            self._fence.renewed()  # who answers next may be another
            self._fail(str(error).replace("{what}", asked[error.index]))

    def _accept(self, asked: Sequence[Block], replies: Sequence[bytes]) -> bool:
        """Check the replies to reads; return False where the device has holes: ask without gaps."""
        for block, reply in zip(asked, replies, strict=True):
            if len(reply) == block.length and reply.startswith(block.head):
                continue
            if self._limits.gap and block.unused and reply == bytes((block.head[0] | 0x80, 2)):
                self._ask(self._limits._replace(gap=0))
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
