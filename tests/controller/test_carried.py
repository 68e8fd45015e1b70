"""How much heat a jacket could carry away is learned from what it carries now."""

import dataclasses
import json
from pathlib import Path

import pytest

from controller.planning.carried import STALE_S, Carried
from controller.planning.economic.optimiser import Economic
from controller.planning.plan import Situation
from controller.plant_file.config import ConfigError
from controller.plant_file.economy_settings import CoolingSettings
from drivers.point import Quality, Sample, Tag
from fermloop.commands.check import run
from tests.controller.economies import case

TAGS = [
    Tag("R1.temperature", "Cel", 0, 150),
    Tag("R1.jacket_temperature", "Cel", 0, 150),
    Tag("R1.cooling", "%", 0, 100),
]
WHERE = CoolingSettings(jacket="R1.jacket_temperature", valve="R1.cooling")


def scan(*values: float, bad: bool = False) -> dict[str, Sample]:
    qualities = [Quality.GOOD, Quality.BAD if bad else Quality.GOOD, Quality.GOOD]
    rows = zip(TAGS, values, qualities, strict=True)
    return {tag.name: Sample(tag, 0.0, value, quality) for tag, value, quality in rows}


def test_means_follow_within_minutes_and_are_forgotten_without_readings() -> None:
    carried = Carried("R1.temperature", WHERE)
    assert carried.means is None
    carried.step(1.0, scan(30.0, 22.0, 40.0))
    assert carried.means == (30.0, 22.0, 40.0)
    for _ in range(300):
        carried.step(1.0, scan(30.0, 20.0, 60.0))
    assert carried.means is not None
    assert carried.means[2] == pytest.approx(60.0 - 20.0 / 2.718, abs=0.5)
    for _ in range(int(STALE_S)):
        carried.step(1.0, scan(30.0, 20.0, 60.0, bad=True))
    assert carried.means is not None
    carried.step(1.0, scan(30.0, 20.0, 60.0, bad=True))
    assert carried.means is None


@pytest.mark.parametrize("clean", [0.8, 1.0, 1.3])
def test_a_plan_counts_on_the_cooling_that_the_jacket_shows(clean: float) -> None:
    one = case("yeast_300l", X=25.0, V=170.0)
    economic = Economic(dataclasses.replace(one.settings, stages=8, scenarios=1))
    questions, p = economic.questions, economic.problem
    asked = dataclasses.replace(one.situation, batch_h=16.0)
    x, factors = one.belief.vessel([*p.states[:-1]], one.settings.learned)
    questions.rollout.strain(factors)
    u = [asked.applied.get(v.name, v.default) for v in p.model.inputs]
    heat = questions.rollout.outputs_at([*x.tolist(), 0.0], u)[3]
    assert heat > 1e3
    jacket = 30.0 - heat / (clean * p.defaults["UA"])
    valve = heat / (clean * p.defaults["cooler"] * (jacket - p.defaults["T_coolant"]))
    assert 0.3 < valve < 1.0
    seen = dataclasses.replace(asked, carried=(30.0, jacket, 100.0 * valve))
    found = dict(
        zip(one.settings.learned, questions.prepare(one.belief, seen).factors[0], strict=True)
    )
    assert found["UA"] == pytest.approx(clean, rel=1e-6)
    assert found["cooler"] == pytest.approx(clean, rel=1e-6)
    shut = dataclasses.replace(asked, carried=(30.0, 28.0, 5.0))
    found = dict(
        zip(one.settings.learned, questions.prepare(one.belief, shut).factors[0], strict=True)
    )
    assert (found["UA"], found["cooler"]) == (1.0, 1.0)
    plain = economic.plan(one.belief, asked)
    more = economic.plan(one.belief, seen)
    assert plain.good
    assert more.good
    assert "cooling" in plain.active
    gained = more.predicted["product_g"][-1] / plain.predicted["product_g"][-1]
    assert (gained > 1.005, gained < 0.995) == (clean > 1.0, clean < 1.0)


def test_what_is_carried_goes_through_json() -> None:
    asked = Situation(1.0, 2.0, 24.0, carried=(30.0, 20.0, 50.0))
    assert Situation.from_json(json.loads(json.dumps(asked.as_json()))) == asked


def test_a_jacket_that_there_is_not_is_refused_by_name(tmp_path: Path) -> None:
    text = Path("sim/plants/yeast_300l.toml").read_text(encoding="utf-8")
    path = tmp_path / "plant.toml"
    path.write_text(
        text.replace('jacket = "R1.jacket_temperature", valve', 'jacket = "R1.ph", valve')
    )
    with pytest.raises(ConfigError) as wrong:
        run(path, None, as_json=False)  # as ``fermloop check`` does
    line = "plant.toml: reactor.R1.economy.cooling.jacket: R1.ph is not allowed; a tag in Cel is"
    assert wrong.value.lines == [line]
