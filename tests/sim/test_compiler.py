"""A machine without a compiler gives the same numbers, to 1e-6: whole vessels and bare loops."""

import shutil

import numpy as np
import pytest

from models.loop import Loop
from models.organisms import ORGANISMS
from models.symbolic import rosenbrock
from models.vessels import VESSELS
from sim.vessel import Vessel
from tests.bench.bench_simulator import MODEL, START, P, apart, inputs

QUICK = {("ecoli", "5l"), ("yeast", "300l"), ("penicillin", "100m3")}
PAIRS = [
    pytest.param(o, v, id=f"{o}-{v}", marks=() if (o, v) in QUICK else pytest.mark.long)
    for o in ORGANISMS
    for v in VESSELS
]


def run(organism: str, size: str, minutes: int) -> dict[str, float]:
    """Let dense cells grow, lose their oxygen and get it back; return what is true then."""
    vessel = Vessel(organism, size, 3)
    vessel.set_state(X=30.0)
    actuators = vessel.model.actuators
    for minute in range(minutes):
        share = 0.2 if minutes // 3 <= minute < 2 * minutes // 3 else 0.9
        for name in ("stirrer", "air"):
            a = actuators[name]
            vessel.write(f"R1.{name}", a.low + share * (a.high - a.low))
        pump = vessel.model.organism.feeds[0].name
        vessel.write(f"R1.{pump}", 0.1 * actuators[pump].high)
        vessel.advance(vessel.time + 60.0)
    return {**vessel.state(), **vessel.truth}


@pytest.mark.parametrize(("organism", "size"), PAIRS)
def test_a_vessel_is_the_same_without_a_compiler(
    organism: str, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shutil.which("gcc")
    wanted = run(organism, size, 9)
    monkeypatch.setenv("PATH", "")
    assert not shutil.which("gcc")
    got = run(organism, size, 9)
    for name, value in wanted.items():
        assert got[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


def test_a_loop_is_its_steps_with_and_without_a_compiler() -> None:
    step = rosenbrock(MODEL)
    native, virtual = Loop(step), Loop(step, None)
    assert (native.native, virtual.native) == (True, False)
    u = inputs(10.0)[:2000]
    at_once, stepped = native(START, u, P, 10 / 3600), virtual(START, u, P, 10 / 3600)
    assert at_once.shape == (2000, 7)
    np.testing.assert_allclose(at_once, stepped, rtol=1e-9, atol=1e-15)
    halves = [native(START, u[:700], P, 10 / 3600)]
    halves.append(native(halves[0][-1], u[700:], P, 10 / 3600))
    np.testing.assert_array_equal(np.vstack(halves), at_once)
    assert apart(native(START, np.repeat(u, 20, axis=0), P, 0.5 / 3600)[-1], at_once[-1]) < 1e-4


def test_many_plants_side_by_side_are_each_of_them_alone() -> None:
    """Twenty: no multiple of what a vector holds. Bit for bit, and the same without a compiler."""
    native, virtual = Loop(rosenbrock(MODEL)), Loop(rosenbrock(MODEL), None)
    p = P * np.random.default_rng(1).lognormal(0.0, 0.05, (20, len(P)))
    x = np.tile(START, (20, 1)) * np.linspace(0.9, 1.1, 20)[:, None]
    u = inputs(10.0)[5000:5300]  # induced
    together = native.many(x, u, p, 10 / 3600)
    alone = [native(a, u, b, 10 / 3600)[-1] for a, b in zip(x, p, strict=True)]
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(virtual.many(x, u, p, 10 / 3600), alone, rtol=1e-9, atol=1e-15)
    with pytest.raises(ValueError, match=r"x \(20, 7\), u \(300, 3\), p \(19, 20\) are not"):
        native.many(x, u, p[1:], 10 / 3600)


def test_a_loop_refuses_what_does_not_fit() -> None:
    loop = Loop(rosenbrock(MODEL), None)
    with pytest.raises(ValueError, match=r"x \(7,\), u \(10, 2\), p \(20,\) are not allowed"):
        loop(START, np.zeros((10, 2)), P, 1 / 3600)
