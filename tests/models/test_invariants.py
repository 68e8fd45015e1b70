"""What holds in every batch of any organism in any vessel: nothing is made of nothing.

A batch here is a plant whose every flow of carbon, electrons, nitrogen and mass is added up beside
it, written down again from what pumps and gas carry and not taken from the model's own balances.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from models import heat, symbolic
from models.bioreactor import M_CO2, M_O2, Bioreactor
from models.fn import SCALARS
from models.model import Functions, Variable
from models.organism import Composition
from models.organisms import ORGANISMS
from models.vessel_variables import OWN
from models.vessels import DENSITY, VESSELS

HOURS = 6.0
COUNTED = tuple(
    Variable(f"{what}_in", unit, doc=f"{what} that came in, less what went out")
    for what, unit in (("carbon", "mmol"), ("electrons", "mmol"), ("nitrogen", "mmol"), ("M", "kg"))
)
NOTHING = Composition(0.0, 0.0, 0.0)
QUICK = {("ecoli", "5l"), ("yeast", "300l"), ("penicillin", "100m3")}
PAIRS = [
    pytest.param(o, v, id=f"{o}-{v}", marks=() if (o, v) in QUICK else pytest.mark.long)
    for o in ORGANISMS
    for v in VESSELS
]


class Counted(Bioreactor):
    """A reactor with a meter on each of its pipes."""

    def __init__(self, organism: str, vessel: str) -> None:
        super().__init__(ORGANISMS[organism](), VESSELS[vessel])
        self.states = (*self.states, *COUNTED)

    def rhs(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        x = x[: -len(COUNTED)]
        c, s = self._state(x)
        i, v = self._input(u), self._named(p)
        f = self.flows(c, s, i, p, fn)
        rates = super().rhs(t, x, u, p, fn)
        vapour = (1.0 - self.vessel.condenser_share) * heat.evaporation(
            i.air + i.oxygen, s.T, i.pressure, fn
        )
        out = self._taken(s, i, fn)
        feeds = list(zip(self.organism.feeds, i.feeds, strict=True))
        held = self.inventory(dict(zip((v.name for v in self.states), x, strict=False)), s.V)
        brought = {"carbon": 0.0, "electrons": 0.0, "nitrogen": i.base * v["c_base"]}
        kg = DENSITY * (i.acid + i.base + i.antifoam)
        for feed, litres in feeds:
            kg = kg + litres * (v[feed.density] if feed.density else DENSITY)
            for name, concentration in feed.brings.items():
                made_of = self.organism.composition.get(name, NOTHING)
                amount = 1e3 * litres * v[concentration]
                for what in ("carbon", "electrons", "nitrogen"):
                    brought[what] = brought[what] + getattr(made_of, what) * amount
                if name == "NH3":
                    brought["nitrogen"] = brought["nitrogen"] + litres * v[concentration]
        otr, ctr = f.otr * s.V, f.ctr * s.V  # mmol/h
        gone = {what: out / s.V * amount for what, amount in held.items()}
        return (
            *rates,
            brought["carbon"] - ctr - gone["carbon"],
            brought["electrons"] - 4.0 * otr - gone["electrons"],
            brought["nitrogen"] - gone["nitrogen"],
            kg + (M_O2 * otr - M_CO2 * ctr) * 1e-6 - vapour - out * s.M / s.V,
        )

    def inventory(self, named: Mapping[str, Any], V: Any) -> dict[str, Any]:
        """Return what is in the broth, mmol; oxygen counts as electrons that are missing."""
        made_of = self.organism.composition
        parts = {
            what: sum(1e3 * getattr(c, what) * named[n] for n, c in made_of.items())
            for what in ("carbon", "electrons", "nitrogen")
        }
        parts["carbon"] = parts["carbon"] + named["CO2"] + named["HCO3"]
        parts["electrons"] = parts["electrons"] - 4.0 * named["O"] / M_O2 * 1e3
        parts["nitrogen"] = parts["nitrogen"] + named["NH3"]
        return {what: V * amount for what, amount in parts.items()}


@dataclass
class Batch:
    """Where a batch began, where it ended, and the least of each state on its way."""

    start: dict[str, float]
    end: dict[str, float]
    least: dict[str, float]
    ph: list[float] = field(default_factory=list[float])


@cache
def plant(organism: str, vessel: str) -> tuple[Counted, symbolic.Compiled]:
    model = Counted(organism, vessel)
    (step,) = symbolic.compiled([symbolic.plant_step(model)], None).values()
    return model, step


def driven(model: Bioreactor, feeds: bool) -> Callable[[float, Mapping[str, float]], list[float]]:
    """Return a crude operator: inputs by age (h) and state."""
    volume = model.vessel.start_volume_l
    a = model.actuators
    rest = {v.name: v.default for v in model.inputs}
    litres = {f.name: u for f, u in zip(model.organism.feeds, _litres(model), strict=True)}

    def inputs(age: float, x: Mapping[str, float]) -> list[float]:
        u = rest | {"stirrer": 0.8 * a["stirrer"].high, "air": 0.6 * a["air"].high}
        cold = model.organism.temperature - x["T"]
        u["heater"] = min(100.0, max(0.0, 20.0 * cold))
        u["cooling"] = min(100.0, max(0.0, -20.0 * cold))
        if not feeds:
            return list(u.values())
        sour = model.organism.acidity - x["pH"]
        u["base"] = min(1.0, max(0.0, 2.0 * sour)) * a["base"].high
        u["harvest"] = 0.002 * volume if a["harvest"].high and age > 2.0 else 0.0
        for k, (name, per_unit) in enumerate(litres.items()):
            share = 0.003 if k == 0 else 2e-4
            u[name] = share * volume / per_unit if age > 1.0 else 0.0
        return list(u.values())

    return inputs


def _litres(model: Bioreactor) -> Iterator[float]:
    """Yield the L/h of one of each feed's unit."""
    probe = [1.0] * len(model.inputs)
    yield from model._input(probe).feeds  # pyright: ignore[reportPrivateUsage]


def run(
    organism: str, vessel: str, step_s: float = 5.0, hours: float = HOURS, **start: float
) -> Batch:
    """Return a batch; ``start`` replaces states, and without biomass nothing is fed."""
    model, step = plant(organism, vessel)
    p = [v.default for v in model.parameters]
    names = [v.name for v in model.states]
    biomass = start.pop("biomass", 5.0)
    x = dict(zip(names, model.start(p, None, biomass, 2.0), strict=True)) | start
    operate = driven(model, biomass > 0.0)
    batch = Batch(dict(x), {}, dict(x))
    step.arguments[0][:] = type(step.arguments[0])("d", x.values())
    step.arguments[2][:] = type(step.arguments[2])("d", p)
    step.arguments[3][0] = step_s / 3600.0
    for minute in range(round(60.0 * hours)):
        u = operate(minute / 60.0, x)
        step.arguments[1][:] = type(step.arguments[1])("d", u)
        for _ in range(round(60.0 / step_s)):
            step()
            step.arguments[0][:] = step.results[0]
        x = dict(zip(names, step.results[0], strict=True))
        batch.least = {n: min(v, x[n]) for n, v in batch.least.items()}
        batch.ph.append(x["pH"])
    batch.end = x
    return batch


usual = cache(run)


@pytest.mark.parametrize(("organism", "vessel"), PAIRS)
def test_nothing_is_made_or_lost(organism: str, vessel: str) -> None:
    """Carbon is asked for within 1 %, electrons within 5 %; both close to a millionth."""
    model, _ = plant(organism, vessel)
    batch = usual(organism, vessel)
    before = model.inventory(batch.start, batch.start["V"])
    after = model.inventory(batch.end, batch.end["V"])
    for what in before:
        came = batch.end[f"{what}_in"]
        assert after[what] == pytest.approx(before[what] + came, rel=1e-6), what
        assert abs(came) > 1e-3 * before[what], "a batch in which nothing happens proves nothing"


@pytest.mark.parametrize(("organism", "vessel"), PAIRS)
def test_the_weight_is_what_came_in_less_what_went_out(organism: str, vessel: str) -> None:
    batch = usual(organism, vessel)
    gained = batch.end["M"] - batch.start["M"]
    assert gained == pytest.approx(batch.end["M_in"], rel=1e-6, abs=1e-9 * batch.end["M"])
    assert batch.end["M"] / batch.end["V"] == pytest.approx(DENSITY, rel=0.05)


@pytest.mark.parametrize(("organism", "vessel"), PAIRS)
def test_no_concentration_is_ever_below_none(organism: str, vessel: str) -> None:
    model, _ = plant(organism, vessel)
    batch = usual(organism, vessel)
    for v in (*model.organism.species, *OWN):
        if v.low >= 0.0:
            assert batch.least[v.name] >= -1e-9, v.name


@pytest.mark.parametrize(("organism", "vessel"), PAIRS)
def test_halving_the_step_moves_no_result_by_a_thousandth(organism: str, vessel: str) -> None:
    model, _ = plant(organism, vessel)
    coarse, fine = usual(organism, vessel).end, run(organism, vessel, 2.5).end
    for name in {*model.organism.called.values(), "V", "electrons_in"}:
        # by-products are also judged against what their limits are made of: grams per litre
        assert fine[name] == pytest.approx(coarse[name], rel=1e-3, abs=1e-3), name


@pytest.mark.parametrize(("organism", "vessel"), PAIRS)
def test_a_dead_vessel_goes_to_saturation_and_keeps_its_ph(organism: str, vessel: str) -> None:
    model, step = plant(organism, vessel)
    batch = run(organism, vessel, hours=3.0, biomass=0.0, O=0.0)
    p = [v.default for v in model.parameters]
    u = list(step.arguments[1])
    do, our, cer = model.output(0.0, list(batch.end.values()), u, p, SCALARS)[:3]
    full = model.vessel.pressure_bar + model.vessel.static_bar(batch.end["V"])
    full /= model.vessel.calibration_bar
    assert do == pytest.approx(100.0 * full, abs=0.5)
    assert our == pytest.approx(0.0, abs=1e-9) == cer
    assert max(batch.ph) - min(batch.ph) < 0.02
    for v in model.organism.species:
        if v.unit == "g/L":
            assert batch.end[v.name] * batch.end["V"] == pytest.approx(
                batch.start[v.name] * batch.start["V"], rel=1e-6
            ), v.name
