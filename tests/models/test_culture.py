"""The control model of any organism: the vessel's own rates, without the vessel."""

from pathlib import Path

import numpy as np
import pytest

from models import heat, symbolic
from models.bioreactor import Bioreactor
from models.culture import Culture
from models.fn import SCALARS
from models.organism import Organism
from models.organisms import ORGANISMS
from models.vessels import LIQUID_L_PER_H, PILOT_300L

ALL = [make() for make in ORGANISMS.values()]


@pytest.mark.parametrize("organism", ALL, ids=lambda o: o.name)
def test_it_moves_as_the_organism_does_in_a_vessel(organism: Organism) -> None:
    big, small = Bioreactor(organism, PILOT_300L), Culture(organism)
    p = [v.default for v in big.parameters]
    chance = np.random.default_rng(3)
    for _ in range(20):
        state = dict(zip((v.name for v in big.states), big.start(p, 150.0), strict=True))
        for v in organism.species:
            state[v.name] = float(chance.uniform(0.0, 5.0 if v.unit != "1" else 1.0))
        state |= {"O": float(chance.uniform(0.0, 0.015)), "NH3": float(chance.uniform(1.0, 100.0))}
        given = {v.name: v.default for v in big.inputs}
        for feed in organism.feeds:
            given[feed.name] = 0.3 * big.actuators[feed.name].high
        given["base"] = 20.0
        slopes = big.rhs(0.0, list(state.values()), list(given.values()), p, SCALARS)
        wanted = dict(zip(state, slopes, strict=True))
        litres = {n: LIQUID_L_PER_H[big.actuators[n].unit] for n in ("base", "harvest")}
        flows = [given[f.name] * LIQUID_L_PER_H[big.actuators[f.name].unit] for f in organism.feeds]
        gone = heat.evaporation(given["air"], state["T"], given["pressure"], SCALARS)
        dried = (1.0 - PILOT_300L.condenser_share) * gone
        u = [*flows, given["base"] * litres["base"], -dried, 0.0]
        u += [state[n] for n in ("O", "T", "pH")]
        x = [state[v.name] for v in small.states]
        q = p[: len(small.parameters)]
        for v, slope in zip(small.states, small.rhs(0.0, x, u, q, SCALARS), strict=True):
            assert slope == pytest.approx(wanted[v.name], rel=1e-9, abs=1e-9), v.name
        mu, our, cer = small.output(0.0, x, u, q, SCALARS)
        y = big.output(0.0, list(state.values()), list(given.values()), p, SCALARS)
        assert (our, cer, mu) == pytest.approx((y[1], y[2], y[5]), rel=1e-12)


@pytest.mark.parametrize("organism", ALL, ids=lambda o: o.name)
def test_it_can_be_traced_and_stepped(
    organism: Organism, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (step,) = symbolic.compiled([symbolic.rosenbrock(Culture(organism))]).values()
    model = Culture(organism)
    for buffer, part in zip(step.arguments, (model.states, model.inputs, model.parameters)):  # noqa: B905
        buffer[:] = type(buffer)("d", [v.default for v in part])
    step.arguments[3][0] = 0.01
    step()
    assert all(np.isfinite(step.results[0]))
