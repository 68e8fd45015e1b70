"""A request made ready: horizon, start, factors and the vessels that its limits fear most."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from controller.planning.economic.belief import Belief
from controller.planning.economic.guesses import grid, held, pointed, sampled
from controller.planning.economic.problem import TOGETHER, Floats
from controller.planning.economic.rollout import Rollout, Run
from controller.planning.economic.sensed import BROTH, CARRYING
from controller.planning.plan import Situation

STALE_S = 1800.0  # a belief older than this is no input
VOLUME = (0.1, 1.5)  # of the greatest volume, between which a vessel is believed
BIOMASS = (0.05, 300.0)  # g/L between which there is something to plan
LAW = 0.2  # share of the way to full aeration, in logarithms, that a plan does not count on
OPEN = (0.1, 0.3)  # of the cooling: below it says nothing of how much it could carry, above all
LEAST_K = 0.5  # across a wall, below which noise is as large
CARRIES = (0.5, 2.0)  # times what the vessel's numbers say, at least and most


class Question(NamedTuple):
    """A request made ready.

    Attributes:
        belief: where it begins.
        situation: beside that.
        hours: length of each stage, shape (N,).
        given: inputs that the plan does not move, shape (N, g).
        recipe: what the recipe would do of those it moves, at the nodes, shape (N + 1, m).
        applied: what is set now, shape (m,).
        starts: states of each scenario, shape (S, n).
        factors: of each scenario, shape (S, q).
        targets: of what is tracked, shape (N, t).
        stock: L of the main feed that are left; inf: as much as is asked for.
        followed: what the last plan would do, at the nodes; ``None``: there is none.
    """

    belief: Belief
    situation: Situation
    hours: Floats
    given: Floats
    recipe: Floats
    applied: Floats
    starts: Floats
    factors: Floats
    targets: Floats
    stock: float
    followed: Floats | None = None

    @property
    def goes_on(self) -> Floats:
        """What the last plan would do, or the recipe where there is none."""
        return self.recipe if self.followed is None else self.followed


class Questions:
    """Makes requests ready, for one reactor.

    Args:
        rollout: of its control model.
        names: of a plan's columns.
        per: what they are multiples of, shape (m,).
    """

    def __init__(self, rollout: Rollout, names: tuple[str, ...], per: Floats) -> None:
        self.rollout, self.problem = rollout, rollout.problem
        self.settings = rollout.problem.settings
        self._names, self._per = names, per

    def wrong(self, belief: Belief, situation: Situation) -> str:
        """Return what cannot be planned from, or an empty string."""
        if not belief.finite:
            return "the estimate has a number that is not finite"
        for name in ("now", "batch_h", "end_h"):
            if not math.isfinite(getattr(situation, name)):
                return f"{name}: {getattr(situation, name)} is not allowed; a number is required"
        for name, value in situation.applied.items():
            if not math.isfinite(value):
                return f"{name}: {value} is applied; a number is required"
        if situation.end_h - situation.batch_h > 24.0 * 60:
            return f"end_h: {situation.end_h:g} is more than 60 days ahead"
        if situation.now - belief.time > STALE_S:
            return f"the estimate is {situation.now - belief.time:.0f} s old"
        if missing := [n for n in self.problem.states[:-1] if n not in belief.states]:
            return f"the estimate does not know {', '.join(missing)}"
        volume, most = belief.states["V"], self.settings.volume_max_l
        low, high = VOLUME[0] * most, VOLUME[1] * most
        if not low <= volume <= high:
            return f"volume: {volume:.3g} L is not believed; {low:g} to {high:g} L can be"
        cells, (low, high) = belief.states[self.problem.states[self.problem.biomass]], BIOMASS
        if not low <= cells <= high:
            return f"biomass: {cells:.3g} g/L is not believed; {low:g} to {high:g} g/L can be"
        return ""

    def prepare(self, belief: Belief, situation: Situation) -> Question:
        p, s = self.problem, self.settings
        left = situation.end_h - situation.batch_h
        if s.horizon_h is not None:
            left = min(left, s.horizon_h)
        hours = grid(left, s.stages)
        defaults = {v.name: v.default for v in p.model.inputs}
        applied = {n: situation.applied.get(n, defaults[n]) for n in p.inputs}
        profiles, now = situation.profiles, situation.now
        low, high = p.ranges[:, 0], p.ranges[:, 1]
        recipe = np.column_stack(
            [pointed(profiles.get(n, ()), applied[n], now, hours) for n in p.moved]
        )
        given = np.column_stack(
            [np.zeros(len(hours))]
            + [sampled(profiles.get(n, ()), applied[n], now, hours) for n in p.given]
        )[:, 1:]
        targets = np.column_stack(
            [np.zeros(len(hours))]
            + [sampled(profiles.get(n, ()), 0.0, now, hours) for n in s.track]
        )[:, 1:]
        belief = replace(belief, states={"drawn": 0.0, **belief.states})
        if situation.carried is not None and set(CARRYING) <= set(s.learned):
            belief = self._carrying(belief, applied, situation.carried)
        factors = {
            n: belief.factors.get(n, 1.0) * s.derated.get(n, 1.0)
            for n in {*belief.factors, *s.derated}
        }
        filled = replace(belief, factors=factors)
        if all(n in situation.applied for n in TOGETHER) and BROTH in s.learned:
            filled = self._reaching(filled, applied)
        x, f = filled.vessel(p.states, s.learned)
        stock = math.inf if situation.stock_l is None else situation.stock_l
        q = Question(
            filled, situation, hours, given, np.clip(recipe, low, high),
            np.clip([applied[n] for n in p.moved], low, high), x[None], f[None], targets,
            stock,
        )  # fmt: skip
        return self._with_scenarios(q._replace(followed=self._followed(q)))

    def _carrying(
        self, belief: Belief, applied: Mapping[str, float], carried: tuple[float, float, float]
    ) -> Belief:
        """Return the belief with what the jacket carries over what the vessel's numbers say.

        All of the heat that cells and stirrer make now goes through wall and cooler, whose drops of
        temperature are measured. As the valve opens, the coolant's own temperature, which is not,
        matters less and less: at its end what is carried is what can be.
        """
        p = self.problem
        broth, jacket, valve = carried
        x, factors = belief.vessel(p.states, self.settings.learned)
        self.rollout.strain(factors)
        u = [{**applied, "temperature": broth}[n] for n in p.inputs]
        heat, share = self.rollout.outputs_at(x.tolist(), u)[3], 0.01 * valve
        sure = min(max((share - OPEN[0]) / (OPEN[1] - OPEN[0]), 0.0), 1.0)
        if sure <= 0.0 or heat <= 0.0:
            return belief
        own = p.defaults
        across = {
            "UA": heat / max(broth - jacket, LEAST_K),
            "cooler": heat / (share * max(jacket - own["T_coolant"], LEAST_K)),
        }
        found = {n: min(max(w / own[n], CARRIES[0]), CARRIES[1]) ** sure for n, w in across.items()}
        return replace(belief, factors={**belief.factors, **found})

    def _reaching(self, belief: Belief, applied: Mapping[str, float]) -> Belief:
        """Return the belief with as much of kLa as can be counted on at full aeration.

        The sensor knows kLa where stirrer and air are now; up to their ends the vessel's law is
        followed, whose exponents differ from broth to broth. What is counted on of it is less, the
        longer the way there; when it has been gone, all of what is estimated.
        """
        p = self.problem
        x, factors = belief.vessel(p.states, self.settings.learned)
        self.rollout.strain(factors)
        u = [{**applied, "do": 0.0}[n] for n in p.inputs]
        here = self.rollout.outputs_at(x.tolist(), u)[1]
        for n, most in zip(p.inner, p.full.tolist(), strict=True):
            if n in TOGETHER:  # what pressure and pure oxygen do is no matter of the broth
                u[p.inputs.index(n)] = most
        there = self.rollout.outputs_at(x.tolist(), u)[1]
        way = math.log(max(there / max(here, 1e-6), 1.0))
        kla = belief.factors.get(BROTH, 1.0) * math.exp(-LAW * way)
        return replace(belief, factors={**belief.factors, BROTH: kla})

    def _with_scenarios(self, q: Question) -> Question:
        """Return the question with the vessels that each limit fears most beside the likely one.

        Along the last plan, or the recipe, each part of what is not known moves each limit by
        something; together they point to the vessel of a given improbability in which that limit is
        used most. Those of the limits that come nearest are taken.
        """
        p, count = self.problem, self.settings.scenarios
        starts, factors = q.starts.repeat(count, axis=0), q.factors.repeat(count, axis=0)
        parts = len(q.belief.parts)
        if count > 1 and parts:
            moved = q.goes_on
            usual = self.run(q, moved, q.starts[0], q.factors[0]).shares
            slopes = np.zeros((parts, len(p.limits)))
            for i in range(parts):
                x, f = q.belief.vessel(p.states, self.settings.learned, np.eye(parts)[i])
                run = self.run(q, moved, x, f)
                moves = run.shares - usual
                rows = np.argmax(np.abs(moves), axis=0)
                slopes[i] = moves[rows, np.arange(moves.shape[1])]
            slopes = np.nan_to_num(slopes)
            size = np.sqrt((slopes**2).sum(axis=0))
            feared = np.nan_to_num(usual.max(axis=0)) + self.settings.caution * size
            order = [k for k in np.argsort(-feared) if size[k] > 1e-3][: count - 1]
            for i, k in enumerate(order):
                weights = self.settings.caution * slopes[:, k] / size[k]
                starts[i + 1], factors[i + 1] = q.belief.vessel(
                    p.states, self.settings.learned, weights.tolist()
                )
        return q._replace(starts=starts, factors=factors)

    def _followed(self, q: Question) -> Floats | None:
        """Return what the last plan would do, if it is one of the same inputs."""
        previous, p = q.situation.previous, self.problem
        if previous is None or not previous.finite or previous.names != self._names:
            return None
        return held(previous, q.situation.now, q.hours, p.ranges, self._per, q.applied)

    def run(self, q: Question, moved: Floats, start: Floats, factors: Floats) -> Run:
        """Run inputs on the control model from a start, with factors of what is learned."""
        return self.rollout.run(start, factors, q.hours, moved, q.given)
