"""Every kind of fault in the registry: what the drivers see and what the vessel truly does."""

import contextlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from controller.devices.devices import build
from controller.plant import Plant, load_plant
from drivers.driver import DeviceError
from drivers.point import Quality, Sample
from fermloop.commands.closed_loop import EPOCH
from fermloop.commands.simulated import wires
from sim.clock import SimClock, run_virtual
from sim.fault_registry import KINDS, kind_of
from sim.links import vessel_link
from sim.vessel import Vessel
from tests.sim.bioreactors import bioreactors

DEMO = Path(__file__).parents[2] / "sim/plants/ecoli_5l.toml"
STEADY = {  # what is wanted before
    "stirrer": 700.0, "heater": 8.0, "cooling": 0.0, "acid": 0.0, "base": 0.3, "feed": 30.0,
    "antifoam": 0.0, "inducer": 0.0, "air": 4.0, "oxygen": 0.5,
}  # fmt: skip
MOVED = {"stirrer": 800.0, "heater": 11.0, "base": 0.5, "feed": 60.0, "air": 5.0}  # while it lasts
TRUE = {  # by sensor: what it should show, and how far off it is at most while it is well
    "temperature": ("T", 0.5), "jacket_temperature": ("Tj", 0.6), "ph": ("pH", 0.05),
    "do": ("DO", 5.0), "agitation": ("stirrer", 3.0), "offgas_o2": ("yO2", 0.4),
    "offgas_co2": ("yCO2", 0.4), "air_flow": ("air", 0.2), "oxygen_flow": ("oxygen", 0.1),
    "weight": ("M", 0.02),
}  # fmt: skip
IO = ("temperature", "jacket_temperature", "ph", "do", "agitation", "stirrer", "feed")
GAS = ("offgas_o2", "offgas_co2", "air_flow", "oxygen_flow", "weight", "feed_weight", "air")


class View(NamedTuple):
    """What was seen through the drivers, and what was so.

    Attributes:
        samples: by tag without its reactor.
        lost: why a device did not answer.
        true: states, flows and figures by name.
        took: plant s that the reading took.
    """

    samples: Mapping[str, Sample]
    lost: Mapping[str, str]
    true: Mapping[str, float]
    took: float

    def shows(self, name: str) -> float:
        return self.samples[name].value

    def error(self, name: str) -> float:
        return self.shows(name) - self.true[TRUE[name][0]]

    def quality(self, *names: str) -> set[Quality]:
        return {self.samples[n].quality for n in names}


def truth(vessel: Vessel) -> dict[str, float]:
    x = vessel.state()
    gas = {n: 100.0 * x[n] for n in ("yO2", "yCO2")}
    flows = {n: vessel.flow(n) for n in STEADY}
    return {**x, **gas, **flows, "DO": vessel.truth["do_percent"]}


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """The demo's plant with one instrument more."""
    path = tmp_path_factory.mktemp("plant") / "plant.toml"
    line = next(t for t in DEMO.read_text().splitlines() if '"R1.weight", ' in t)
    more = line.replace("R1.weight", "R1.turbidity").replace('"kg"', '"g/L"')
    path.write_text(DEMO.read_text().replace(line, f"{line}\n{more}"))
    return load_plant(path)


class Bench:
    """The demo's vessel with a culture of 3 g/L behind its drivers, on virtual time."""

    def __init__(self, plant: Plant) -> None:
        clock = SimClock(EPOCH)
        self.clock = clock
        self._beats = 0
        made = bioreactors(plant, 1, EPOCH)
        self.vessel = made["R1"]
        self.vessel.set_state(X=3.0, S=2.0, T=37.0, Tj=37.3, yO2=0.286, yCO2=0.005)
        wired = wires(made)
        self.drivers = {
            name: build(name, s, vessel_link(s, made, clock, wired[name]), clock)
            for name, s in plant.settings.device.items()
        }

    async def write(self, values: Mapping[str, float]) -> None:
        for name, driver in self.drivers.items():
            of = ("air", "oxygen") if name == "R1-gas" else STEADY.keys() - {"air", "oxygen"}
            await driver.write({f"R1.{n}": v for n, v in values.items() if n in of})

    async def try_to(self, values: Mapping[str, float]) -> str:
        try:
            await self.write(values)
        except DeviceError as error:
            return str(error)
        return ""

    async def look(self) -> View:
        samples: dict[str, Sample] = {}
        lost: dict[str, str] = {}
        began = self.clock.now()
        for name, driver in self.drivers.items():
            try:
                samples |= await driver.read()
            except DeviceError as error:
                lost[name] = str(error)
        took = self.clock.now() - began
        bare = {n.partition(".")[2]: s for n, s in samples.items()}
        return View(bare, lost, truth(self.vessel), took)

    async def wait(self, seconds: float) -> None:
        """Let time pass, as a master does that feeds the watchdog."""
        end = self.clock.now() + seconds
        while (left := end - self.clock.now()) > 0.0:
            with contextlib.suppress(DeviceError):
                self._beats += 1
                await self.drivers["R1-io"].heartbeat(self._beats)
            await self.clock.run_until(self.clock.now() + min(2.0, left))


Check = Callable[[View, View], None]  # before and while it lasts


class Case(NamedTuple):
    size: float | None
    check: Check
    after_s: float = 120.0  # of its beginning


def reads(name: str, low: float, high: float) -> Check:
    """A good value that is wrong by so much; the truth goes on."""

    def check(before: View, now: View) -> None:
        assert low <= now.error(name) <= high
        assert now.quality(name) == {Quality.GOOD}

    return check


def shows(name: str, value: float, quality: Quality = Quality.GOOD) -> Check:
    def check(before: View, now: View) -> None:
        assert now.quality(name) == {quality}
        shown = now.shows(name)
        assert math.isnan(shown) if math.isnan(value) else shown == pytest.approx(value, abs=0.02)

    return check


def flows(name: str, low: float, high: float) -> Check:
    """What really comes; the device still says what was asked for."""

    def check(before: View, now: View) -> None:
        assert low <= now.true[name] <= high
        assert now.shows(name) == pytest.approx(MOVED.get(name, STEADY[name]), abs=0.01)

    return check


def by_hand(name: str, value: float) -> Check:
    """What its panel sets; the device says so, whatever was written."""

    def check(before: View, now: View) -> None:
        assert now.shows(name) == pytest.approx(value, rel=1e-6)
        assert now.true[name] == pytest.approx(value, rel=0.1)

    return check


def stuck(before: View, now: View) -> None:
    assert now.shows("do") == pytest.approx(before.shows("do"), abs=1e-6)
    assert abs(now.true["DO"] - before.true["DO"]) > 3.0
    assert now.quality("do") == {Quality.GOOD}


def still(name: str) -> Check:
    def check(before: View, now: View) -> None:
        assert now.true[name] == pytest.approx(before.true[name], abs=1e-9)
        assert now.shows(name) == MOVED[name]

    return check


def clogged(before: View, now: View) -> None:
    reads("ph", 0.25, 0.35)(before, now)


def gases(low: float, high: float) -> Check:
    """Both gases show so many times what they are, within what the instrument is off."""

    def check(before: View, now: View) -> None:
        for name in ("offgas_o2", "offgas_co2"):
            air = {"offgas_o2": 20.95, "offgas_co2": 0.04}[name]
            true = now.true[TRUE[name][0]]
            wanted = true * low + air * high
            assert now.shows(name) == pytest.approx(wanted, abs=0.25)
            assert abs(now.shows(name) - true) > 0.05

    return check


def more(name: str, of: str, factor: float) -> Check:
    def check(before: View, now: View) -> None:
        assert now.shows(name) == pytest.approx(factor * now.true[of], rel=0.15)

    return check


def tared(before: View, now: View) -> None:
    assert now.shows("weight") == pytest.approx(now.true["M"] - before.true["M"], abs=0.01)


def silent(*devices: str, why: str) -> Check:
    def check(before: View, now: View) -> None:
        assert set(now.lost) == set(devices)
        assert all(why in text for text in now.lost.values())

    return check


def late(before: View, now: View) -> None:
    assert now.took == pytest.approx(0.1)
    assert not now.lost
    assert now.quality(*IO) == {Quality.GOOD}


def frozen(before: View, now: View) -> None:
    same = [n for n in IO if n not in MOVED]
    assert now.quality(*same) == {Quality.GOOD}
    assert [now.shows(n) for n in same] == [before.shows(n) for n in same]
    assert now.shows("stirrer") == STEADY["stirrer"]
    assert now.true["stirrer"] == 300.0  # its watchdog got nothing, and made it safe
    assert now.true["T"] != before.true["T"]


def unknown(before: View, now: View) -> None:
    assert now.quality(*GAS) == {Quality.UNCERTAIN}
    assert now.quality(*IO) == {Quality.GOOD}


def warm(before: View, now: View) -> None:
    assert now.true["Tj"] > before.true["Tj"] + 0.05


def contaminated(before: View, now: View) -> None:
    # as much biomass again as there is: oxygen and substrate fall; nothing says why
    assert now.true["DO"] < before.true["DO"] - 10.0
    assert now.true["S"] < before.true["S"]
    assert not now.lost


def dark(before: View, now: View) -> None:
    silent("R1-io", "R1-gas", why="connection refused")(before, now)
    assert all(now.true[n] <= 0.5 * STEADY[n] for n in STEADY)
    assert now.true["feed"] < 0.01
    assert now.true["DO"] < 0.7 * before.true["DO"]


def foaming(before: View, now: View) -> None:
    assert now.true["foam"] > 4.0 * before.true["foam"] > 0.0


def poorer(before: View, now: View) -> None:
    assert now.true["DO"] < before.true["DO"] - 10.0


CASES: dict[str, Case] = {
    "do.stuck": Case(None, stuck),
    "do.drift": Case(300.0, reads("do", 7.0, 13.0)),
    "do.spike": Case(30.0, reads("do", 25.0, 35.0), 1.0),
    "do.dropout": Case(None, shows("do", math.nan, Quality.BAD)),
    "weight.scale": Case(2.0, reads("weight", 2.9, 3.3)),
    "temperature.offset": Case(1.5, reads("temperature", 1.3, 1.8)),
    "do.noise": Case(5.0, reads("do", -25.0, 25.0)),
    "ph.slow": Case(120.0, reads("ph", -0.5, 0.5)),
    "weight.saturated": Case(1.0, shows("weight", 1.0)),
    "temperature.open": Case(None, shows("temperature", math.nan, Quality.BAD)),
    "jacket_temperature.short": Case(None, shows("jacket_temperature", math.nan, Quality.BAD)),
    "ph.clog": Case(0.3 / (1 - math.exp(-0.2)), clogged, 720.0),
    "ph.ground_loop": Case(0.5, reads("ph", 0.1, 1.0)),
    "ph.uncompensated": Case(0.0, reads("ph", -0.2, 0.2)),
    "do.bubble": Case(20.0, reads("do", 8.0, 22.0), 58.0),
    "do.fouling": Case(30.0, reads("do", -35.0, -8.0)),
    "turbidity.bubbles": Case(50.0, more("turbidity", "X", 1.5), 58.0),
    "offgas.moisture": Case(5.0, gases(0.95, 0.0)),
    "offgas.leak": Case(50.0, gases(0.5, 0.5), 300.0),
    "weight.tare": Case(None, tared),
    "feed.blocked": Case(75.0, flows("feed", 14.0, 16.5)),
    "feed.worn": Case(-20.0, flows("feed", 65.0, 80.0)),
    "base.empty": Case(None, flows("base", 0.0, 0.0)),
    "feed.air": Case(50.0, flows("feed", 0.0, 0.0), 10.0),
    "heater.stiction": Case(5.0, flows("heater", 8.0, 8.0)),
    "feed.stuck": Case(None, still("feed")),
    "heater.stuck": Case(None, still("heater")),
    "air.stuck": Case(None, still("air")),
    "stirrer.stuck": Case(None, still("stirrer")),
    "heater.off": Case(None, flows("heater", 0.0, 0.0)),
    "air.zero": Case(None, flows("air", 0.0, 0.0)),
    "feed.local": Case(50.0, by_hand("feed", 100.0)),
    "heater.local": Case(None, by_hand("heater", 8.0)),
    "air.local": Case(None, by_hand("air", 4.0)),
    "stirrer.local": Case(None, by_hand("stirrer", 700.0)),
    "stirrer.stopped": Case(None, flows("stirrer", 0.0, 0.0)),
    "vessel.cooling": Case(None, warm),
    "vessel.coolant": Case(60.0, warm),
    "vessel.kla": Case(60.0, poorer),
    "vessel.foam": Case(None, foaming),
    "vessel.contamination": Case(5.0, contaminated),
    "vessel.power": Case(5.0, dark, 9.0),
    "R1-io.cut": Case(None, silent("R1-io", why="the wire is cut")),
    "R1-gas.refused": Case(None, silent("R1-gas", why="connection refused")),
    "R1-io.slow": Case(0.1, late),
    "R1-io.frozen": Case(None, frozen),
    "R1-io.exception": Case(6.0, silent("R1-io", why="busy")),
    "R1-gas.uncertain": Case(None, unknown),
}  # fmt: skip


def well(now: View) -> None:
    """Everything is as it should be."""
    assert not now.lost
    wrong = {n: now.error(n) for n, (_, most) in TRUE.items() if not abs(now.error(n)) <= most}
    assert wrong == {}
    assert now.quality(*IO, *GAS) == {Quality.GOOD}
    assert {n: now.true[n] for n in STEADY} == pytest.approx(
        {n: now.shows(n) for n in STEADY}, rel=0.1
    )


def test_every_kind_of_the_registry_is_tried(plant: Plant) -> None:
    async def names() -> set[tuple[str, str]]:
        faults = Bench(plant).vessel.faults
        targets = faults.targets()
        made = [faults.make(name, 0.0) for name in CASES]
        found = [kind_of(f.kind, targets[f.target]) for f in made]
        return {(k.word, k.on) for k in found if k is not None}

    assert run_virtual(names()) == {(k.word, k.on) for k in KINDS}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_shows_what_it_should_and_ends(plant: Plant, name: str) -> None:
    case = CASES[name]

    async def main() -> None:
        bench = Bench(plant)
        vessel, faults = bench.vessel, bench.vessel.faults
        await bench.write(STEADY)
        if name in ("vessel.cooling", "vessel.coolant"):
            await bench.write({"cooling": 10.0, "heater": 0.0})
        await bench.wait(150.0)
        before = await bench.look()
        well(before)
        assert faults.record == []
        faults.inject(name, size=case.size)
        await bench.wait(1.0)  # a fault begins with the vessel's next step
        begun = await bench.look()
        if not name.startswith("vessel."):
            await bench.try_to(MOVED)
        await bench.wait(case.after_s - 1.0)
        case.check(begun if name == "R1-io.frozen" else before, await bench.look())
        (row,) = faults.record
        assert row["fault"] == name
        assert row["start_h"] * 3600.0 == pytest.approx(150.0, abs=1.0)
        if name == "vessel.contamination":
            return
        if faults.now() and name != "vessel.power":
            assert faults.clear(name) == [name]
        await bench.wait(30.0)
        await bench.write(STEADY)
        await bench.wait(240.0)
        well(await bench.look())
        assert faults.now() == []
        assert row["end_h"] * 3600.0 >= row["start_h"] * 3600.0 + min(case.after_s, 2.0)
        assert vessel.parameters == Vessel("ecoli", "5l", 1).parameters

    run_virtual(main())
