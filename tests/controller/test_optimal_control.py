import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fermloop
from controller.optimal import Solution, optimal_control
from models.model import ModelError, Variable
from tests.models.benchmarks import (
    Cart,
    CuthrellBiegler,
    Ethanol,
    Heated,
    Induced,
    ParkRamirez,
    Plain,
)


def replayed(model: Any, start: list[float], found: Solution, steps: int = 400) -> np.ndarray:
    """Return the end of ``found.inputs`` by a plain Runge-Kutta of our own."""
    x, t = np.array(start, dtype=float), 0.0
    for u, length in zip(found.inputs, np.diff(found.times), strict=True):
        h = length / steps

        def f(t: float, x: np.ndarray, u: Any = u) -> np.ndarray:
            own = [v.default for v in model.parameters]
            return np.array(model.rhs(t, x, u, own, _Numbers()), dtype=float)

        for _ in range(steps):
            k1 = f(t, x)
            k2 = f(t + h / 2, x + h / 2 * k1)
            k3 = f(t + h / 2, x + h / 2 * k2)
            k4 = f(t + h, x + h * k3)
            x, t = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), t + h
    return x


OPTIMISER = Path(__file__).parents[2] / "controller" / "OPTIMISER.md"


def test_the_example_of_the_room_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", OPTIMISER.read_text(encoding="utf-8"), re.DOTALL)
    exec(code, {"__name__": "example"})  # its own assertions hold
    assert "g of cells" in capsys.readouterr().out


def first(t: Any, x: Any, u: Any, p: Any, fn: Any) -> Any:
    return x[0]


def last_b(t: Any, x: Any, p: Any, fn: Any) -> Any:
    return x[1]


class _Numbers:
    exp = staticmethod(math.exp)


def test_the_best_temperature_is_found_and_the_figures_are_true() -> None:
    found = fermloop.optimal_control(
        Heated(), [1.0, 0.0], end_time=1.0, intervals=40, maximise_end=last_b
    )
    assert found.status == "solved"
    assert found.objective_resimulated >= 0.999 * 0.610775  # Dadebo and McAuley 1995
    end = replayed(Heated(), [1.0, 0.0], found, steps=20)
    assert end[1] == pytest.approx(found.objective_resimulated, rel=1e-7)
    assert found.states[-1] == pytest.approx(end, rel=1e-6)
    assert found.inputs.shape == (40, 1)
    assert found.times.shape == (41,)
    assert found.times[-1] == 1.0
    assert (found.inputs >= 298).all()
    assert (found.inputs <= 398).all()


def test_parameters_are_those_given_by_name_or_in_order() -> None:
    def best(parameters: Any) -> float:
        return optimal_control(
            Heated(),
            {"a": 1.0, "b": 0.0},
            end_time=1.0,
            intervals=10,
            maximise_end=last_b,
            parameters=parameters,
        ).objective_resimulated

    assert best({"k2": 6.2e4}) > best(None) + 0.1  # less of B is lost
    assert best({"k2": 6.2e4}) == pytest.approx(best([4000.0, 6.2e4]))


def test_a_free_end_time_is_as_short_as_can_be() -> None:
    found = optimal_control(
        Cart(),
        [0.0, 0.0],
        end_time=(0.1, 10.0),
        intervals=60,
        maximise_path=lambda t, x, u, p, fn: -1.0,
        end_limits=[
            (first, 1.0, 1.0),
            (lambda t, x, u, p, fn: x[1], 0.0, 0.0),
        ],
    )
    exact = 1.0 / 0.7 + 0.7  # full push to the greatest speed, then full brake
    assert found.times[-1] == pytest.approx(exact, rel=1e-3)
    assert found.violation <= 1e-5
    assert found.states[:, 1].max() <= 0.7 * (1 + 1e-5)
    assert found.states[-1] == pytest.approx([1.0, 0.0], abs=1e-5)


def test_a_path_limit_holds_in_the_re_simulation() -> None:
    """No faster than 1.2 1/h at any time: it costs product, and it holds."""

    def rate(t: Any, x: Any, u: Any, p: Any, fn: Any) -> Any:
        return p[0] * fn.exp(-2500 / u[0]) * x[0] ** 2

    def solve(limits: Any) -> Solution:
        return optimal_control(
            Heated(),
            [1.0, 0.0],
            end_time=1.0,
            intervals=20,
            maximise_end=last_b,
            path_limits=limits,
        )

    def fastest(found: Solution) -> float:
        begins = zip(found.states[:-1], found.inputs, strict=True)
        return max(float(rate(0.0, x, u, (4000.0,), _Numbers())) for x, u in begins)

    free, held = solve(()), solve([(rate, -math.inf, 1.2)])
    assert fastest(free) > 1.5
    assert fastest(held) <= 1.2 * (1 + 1e-4)
    assert held.violation <= 1e-4
    assert held.objective_resimulated < free.objective_resimulated


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"start": [1.0]}, "start: [1.0] is not allowed; finite a, b are"),
        ({"start": {"a": 1.0, "c": 0.0}}, "start: b, c: missing or unknown"),
        ({"start": [1.0, math.nan]}, "start: "),
        ({"end_time": 0.0}, "end_time: 0.0 is not allowed"),
        ({"end_time": (2.0, 1.0)}, "end_time: (2.0, 1.0) is not allowed"),
        ({"intervals": 0}, "intervals: 0 is not allowed"),
        ({"starts": 0}, "starts: 0 is not allowed"),
        ({"maximise_end": None}, "maximise_end, maximise_path: one of them"),
        ({"parameters": {"k3": 1.0}}, "parameters: k3: missing or unknown; k1, k2"),
        ({"end_limits": [(first, 1, 0)]}, "end_limits[0]: 1 to 0"),
    ],
)
def test_what_is_not_stated_right_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    right: dict[str, Any] = {
        "start": [1.0, 0.0],
        "end_time": 1.0,
        "intervals": 10,
        "maximise_end": last_b,
    }
    asked = right | change
    with pytest.raises(ValueError, match=r".") as refused:
        optimal_control(Heated(), asked.pop("start"), **asked)
    assert named in str(refused.value)


def test_an_input_without_bounds_and_a_branch_are_refused() -> None:
    class Boundless(Heated):
        inputs = (Variable("T", "K", low=298),)

    class Branching(Heated):
        def rhs(self, t: Any, x: Any, u: Any, p: Any, fn: Any) -> tuple[Any, ...]:
            return (-math.exp(x[0]), 0.0)

    asked: dict[str, Any] = {"end_time": 1.0, "intervals": 5}
    asked["maximise_end"] = last_b
    with pytest.raises(ValueError, match="input T: 298 to inf is not allowed; two finite bounds"):
        optimal_control(Boundless(), [1.0, 0.0], **asked)
    with pytest.raises(ModelError, match="rhs: a symbol was taken for a number"):
        optimal_control(Branching(), [1.0, 0.0], **asked)


def test_what_cannot_be_reached_is_said_to_be_unsolved() -> None:
    class Still(Plain):
        states = (Variable("s", "m"),)
        inputs = (Variable("v", "m/h", low=0, high=1),)

        def rhs(self, t: Any, x: Any, u: Any, p: Any, fn: Any) -> tuple[Any, ...]:
            return (u[0],)

    found = optimal_control(
        Still(),
        [0.0],
        end_time=1.0,
        intervals=5,
        maximise_path=lambda t, x, u, p, fn: -u[0],
        end_limits=[(first, 2.0, 3.0)],
    )
    assert found.status != "solved"
    assert found.violation >= 0.3  # 2 m were wanted, 1 m can be had


@pytest.mark.long
@pytest.mark.parametrize("intervals", [60, 80, 100])
@pytest.mark.parametrize(
    ("model", "start", "end_time", "best"),
    [
        (CuthrellBiegler(), [1.5, 0.0, 0.0, 7.0], 132.0, 88.03),
        (ParkRamirez(), [0.0, 0.0, 1.0, 5.0, 1.0], 15.0, 32.68),
    ],
    ids=["Cuthrell-Biegler", "Park-Ramirez"],
)
def test_the_yardsticks_are_reached(
    model: Any, start: list[float], end_time: float, best: float, intervals: int
) -> None:
    product, volume = (1, 3) if len(start) == 4 else (0, 4)
    found = optimal_control(
        model,
        start,
        end_time=end_time,
        intervals=intervals,
        maximise_end=lambda t, x, p, fn: x[product] * x[volume],
    )
    assert found.status == "solved"
    assert found.objective_resimulated >= 0.999 * best
    assert found.violation <= 1e-4
    assert found.seconds <= 60.0
    end = replayed(model, start, found, steps=2000 if len(start) == 4 else 100)
    assert end[product] * end[volume] == pytest.approx(found.objective_resimulated, rel=1e-5)


@pytest.mark.long
def test_further_problems_of_the_literature_need_no_code_of_their_own() -> None:
    free = optimal_control(
        Ethanol(),
        [1.0, 150.0, 0.0, 10.0],
        end_time=(40.0, 80.0),
        intervals=60,
        maximise_end=lambda t, x, p, fn: x[2] * x[3],
    )
    assert free.objective_resimulated >= 0.999 * 20839  # Banga and others 1997: tf 61.17 h
    assert free.times[-1] == pytest.approx(61.17, abs=1.5)
    two = optimal_control(
        Induced(),
        [1.0, 0.1, 40.0, 0.0, 0.0, 1.0, 0.0],
        end_time=10.0,
        intervals=60,
        maximise_end=lambda t, x, p, fn: x[3] * x[0],
        maximise_path=lambda t, x, u, p, fn: -5.0 * u[1],
    )
    assert two.objective_resimulated >= 0.999 * 0.8165  # Carrasco and Banga 1997
