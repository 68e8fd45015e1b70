"""The problem as numbers for a solver: stages, scenarios, limits and prices.

Inputs are linear in a stage, begin at what is applied and are common to all scenarios; every
scenario has its own vessel and must stay within the limits. Variables and constraints go stage by
stage, dynamics first, so that fatrop finds the structure by itself.
"""

from typing import Any, NamedTuple

import numpy as np

from controller.planning.economic.problem import Floats, Problem
from controller.planning.economic.program import Program
from controller.planning.economic.settings import EconomicSettings
from models.symbolic import ca

BARRIER = 3e-3  # to begin with: from a tenth, twice the iterations and 2 % less value (yeast)
FLOOR = -1e-3  # of a scaled state: what is 0 all the time must not lie on its bound
PLENTY = 10.0  # times the greatest volume: more in a tank is as good as endless
CEILING = 20.0  # likewise, of what a guess ever reaches


class Numbers(NamedTuple):
    """What one solve is given.

    Attributes:
        starts: states of each scenario, shape (S, n).
        factors: of what is learned, shape (S, q).
        applied: moved inputs that are set now, shape (m,).
        scale: usual size of each state, shape (n,).
        hours: length of each stage, shape (N,).
        given: inputs that are not moved, shape (N, g).
        targets: of what is tracked, shape (N, t).
        stock: L of the main feed that are left; inf: as much as is asked for.
        size: what the objective is divided by.
    """

    starts: Floats
    factors: Floats
    applied: Floats
    scale: Floats
    hours: Floats
    given: Floats
    targets: Floats
    stock: float
    size: float


class Found(NamedTuple):
    """What came of a solve.

    Attributes:
        status: ``solved``, or the solver's own word.
        iterations: of the solver.
        objective: in the price's unit.
        moved: at the nodes, shape (N + 1, m).
        inner: what the oxygen loop sets, shape (N, i).
        states: of each scenario at the nodes, shape (N + 1, S, n).
        slack: of each limit, as a share of it, shape (N, l).
    """

    status: str
    iterations: int
    objective: float
    moved: Floats
    inner: Floats
    states: Floats
    slack: Floats


class Guess(NamedTuple):
    """Where a solver begins: moved inputs (N + 1, m), ``inner`` (N, i), states at the points.

    ``states`` has shape (N, 2, S, n), at the collocation points of each stage.
    """

    moved: Floats
    inner: Floats
    states: Floats


class Transcription(Problem):
    """The problem of one reactor, built once; every solve has its own numbers.

    Attributes:
        program: variables, constraints and derivatives.

    Args:
        settings: the reactor's.
    """

    def __init__(self, settings: EconomicSettings) -> None:
        super().__init__(settings)
        n, m = len(self.states), len(self.moved)
        vessels, stages = settings.scenarios, settings.stages
        sizes = {  # of ``Numbers``, in their order
            "starts": vessels * n,
            "factors": vessels * len(settings.learned),
            "applied": m,
            "scale": n,
            "hours": stages,
            "given": stages * len(self.given),
            "targets": stages * len(self.tracked),
            "stock": len(self.tank),
            "size": 1,
        }
        self.program = Program(self, sizes)
        self._solvers: dict[str, Any] = {}

    def _bounds(self, numbers: Numbers) -> dict[str, Floats]:
        hours = numbers.hours
        s, n = self.settings, len(self.states)
        vessels, m = s.scenarios, len(self.moved)
        tied = 2 * vessels * len(self.stiff)
        span = self.ranges[:, 1] - self.ranges[:, 0]
        left = self._least_left(numbers)
        x_low = np.concatenate([np.full(vessels * n, FLOOR), np.zeros(m), left])
        x_high = np.concatenate([np.full(vessels * n, CEILING), np.ones(m), left + np.inf])
        low: list[Floats] = []
        high: list[Floats] = []
        for k, h in enumerate(hours):
            most = np.minimum(self.ranges[:, 2] * h / span, 1.0)
            loose = k == 0
            low += [
                np.where(loose, -np.inf, x_low),
                np.full(tied, FLOOR),
                np.zeros(len(self.inner)),
                -most,
            ]
            high += [
                np.where(loose, np.inf, x_high),
                np.full(tied, CEILING),
                np.ones(len(self.inner)),
                most,
            ]
            low.append(np.zeros(len(self.limits)))
            high.append(np.full(len(self.limits), np.inf))
        equality = np.array(self.program.equality)
        return {
            "lbx": np.concatenate([*low, x_low]),
            "ubx": np.concatenate([*high, x_high]),
            "lbg": np.zeros(len(equality)),
            "ubg": np.where(equality, 0.0, np.inf),
        }

    def _stock(self, numbers: Numbers) -> Floats:
        """Return what is left in the tank, as a share of the greatest volume."""
        share = min(numbers.stock / self.settings.volume_max_l, PLENTY)
        return np.full(len(self.tank), share)

    def _least_left(self, numbers: Numbers) -> Floats:
        """Return how little may be left in the tank: nothing, or what a feed cannot but take."""
        left = self._stock(numbers)
        for place in self.tank:
            low, _, per_h = self.ranges[place]
            flow, taken = float(numbers.applied[place]), 0.0
            for h in numbers.hours:
                less = max(low, flow - per_h * h)
                taken += 0.5 * h * (flow + less)
                flow = less
            left -= taken / self.settings.volume_max_l
        return np.minimum(left, 0.0) + FLOOR

    def solver(self, name: str) -> Any:
        """Return the solver ``fatrop`` or ``ipopt``, made when first asked for."""
        if name not in self._solvers:
            options: dict[str, Any] = {
                "print_time": False, "error_on_fail": False, "cache": self.program.functions(name),
            }  # fmt: skip
            if name == "fatrop":
                options |= {
                    "equality": self.program.equality,
                    "structure_detection": "auto",
                    "fatrop": {
                        "print_level": 0,
                        "tol": 1e-4,
                        "max_iter": self.settings.iterations,
                        "mu_init": BARRIER,
                    },
                }
            else:
                options["ipopt"] = {
                    "print_level": 0, "sb": "yes", "tol": 1e-4,
                    "max_iter": self.settings.iterations, "max_cpu_time": 20.0,
                }  # fmt: skip
            self._solvers[name] = ca.nlpsol(f"fl_economic_{name}", name, self.program.nlp, options)
        return self._solvers[name]

    def solve(self, name: str, numbers: Numbers, guess: Guess) -> Found:
        """Solve from ``guess``; the status is the solver's word, to be checked by rollout."""
        s, n = self.settings, len(self.states)
        vessels, stages, m = s.scenarios, s.stages, len(self.moved)
        given = numbers._replace(stock=self._stock(numbers))
        flat = np.concatenate([np.ravel(part) for part in given])
        bounds = self._bounds(numbers)
        begin = np.clip(self._begin(numbers, guess, flat), bounds["lbx"], bounds["ubx"])
        solver = self.solver(name)
        result = solver(x0=begin, p=flat, **bounds)
        stats = solver.stats()
        found = np.asarray(result["x"]).ravel()
        width = self.program.nx + self.program.nu
        rows = found[: stages * width].reshape(stages, width)
        ends = np.vstack([rows[:, : vessels * n], found[stages * width :][: vessels * n]])
        u = rows[:, self.program.nx + 2 * vessels * len(self.stiff) :]
        span = self.ranges[:, 1] - self.ranges[:, 0]
        nodes = np.vstack([rows[:, : self.program.nx], found[stages * width :]])
        v = nodes[:, vessels * n : vessels * n + m]
        inner = len(self.inner)
        return Found(
            status="solved" if stats["success"] else str(stats.get("unified_return_status")),
            iterations=int(stats.get("iter_count", 0)),
            objective=-float(result["f"]) * numbers.size,
            moved=self.ranges[:, 0] + span * v,
            inner=self.reach[:, 0] + (self.reach[:, 1] - self.reach[:, 0]) * u[:, :inner],
            states=ends.reshape(stages + 1, vessels, n) * numbers.scale,
            slack=u[:, inner + m :],
        )

    def _begin(self, numbers: Numbers, guess: Guess, given: Floats) -> Floats:
        """Return the guess as the solver wants it, with the slack that it needs to be feasible."""
        s = self.settings
        span = self.ranges[:, 1] - self.ranges[:, 0]
        moved = (guess.moved - self.ranges[:, 0]) / span
        moved[0] = (numbers.applied - self.ranges[:, 0]) / span
        effort = (guess.inner - self.reach[:, 0]) / (self.reach[:, 1] - self.reach[:, 0])
        x = numbers.starts / numbers.scale
        taken = self.drawn(numbers.hours, guess.moved) / s.volume_max_l
        stock = self._stock(numbers) - taken[:, None]
        parts: list[Floats] = []
        for k in range(s.stages):
            stiff = (guess.states[k] / numbers.scale)[..., self.stiff].swapaxes(0, 1)
            parts += [x.ravel(), moved[k], stock[k], stiff.ravel()]
            parts += [effort[k], moved[k + 1] - moved[k], np.zeros(len(self.limits))]
            x = guess.states[k, 1] / numbers.scale
        parts += [x.ravel(), moved[-1], stock[-1]]
        begin = np.concatenate(parts)
        self.program.begin(guess.states / numbers.scale)
        begin[self.program.slack] = np.maximum(self.program.over(begin, given), 0.0) + 0.01
        return begin
