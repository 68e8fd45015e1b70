"""The optimiser of any process: inputs from now to the horizon's end that are worth the most.

It never takes a solver's word: every answer is run on the control model in small steps first.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from controller.planning.economic.belief import Belief
from controller.planning.economic.guesses import nodes, ridden
from controller.planning.economic.problem import Floats
from controller.planning.economic.questions import Question, Questions
from controller.planning.economic.rollout import Rollout, Run
from controller.planning.economic.settings import EconomicSettings
from controller.planning.economic.transcription import Found, Guess, Numbers, Transcription
from controller.planning.plan import UNITS, Plan, Situation, column
from drivers.clock import monotonic
from models.vessels import DENSITY

LEAST_H = 0.05  # before the end, below which there is nothing left to plan
LESS = (0.8, 0.5, 0.2)  # shares of the recipe's feeds that are tried when nothing else holds
OVER = 0.03  # share by which a limit may be passed in the rollout
PROMISE = 0.05  # share by which the value may differ from what the problem promised
BINDING = 0.02  # share within a limit that counts as at it
FAR = 20.0  # times a limit, or what is there of it already, in any vessel
FALLEN = 0.003  # share by which a plan may be worth less than the last: estimates move it as far
STARTS = 2  # of a plan that has nothing to be measured by: solvers report success at local optima
HALVINGS = 12  # of what is not known of a feed that empties its tank
NINETY = 1.645  # standard deviations to either side
ML = 1e3  # of a L


class Answer(NamedTuple):
    """One candidate with its rollouts, of each scenario one."""

    origin: str
    moved: Floats
    runs: tuple[Run, ...]
    broken: str
    found: Found | None


class Economic:
    """Plans for one kind of reactor; keeps no state between plans.

    Args:
        settings: what it may move, prices and limits.
    """

    def __init__(self, settings: EconomicSettings) -> None:
        self.settings = settings
        self.problem = Transcription(settings)
        self.rollout = Rollout(self.problem)
        self.names = tuple(map(column, self.problem.moved))
        feed, known = self.problem.model.organism.feeds[0], self.problem.defaults
        self.feed_kg_per_l = known[feed.density] if feed.density else DENSITY
        self._per = np.array([1.0 if n in UNITS else ML for n in self.problem.moved])  # of a plan
        self.questions = Questions(self.rollout, self.names, self._per)

    def warm_up(self) -> None:
        """Build the solver now, so that the first plan is as fast as any."""
        self.problem.solver("fatrop")

    def plan(self, belief: Belief, situation: Situation) -> Plan:
        """Return a plan; never raises for numbers: what is wrong is the plan's status."""
        began = monotonic()
        if wrong := self.questions.wrong(belief, situation):
            return Plan("bad_input", situation.now, reason=wrong, solve_s=monotonic() - began)
        left = situation.end_h - situation.batch_h
        if left < LEAST_H:
            applied = [situation.applied.get(n, 0.0) for n in self.problem.moved]
            row = tuple((np.array(applied) * self._per).tolist())
            return Plan(
                "good", situation.now, (situation.now,), (row,), active=("harvest",),
                objective=0.0, solve_s=0.0, names=self.names,
            )  # fmt: skip
        q = self.questions.prepare(belief, situation)
        best: Answer | None = None
        refused: list[str] = []
        solved, least, promised = 0, self._least(q), self._promised(q)
        for answer in self._candidates(q):
            if answer.broken:
                refused.append(f"{answer.origin}: {answer.broken}")
            elif best is None or answer.runs[0].value > best.runs[0].value:
                best = answer
            solved += not answer.broken and answer.found is not None
            worth = -math.inf if best is None else best.runs[0].value
            if worth >= least and solved >= (1 if worth >= promised else STARTS):
                break  # solved and checked; where it may be a poor optimum, twice
        spent = monotonic() - began
        if best is None:
            return Plan("infeasible", situation.now, reason="; ".join(refused[:2]), solve_s=spent)
        return self._as_plan(q, best, spent)

    # -- candidates ----------------------------------------------------------------------------

    def _candidates(self, q: Question) -> Iterator[Answer]:
        """Yield candidates, the most promising first; a caller stops where it has enough."""
        ready: list[Answer] = []
        solved = False
        for begin in self._begins(q):
            if any(_far(run) for run in begin.runs):
                yield begin  # no solver finds its way back from there within its iterations
                continue
            ready.append(begin)
            answer = self._solved("fatrop", q, begin)
            solved = solved or not answer.broken
            yield answer
        if not solved:
            yield from (self._solved("ipopt", q, begin) for begin in ready)
        yield from sorted(ready, key=lambda a: (bool(a.broken), -a.runs[0].value))
        for origin, moved in self._less(q):
            yield self._answer(origin, q, moved, None)

    def _begins(self, q: Question) -> Iterator[Answer]:
        """Yield what a solver may begin from, each run on the control model.

        The last plan is near: a new estimate may put it over a limit, and what is over is slack to
        begin with. The recipe is far from the limits and smooth: of yeast no better optimum than
        from there was found from anywhere. What rides the limits swings between them.
        """
        if q.followed is not None:
            yield from self._run_through("shifted plan", q, q.followed)
        yield from self._run_through("recipe", q, q.recipe)
        riding = ridden(self.rollout, q.hours, q.given, q.recipe, q.starts, q.factors, q.applied)
        yield from self._run_through("ridden limits", q, riding)

    def _run_through(self, origin: str, q: Question, moved: Floats) -> Iterator[Answer]:
        """Yield the candidate, if the model stays within the numbers under it."""
        answer = self._answer(origin, q, moved, None)
        if all(run.finite for run in answer.runs):
            yield answer

    def _less(self, q: Question) -> Iterator[tuple[str, Floats]]:
        """Yield the recipe with less and less of its feeds."""
        feeds = [i for i, n in enumerate(self.problem.moved) if n not in UNITS]
        for share in LESS:
            moved = q.recipe.copy()
            moved[:, feeds] *= share
            yield f"{share:g} of the recipe", moved

    def _promised(self, q: Question) -> float:
        """Return what the last plan was to be worth: one that goes on from it is hardly less.

        Where cells overflow there are many local optima, in which a feed pauses for an hour; from
        plan to plan a solver that begins near the last slides into them, and never out again.
        """
        previous = q.situation.previous
        if previous is None or q.followed is None:
            return math.inf
        return previous.objective - FALLEN * abs(previous.objective)

    def _least(self, q: Question) -> float:
        """Return what the recipe, or less of it, is worth: a solver's answer must not be less.

        Feeding nothing is a local optimum where product comes late: all slopes vanish there, and a
        plan that begins from it stays.
        """
        found = [-math.inf]
        for moved in (q.recipe, *(moved for _, moved in self._less(q))):
            run = self.questions.run(q, self._possible(q, moved), q.starts[0], q.factors[0])
            if not self._broken(q, run, None):
                found.append(run.value)
        return max(found)

    def _solved(self, solver: str, q: Question, begin: Answer) -> Answer:
        states = np.stack([run.states for run in begin.runs], axis=2)
        numbers = Numbers(
            q.starts, q.factors, q.applied, self._scale(states), q.hours, q.given, q.targets,
            q.stock, self._size(begin.runs[0]),
        )  # fmt: skip
        found = self.problem.solve(solver, numbers, Guess(begin.moved, begin.runs[0].inner, states))
        origin = f"{solver} from {begin.origin}"
        if found.status != "solved":
            return begin._replace(origin=origin, broken=f"not solved ({found.status})")
        if not (np.isfinite(found.moved).all() and math.isfinite(found.objective)):
            return begin._replace(origin=origin, broken="no numbers")
        return self._answer(origin, q, found.moved, found)

    def _scale(self, states: Floats) -> Floats:
        """Return the usual size of each state along a trajectory."""
        most = np.abs(states).max(axis=(0, 1, 2))
        return np.maximum(most, 1e-3)

    def _size(self, run: Run) -> float:
        return max(abs(self.settings.product_price) * run.product, abs(run.value), 1e-6)

    def _answer(self, origin: str, q: Question, moved: Floats, found: Found | None) -> Answer:
        """Run a candidate on the control model, in every scenario, and judge it."""
        moved = self._possible(q, moved)
        runs = tuple(
            self.questions.run(q, moved, x, f) for x, f in zip(q.starts, q.factors, strict=True)
        )
        return Answer(origin, moved, runs, self._broken(q, runs[0], found), found)

    def _possible(self, q: Question, moved: Floats) -> Floats:
        """Return inputs in their ranges, the main feed no higher than its tank lasts for."""
        p = self.problem
        moved = np.clip(moved, p.ranges[:, 0], p.ranges[:, 1])

        def cut(most: float) -> Floats:
            found = moved.copy()
            found[1:, p.tank] = np.minimum(found[1:, p.tank], most)
            return found

        if p.drawn(q.hours, moved)[-1] <= (1.0 + OVER) * q.stock:
            return moved
        least, most = float(p.ranges[p.tank, 0].min()), float(moved[:, p.tank].max())
        for _ in range(HALVINGS):
            middle = 0.5 * (least + most)
            if p.drawn(q.hours, cut(middle))[-1] <= q.stock:
                least = middle
            else:
                most = middle
        return cut(least)

    def _broken(self, q: Question, run: Run, found: Found | None) -> str:
        """Return which limit the likely vessel breaks under a candidate, or an empty string."""
        if not run.finite:
            return "the model leaves the numbers under this plan"
        ends = np.cumsum(q.hours)
        for k, name in enumerate(self.problem.limits):
            allowed = 1.0 + OVER
            if name not in ("oxygen transfer", "cooling", "flooding"):  # what is there already
                allowed = max(allowed, run.shares[0, k] + 0.02)
            over = np.nonzero(run.shares[1:, k] > allowed)[0]
            if len(over):
                at, by = ends[over[0] + 1], run.shares[over[0] + 1, k]
                return f"{name}: {100 * by:.0f} % of what is allowed after {at:.1f} h"
        if found is not None:
            # energy is held by the solver's own stirrer and air, and by the loop's in the rollout
            made = found.states[-1, 0]
            p = self.problem
            promised = made[p.product] * made[p.states.index("V")] + made[-1]
            if abs(promised - run.product) > PROMISE * max(run.product, 1e-6):
                return f"the model makes {run.product:.4g} g, the plan promised {promised:.4g} g"
        return ""

    # -- the plan ------------------------------------------------------------------------------

    def _as_plan(self, q: Question, answer: Answer, spent: float) -> Plan:
        now, run = q.situation.now, answer.runs[0]
        times = tuple(float(t) for t in now + 3600.0 * nodes(q.hours))
        rows = tuple(tuple(row) for row in (answer.moved * self._per).tolist())
        predicted = self._predicted(q, run)
        binding = self._binding(q, answer)
        slack: dict[str, float] = {}
        if answer.found is not None:
            worst = answer.found.slack.max(axis=0)
            slack = {
                n: float(v) for n, v in zip(self.problem.limits, worst, strict=True) if v > 0.01
            }
        exceeded = (f"{name} exceeded by {100 * by:.0f} %" for name, by in slack.items())
        return Plan(
            "good", now, tuple(times), tuple(rows), predicted,
            reason="" if answer.found is not None else f"not optimised: {answer.origin}",
            active=tuple(sorted((*binding, *exceeded))),
            objective=float(run.value),
            solve_s=spent,
            names=self.names,
            spread=self._spread(q, answer),
            binding=max(binding, key=lambda name: binding[name], default=""),
            slack=slack,
        )  # fmt: skip

    def _predicted(self, q: Question, run: Run) -> dict[str, tuple[float, ...]]:
        """Return trajectories at the plan's times."""
        p = self.problem
        called = p.model.organism.called
        rows = np.vstack([q.starts[0], run.states[:, 1]])
        found: dict[str, tuple[float, ...]] = {}
        for word, name in called.items():
            found[f"{word}_g_per_l"] = tuple(rows[:, p.states.index(name)].tolist())
        volume, drawn = rows[:, p.states.index("V")], rows[:, p.states.index("drawn")]
        found["volume_l"] = tuple(volume.tolist())
        found["product_g"] = tuple((rows[:, p.product] * volume + drawn).tolist())
        our = run.outputs[:, 0].tolist()
        found["our_mmol_per_l_h"] = (our[0], *our)
        return found

    def _spread(self, q: Question, answer: Answer) -> Mapping[str, tuple[float, ...]]:
        """Return half the 90 % interval of what is predicted, by the covariance of the belief."""
        p, parts = self.problem, len(q.belief.parts)
        if not parts:
            return {}
        usual = self._predicted(q, answer.runs[0])
        squares = {name: np.zeros(len(row)) for name, row in usual.items()}
        for i in range(parts):
            x, f = q.belief.vessel(p.states, self.settings.learned, np.eye(parts)[i])
            run = self.questions.run(q, answer.moved, x, f)
            if run.finite:
                other = self._predicted(q._replace(starts=x[None]), run)
                for name, row in other.items():
                    squares[name] += (np.array(row) - np.array(usual[name])) ** 2
        return {n: tuple((NINETY * np.sqrt(row)).tolist()) for n, row in squares.items()}

    def _binding(self, q: Question, answer: Answer) -> dict[str, float]:
        """Return for how many hours each limit holds the plan, in the vessel that it fears most."""
        hours: dict[str, float] = {}
        shares = np.max([run.shares for run in answer.runs], axis=0)
        for k, name in enumerate(self.problem.limits):
            at = shares[:, k] > 1.0 - BINDING
            if at.any():
                hours[name] = float(q.hours[at].sum())
        if self.problem.drawn(q.hours, answer.moved)[-1] > (1.0 - BINDING) * q.stock:
            hours["feed tank"] = float(q.hours[-1])  # that is when it would be missed
        return hours


def _far(run: Run) -> bool:
    """Whether a limit is passed many times, but for what is there already: sugar of the medium."""
    return bool((run.shares > FAR * np.maximum(run.shares[0], 1.0)).any())
