"""What the controller itself makes is recorded under the names that others read."""

import math

import pytest

from controller.assemble import build_loops
from controller.loops.loops import Loop, Mode
from controller.plant import load_plant
from controller.sensing.estimate import Believed, reported
from controller.tags import Derived
from drivers.point import Quality, Sample

ESTIMATES = reported("ecoli")
PLANT = load_plant("sim/plants/ecoli_5l.toml")


@pytest.fixture
def loops() -> dict[str, Loop]:
    return build_loops("R1", PLANT)


def by_name(samples: list[Sample]) -> dict[str, Sample]:
    found = {s.tag.name: s for s in samples}
    assert len(found) == len(samples)
    return found


def test_every_loop_has_setpoint_output_and_mode_as_numbers(loops: dict[str, Loop]) -> None:
    derived = Derived("R1", loops, estimates=ESTIMATES)
    loops["do"].actual = Mode.OPTIMISER
    loops["do"].setpoint, loops["do"].output = 35.0, 61.5
    found = by_name(derived.samples(5.0, 1.5, 2, {}))
    assert [found[f"R1.do.{k}"].value for k in ("sp", "op", "mode")] == [35.0, 61.5, 4.0]
    assert [found[f"R1.do.{k}"].tag.unit for k in ("sp", "op", "mode")] == ["%", "%", "1"]
    assert found["R1.feed.op"].tag.unit == "mL/h"
    assert (found["R1.age"].value, found["R1.phase"].value) == (1.5, 2.0)
    assert {s.time for s in found.values()} == {5.0}


def test_without_a_batch_age_and_phase_are_bad_and_so_are_estimates(
    loops: dict[str, Loop],
) -> None:
    found = by_name(Derived("R1", loops, estimates=ESTIMATES).samples(0.0, math.nan, -1, {}))
    for name in ("R1.age", "R1.phase", "R1.est.biomass", "R1.est.biomass.sd"):
        assert found[name].quality is Quality.BAD
        assert math.isnan(found[name].value)


def test_estimates_come_with_their_standard_deviation(loops: dict[str, Loop]) -> None:
    estimate = {
        key: Believed(float(i), 0.1 * i, 0.8 * i, 1.2 * i, 0.5) for i, key in enumerate(ESTIMATES)
    }
    found = by_name(Derived("R1", loops, estimates=ESTIMATES).samples(0.0, 1.0, 0, estimate))
    for i, (suffix, unit) in enumerate(ESTIMATES.values()):
        assert found[f"R1.est.{suffix}"].value == i
        assert found[f"R1.est.{suffix}"].tag.unit == unit
        assert found[f"R1.est.{suffix}.sd"].value == pytest.approx(0.1 * i)
        assert found[f"R1.est.{suffix}.low"].value == pytest.approx(0.8 * i)
        assert found[f"R1.est.{suffix}.high"].value == pytest.approx(1.2 * i)
        assert found[f"R1.est.{suffix}.shown"].tag.unit == "1"


def test_an_estimate_is_stored_once_not_in_every_scan(loops: dict[str, Loop]) -> None:
    derived = Derived("R1", loops, estimates=ESTIMATES)
    first: dict[str, Believed] = {"biomass_g_per_l": Believed(3.0, 0.1, 2.8, 3.2, 0.9)}
    assert "R1.est.biomass" in by_name(derived.samples(0.0, 1.0, 0, first))
    assert "R1.est.biomass" not in by_name(derived.samples(1.0, 1.0, 0, first))
    assert by_name(derived.samples(2.0, 1.0, 0, dict(first)))["R1.est.biomass"].time == 2.0


def test_the_tags_announced_are_those_sampled(loops: dict[str, Loop]) -> None:
    for estimates in (ESTIMATES, {}):
        derived = Derived("R1", loops, estimates=estimates)
        sampled = [s.tag for s in derived.samples(0.0, math.nan, -1, {})]
        assert sorted(t.name for t in sampled) == sorted(t.name for t in derived.tags)
        assert any(t.name.startswith("R1.est.") for t in sampled) is bool(estimates)


def test_simulated_values_are_marked(loops: dict[str, Loop]) -> None:
    derived = Derived("R1", loops, estimates={})
    assert by_name(derived.samples(0.0, 1.0, 0, {}))["R1.simulated"].value == 0.0
    derived.simulated = True
    assert by_name(derived.samples(0.0, 1.0, 0, {}))["R1.simulated"].value == 1.0


def test_how_late_a_scan_began_and_how_many_were_missed_are_tags(loops: dict[str, Loop]) -> None:
    derived = Derived("R1", loops, estimates={})
    derived.late_s, derived.missed = 0.012, 3
    found = by_name(derived.samples(5.0, math.nan, -1, {}))
    late, missed = found["R1.scan.lateness"], found["R1.scan.missed"]
    assert (late.value, late.tag.unit) == (pytest.approx(12.0), "ms")
    assert (missed.value, missed.tag.unit) == (3.0, "1")
