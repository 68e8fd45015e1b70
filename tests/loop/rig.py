"""The whole controller on virtual time: real drivers and vessel, wires that a test may cut."""

import asyncio
import json
import math
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from controller.controller import Controller
from controller.devices.devices import Device, build
from controller.loops.loops import Loop
from controller.planning.advisor import AdvisorMode
from controller.planning.outlook import Outlook, Question
from controller.planning.plan import Plan, Situation, Status
from controller.planning.planning import Planner
from controller.plant import Plant, load_plant
from controller.recipes.recipe import load_recipe
from controller.restart import Memory
from controller.sensing.estimator import Estimate
from drivers.driver import Driver
from drivers.modbus import Fence
from drivers.opcua import DataValue, Link
from drivers.point import Sample
from fermloop.commands.closed_loop import EPOCH
from fermloop.commands.simulated import wires
from historian.events import Event, Kind
from historian.store import Historian, NullHistorian
from sim.clock import SimClock, VirtualLoop
from sim.links import VesselModbusLink, VesselOpcUaLink, vessel_link
from sim.motion import Device as Behind
from sim.truth import Truth
from sim.vessel import Vessel
from tests.sim.bioreactors import bioreactors

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "sim/plants/ecoli_5l.toml"
RECIPE = ROOT / "sim/recipes/ecoli.toml"


def _now(table: str, key: str) -> str:
    """Return the line of the demo's plant file that sets ``key`` of a table of reactor R1."""
    first, *rest = table.split(".")
    found: Any = tomllib.loads(DEMO.read_text())[first]["R1"]
    for name in rest:
        found = found[name]
    return f"{key} = {found[key]}"


# A vessel that is well grown and fed from the first minute, so that a test need not wait for it.
_MODEL = [_now("reactor.model", k) for k in ("biomass_g_per_l", "substrate_g_per_l")]
GROWN = {
    "\n".join(_MODEL): "biomass_g_per_l = 8.0\nsubstrate_g_per_l = 0.1",
    f"{_now('simulation', 'substrate_g_per_l')} ": "substrate_g_per_l = 0.1 ",
}
# ... with an optimiser that asks every minute and gets its answer ten seconds later.
QUICK = {
    **GROWN,
    _now("reactor.optimiser", "period_s"): "period_s = 60.0",
    _now("reactor.optimiser", "latency_s"): "latency_s = 10.0",
}
FED = """\
name = "fed"
organism = "ecoli"

[start.loops]
temperature = "AUTO"
ph = "AUTO"
do = "AUTO"
agitation = "CASCADE"
air = "CASCADE"
feed = "CASCADE"
inducer = "CASCADE"
antifoam = "AUTO"
oxygen = "AUTO"

[start]
setpoints = { temperature = 37.0, ph = 7.0, do = 30.0, feed = 0.0 }

[[phase]]
name = "feed"
feeds.feed = { kind = "constant", flow = 20.0 }
until = { batch_h = 2.0 }

[[phase]]
name = "induce"
doses = [{ loop = "inducer", volume_l = 0.010, flow = 2.0 }]
induces = true
feeds.feed = { kind = "hold" }
until = { batch_h = 6.0 }
"""


class Tampered(Behind):
    """A vessel whose instruments and pumps can be made to fail; everything else is the vessel's.

    Attributes:
        shows: what an instrument shows in place of the truth, by tag.
        stuck: actuators that take no new value, by tag.
    """

    def __init__(self, vessel: Vessel) -> None:
        self.vessel = vessel
        self.shows: dict[str, float] = {}
        self.stuck: set[str] = set()
        self.time = vessel.time

    def advance(self, time: float) -> None:
        self.vessel.advance(time)
        self.time = self.vessel.time

    def read(self, name: str) -> float:
        return self.shows[name] if name in self.shows else self.vessel.read(name)

    def write(self, name: str, value: float) -> None:
        if name not in self.stuck:
            self.vessel.write(name, value)

    def actual(self, name: str) -> float:
        return self.vessel.actual(name)

    def to_safe(self) -> None:
        self.vessel.to_safe()


class Wire:
    """A device's wire with a tap on it.

    Attributes:
        writes: every request that would change something, as the device got it.
        deaf: the device says yes to every write and does nothing (Modbus only).
    """

    def __init__(self, link: VesselModbusLink | VesselOpcUaLink) -> None:
        self.address = link.address
        self.link = link
        self.writes: list[object] = []
        self.deaf = False
        self._mend: Callable[[], None] = lambda: None

    @property
    def answering(self) -> bool:
        """False: the wire is cut."""
        return not self.link.wire.cut

    @answering.setter
    def answering(self, value: bool) -> None:
        if value != self.answering:
            self._mend() if value else self._cut()

    def _cut(self) -> None:
        self._mend = self.link.wire.begin("cut")

    def warnings(self) -> Sequence[str]:
        return self.link.warnings()

    async def close(self) -> None:
        await self.link.close()


class ModbusWire(Wire):
    link: VesselModbusLink

    @property
    def fence(self) -> Fence:
        return self.link.fence

    @fence.setter
    def fence(self, fence: Fence) -> None:
        self.link.fence = fence

    async def exchange(
        self,
        requests: Sequence[bytes],
        *,
        unit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[bytes]:
        changing = [r for r in requests if r[0] in (5, 6, 15, 16)]
        if self.answering:
            self.writes += changing
        if self.deaf and changing:
            reads = [r for r in requests if r not in changing]
            answers = iter(await self.link.exchange(reads, unit=unit))
            return [r[:5] if r in changing else next(answers) for r in requests]
        return await self.link.exchange(requests, unit=unit, timeout_s=timeout_s)

    def reset(self) -> None:
        self.link.reset()


class OpcUaWire(Wire, Link):
    link: VesselOpcUaLink

    async def read(self, nodes: Sequence[str]) -> Sequence[DataValue]:
        return await self.link.read(nodes)

    async def write(self, nodes: Sequence[str], values: Sequence[float]) -> Sequence[int]:
        if self.answering:
            self.writes += zip(nodes, values, strict=True)
        return await self.link.write(nodes, values)

    async def call(self, method: str, argument: float, timeout_s: float) -> int:
        return await self.link.call(method, argument, timeout_s)


class Journal(NullHistorian):
    """Keeps the events of a run for the test; rows go nowhere."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        self.events.append(event)


class Oracle:
    """The far end of the planner's protocol: it answers what the test wants.

    Attributes:
        answer: the plan for a situation; ``None``: it keeps silent.
        asked: every situation, with the plant time.
    """

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self.answer: Callable[[Situation], Plan | None] = lambda s: plan(s.now)
        self.asked: list[Situation] = []
        self._ready: dict[str, Plan] = {}

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    def request(self, reactor: str, estimate: Estimate, situation: Situation) -> None:
        self.asked.append(situation)
        self._ready.pop(reactor, None)
        answer = self.answer(situation)
        if answer is not None:
            self._ready[reactor] = answer

    def poll(self, reactor: str) -> Plan | None:
        return self._ready.pop(reactor, None)

    def foresee(self, key: str, reactor: str, estimate: Estimate, question: Question) -> None:
        """Foresees nothing."""

    def foreseen(self, key: str) -> Outlook | None:
        return None

    def cancel(self, key: str) -> None:
        self._ready.pop(key, None)


def plan(made: float, feed: float = 26.0, do: float = 40.0, status: Status = "good") -> Plan:
    """Return a plan of one flat hour."""
    return Plan(status, made, (made, made + 3600.0), ((feed, do), (feed, do)), reason="so it is")


class Shelf:
    """Keeps a dead controller's state as text, as the store does; only strict JSON fits in."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def put_state(self, key: str, obj: object) -> None:
        self.texts[key] = json.dumps(obj, allow_nan=False)

    def get_state(self, key: str) -> Any:
        text = self.texts.get(key)
        return None if text is None else json.loads(text)


class Rig:
    """A plant under control, scan by scan; use it as a context.

    Args:
        plant: the checked plant file, with a ``[simulation]`` table.
        seed: draws the vessels.
        store: where rows and events go; a journal of events if not given.
        planner: who makes plans, given the clock.
        drivers: what stands around a device's driver, by device; then every device is read by a
            task of its own, as on real sockets.
        vessels_of: another rig, whose controller is dead; its vessels, time and state live on.
        clean: reactors that their recipe is to inoculate.
    """

    def __init__(
        self,
        plant: Plant,
        *,
        seed: int = 1,
        store: Historian | None = None,
        planner: Callable[[SimClock], Planner] | None = None,
        drivers: Mapping[str, Callable[[Driver], Driver]] | None = None,
        vessels_of: "Rig | None" = None,
        clean: Collection[str] = (),
    ) -> None:
        self.plant = plant
        start = EPOCH if vessels_of is None else vessels_of.clock.now()
        self.shelf = Shelf() if vessels_of is None else vessels_of.shelf
        self.journal = Journal()
        self.store = store or self.journal
        if vessels_of is None:
            found = bioreactors(plant, seed, start, clean)
            self.tampered = {n: Tampered(v) for n, v in found.items()}
        else:
            self.tampered = {n: Tampered(t.vessel) for n, t in vessels_of.tampered.items()}
        self._runner = asyncio.Runner(loop_factory=VirtualLoop)
        self._runner.get_loop()
        self.controller = self._runner.run(self._build(start, planner, drivers))
        self._next = start

    async def _build(
        self,
        start: float,
        planner: Callable[[SimClock], Planner] | None,
        drivers: Mapping[str, Callable[[Driver], Driver]] | None,
    ) -> Controller:
        self.clock = SimClock(start)
        self.wires: dict[str, Wire] = {}
        wired = wires({n: t.vessel for n, t in self.tampered.items()})
        devices: list[Device] = []
        for name, s in self.plant.settings.device.items():
            link = vessel_link(s, self.tampered, self.clock, wired.get(name))
            tap = ModbusWire(link) if isinstance(link, VesselModbusLink) else OpcUaWire(link)
            self.wires[name] = tap
            driver = build(name, s, tap, self.clock)
            if drivers is not None and name in drivers:
                driver = drivers[name](driver)
            scan_s, direct = self.plant.settings.scan_s, drivers is None
            devices.append(Device(name, s, driver, scan_s, immediate=direct, timer=self.clock.now))
        self.planner = None if planner is None else planner(self.clock)
        if self.planner is not None:
            await self.planner.start()
        return Controller(
            self.plant,
            devices,
            self.clock,
            self.store,
            self.planner,
            memory=Memory(self.shelf, self.clock.now),
            lock_step=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()

    # -- life ----------------------------------------------------------------------------------

    def connect(self) -> Self:
        """Reach every device; returns when all have answered."""
        self._runner.run(self.controller.connect())
        self._next = self.clock.now()
        return self

    def begin(
        self, recipe: Path = RECIPE, optimiser: AdvisorMode = "off", reactor: str = ""
    ) -> Self:
        """Connect and start a batch."""
        self.connect()
        self.controller.begin(load_recipe(recipe), str(recipe), optimiser, reactor)
        return self

    def scans(self, count: int) -> Iterator[float]:
        """Do ``count`` scans and yield the plant time after each."""
        for _ in range(count):
            self.run(1)
            yield self.clock.now()

    def run(self, scans: int) -> None:
        """Do ``scans`` scans."""
        scan_s = self.plant.settings.scan_s
        until = self._next + (scans - 1) * scan_s
        self._next = until + scan_s
        self._runner.run(self.controller.run(until))

    def hours(self, hours: float) -> None:
        """Run for ``hours`` of plant time."""
        self.run(round(hours * 3600 / self.plant.settings.scan_s))

    def die(self, seconds: float) -> None:
        """Kill the controller after its last scan; ``seconds`` of plant time pass without it."""
        memory = self.controller.memory
        if memory is not None:
            memory.keep(self.clock.now(), self.controller.reactors.values(), at_once=True)
        self._runner.run(self.clock.sleep_until(self.clock.now() + seconds))
        for device in self.controller.devices:
            self._runner.run(device.driver.read())  # the plant goes on, whoever looks

    def do(self, work: Any) -> Any:
        """Run a coroutine on the virtual loop."""
        return self._runner.run(work)

    # -- what is so ----------------------------------------------------------------------------

    @property
    def vessel(self) -> Vessel:
        """The first reactor's vessel."""
        return next(iter(self.tampered.values())).vessel

    @property
    def faults(self) -> Tampered:
        """What a test may break of the first reactor."""
        return next(iter(self.tampered.values()))

    def truth(self) -> Truth:
        """Return a record of the first vessel's truth from now on."""
        return Truth.of(self.vessel)

    @property
    def samples(self) -> Mapping[str, Sample]:
        """What the last scan saw."""
        return self.controller.scan.samples

    def loop(self, name: str, reactor: str = "R1") -> Loop:
        """Return a loop by its name inside the reactor."""
        return self.controller.reactors[reactor].loops[name]

    def held(self) -> dict[str, float]:
        """Return what every actuator of the plant really has been told, by tag."""
        return {
            n: self.tampered[t.reactor].actual(n)
            for n, t in self.plant.tags.items()
            if t.safe is not None
        }

    def told(self, kind: Kind, word: str = "") -> list[str]:
        """Return the texts of the events of a kind that hold ``word``."""
        return [e.text for e in self.journal.events if e.kind is kind and word in e.text]

    def alarms(self) -> dict[str, str]:
        """Return the active alarms' texts by key."""
        return {key: alarm.text for key, alarm in self.controller.alarms.active.items()}

    def state(self) -> Any:
        """Return the state as the console gets it."""
        return self.controller.state()


def plant_file(folder: Path, changes: Mapping[str, str] | None = None) -> Plant:
    """Return the demo's plant with ``changes`` made to its text, its data in ``folder``.

    No reading is a spike: here a person says what a sensor shows, and it shows it at once.

    Raises:
        ValueError: a text to change is not there exactly once.
    """
    text = re.sub(r", step = [\d.]+", "", DEMO.read_text())
    for old, new in (changes or {}).items():
        if text.count(old) != 1:
            raise ValueError(f"{old!r} is {text.count(old)} times in the plant file, not once")
        text = text.replace(old, new)
    path = folder / "plant.toml"
    path.write_text(text)
    return load_plant(path, data_dir=folder / "data")


def bump(rig: Rig, before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Return the greatest move of any actuator, as a share of its span."""
    tags = rig.plant.tags
    return max(
        (abs(after[n] - before[n]) / (tags[n].high - tags[n].low) for n in before),
        default=math.nan,
    )
