"""``fermloop fit``: batches of the past become parameters that soft sensor and optimiser use."""

import csv
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from controller.assemble import optimiser_settings
from controller.plant import load_plant
from controller.plant_file.config import ConfigError
from controller.recipes.file import load_recipe
from controller.sensing.sensing import estimator_settings
from drivers.point import Quality, Sample, Tag
from fermloop.cli import app
from fermloop.commands.closed_loop import run_batch
from fermloop.commissioning.experiment import prepare, wanted
from fermloop.commissioning.record import recorded
from fermloop.failure import explained
from historian.events import Event, Kind
from historian.history import History
from historian.sqlite import SqliteStore
from models.ecoli import EColi
from tests.fermloop.made_batches import MAP, made

PLANT = Path("sim/plants/ecoli_5l.toml")
TRUE = {"qOmax": 0.38, "Yem": 0.47, "qPm": 0.065}
Says = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return three batches as CSV, their mapping and their laboratory."""
    path = tmp_path_factory.mktemp("batches")
    rows: list[dict[str, str]] = []
    for day, name in enumerate(("A", "B", "C"), 1):
        _, found = made(path, name, day, TRUE, rate=0.10 + 0.02 * day)
        rows += found
    rows[3]["value"] = str(10.0 * float(rows[3]["value"]))  # a dilution forgotten
    with (path / "lab.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    (path / "map.toml").write_text(MAP, encoding="utf-8")
    return path


def says(folder: Path, *words: str, batches: Sequence[str] = ("A", "B"), fixed: bool = True) -> str:
    """Return what the command says, good or bad."""
    named = ",".join(str(folder / f"{b}.csv") for b in batches)
    own = ["--map", str(folder / "map.toml"), "--samples", str(folder / "lab.csv"), "--quick"]
    call = ["fit", str(PLANT), "--batches", named, *(own if fixed else []), *words]
    result = CliRunner().invoke(app, call)
    if isinstance(result.exception, Exception):
        failure = explained(result.exception)
        assert failure is not None, result.exception
        return "\n".join(failure.lines)
    return result.stdout


@pytest.fixture(scope="module")
def fitted(folder: Path) -> str:
    wanted = "qOmax,Yem,qPm,KA"
    out, page = str(folder / "params.toml"), str(folder / "fit.html")
    held = ["--hold-out", str(folder / "C.csv"), "--region", str(folder / "region.toml")]
    return says(folder, "--parameters", wanted, "--out", out, "--page", page, *held)


def test_what_made_the_batches_is_found_and_what_they_do_not_tell_stays(fitted: str) -> None:
    for name, true in TRUE.items():
        row = re.search(
            rf"^{name} +\S+ +(\S+) +(\S+) to (\S+).* (determined|partly)$", fitted, re.M
        )
        assert row is not None, fitted
        assert float(row[1]) == pytest.approx(true, rel=0.06)
        assert float(row[2]) < true < float(row[3])
    assert re.search(r"^KA +g/L +0.05 +- .* stays at its prior$", fitted, re.M)
    assert re.search(r"outlier: A dry_weight at 13.9 h", fitted)
    error = re.search(r"median error of the final product ([\d.]+) %", fitted)
    assert error is not None
    assert float(error[1]) < 8.0


def test_the_plant_file_names_what_was_found_and_everything_uses_it(
    fitted: str, folder: Path
) -> None:
    text = PLANT.read_text(encoding="utf-8")
    path = folder / "plant.toml"
    path.write_text(
        text.replace("[reactor.R1.model] ", '[reactor.R1.model]\nparameters = "params.toml" '),
        encoding="utf-8",
    )
    plant = load_plant(path)
    model = plant.settings.reactor["R1"].model
    assert model is not None
    assert set(model.strain) == set(TRUE)  # KA is not determined, so it is not written
    assert estimator_settings(model, 1.05).strain == model.strain
    assert optimiser_settings(plant)["R1"].strain == model.strain
    assert fitted
    page = (folder / "fit.html").read_text(encoding="utf-8")
    assert "模型拟合" in page
    assert "Model fit" in page
    assert page.count("<svg") >= 9


def with_region(folder: Path, to: Path) -> Path:
    """Return a plant file beside ``folder``'s region, or what ``to`` has in its place."""
    text = PLANT.read_text(encoding="utf-8")
    named = '[reactor.R1.optimiser]\nguardrail = { region = "region.toml" }\n'
    assert "[reactor.R1.optimiser]\n" in text
    text = text.replace("[reactor.R1.optimiser]\n", named)
    (to / "plant.toml").write_text(text, encoding="utf-8")
    if folder != to:
        own = (folder / "region.toml").read_text(encoding="utf-8")
        (to / "region.toml").write_text(own, encoding="utf-8")
    return to / "plant.toml"


def test_the_optimiser_may_go_less_far_after_a_batch_that_made_less(
    fitted: str, folder: Path, tmp_path: Path
) -> None:
    assert "region: B: the model was fitted to it; 10 %" in fitted
    assert re.search(r"^region: C: -\d+ % of product; 5 %$", fitted, re.M), fitted  # fed most
    found = load_plant(with_region(folder, tmp_path)).regions["R1"]
    assert found.width == 0.05
    low, high = found.limits("feed", 16.0)  # mL/h; A feeds the least then, C the most
    least, most = (8.0 * np.exp(rate * 8.0) for rate in (0.12, 0.16))
    assert low == pytest.approx((1.0 - found.width) * least, rel=0.03)
    assert high == pytest.approx((1.0 + found.width) * most, rel=0.03)
    assert found.limits("do", 16.0) == pytest.approx(
        (30 * (1 - found.width), 30 * (1 + found.width))
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('reactor = "R1"', 'reactor = "R2"'), "region.toml: reactor: R2 is not that of the plant"),
        (
            ('unit = "mL/h"', 'unit = "L/h"'),
            "region.toml: loop.feed.unit: L/h is not allowed; mL/h",
        ),
        (("[loop.do]", "[loop.dot]"), "region.toml: loop.do: missing; the optimiser may lead it"),
        (("hours = [", "hours = [9.0, "), "region.toml: hours: each must be above the one before"),
        (("low = [", "low = [9.0, "), "loop.feed: a low and a high for each of hours is needed"),
        (("low = [0,", "low = [9e9,"), "region.toml: loop.feed: low must not be above high"),
    ],
)
def test_a_region_that_does_not_fit_is_refused_with_the_plant(
    fitted: str, folder: Path, tmp_path: Path, change: tuple[str, str], told: str
) -> None:
    assert fitted
    plant = with_region(folder, tmp_path)
    text = (tmp_path / "region.toml").read_text(encoding="utf-8")
    assert change[0] in text
    (tmp_path / "region.toml").write_text(text.replace(*change, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(told)):
        load_plant(plant)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('organism = "ecoli"', 'organism = "yeast"'), "params.toml: organism: yeast is not"),
        (("parameter.Yem", "parameter.Yen"), "reactor.R1.model: Yen: no parameter of ecoli; qSmax"),
        (('unit = "g/g"', 'unit = "%"'), "params.toml: parameter.Yem.unit: % is not allowed; g/g"),
        (("[provenance]", "[provenanc]"), "params.toml: provenance: missing"),
    ],
)
def test_a_file_of_parameters_that_does_not_fit_is_refused_with_the_plant(
    fitted: str, folder: Path, tmp_path: Path, change: tuple[str, str], told: str
) -> None:
    assert fitted
    text = (folder / "params.toml").read_text(encoding="utf-8")
    assert change[0] in text
    (tmp_path / "params.toml").write_text(text.replace(*change), encoding="utf-8")
    own = PLANT.read_text(encoding="utf-8").replace(
        "[reactor.R1.model] ", '[reactor.R1.model]\nparameters = "params.toml" '
    )
    (tmp_path / "plant.toml").write_text(own, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(told)):
        load_plant(tmp_path / "plant.toml")


@pytest.mark.parametrize(
    ("words", "batches", "told"),
    [
        (["--parameters", "Yen"], ("A",), "--parameters: Yen: no parameter of ecoli; qSmax"),
        (["--reactor", "R9"], ("A",), "--reactor: R9 is not allowed; R1 are"),
        (["--batches", "B1"], ("A",), "store"),
    ],
)
def test_what_is_not_there_is_refused_by_name(
    folder: Path, words: list[str], batches: tuple[str, ...], told: str
) -> None:
    assert told in says(folder, *words, batches=batches)


def test_a_file_needs_a_mapping(folder: Path) -> None:
    assert "--map: is required" in says(folder, batches=("A",), fixed=False)


def test_an_unknown_analyte_or_unit_is_named_with_its_line(folder: Path, tmp_path: Path) -> None:
    lab = tmp_path / "lab.csv"
    lab.write_text(
        "analyte,value,unit,t_sampled\nproduce,1,g/L,2026-01-01T15:00Z\n", encoding="utf-8"
    )
    told = says(folder, "--samples", str(lab), batches=("A",))
    assert "lab.csv line 2: produce: no analyte; od, dry_weight, glucose" in told
    lab.write_text(
        "analyte,value,unit,t_sampled\nproduct,1,mol,2026-01-01T15:00Z\n", encoding="utf-8"
    )
    told = says(folder, "--samples", str(lab), batches=("A",))
    assert "A: product: unit mol cannot become g/L; mg/L, g/L, kg/m3" in told


def test_a_batch_of_the_store_with_late_and_corrected_results(tmp_path: Path) -> None:
    start = 1_767_225_600.0
    tags = {
        "do": Tag("R1.do", "%", -5, 200),
        "temperature": Tag("R1.temperature", "Cel", 0, 150),
        "ph": Tag("R1.ph", "[pH]", 0, 14),
        "feed": Tag("R1.feed", "mL/h", 0, 200),
        "our": Tag("R1.our", "mmol/(L.h)", -1e3, 1e4),
    }

    def phase(time: float, text: str, **data: object) -> Event:
        return Event(time, "recipe", Kind.PHASE, "R1", text, data)

    def result(number: int, value: float, corrects: int = 0) -> Event:
        data = {
            "what": "sample",
            "result": {
                "number": number,
                "analyte": "dry_weight",
                "value": value,
                "unit": "g/L",
                "t_sampled": start + 3600.0,
                "corrects": corrects,
            },
        }
        return Event(start + 2e4, "operator:li", Kind.AUDIT, "R1", "sample", data)

    with SqliteStore(tmp_path / "store.sqlite") as store:
        table = {"name": "x", "phase": [{"name": "a"}]}
        store.record(phase(start, "started", batch="B1", state="RUNNING", recipe=table))
        for minute in range(241):
            values = (30.0, 37.0, 7.0, 20.0, 10.0 + minute / 10.0)
            store.append(
                Sample(t, start + 60.0 * minute, v, Quality.GOOD)
                for t, v in zip(tags.values(), values, strict=True)
            )
        store.record(phase(start + 14400.0, "complete", state="COMPLETE"))
        store.record(result(1, 30.0))  # entered after the end
        store.record(result(2, 3.0, corrects=1))
    reactor = load_plant(PLANT).settings.reactor["R1"]
    assert reactor.model is not None
    organism = EColi()
    with History(tmp_path) as history:
        record = recorded(history, "B1", wanted(reactor, organism))
        with pytest.raises(LookupError, match="B2: no such batch"):
            recorded(history, "B2", ["do"])
    found = prepare(record, reactor, reactor.model, organism)
    batch = found.experiment
    (weight,) = (s for s in batch.series if s.name == "dry_weight")
    np.testing.assert_allclose([weight.hours[0], weight.values[0]], [1.0, 3.0], atol=0.02)
    np.testing.assert_allclose(batch.inputs[3:-3, 0], 0.02)
    assert any("weight: not stored" in note for note in found.notes)
    assert any("CER: not stored" in note for note in found.notes)


def test_the_report_is_json_too(folder: Path) -> None:
    text = says(folder, "--parameters", "Yem", "--json", batches=("A",))
    found = json.loads(text)
    assert found["parameters"][0]["name"] == "Yem"
    assert found["error"] is None


SHORT = """
name = "short"
organism = "ecoli"
[start.loops]
temperature = "AUTO"
ph = "AUTO"
do = "AUTO"
agitation = "CASCADE"
air = "CASCADE"
feed = "CASCADE"
oxygen = "CASCADE"
[start.setpoints]
temperature = 37.0
ph = 7.0
do = 40.0
feed = 0.0
[[phase]]
name = "batch"
until = { batch_h = 3.0 }
[[phase]]
name = "feed"
feeds.feed = { kind = "constant", flow = 20.0 }
until = { batch_h = 5.0 }
"""


@pytest.mark.long
def test_a_batch_that_the_controller_ran_is_fitted_and_excited_from_its_own_store(
    tmp_path: Path,
) -> None:
    (tmp_path / "short.toml").write_text(SHORT, encoding="utf-8")
    text = PLANT.read_text(encoding="utf-8")
    strain = "[reactor.R1.model]\nstrain = { Yem = 0.5 } "
    (tmp_path / "plant.toml").write_text(
        text.replace("[reactor.R1.model] ", strain), encoding="utf-8"
    )
    plant = load_plant(tmp_path / "plant.toml", data_dir=tmp_path)
    recipe = load_recipe(tmp_path / "short.toml")
    with SqliteStore(tmp_path / "store.sqlite") as store:
        run_batch(plant, recipe, tmp_path / "short.toml", hours=5.1, seed=3, store=store)
    with History(tmp_path) as history:
        (batch,) = history.batches()
        assert history.batch(batch.id).events[0]["data"]["strain"] == {"Yem": 0.5}
    store = ["--store", str(tmp_path / "store.sqlite")]
    call = ["fit", str(PLANT), "--batches", batch.id, "--quick", "--parameters", "qSmax,qOmax"]
    result = CliRunner().invoke(app, [*call, *store, "--json"], catch_exceptions=False)
    found = json.loads(result.stdout)["parameters"]
    assert all(0.7 < p["value"] / p["prior"] < 1.4 for p in found)
    assert found[0]["learned"] > 0.1
    short = ["--recipe", str(tmp_path / "short.toml"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["excite", str(PLANT), *short, *store], catch_exceptions=False)
    assert "after these" in result.stdout
    assert load_recipe(tmp_path / "out/short-excited-2.toml").phase[1].feeds["feed"].table
