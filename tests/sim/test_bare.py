"""A plain model of somebody's own, with rhs and nothing else, is a plant like any other."""

import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.plant import load_plant
from controller.plant_file.config import ConfigError
from controller.recipes.recipe import load_recipe
from drivers.point import Quality, Tag
from fermloop.commands import check, report, sim
from fermloop.commands.closed_loop import EPOCH, run_batch
from fermloop.commands.simulated import require_simulation, vessels
from historian.sqlite import SqliteReader, SqliteStore
from sim.bare import BarePlant
from sim.bare_settings import BareSettings
from sim.control import Control
from sim.faults import FaultError
from sim.server import PlantServer
from tests.sim.own_tanks import PLANT, on_path

LEVEL = Tag("R1.level", "m", 0, 4)
S = Tag("R1.S", "g/L", -10, 10)


@pytest.fixture(name="plant", autouse=True)
def _plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the README's plant file, beside the package that it names."""
    yield from on_path(tmp_path, monkeypatch)


def bare(cls: str, *tags: Tag, seed: int = 0, **table: Any) -> BarePlant:
    """Return a model of ``acme.others``."""
    settings = BareSettings.model_validate({"model": f"acme.others:{cls}", **table})
    return BarePlant(settings, tags or (S,), seed)


def tank(path: Path, seed: int = 0, change: Mapping[str, str] | None = None) -> BarePlant:
    """Return the README's tank, of a changed plant file."""
    text = PLANT
    for old, new in (change or {}).items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    made = vessels(load_plant(path), seed, 0.0)["R1"]
    assert isinstance(made, BarePlant)
    return made


# -- the example of the README ---------------------------------------------------------------------


def test_the_readmes_tank_is_checked_and_runs_its_recipe(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check.run(plant, plant.parent / "recipe.toml", False, also=(require_simulation,))
    assert "recipe: warm up" in capsys.readouterr().out

    recipe = load_recipe(plant.parent / "recipe.toml")
    with SqliteStore(plant.parent / "s.sqlite", wait_when_full=True) as store:
        outcome = run_batch(
            load_plant(plant), recipe, "recipe.toml", hours=1.5, seed=0, store=store
        )
    found = report.assemble(
        outcome.truth["R1"], outcome.control, reactor="R1", hours=1.5, seed=0, optimiser="off"
    )
    assert list(report.problems(found)) == []
    assert found["volume_l"] == pytest.approx(100.0, abs=0.5)
    assert (found["volume_above_limit_min"], found["faults"]) == (0.0, [])
    unknown = ("product_g", "biomass_g_per_l", "energy_kwh", "by_product", "do_below_limit_min")
    assert [found[name] for name in unknown] == [None] * 5
    assert any(line.startswith("product   – g") for line in report.summary(found))
    true = outcome.trajectory["R1"]
    assert true["T (Cel)"][-1] == pytest.approx(60.0, abs=0.5)
    assert true["outflow (L/min)"][-1] == 2.0  # its last phase
    with SqliteReader(plant.parent / "s.sqlite") as reader:
        shown = [s.value for s in reader.read(LEVEL, 0.0, 2 * EPOCH)]
    assert shown[0] == pytest.approx(0.3, abs=0.01)
    assert np.std(np.diff(shown[-600:])) == pytest.approx(0.002 * math.sqrt(2.0), rel=0.2)


def test_water_and_heat_are_neither_made_nor_lost(plant: Path) -> None:
    made = tank(plant, change={"UA = { value = 0.03, spread = 0.2 }": "UA = 0.0"})
    made.write("R1.inflow", 600.0)  # L/h: the model's is in L/min
    made.write("R1.heater", 10.0)
    made.advance(600.0)
    true = made.truth
    assert true["volume (L)"] == pytest.approx(30.0 + 100.0, rel=1e-6)
    lagged = 600.0 - 10.0  # s at full power: the heater follows with 10 s
    heat = 30.0 * (15.0 - 12.0) + 10.0 * lagged / 4.19
    assert true["T (Cel)"] == pytest.approx(12.0 + heat / 130.0, rel=1e-4)
    assert made.read("R1.inflow") == 600.0
    assert made.flow("inflow") == pytest.approx(600.0)


# -- integration -----------------------------------------------------------------------------------


def test_a_stiff_model_goes_where_it_must_with_and_without_a_compiler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Known: Robertson at 40 s has 0.7158, 9.185e-6, 0.2842."""
    tag = Tag("R1.a", "mol/L", 0, 1)
    assert shutil.which("gcc")
    native, virtual = bare("Stiff", tag), None
    monkeypatch.setenv("PATH", "")
    virtual = bare("Stiff", tag)
    for made in (native, virtual):
        made.step_s = 0.1
        made.advance(40.0)
        assert list(made.truth.values())[1:] == pytest.approx([0.7158, 9.185e-6, 0.2842], rel=1e-3)
    assert list(virtual.truth.values()) == pytest.approx(list(native.truth.values()), rel=1e-6)


def test_equations_may_name_the_time() -> None:
    made = bare("Tides")
    made.advance(3600.0)
    assert made.truth["S (g/L)"] == pytest.approx(3.0 - math.exp(-1.0), rel=1e-6)
    assert made.truth["moon (1)"] == pytest.approx(1.0)


def test_a_state_stays_in_its_limits_and_comes_back() -> None:
    made = bare("Zero", S, Tag("R1.feed", "g/(L.h)", 0, 10, safe=0.0))
    made.advance(2 * 3600.0)
    assert made.truth["S (g/L)"] == made.truth["root (1)"] == 0.0
    made.write("R1.feed", 2.0)
    made.advance(2.5 * 3600.0)
    assert made.truth["S (g/L)"] == pytest.approx(0.5, rel=1e-3)
    made.advance(9 * 3600.0)
    assert made.truth["S (g/L)"] == 2.0


def test_a_tank_with_a_hole_empties() -> None:
    made = bare("Draining", Tag("R1.S", "mm", 0, 2000))
    made.advance(100.0)
    assert made.read("R1.S") == pytest.approx(250.0, rel=2e-3)  # (1 - 0.01 t / 2)^2
    made.advance(400.0)
    assert 0.0 <= made.truth["S (m)"] < 1e-3


def test_a_failure_ends_the_batch_and_says_where(plant: Path) -> None:
    made = bare("Ending", seed=3)
    where = (
        r"^R1 \(acme\.others:Ending, seed 3\) at [01]\.\d+ h: the integration fails: S no number "
        r"after a step of \d\S+ s from S 0\.3\d+ g/L under feed 0"
    )
    with pytest.raises(FloatingPointError, match=where):
        made.advance(7200.0)
    assert made.age == pytest.approx(3600.0, abs=1.0)


def test_the_models_of_this_repository_are_plants_too(plant: Path) -> None:
    tags = (Tag("R1.biomass", "g/L", 0, 100), Tag("R1.feed", "mL/h", 0, 500, safe=20.0))
    made = bare("Grown", *tags, tags={"biomass": "X"})
    made.advance(3600.0)
    assert made.read("R1.biomass") == made.truth["X (g/L)"] > 0.0
    assert made.flow("feed") == pytest.approx(20.0)


# -- seeds -----------------------------------------------------------------------------------------


def test_seeds_vary_what_has_a_spread_and_nothing_else(plant: Path) -> None:
    made = [tank(plant, seed).parameters for seed in range(60)]
    assert made[0] == {"area": 0.1, "UA": 0.03, "T_in": 12.0}
    assert tank(plant, 7).parameters == made[7]
    assert {(m["area"], m["T_in"]) for m in made} == {(0.1, 12.0)}
    logs = np.log([m["UA"] / 0.03 for m in made[1:]])
    assert np.std(logs) == pytest.approx(0.2, rel=0.25)

    start = {"start": {"S": {"value": 1.5, "spread": 1.0}}}
    values = [bare("Zero", seed=seed, **start).read("R1.S") for seed in range(20)]
    assert max(values) == 2.0  # the most that the state can be


# -- faults ----------------------------------------------------------------------------------------


def test_faults_of_sensors_and_drives_work_on_its_tags(plant: Path) -> None:
    made = tank(plant, change={"level = { noise = 0.002, lag_s = 2 }": ""})
    names = made.faults.names()
    assert {"temperature.open", "weight.tare", "inflow.blocked", "outflow.stiction"} < set(names)
    assert {"vessel.power", "heater.off"} < set(names)
    for none in ("vessel.kla", "vessel.contamination", "level.open", "heater.worn"):
        with pytest.raises(FaultError, match=f"^{none}: .* is no fault of "):
            made.faults.inject(none)

    made.write("R1.inflow", 600.0)
    made.faults.inject("level.stuck", 60.0)
    made.advance(60.0)
    assert made.read("R1.level") == pytest.approx(0.3, abs=1e-6)
    assert made.truth["level (m)"] > 0.35
    made.faults.inject("level.scale", 10.0, size=2.0)
    made.advance(65.0)
    assert made.read("R1.level") == pytest.approx(2.0 * made.truth["level (m)"])
    made.advance(80.0)
    made.faults.inject("level.spike")  # 0.3 of the tag's range
    made.advance(81.0)
    assert made.read("R1.level") == pytest.approx(made.truth["level (m)"] + 1.2)
    made.faults.inject("weight.dropout", 5.0)
    made.faults.inject("inflow.worn", 600.0, size=50.0)
    made.faults.inject("heater.stuck", 10.0)
    made.write("R1.heater", 40.0)
    made.advance(85.0)
    assert math.isnan(made.read("R1.weight"))
    assert made.flow("inflow") == pytest.approx(300.0)
    assert (made.read("R1.heater"), made.flow("heater")) == (40.0, 0.0)
    drifts = tank(plant, change={"level = { noise = 0.002, lag_s = 2 }": ""})
    drifts.faults.inject("level.drift", size=0.5)
    drifts.advance(3600.0)
    assert drifts.read("R1.level") == pytest.approx(0.8, abs=1e-3)
    drifts.faults.inject("outflow.stiction", size=10.0)  # 6 L/min of 60
    drifts.advance(3601.0)
    drifts.write("R1.outflow", 5.0)
    drifts.advance(3610.0)
    assert drifts.flow("outflow") == 0.0
    drifts.write("R1.outflow", 9.0)
    drifts.advance(3620.0)
    assert drifts.flow("outflow") == 9.0
    drifts.faults.inject("vessel.power", 5.0)
    drifts.advance(3624.0)
    assert drifts.flow("outflow") == 0.0


def test_a_planned_fault_and_a_cut_wire_pass_the_real_driver(plant: Path) -> None:
    (plant.parent / "faults.toml").write_text(
        '[[fault]]\nat_h = 0.02\nfault = "level.dropout"\nfor = "30s"\n'
        '[[fault]]\nat_h = 0.05\nfault = "R1-io.cut"\nfor = "30s"\n'
    )
    table = '[simulation.R1]\nmodel = "acme.tank:HeatedTank"\n'
    plant.write_text(PLANT.replace(table, f'{table}faults = "faults.toml"\n'))
    recipe = load_recipe(plant.parent / "recipe.toml")
    with SqliteStore(plant.parent / "s.sqlite", wait_when_full=True) as store:
        made = run_batch(load_plant(plant), recipe, "r.toml", hours=0.08, seed=0, store=store)
    assert [row["fault"] for row in made.truth["R1"]["faults"]] == ["level.dropout", "R1-io.cut"]
    with SqliteReader(plant.parent / "s.sqlite") as reader:
        samples = list(reader.read(LEVEL, 0.0, 2 * EPOCH))
    bad = [s.time - EPOCH for s in samples if s.quality is Quality.BAD]
    assert sum(71 < t < 104 for t in bad) == pytest.approx(30, abs=2)
    assert sum(183 < t < 214 for t in bad) > 20  # old after 5 s


# -- what runs it ----------------------------------------------------------------------------------


def test_it_is_served_and_tells_of_itself(plant: Path) -> None:
    made = vessels(load_plant(plant), 0, 0.0)
    server = PlantServer({}, made, 0.0)
    control = Control(server, made)
    server.step(60.0)
    (line,) = sim.lines(control.state())[1:]
    assert line == (
        "R1 (acme.tank:HeatedTank): 0.01667 h  level (m) 0.3  T (Cel) 15.1  weight (kg) 29.94  "
        "volume (L) 30"
    )
    assert control.inject("R1", "level.stuck", 60.0, None).startswith("R1: level.stuck from")


# -- what is refused -------------------------------------------------------------------------------

AT = r"^plant\.toml: simulation\.R1\."
CLASSES = (
    ("Litres", r"Litres\.states\.S: unit 'litres' is not known"),
    ("Twice", r"Twice\.states\.S: it is there twice"),
    ("Two", r"Two\.rhs: 2 values for 1 names: S"),
    ("Unnamed", r"Unnamed\.rhs: fails at the defaults: ValueError: not enough values to unpack"),
    ("Nan", r"Nan\.rhs: S is nan at the defaults; a number is required"),
    ("Exp", r"Exp\.rhs: .*; call fn\.exp, .*never math"),
    ("Branching", r"Branching\.rhs: it branches on a symbol; use fn\.min"),
    ("Minutes", r"Minutes\.time_unit: 'min' is not allowed; h or s is"),
    ("Nothing", r"Nothing: it has no time_unit, states, .*rhs; time_unit, .* are required"),
    ("Silent", r"Silent: it has no output; .*output where there are outputs"),
    ("Still", r"Still\.states: there is none; a plant has at least one"),
    ("Text", r"Text\.states: 'S' is not allowed; a sequence of models\.model\.Variable"),
    ("Picky", r"acme\.others:Picky: cannot be made of nothing: TypeError: .*'size'"),
    ("function", r"acme\.others:function is not allowed; it must be a class with states, inputs"),
    ("Nowhere", r"acme\.others:Nowhere is not allowed; acme\.others has no Nowhere: it has Plain"),
)


@pytest.mark.parametrize(("name", "says"), CLASSES, ids=[c[0] for c in CLASSES])
def test_a_class_that_is_no_model_is_refused_by_name(plant: Path, name: str, says: str) -> None:
    text, _, _ = PLANT.partition("[simulation.R1]")
    plant.write_text(f'{text}[simulation.R1]\nmodel = "acme.others:{name}"\n')
    with pytest.raises(ConfigError) as refused:
        require_simulation(load_plant(plant))
    told = [line for line in refused.value.lines if "R1.model: " in line]
    assert told, refused.value.lines
    with pytest.raises(ConfigError, match=f"{AT}model: {says}"):
        raise ConfigError(told)


FILES = (
    ("acme.tank:HeatedTank", "acme-tank", r"model: acme-tank is not allowed; package\.module:Clas"),
    ("acme.tank:HeatedTank", "models.yeast:Yeast", r"model: .*it stands in one of our vessels: na"),
    ("[simulation.R1]\n", '[simulation.R1]\nvessel = "5l"\n', r"vessel: is not allowed beside mod"),
    ("[simulation.R1]\n", "[simulation.R1]\nvolume_l = 3\n", r"volume_l: no such key; model, step"),
    ("level = 0.3", "level = 5", r"start\.level: 5 is not allowed; 0\.05 to 3 m"),
    ("level = 0.3", "depth = 0.3", r"start\.depth: no such state of HeatedTank; level, T are all"),
    ("T_in = 12.0", "T_out = 12.0", r"parameters\.T_out: no such parameter of HeatedTank; area, "),
    ("spread = 0.2", "spread = 2", r"parameters\.UA\.spread: 2.* is not allowed; .*<= 1"),
    ("value = 0.03,", "value = 0,", r"parameters\.UA\.spread: not allowed; it is a share of the"),
    ("room = 22.0", "outflow = 2.0", r"inputs\.outflow: not allowed; R1\.outflow moves it"),
    ("level = { noise", "depth = { noise", r"readings\.depth: no measurement of this reactor; le"),
    ("level = { noise", "inflow = { noise", r"readings\.inflow: no measurement of this reactor"),
    ("noise = 0.002", "sigma = 0.002", r"readings\.level\.sigma: no such key; lag_s, delay_s, ev"),
    ("heater = { lag_s", "level = { lag_s", r"drives\.level: no actuator of this reactor; inflow"),
    ('volume_l = "volume"', 'volume_l = "weight"', r"report\.volume_l: weight in kg is not allowe"),
    ('volume_l = "volume"', 'product_g = "P"', r"report\.product_g: P is no state or output of H"),
    ('temperature = "T"', "", r"^plant\.toml: R1\.temperature: temperature is no state, output or"),
    ('temperature = "T"', 'heat = "T"', r"tags\.heat: no tag of this reactor; level, temperature,"),
    ('"R1.level",       unit = "m"', '"R1.level", unit = "L"', r"^plant\.toml: R1\.level: unit L "),
)


@pytest.mark.parametrize(("old", "new", "says"), FILES, ids=range(len(FILES)))
def test_a_table_that_does_not_fit_is_refused_by_key(
    plant: Path, old: str, new: str, says: str
) -> None:
    assert old in PLANT
    plant.write_text(PLANT.replace(old, new))
    with pytest.raises(ConfigError) as refused:
        require_simulation(load_plant(plant))
    pattern = says if says.startswith("^") else AT + says
    with pytest.raises(ConfigError, match=f"(?m){pattern}"):
        raise refused.value


def test_an_actuator_that_moves_a_state_or_another_ones_input_is_refused(plant: Path) -> None:
    two = {'temperature = "T"': 'temperature = "T"\nheater = "level"\noutflow = "inflow"'}
    with pytest.raises(ConfigError) as refused:
        tank(plant, change=two)
    assert refused.value.lines == [
        "plant.toml: R1.heater: level is no input of HeatedTank; an actuator moves an input; "
        "inflow, outflow, heater, room are allowed; simulation.R1.tags says which variable a tag "
        "of another name is",
        "plant.toml: R1.outflow: R1.inflow moves inflow already (simulation.R1: HeatedTank)",
    ]


def test_what_is_wrong_of_the_table_is_said_at_once(plant: Path) -> None:
    both = {"level = 0.3": "level = 9", "room = 22.0": "cellar = 1.0"}
    with pytest.raises(ConfigError) as refused:
        tank(plant, change=both)
    assert len(refused.value.lines) == 2


def test_a_plant_file_without_either_says_what_is_needed(plant: Path) -> None:
    plant.write_text(PLANT.partition("[simulation.R1]")[0] + "[simulation]\n")
    with pytest.raises(ConfigError, match="simulation"):
        require_simulation(load_plant(plant))
