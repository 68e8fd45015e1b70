"""The twins: the same words and pumps as what they stand in for, and mechanisms of their own."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from models import oxygen, symbolic
from models.culture import Culture
from models.ecoli import EColi
from models.ecoli_twin import EColiTwin
from models.fn import SCALARS
from models.organism import Organism
from models.organisms import ORGANISMS, TWINS
from models.yeast import Yeast
from models.yeast_twin import YeastTwin

AIR = float(oxygen.saturation(37.0, oxygen.AIR_O2, 1.05, SCALARS))
STEP_S = 10.0


def course(
    organism: Organism,
    hours: float,
    fed: Callable[[float], Mapping[str, float]] = lambda _t: {},
    **start: float,
) -> list[dict[str, float]]:
    """Return states and outputs every 10 s of 3 L that never lack oxygen or ammonia."""
    model = Culture(organism)
    p = [v.default for v in model.parameters]
    (step,) = symbolic.compiled([symbolic.rosenbrock(model)], None).values()
    x = {v.name: v.default for v in model.states} | {"V": 3.0, "NH3": 3000.0} | start
    rest = {v.name: v.default for v in model.inputs} | {"O": AIR}
    names = (*x, *(v.name for v in model.outputs))
    rows: list[dict[str, float]] = []
    numbers: list[float] = list(x.values())
    for k in range(round(hours * 3600.0 / STEP_S)):
        u = list((rest | dict(fed(k * STEP_S / 3600.0))).values())
        for buffer, values in zip(step.arguments, (numbers, u, p, [STEP_S / 3600.0]), strict=True):
            buffer[:] = type(buffer)("d", values)
        step()
        numbers = list(step.results[0])
        y: Any = model.output(0.0, numbers, u, p, SCALARS)
        rows.append(
            {"h": (k + 1) * STEP_S / 3600.0, **dict(zip(names, (*numbers, *y), strict=True))}
        )
    return rows


@pytest.mark.parametrize(("believed", "twin"), TWINS.items())
def test_a_twin_runs_in_the_same_plant_file(believed: str, twin: str) -> None:
    ours, other = ORGANISMS[believed](), ORGANISMS[twin]()
    assert other.called == ours.called
    assert [(f.name, f.pump) for f in other.feeds] == [(f.name, f.pump) for f in ours.feeds]
    assert [f.brings for f in other.feeds] == [f.brings for f in ours.feeds]
    assert (other.temperature, other.acidity, other.salts) == (
        ours.temperature, ours.acidity, ours.salts,
    )  # fmt: skip
    assert {v.name for v in other.species} != {v.name for v in ours.species}


def test_ecoli_batches_end_alike() -> None:
    """10 g/L glucose: the strain of the source leaves 9 % C/C acetate after 7.4 h; ours 10.8."""
    (hours, cells, acetate), (hours_2, cells_2, acetate_2) = (
        next((r["h"], r["X"], r["A"]) for r in course(o, 9.0, X=0.1) if r["S"] < 0.05)
        for o in (EColi(), EColiTwin())
    )
    assert hours_2 == pytest.approx(hours, abs=0.6)
    assert cells_2 == pytest.approx(cells, rel=0.08)
    assert acetate_2 == pytest.approx(0.9, abs=0.1)
    assert acetate == pytest.approx(1.0, abs=0.15)


def test_it_makes_acetate_while_glucose_limits_and_eats_it_at_once() -> None:
    """At 0.2 1/h, well below any bottleneck, where the believed model makes none."""

    def fed(t: float) -> dict[str, float]:
        return {"feed": 0.0145 * SCALARS.exp(0.2 * t)}

    believed, twin = (course(o, 5.0, fed, X=5.0, S=0.05)[-1] for o in (EColi(), EColiTwin()))
    assert believed["A"] < 1e-4
    assert 0.005 < twin["A"] < 0.05
    assert believed["mu"] == pytest.approx(twin["mu"], rel=0.05)


def test_cells_that_grew_slowly_cannot_take_what_cells_that_grew_fast_can() -> None:
    slow, fast = (
        course(EColiTwin(), 0.5, X=5.0, S=5.0, R=ribosomes)[60]["mu"] for ribosomes in (0.55, 0.86)
    )
    assert slow < 0.75 * fast


def test_expression_lags_behind_the_inducer_and_ends_in_full_cells() -> None:
    rows = course(EColiTwin(), 24.0, lambda _t: {"feed": 0.03}, X=20.0, S=0.01, inducer=1.0)
    made = [
        b["P"] * b["V"] - a["P"] * a["V"] for a, b in zip(rows[::360], rows[360::360], strict=False)
    ]
    assert made[0] < 0.6 * max(made)
    assert made[-1] < 0.8 * max(made)


def test_yeast_waits_for_its_enzymes_between_glucose_and_ethanol() -> None:
    rows = course(YeastTwin(), 12.0, X=0.2, S=20.0)
    last = next(k for k, r in enumerate(rows) if r["S"] < 0.02)
    at_once, later = rows[last + 30]["mu"], max(r["mu"] for r in rows[last + 30 :])
    assert rows[last]["R"] < 0.3
    assert at_once < 0.5 * later
    ours = course(Yeast(), 9.0, X=0.2, S=20.0)
    last = next(k for k, r in enumerate(ours) if r["S"] < 0.02)
    assert ours[last + 30]["mu"] > 0.8 * max(r["mu"] for r in ours[last + 30 :])


def test_yeast_that_starves_lives_on_its_store_first() -> None:
    full, empty = (course(YeastTwin(), 6.0, X=10.0, S=0.0, G=store, R=1.0) for store in (1.5, 0.0))
    assert full[0]["mu"] > 0.0 > empty[0]["mu"]
    assert full[-1]["G"] < 0.75
    assert full[-1]["X"] > empty[-1]["X"]


def test_its_critical_growth_is_lower_after_much_glucose() -> None:
    """Ethanol at the same uptake, with enzymes of slow growth and of a batch."""
    twin, p = YeastTwin(), [v.default for v in YeastTwin.parameters]
    spilt = [twin.rates((5.0, 0.025, 0.0, 0.3, R), AIR, p, SCALARS)[0].qEp for R in (0.1, 0.9)]
    assert spilt[0] > 3.0 * spilt[1]
