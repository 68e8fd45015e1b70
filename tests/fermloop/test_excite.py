"""``fermloop excite``: recipes that tell a model more than another batch of the same would."""

import json
import math
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from controller.plant import load_plant
from controller.recipes.file import load_recipe, parse_recipe
from fermloop.cli import app
from fermloop.commissioning.excitation import Block, Excitation, blocks
from fermloop.commissioning.experiment import prepare, wanted
from fermloop.commissioning.recipes import toml
from fermloop.commissioning.record import recorded
from fermloop.commissioning.study import total_product
from fermloop.failure import explained
from historian.history import History
from models.culture import Culture
from models.ecoli import EColi
from models.fitting import Experiment, Series, fit, priors
from models.fitting.simulation import Simulation
from tests.fermloop.made_batches import stored

PLANT, RECIPE = Path("sim/plants/ecoli_5l.toml"), Path("sim/recipes/ecoli.toml")
ORGANISM = EColi()
MODEL = Culture(ORGANISM)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the store of one batch."""
    path = tmp_path_factory.mktemp("store")
    stored(path, "B1", RECIPE)
    return path


@pytest.fixture(scope="module")
def base(folder: Path) -> Experiment:
    """Return that batch as an experiment."""
    reactor = load_plant(PLANT).settings.reactor["R1"]
    assert reactor.model is not None
    with History(folder) as history:
        record = recorded(history, "B1", wanted(reactor, ORGANISM))
    return prepare(record, reactor, reactor.model, ORGANISM).experiment


def says(folder: Path, *words: str) -> str:
    store = ["--store", str(folder / "store.sqlite")]
    call = ["excite", str(PLANT), "--recipe", str(RECIPE), "--out", str(folder / "out"), *store]
    result = CliRunner().invoke(app, [*call, *words])
    if isinstance(result.exception, Exception):
        failure = explained(result.exception)
        assert failure is not None, result.exception
        return "\n".join(failure.lines)
    return result.stdout


def test_recipes_are_written_that_the_plant_takes_and_that_stay_near_the_batch(
    folder: Path,
) -> None:
    told = says(folder, "--batches", "2", "--blocks", "3")
    found = re.search(r"± ([\d.]+) % now .* ± ([\d.]+) % after as .* ± ([\d.]+) % after", told)
    assert found is not None, told
    before, plain, after = map(float, found.groups())
    assert after < plain < before
    patterns: list[list[float]] = []
    for k in (1, 2):
        recipe = load_recipe(folder / f"out/ecoli-excited-{k}.toml")
        assert recipe.name == f"ecoli-excited-{k}"
        assert [p.name for p in recipe.phase] == ["batch", "feed", "induce", "harvest"]
        assert recipe.phase[2].doses == load_recipe(RECIPE).phase[2].doses
        shares: list[float] = []
        for phase, start, end in (("feed", 8.0, 12.0), ("induce", 12.0, 21.9)):
            law = next(p for p in recipe.phase if p.name == phase).feeds["feed"]
            assert law.kind == "profile"
            assert law.table is not None
            for hour, flow in law.table:
                assert 0.0 <= hour <= end - start + 1e-6
                usual = 8.0 * math.exp(0.12 * (start + hour - 8.0))
                shares.append(flow / usual)
        assert set(np.round(shares, 1)) == {0.9, 1.1}
        patterns.append(shares)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--like", "B9"], "--like: B9: no such batch"),
        (["--feeds", "oil"], "--feeds: oil is not allowed; the recipe feeds feed"),
        (["--size", "29.9", "--like", "B1", "--store", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_is_refused_by_name(folder: Path, words: list[str], told: str) -> None:
    assert told in says(folder, *words)


def test_the_answer_is_json_too(folder: Path) -> None:
    found = json.loads(says(folder, "--batches", "1", "--blocks", "2", "--json"))
    assert found["base"] == "B1"
    assert len(found["patterns"]) == 1


def test_what_leaves_the_limits_is_not_designed(base: Experiment) -> None:
    places = blocks({"feed": [(8.0, 12.0), (12.0, 22.0)]}, 3)

    def excitation(most: float) -> Excitation:
        figure = total_product(base, MODEL, ORGANISM)
        return Excitation(
            MODEL,
            base,
            priors(ORGANISM, ("Yem", "qPm", "qOmax")),
            places,
            0.1,
            lambda _, path: figure(path),
            lambda batch, _: float(batch.inputs[:, 0].max()) <= most,
        )

    usual = float(base.inputs[:, 0].max())
    design = excitation(0.95 * usual).design(1)
    assert design.patterns[0][-1] == -1  # the last block is where the feed is greatest
    with pytest.raises(ValueError, match="no feed can be moved by 10 % within the limits"):
        excitation(0.5 * usual).design(1)


def test_blocks_are_about_as_long_as_each_other_and_end_with_their_phase() -> None:
    found = blocks({"feed": [(8.0, 12.0), (12.0, 24.0)], "oil": [(10.0, 20.0)]}, 4)
    assert [b for b in found if b.feed == "feed"] == [
        Block("feed", 8.0, 12.0),
        Block("feed", 12.0, 16.0),
        Block("feed", 16.0, 20.0),
        Block("feed", 20.0, 24.0),
    ]
    assert [b.end - b.start for b in found if b.feed == "oil"] == [2.5] * 4


@pytest.mark.parametrize("path", sorted(Path("sim/recipes").glob("*.toml")), ids=lambda p: p.stem)
def test_a_recipe_written_is_the_recipe_read(path: Path) -> None:
    table = load_recipe(path).table
    assert tomllib.loads(toml(table)) == table
    assert parse_recipe(tomllib.loads(toml(table))).phase == load_recipe(path).phase


# a strain whose product falls off with growth much sooner than is believed
TRUE = {"Kimu": 0.06, "qPm": 0.09, "Kmu": 0.04, "kE": 0.04}


def measured(base: Experiment, seed: int) -> Experiment:
    """Return a batch as that strain would have run it, with an analyser that is off all through."""
    random = np.random.default_rng(seed)
    simulation = Simulation(MODEL)
    own = {**TRUE, "X": 0.3 * math.exp(0.1 * random.standard_normal())}
    path = simulation.states(base, own)
    series: list[Series] = []
    for s in base.series:
        real = simulation.seen(base, path, own, s.parts, s.hours)
        wrong = 0.03 * random.standard_normal() if s.dense else 0.0
        sd = 0.05 * np.abs(real) + (0.5 if s.dense else 0.01)
        values = real * (1.0 + wrong) + sd * random.standard_normal(len(real))
        series.append(replace(s, values=values, sd=sd))
    return replace(base, series=series)


@pytest.mark.long
def test_excited_batches_foretell_other_feeds_better_than_as_many_plain_ones(
    base: Experiment,
) -> None:
    figure = total_product(base, MODEL, ORGANISM)
    believed = priors(ORGANISM, ("Yem", "qPm", "Kmu", "Kimu", "kE"))
    places = blocks({"feed": [(8.0, 12.0), (12.0, 21.9)]}, 4)
    excitation = Excitation(
        MODEL, base, believed, places, 0.2, lambda _, path: figure(path), lambda _, __: True
    )
    patterns = excitation.design(2).patterns
    simulation = Simulation(MODEL)

    def error(batches: list[Experiment]) -> float:
        named = [replace(b, name=f"B{k}") for k, b in enumerate(batches)]
        fitted = fit(MODEL, named, believed)
        off: list[float] = []
        for share in (0.7, 0.8, 1.2, 1.3):
            inputs = base.inputs.copy()
            inputs[:, 0] *= share
            other = replace(base, inputs=inputs, series=())
            true = figure(simulation.states(other, {**TRUE, "X": 0.3}))
            off.append(abs(fitted.foretell_of(other, figure, draws=2)[0] / true - 1.0))
        return float(np.mean(off))

    plain: list[float] = []
    excited: list[float] = []
    for seed in range(6):
        first = measured(base, 10 * seed)
        again = [measured(base, 10 * seed + k) for k in (1, 2)]
        moved = [
            measured(excitation.moved(base, p), 10 * seed + k) for k, p in enumerate(patterns, 1)
        ]
        plain.append(error([first, *again]))
        excited.append(error([first, *moved]))
    print(f"error of product: plain {plain}, excited {excited}")
    assert np.mean(excited) < 0.9 * np.mean(plain)
