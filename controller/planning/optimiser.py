"""The optimiser: feed and oxygen setpoints from now to harvest for the most product.

It rides the limits that it can see coming: oxygen transfer with the kLa of this broth, respiration
of this strain, volume, cooling. Every plan is run on the estimator's model before it is good;
the solver's word alone is never taken.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from controller.planning.cells import Cells, Limits, Node, Situated
from controller.planning.horizon import Horizon, acetate_left, followed, grid, ridden
from controller.planning.nlp import Floats, Problem, Solution, fill
from controller.planning.optimiser_settings import OptimiserSettings
from controller.planning.plan import Plan, Situation
from controller.planning.rollout import Course, Point, Rollout, constant, linear, point
from controller.sensing.estimate import ORGANISMS, Estimate
from drivers.clock import monotonic
from models.fedbatch import FACTORS
from models.organisms import of_strain
from models.vessels import VESSELS

__all__ = ["Optimiser", "OptimiserSettings"]

LEAST_H = 0.05  # before harvest, below which there is nothing left to plan
STALE_S = 600.0  # an estimate older than this is no input
HUNGRY = 0.3  # g/L of substrate that must be eaten before more is fed
BATCH_H = 12.0  # longest wait for the batch sugar
LESS = (0.8, 0.5, 0.2, 0.0)  # shares of the ridden limits that are tried when nothing else holds
LEAST_G = 0.5  # of biomass when feeding begins; far below, the problem's scales are wrong
FIRST_L_PER_H = 0.006  # of feed that may begin at once, beside a quarter more than is applied
BIOMASS = (0.05, 300.0)  # g/L between which there is something to plan
NINETY = 1.645  # standard deviations to either side
MOVED = (  # by the covariance, when a plan's interval is worked out
    *("biomass_g_per_l", "product_g_per_l", "volume_l"),
    *(name for name, _ in FACTORS),
)
BINDING = 0.02  # share within a limit that counts as at it


class _Question(NamedTuple):
    """A request made ready: the past until feeding starts, and the horizon from there."""

    estimate: Estimate
    situation: Situation
    before: list[Point]  # from now until the first feed; one point if that is now
    wait: float  # h from now until then
    horizon: Horizon
    factors: list[float]
    induced_at: float  # h after ``wait``; inf: never


class _Answer(NamedTuple):
    """One candidate with its rollout."""

    origin: str
    hours: Floats
    feed: Floats  # L/h
    do: Floats  # %
    points: list[Point]
    objective: float
    broken: str
    slack: Floats | None


class Optimiser:
    """Plans for one kind of reactor; keeps no state between plans.

    Args:
        settings: limits and margins.
    """

    def __init__(self, settings: OptimiserSettings) -> None:
        self.settings = s = settings
        organism = of_strain(ORGANISMS[s.organism](), s.strain)
        vessel = VESSELS[s.vessel]
        limits = Limits(
            stirrer_max=s.stirrer_max,
            air_max=s.air_max,
            temperature=s.temperature,
            volume_max=0.94 * s.volume_max_l,
            feed_min=s.feed_min_ml_per_h / 1e3,
            feed_max=s.feed_max_ml_per_h / 1e3,
            slope_max=s.feed_slope_ml_per_h2 / 1e3,
            do_min=s.do_min,
            do_max=s.do_max,
            heat_max=_removable_w(vessel.parameters, s.temperature),
        )
        self._cells = Cells(organism, vessel, limits)
        self._problem = Problem(self._cells, s.stages)
        self.rollout = Rollout(self._cells)
        self._defaults = {v.name: v.default for v in organism.parameters}

    def warm_up(self) -> None:
        """Build the solver now, so that the first plan is as fast as any."""
        self._problem.solver(self.settings.first_solver)

    def plan(self, estimate: Estimate, situation: Situation) -> Plan:
        """Return a plan; never raises for numbers: what is wrong is the plan's status."""
        began = monotonic()
        most = self._cells.limits.volume_max
        wrong = _wrong(estimate, situation, 0.1 * most, most)
        if wrong:
            return Plan("bad_input", situation.now, reason=wrong, solve_s=monotonic() - began)
        if situation.end_h - situation.batch_h < LEAST_H:
            return self._nothing_left(situation)
        question = self._prepare(estimate, situation)
        if isinstance(question, str):
            return Plan("infeasible", situation.now, reason=question, solve_s=monotonic() - began)
        best: _Answer | None = None
        refused: list[str] = []
        for answer in self._candidates(question):
            if answer.broken:
                refused.append(f"{answer.origin}: {answer.broken}")
            elif best is None or answer.objective > best.objective:
                best = answer
            if best is not None and (best.slack is not None or answer.origin.endswith("limits")):
                break  # solved and checked, or as good as it gets; what follows feeds less
        spent = monotonic() - began
        if best is None:
            return Plan("infeasible", situation.now, reason="; ".join(refused[:2]), solve_s=spent)
        return self._as_plan(question, best, spent)

    def _nothing_left(self, situation: Situation) -> Plan:
        """Return what goes on until harvest when that is minutes away."""
        do = self.settings.do_min
        return Plan(
            "good",
            situation.now,
            (situation.now,),
            ((situation.feed_ml_per_h, do),),
            reason="",
            active=("harvest",),
            objective=0.0,
            solve_s=0.0,
        )

    def _prepare(self, estimate: Estimate, situation: Situation) -> _Question | str:
        """Run the model until it may be fed and lay the horizon from there, or say why not."""
        s = self.settings
        names = [name for name, _ in FACTORS]
        factors = [estimate.value(name) for name in names]
        start = [max(value, 0.0) for value in estimate.mean[:6]]
        start[0] = max(start[0], 0.01)
        left = situation.end_h - situation.batch_h
        induction = math.inf
        if situation.induced:
            induction = 0.0
        elif situation.induction_h is not None:
            induction = max(situation.induction_h - situation.batch_h, 0.0)
        waiting = s.do_max - 5.0  # nothing is short of oxygen yet: more of it, less acetate
        before = [point(0.0, start, 0.0, waiting, 0.0)]
        base = estimate.base_ml_per_g / 1e3
        if start[1] > (HUNGRY if situation.feeding else 0.5 * HUNGRY):
            course = Course(constant(0.0), constant(waiting), induction)
            before = self.rollout.run(
                start,
                factors,
                course,
                min(left, BATCH_H),
                s.feed_substrate_g_per_l,
                base,
                until_gone=True,
            )
        wait, at = before[-1].hours, before[-1]
        if left - wait < LEAST_H:
            return "the batch sugar is not eaten up before harvest"
        if at.X * at.V < LEAST_G:
            return f"{at.X * at.V:.2g} g of biomass is too little to plan for"
        induced_at = max(induction - wait, 0.0)
        hours = grid(left - wait, s.stages, induced_at)
        limits = self._cells.limits
        applied = situation.feed_ml_per_h / 1e3 * estimate.feed_factor if wait == 0 else 0.0
        highest = (
            1.25 * applied + FIRST_L_PER_H
        )  # a hungry culture must not take the oxygen at once
        situated = Situated(
            biomass_g=at.X * at.V,
            volume_l=at.V,
            product_g=at.P * at.V,
            kla_factor=estimate.value("kla_factor"),
            feed_g_per_l=s.feed_substrate_g_per_l,
            base_l_per_g=base,
            biomass_value=0.0 if induced_at < left - wait else 1.0,
            do_floor=s.do_min,
            factors=factors,
        )
        horizon = Horizon(
            hours=hours,
            nodes=self._nodes(hours, at, estimate, induced_at, factors),
            situated=situated,
            start=(limits.feed_min, min(max(highest, limits.feed_min), limits.feed_max)),
        )
        return _Question(estimate, situation, before, wait, horizon, factors, induced_at)

    def _nodes(
        self, hours: Floats, at: Point, estimate: Estimate, induced_at: float, factors: list[float]
    ) -> tuple[Node, ...]:
        s = self.settings
        spread = {
            name: estimate.sd(name) / max(estimate.value(name), 1e-6)
            for name in ("kla_factor", "qomax_factor", "biomass_g_per_l")
        }
        oxygen = s.oxygen_share * (1.0 - min(s.caution * spread["kla_factor"], 0.3))
        doubt = math.hypot(spread["qomax_factor"], spread["biomass_g_per_l"])
        uptake = s.uptake_share * (1.0 - min(s.caution * doubt, 0.4))
        acetate = acetate_left(hours, at.A, at.X, self._defaults["qAmax"])
        strain = self._cells.aeration.model.strain([*self._defaults.values(), *factors])
        half = self._defaults["KA"]
        loss = float(self._cells.organism.capacity_loss(strain))
        nodes: list[Node] = []
        for k, t in enumerate(hours):
            length = float(hours[k + 1] - t) if k + 1 < len(hours) else 0.0
            induced = 1.0 if t >= induced_at - 1e-9 else 0.0
            expression = at.E * math.exp(-loss * max(float(t) - induced_at, 0.0))
            due = min(float(acetate[k]) / s.acetate_max_g_per_l, 0.99)
            nodes.append(
                Node(
                    hours=length,
                    expression=expression,
                    induced=induced,
                    acetate=float(acetate[k]),
                    acetate_eaten=half * due / (1.0 - due),
                    seen=1.0 if t > induced_at + 1e-6 else 0.0,
                    oxygen_share=oxygen,
                    uptake_share=uptake,
                )
            )
        return tuple(nodes)

    def _candidates(self, q: _Question) -> Iterator[_Answer]:
        """Yield candidates, the most promising first; a caller stops at the first solved one."""
        guesses: list[tuple[str, Floats]] = []
        riding = ridden(self._problem, q.horizon, self._cells.limits.feed_max)
        previous = q.situation.previous
        if previous is not None and previous.finite:
            guesses.append(("shifted plan", self._follow(q, previous.at)))
        guesses.append(("ridden limits", riding))
        for origin, guess in guesses:
            yield self._solved(self.settings.first_solver, origin, q, guess)
        yield self._solved("ipopt", "ridden limits", q, riding)
        for origin, guess in reversed(guesses):  # the heuristic itself, then the old plan
            yield self._answer(origin, q, guess[:, 3], guess[:, 4], None, None)
        if len(q.situation.recipe) > 1:
            times, values = zip(*q.situation.recipe, strict=True)

            def profile(time: float, name: str) -> float:
                if name != "feed_ml_per_h":
                    return self.settings.do_min
                return float(np.interp(time, times, values))

            guess = self._follow(q, profile)
            yield self._answer("recipe", q, guess[:, 3], guess[:, 4], None, None)
        for share in LESS:
            feed, do = share * riding[:, 3], riding[:, 4]
            yield self._answer(f"{share:g} of ridden limits", q, feed, do, None, None)

    def _follow(self, q: _Question, at: Callable[[float, str], float]) -> Floats:
        zero, factor = q.situation.now + q.wait * 3600.0, q.estimate.feed_factor / 1e3
        return followed(
            self._problem,
            q.horizon,
            lambda h: max(at(zero + h * 3600.0, "feed_ml_per_h"), 0.0) * factor,
            lambda h: at(zero + h * 3600.0, "do_percent"),
        )

    def _solved(self, solver: str, origin: str, q: _Question, guess: Floats) -> _Answer:
        h = q.horizon
        if not np.isfinite(guess).all():
            return _refused(f"{solver} from {origin}", "the guess left the numbers")
        found: Solution = self._problem.solve(solver, h.situated, h.start, h.nodes, guess)
        name = f"{solver} from {origin}"
        if not (np.isfinite(found.feed_l_per_h).all() and math.isfinite(found.objective)):
            return _refused(name, f"no numbers ({found.status})")
        if found.status != "solved":
            return _refused(name, f"not solved ({found.status})")
        return self._answer(
            name, q, found.feed_l_per_h, found.do_percent, found.slack, float(found.product_g[-1])
        )

    def _answer(
        self,
        origin: str,
        q: _Question,
        feed: Floats,
        do: Floats,
        slack: Floats | None,
        promised: float | None,
    ) -> _Answer:
        """Run a candidate on the estimator's model and judge it."""
        s, hours = self.settings, q.horizon.hours
        feed = np.clip(feed, self._cells.limits.feed_min, self._cells.limits.feed_max)
        do = np.clip(do, s.do_min, s.do_max)
        if not np.isfinite(feed).all():
            return _refused(origin, "the feed left the numbers")
        course = Course(linear(hours, feed), linear(hours, do), q.induced_at)
        points = self.rollout.run(
            q.before[-1][1:7],
            q.factors,
            course,
            float(hours[-1]),
            s.feed_substrate_g_per_l,
            q.estimate.base_ml_per_g / 1e3,
        )
        broken = self.rollout.broken(points, q.estimate, s.acetate_max_g_per_l, promised)
        last = points[-1]
        fed = float(np.trapezoid(feed, hours)) * s.feed_substrate_g_per_l
        value = q.horizon.situated.biomass_value
        objective = last.P * last.V + value * last.X * last.V - 5e-4 * fed
        return _Answer(origin, hours, feed, do, points, objective, broken, slack)

    def _as_plan(self, q: _Question, answer: _Answer, spent: float) -> Plan:
        now, zero = q.situation.now, q.situation.now + q.wait * 3600.0
        per = 1e3 / q.estimate.feed_factor  # the pump's own figure, mL/h
        times = [zero + 3600.0 * float(t) for t in answer.hours]
        rows = [(float(f) * per, float(d)) for f, d in zip(answer.feed, answer.do, strict=True)]
        points = [_nearest(answer.points, float(t)) for t in answer.hours]
        if q.wait > 0:  # nothing is fed until then
            times = [now, zero - 0.5, *times]
            rows = [(0.0, q.before[0].do), (0.0, q.before[0].do), *rows]
            points = [q.before[0], q.before[-1], *points]
        predicted = {
            "biomass_g_per_l": tuple(p.X for p in points),
            "substrate_g_per_l": tuple(p.S for p in points),
            "acetate_g_per_l": tuple(p.A for p in points),
            "product_g": tuple(p.P * p.V for p in points),
            "volume_l": tuple(p.V for p in points),
            "our_mmol_per_l_h": tuple(p.our for p in points),
        }
        binding, slack = self._limits(q, answer)
        held = max(binding, key=lambda name: binding[name], default="")
        spread = {name: tuple(row) for name, row in self._spread(q, answer).items()}
        if q.wait > 0:
            spread = {name: (0.0, row[0], *row) for name, row in spread.items()}
        exceeded = (f"{name} exceeded by {100 * by:.0f} %" for name, by in slack.items())
        return Plan(
            "good",
            now,
            tuple(times),
            tuple(rows),
            predicted,
            reason="" if answer.slack is not None else f"not optimised: {answer.origin}",
            active=tuple(sorted((*binding, *exceeded))),
            objective=answer.objective,
            solve_s=spent,
            spread=spread,
            binding=held,
            slack=slack,
        )

    def _limits(self, q: _Question, answer: _Answer) -> tuple[dict[str, float], dict[str, float]]:
        """Return for how many hours each limit binds along the plan, and by how much it is broken.

        The second are shares of the limit, of those that the solver had to exceed.
        """
        hours: dict[str, float] = {}
        limits, h = self._cells.limits, q.horizon
        flat = (*h.situated[:8], *h.situated.factors)
        for k in range(len(answer.hours)):
            p = _nearest(answer.points, float(answer.hours[k]))
            y = (p.X * p.V, p.V, p.P * p.V)
            inputs = (float(answer.feed[k]), 0.0, float(answer.do[k]))
            shares = self._problem.shares_at(y, inputs, h.nodes[k], flat)
            most = (h.nodes[k].oxygen_share, h.nodes[k].uptake_share, 1.0)
            at = [
                name
                for name, share, limit in zip(
                    ("oxygen transfer", "specific uptake", "cooling"), shares, most, strict=True
                )
                if share > limit - BINDING
            ]
            if limits.volume_max - 0.02 < p.V:
                at.append("volume")
            if answer.feed[k] > limits.feed_max - 1e-4:
                at.append("feed pump")
            for name in at:
                hours[name] = hours.get(name, 0.0) + h.nodes[k].hours
        slack: dict[str, float] = {}
        if answer.slack is not None:
            over = answer.slack.max(axis=0)
            for name, by in zip(("oxygen transfer", "specific uptake"), over, strict=True):
                if by > 0.01:
                    slack[name] = float(by)
        return hours, slack

    def _spread(self, q: _Question, answer: _Answer) -> dict[str, Floats]:
        """Return half the 90 % interval of what is predicted, by the covariance of the estimate.

        Each of its principal parts moves the start and the strain by one standard deviation, the
        problem's own stages carry it along the plan, and what comes of all is added as squares.
        """
        s, step = q.horizon.situated, self._problem.step
        moved = q.estimate.relative(MOVED)
        slopes = np.append(np.diff(answer.feed), 0.0)

        def run(off: Floats) -> Floats:
            biomass, product, volume, *factors = np.exp(off)
            y = [s.biomass_g * biomass * volume, s.volume_l * volume, s.product_g * product]
            flat = [*s[:8], *(f * d for f, d in zip(factors, s.factors, strict=True))]
            rows = [y]
            for k, node in enumerate(q.horizon.nodes[:-1]):
                slope = slopes[k] / max(node.hours, 1e-6)
                fill(step.arguments, (y, (answer.feed[k], slope, answer.do[k]), node, flat))
                step()
                y = list(step.results[0])
                rows.append(y)
            made = np.array(rows)
            return np.column_stack((made[:, 0] / made[:, 1], made[:, 1], made[:, 2]))

        usual = run(np.zeros(len(MOVED)))
        squares = sum((run(part) - usual) ** 2 for part in moved)
        half = NINETY * np.sqrt(squares)
        return dict(zip(("biomass_g_per_l", "volume_l", "product_g"), half.T, strict=True))


def _refused(origin: str, why: str) -> _Answer:
    none = np.zeros(0)
    return _Answer(origin, none, none, none, [], -math.inf, why, None)


def _nearest(points: list[Point], hours: float) -> Point:
    return min(points, key=lambda p: abs(p.hours - hours))


def _wrong(estimate: Estimate, situation: Situation, least_l: float, most_l: float) -> str:
    """Return what cannot be planned from, or an empty string."""
    if not estimate.finite:
        return "the estimate has a number that is not finite"
    for name in ("now", "batch_h", "end_h", "feed_ml_per_h"):
        if not math.isfinite(getattr(situation, name)):
            return f"{name}: {getattr(situation, name)} is not allowed; a number is required"
    if situation.induction_h is not None and not math.isfinite(situation.induction_h):
        return f"induction_h: {situation.induction_h} is not allowed; a number is required"
    if situation.end_h - situation.batch_h > 24.0 * 30:
        return f"end_h: {situation.end_h:g} is more than 30 days ahead"
    if situation.now - estimate.time > STALE_S or estimate.stale_s > STALE_S:
        return f"the estimate is {max(situation.now - estimate.time, estimate.stale_s):.0f} s old"
    volume, biomass = estimate.value("volume_l"), estimate.value("biomass_g_per_l")
    if not least_l <= volume <= 3.0 * most_l:
        return f"volume: {volume:.3g} L is not believed; {least_l:g} to {3 * most_l:g} L can be"
    if not BIOMASS[0] <= biomass <= BIOMASS[1]:
        low, high = BIOMASS
        return f"biomass: {biomass:.3g} g/L is not believed; {low:g} to {high:g} g/L can be planned"
    return ""


def _removable_w(parameters: Any, temperature: float) -> float:
    """Return 80 % of the heat that jacket and coolant carry away together, W."""
    p = {v.name: v.default for v in parameters}
    across = 1.0 / (1.0 / p["UA"] + 1.0 / p["cooler"])
    return 0.8 * across * (temperature - p["T_coolant"])
