"""When faults happen: planned in a file, drawn from a seed, injected and cleared; and bad input."""

import math
from pathlib import Path

import pytest

from controller.plant import load_plant
from controller.plant_file.config import ConfigError
from sim.contaminant import Contaminant
from sim.fault_file import plan
from sim.fault_registry import KINDS, table
from sim.fault_targets import FaultError, seconds
from sim.truth import Truth
from sim.vessel import Vessel
from tests.sim.bioreactors import bioreactors

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "sim/plants/ecoli_5l.toml"


def vessel(seed: int = 1) -> Vessel:
    """Return a vessel without cells: nothing happens in it but faults."""
    made = Vessel("ecoli", "5l", seed)
    made.set_state(X=0.0)
    return made


def hours(made: Vessel, end: float) -> Vessel:
    made.advance(3600.0 * end)
    return made


def planned(tmp_path: Path, text: str, made: Vessel | None = None) -> Vessel:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    made = made or vessel()
    plan(path, made.faults)
    return made


def test_a_timeline_begins_and_ends_to_the_second(tmp_path: Path) -> None:
    made = planned(
        tmp_path,
        """
        [[fault]]
        at_h = 0.5
        fault = "do.stuck"
        for = "10min"
        size = 42.0
        [[fault]]
        at_h = 0.25
        fault = "feed.blocked"
        """,
    )
    seen: list[tuple[float, bool]] = []
    made.watch(lambda: seen.append((made.time, made.read("R1.do") == 42.0)))
    hours(made, 1.0)
    assert [t for t, stuck in seen if stuck] == [float(t) for t in range(1801, 2401)]
    assert made.faults.record == [
        {"fault": "feed.blocked", "size": 100.0, "start_h": 0.25, "end_h": None},
        {"fault": "do.stuck", "size": 42.0, "start_h": 0.5, "end_h": 40.0 / 60.0},
    ]
    assert Truth.of(made).as_report()["faults"] == made.faults.record


def test_a_plant_file_names_the_file_of_faults(tmp_path: Path) -> None:
    text = DEMO.read_text().replace("[simulation.R1]", '[simulation.R1]\nfaults = "bad night.toml"')
    (tmp_path / "plant.toml").write_text(text)
    (tmp_path / "bad night.toml").write_text('fault = [{ at_h = 1.0, fault = "R1-gas.cut" }]')
    made = bioreactors(load_plant(tmp_path / "plant.toml"), 1, 0.0)["R1"]
    assert [f.name for f in made.faults.planned()] == ["R1-gas.cut"]
    assert made.faults.wires["R1-gas"].faults == []
    hours(made, 1.1)
    assert made.faults.wires["R1-gas"].cut


RANDOM = '[[random]]\nrate_per_100h = 300.0\nkinds = ["do.drift", "feed.blocked"]'


def test_a_seed_repeats_its_faults_and_moves_nothing_else(tmp_path: Path) -> None:
    def run(seed: int, text: str = RANDOM) -> Vessel:
        return hours(planned(tmp_path, text, vessel(seed)), 1.5)

    first, other = run(3), run(4)
    names = {row["fault"] for row in first.faults.record}
    assert names == {"do.drift", "feed.blocked"}
    assert first.faults.record == run(3).faults.record != other.faults.record
    # one kind more moves none of the others, and what no fault touches is as without
    more = run(3, RANDOM.replace('"feed', '"ph.noise", "feed'))
    assert [r for r in more.faults.record if r["fault"] != "ph.noise"] == first.faults.record
    quiet = hours(vessel(3), 1.5)
    assert first.truth == quiet.truth
    assert first.read("R1.temperature") == quiet.read("R1.temperature")


def test_faults_come_as_often_as_their_rate_says() -> None:
    made = vessel(5)
    made.faults.draw("feed_weight.spike", 1000.0)  # every 6 min, for 2 s
    hours(made, 5.0)
    assert 35 <= len(made.faults.record) <= 65
    lasted = [r["end_h"] - r["start_h"] for r in made.faults.record if r["end_h"]]
    assert 1.5 <= 3600.0 * sum(lasted) / len(lasted) <= 3.5
    sizes = [r["size"] for r in made.faults.record]
    assert 1.3 <= sum(sizes) / len(sizes) <= 1.8  # 0.3 of 5 kg
    assert len(set(sizes)) == len(sizes)


def test_what_is_injected_lasts_until_it_is_cleared() -> None:
    made = hours(vessel(), 0.1)
    healthy = made.read("R1.ph")
    fault = made.faults.inject("ph.stuck", size=9.0)
    assert math.isinf(fault.end)
    hours(made, 0.2)
    assert made.read("R1.ph") == 9.0
    made.faults.inject("feed.worn", 600.0, 10.0)
    made.faults.plan("do.drift", 7200.0)
    assert made.faults.clear() == ["ph.stuck", "feed.worn", "do.drift"]
    hours(made, 0.3)
    assert made.read("R1.ph") == pytest.approx(healthy, abs=0.1)
    assert [row["end_h"] for row in made.faults.record] == pytest.approx([0.2], abs=1e-3)
    assert made.faults.now() == made.faults.planned() == []
    with pytest.raises(FaultError, match=r"ph\.stuck: is not there; there is no fault"):
        made.faults.clear("ph.stuck")


def test_several_faults_of_one_sensor_add_up_and_end_in_any_order() -> None:
    made = vessel()
    made.faults.inject("weight.offset", size=1.0)
    made.faults.inject("weight.scale", 60.0, 2.0)
    true = made.state()["M"]
    hours(made, 0.01)
    assert made.read("R1.weight") == pytest.approx(2.0 * (true + 1.0), abs=0.05)
    made.faults.clear("weight.offset")  # the inner of the two
    hours(made, 0.015)
    assert made.read("R1.weight") == pytest.approx(2.0 * true, abs=0.05)
    hours(made, 0.03)
    assert made.read("R1.weight") == pytest.approx(true, abs=0.05)


@pytest.mark.parametrize(
    ("name", "duration", "size", "says"),
    [
        ("dox.stuck", None, None, r"dox\.stuck: dox is no target; temperature, .*vessel are allow"),
        ("stuck", None, None, "stuck: stuck is no target; temperature"),
        ("do.blocked", None, None, r"do\.blocked: blocked is no fault of do; stuck, drift.*foulin"),
        ("feed.stiction", None, None, "stiction is no fault of feed; blocked, worn, empty, air, "),
        ("feed.blocked", None, 101.0, r"size 101 is not allowed; 0 to 100 \(flow lost, %\)"),
        ("do.drift", None, 1e4, r"-1000 to 1000 \(per hour, the unit of do/h\)"),
        ("do.stuck", None, math.nan, r"do\.stuck: size nan is not allowed; a number"),
        ("feed.empty", None, 1.0, r"feed\.empty: size 1 is not allowed; it has none"),
        ("do.stuck", 0.0, None, r"do\.stuck: 0 s is not allowed; a duration must be > 0"),
        ("vessel.contamination", 60.0, None, "it cannot end; a duration is not allowed"),
        ("R1-io.cut", None, None, "R1-io is no target"),  # this vessel has no devices
    ],
)
def test_a_fault_that_cannot_be_is_refused(
    name: str, duration: float | None, size: float | None, says: str
) -> None:
    with pytest.raises(FaultError, match=says):
        vessel().faults.inject(name, duration, size)


def test_faults_that_contradict_each_other_are_refused() -> None:
    faults = hours(vessel(), 0.5).faults
    faults.plan("do.stuck", 3600.0, 1800.0)
    with pytest.raises(FaultError, match=r"do\.drift from 1\.25 h: do\.stuck is there from 1 h to"):
        faults.plan("do.drift", 4500.0)
    faults.plan("do.drift", 5400.0)  # it begins when the other ends
    faults.plan("do.bubble", 6000.0)  # both can be at once
    with pytest.raises(FaultError, match=r"do\.drift is there from 1\.5 h until cleared"):
        faults.plan("do.drift", 9000.0)
    faults.plan("offgas.moisture", 3600.0, 600.0)
    with pytest.raises(FaultError, match=r"offgas\.moisture is there"):
        faults.plan("offgas_o2.stuck", 3700.0)
    with pytest.raises(FaultError, match=r"ph\.stuck: a start at 0\.25 h is not allowed; it is"):
        faults.plan("ph.stuck", 900.0)
    faults.draw("do.noise", 1.0)
    with pytest.raises(FaultError, match=r"do\.noise: is drawn twice"):
        faults.draw("do.noise", 1.0)


FAULT, RANDOMLY = "[[fault]]\nat_h = 1\n", "[[random]]\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (FAULT, r"faults\.toml: fault\.0\.fault: missing; fault is required"),
        ('[[fault]]\nat_h = -1\nfault = "do.stuck"', r"fault\.0\.at_h: -1 is not allowed; at_h"),
        (FAULT + 'fault = "do.stuck"\nfro = 1', r"fault\.0\.fro: no such key; at_h, fault, for"),
        (FAULT + 'fault = "do.gone"', r"faults\.toml: fault\.0: do\.gone: gone is no fault"),
        (FAULT + 'fault = "do.stuck"\nfor = "10"', r"10 is not allowed; a duration such as 90s"),
        (RANDOMLY + 'rate_per_100h = 0\nkinds = ["do.stuck"]', r"random\.0\.rate_per_100h: 0 is"),
        (RANDOMLY + 'rate_per_100h = 1\nkinds = ["x.y"]', r"random\.0\.kinds: x\.y: x is no targ"),
        ("fault = 3", r"faults\.toml: fault: 3 is not allowed"),
        ("[[fault", r"faults\.toml: not valid TOML"),
    ],
)
def test_a_file_with_a_mistake_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        planned(tmp_path, text)


def test_every_mistake_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    text = '[[fault]]\nat_h = 1\nfault = "do.x"\n[[fault]]\nat_h = 2\nfault = "y.stuck"\n'
    with pytest.raises(ConfigError) as error:
        planned(tmp_path, text)
    assert [line.split(":")[1] for line in error.value.lines] == [" fault.0", " fault.1"]
    with pytest.raises(ConfigError, match=r"nowhere\.toml: No such file"):
        plan(tmp_path / "nowhere.toml", vessel().faults)


@pytest.mark.parametrize(
    ("text", "value"), [("90s", 90.0), ("10min", 600.0), ("1.5h", 5400.0), ("2 d", 172800.0)]
)
def test_durations_are_written_as_people_say_them(text: str, value: float) -> None:
    assert seconds(text) == value


def test_names_of_kinds_are_unambiguous_and_the_readme_has_their_table() -> None:
    assert len({(k.word, k.on) for k in KINDS}) == len(KINDS)
    targets = vessel().faults.targets()
    for sorts in targets.values():
        words = [k.word for k in KINDS if k.on in sorts]
        assert len(set(words)) == len(words)
    assert table() in (ROOT / "sim/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("organism", "size"), [("yeast", "300l"), ("penicillin", "100m3"), ("pensim", "300l")]
)
def test_any_organism_can_be_contaminated_and_any_vessel_lose_power(
    organism: str, size: str
) -> None:
    made = Vessel(organism, size, 1)
    made.faults.inject("vessel.contamination", size=1.0)
    made.faults.plan("vessel.power", 1200.0)
    hours(made, 0.5)
    assert all(math.isfinite(v) for v in made.state().values())
    assert made.faults.record[1]["end_h"] == pytest.approx(1210.0 / 3600.0)


def test_a_contaminant_closes_in_carbon_electrons_and_nitrogen() -> None:
    """In a vessel without gas, cells and flows, all that it ate is found again."""
    made = Vessel("ecoli", "5l", 0)
    for name in ("air", "stirrer"):
        made.write(f"R1.{name}", 0.0)
    hours(made, 0.1)
    made.set_state(X=0.0, S=1.0, O=0.5, CO2=0.0, HCO3=0.0, NH3=50.0, T=made.state()["Tj"])
    contaminant = Contaminant(made, 1.0)
    before, grams = made.state(), contaminant.grams
    for _ in range(600):  # by itself: the model between would move gas and heat
        made.time += 1.0
        contaminant.update()
    after, volume = made.state(), before["V"]
    eaten = (before["S"] - after["S"]) * volume
    grown, oxygen = contaminant.grams - grams, (before["O"] - after["O"]) / 32.0 * volume
    carbon = (after["CO2"] - before["CO2"]) * 1e-3 * volume
    assert eaten > 0.1
    assert eaten / 30.0 == pytest.approx(grown * 0.04 + carbon)
    assert 4.0 * eaten / 30.0 == pytest.approx(4.2 * 0.04 * grown + 4.0 * oxygen)
    assert (before["NH3"] - after["NH3"]) * 1e-3 * volume == pytest.approx(0.2 * 0.04 * grown)
    kelvin = 460.0 * oxygen / (4.18 * before["M"] + made.model.vessel.steel_kj_per_k)
    assert after["T"] - before["T"] == pytest.approx(kelvin)
