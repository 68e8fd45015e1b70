"""The problem as numbers for a solver: stages, scenarios, limits and prices.

Direct collocation at the two Radau points of each stage, which is stable however fast substrate
is eaten. Inputs are linear in a stage, begin at what is applied and are common to all scenarios;
every scenario has its own vessel and must stay within the limits. Variables and constraints go
stage by stage, dynamics first, so that fatrop finds the structure by itself.

Source: L. T. Biegler, Nonlinear Programming (SIAM, 2010), chapter 10, for the collocation.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.planning.economic.settings import EconomicSettings
from models.control import ControlModel
from models.fn import SCALARS
from models.organisms import ORGANISMS, of_strain
from models.symbolic import SYMBOLS, ca
from models.vessels import VESSELS

Floats = NDArray[np.float64]

INNER = ("stirrer", "air", "pressure", "oxygen")  # what the oxygen loop sets, in that order
TOGETHER = ("stirrer", "air")  # of these
POINTS = (1.0 / 3.0, 1.0)  # of a stage: Radau's two
# derivatives of the polynomial through 0, 1/3 and 1 at 1/3 and at 1
SLOPES = ((-2.0, 1.5, 0.5), (2.0, -4.5, 2.5))
EULER = ((-3.0, 3.0, 0.0), (0.0, -1.5, 1.5))  # the same in two steps of the implicit Euler method
WEIGHTS = (0.75, 0.25)
SLOW = ("biomass", "product", "precursor")  # of the species that have a word; the rest is eaten
SLACK_LINEAR, SLACK_SQUARE = 3.0, 1.0  # of a limit exceeded by its own size in a stage
TURNOVER = 0.05  # g/(g.h) that cells usually eat, for the size of balances alone
MOVE = 0.2  # of a move over the whole range: less of it, and a feed swings between two limits
KWH = 1e-3  # kWh of a W h
M3_PER_H = 60e-3  # of a L/min
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


class Transcription:
    """The problem of one reactor, built once; every solve has its own numbers.

    Args:
        settings: the reactor's.
    """

    def __init__(self, settings: EconomicSettings) -> None:
        self.settings = s = settings
        self.model = ControlModel(
            of_strain(ORGANISMS[s.organism](), s.strain), VESSELS[s.vessel], s.calibration_bar
        )
        names = [v.name for v in self.model.inputs]
        for name in (*s.moves, *s.feed_prices):
            if name not in names or name in s.aeration:
                allowed = ", ".join(n for n in names if n not in s.aeration)
                raise ValueError(f"{name}: no input of {self.model.name}; {allowed} are")
        self.inputs = names
        self.moved = tuple(n for n in names if n in s.moves)
        self.given = tuple(n for n in names if n not in s.moves and n not in s.aeration)
        self.states = tuple(v.name for v in self.model.states)
        self.defaults = {v.name: v.default for v in self.model.parameters}
        for name in s.learned:
            if name not in self.defaults:
                raise ValueError(f"learned.{name}: no parameter of {self.model.name}")
        self.ranges = np.array([s.moves[n] for n in self.moved])
        self.inner = tuple(n for n in INNER if n in s.aeration)
        self.reach = np.array([s.aeration[n] for n in self.inner])
        called = self.model.organism.called
        self.product = self.states.index(called["product"])
        self.substrate = self.states.index(called["substrate"])
        self.biomass = self.states.index(called["biomass"])
        words = {name: word for word, name in called.items()}
        self._eaten = [words.get(n, "biomass") not in SLOW for n in self.states]
        self.tracked = tuple(self.states.index(called.get(w, w)) for w in s.track)
        main = self.model.organism.feeds[0].name
        # where the main feed stands among what is moved, if its tank is weighed
        weighed = s.tank_empty_kg is not None and main in s.moves
        self.tank = [self.moved.index(main)] if weighed else []
        self.limits = tuple(self.used(None, None))
        self.full = self._full_aeration()
        self.point = self._point()
        self._build()
        self._solvers: dict[str, Any] = {}

    # -- expressions ---------------------------------------------------------------------------

    def used(self, x: Any, y: Any) -> dict[str, Any]:
        """Return each limit as a share of it that is used; names alone without arguments."""
        s, called = self.settings, self.model.organism.called
        names = ["oxygen transfer", "flooding", "cooling", "volume"]
        by_product = tuple(called)[-1]
        if s.by_product_max_g_per_l is not None:
            names.append(by_product)
        if s.substrate_max_g_per_l is not None:
            names.append("substrate")
        if x is None:
            return dict.fromkeys(names)
        volume = x[self.states.index("V")]
        shares = [
            y[0] / (s.oxygen_share * y[1]),
            y[2] / s.flooding_share,
            y[3] / (s.cooling_share * y[4]),
            volume / (s.volume_share * s.volume_max_l),
        ]
        if s.by_product_max_g_per_l is not None:
            shares.append(x[self.states.index(called[by_product])] / s.by_product_max_g_per_l)
        if s.substrate_max_g_per_l is not None:
            shares.append(x[self.substrate] / s.substrate_max_g_per_l)
        return dict(zip(names, shares, strict=True))

    def arrange(self, moved: Any, inner: Any, given: Any) -> list[Any]:
        """Return the model's inputs in their order."""
        by_name = {n: moved[i] for i, n in enumerate(self.moved)}
        by_name |= {n: given[i] for i, n in enumerate(self.given)}
        by_name |= {n: inner[i] for i, n in enumerate(self.inner)}
        return [by_name[n] for n in self.inputs]

    def parameters(self, factors: Any) -> list[Any]:
        by_name: dict[str, Any] = dict(self.defaults)
        for i, name in enumerate(self.settings.learned):
            by_name[name] = by_name[name] * factors[i]
        return list(by_name.values())

    def _full_aeration(self) -> Floats:
        """Return the most of what the oxygen loop sets that does not flood the impeller."""
        low, high = self.reach.T
        most = high.copy()
        x = [v.default for v in self.model.states]
        u = {v.name: v.default for v in self.model.inputs}
        parameters = list(self.defaults.values())
        for _ in range(20):
            u |= dict(zip(self.inner, most, strict=True))
            flooded = float(
                self.model.output(0.0, x, [u[n] for n in self.inputs], parameters, SCALARS)[2]
            )
            if flooded <= self.settings.flooding_share or most[1] <= low[1]:
                break
            most[1] = max(0.9 * most[1], low[1])
        return most

    def _point(self) -> Any:
        """Return ``(x, moved, inner, given, factors, targets) -> slopes, shares, cost rate``."""
        s, m = self.settings, self.model
        x, v = ca.SX.sym("x", len(self.states)), ca.SX.sym("v", len(self.moved))
        w, g = ca.SX.sym("w", len(self.inner)), ca.SX.sym("g", len(self.given))
        f, r = ca.SX.sym("f", len(s.learned)), ca.SX.sym("r", len(self.tracked))
        xs = [x[i] for i in range(len(self.states))]
        u, p = self.arrange(v, w, g), self.parameters(f)
        slopes = ca.vertcat(*m.rhs(0.0, xs, u, p, SYMBOLS))
        y = m.output(0.0, xs, u, p, SYMBOLS)
        # the loop enriches last, so a vessel short of oxygen has all the stirrer's heat
        stirred = m.output(0.0, xs, self.arrange(v, self.full, g), p, SYMBOLS)[3]
        shares = ca.vertcat(*self.used(xs, (*y[:3], stirred, *y[4:])).values())
        cost: Any = s.energy_price * KWH * y[5]
        cost += s.oxygen_price * M3_PER_H * u[self.inputs.index("oxygen")]
        for name, price in s.feed_prices.items():
            cost += price * u[self.inputs.index(name)]
        for i, (place, weight) in enumerate(zip(self.tracked, s.track.values(), strict=True)):
            cost += weight * (xs[place] / ca.fmax(r[i], 1e-3) - 1.0) ** 2
        return ca.Function(f"fl_{m.name}_point", [x, v, w, g, f, r], [slopes, shares, cost])

    # -- the program ---------------------------------------------------------------------------

    def _build(self) -> None:
        """Lay out variables, constraints and parameters."""
        s = self.settings
        n, m, g = len(self.states), len(self.moved), len(self.given)
        vessels, stages, q, t = s.scenarios, s.stages, len(s.learned), len(self.tracked)
        lim = len(self.limits)
        given_to = (vessels * n, vessels * q, m, n, stages, stages * g, stages * t)
        self._sizes = (*given_to, len(self.tank), 1)
        p = ca.MX.sym("p", sum(self._sizes))
        cuts = np.cumsum((0, *self._sizes))
        starts, factors, applied, scale, hours, given, targets, left, size = (
            p[int(a) : int(b)] for a, b in pairwise(cuts)
        )
        inner = len(self.inner)
        tank = self.tank
        self._nx, self._nu = vessels * n + m + len(tank), 2 * vessels * n + inner + m + lim
        low, span = ca.DM(self.ranges[:, 0]), ca.DM(self.ranges[:, 1] - self.ranges[:, 0])
        at, reach = ca.DM(self.reach[:, 0]), ca.DM(self.reach[:, 1] - self.reach[:, 0])
        xs = [ca.MX.sym(f"x{k}", self._nx) for k in range(stages + 1)]
        us = [ca.MX.sym(f"u{k}", self._nu) for k in range(stages)]
        constraints: list[Any] = []
        equality: list[bool] = []
        cost: Any = 0.0
        one = np.ones(vessels)
        everywhere = ca.vertcat(*(scale for _ in one))
        for k in range(stages):
            x, u, h = xs[k], us[k], hours[k]
            z = (u[: vessels * n], u[vessels * n : 2 * vessels * n])
            effort, move, slack = (
                u[2 * vessels * n : 2 * vessels * n + inner],
                u[2 * vessels * n + inner : 2 * vessels * n + inner + m],
                u[2 * vessels * n + inner + m :],
            )
            v, stock = x[vessels * n : vessels * n + m], x[vessels * n + m :]
            fed = h * (low + span * (v + 0.5 * move))[tank] / s.volume_max_l
            constraints.append(xs[k + 1] - ca.vertcat(z[1], v + move, stock - fed))
            equality += [True] * self._nx
            if k == 0:
                constraints.append(
                    x - ca.vertcat(starts / everywhere, (applied - low) / span, left)
                )
                equality += [True] * self._nx
            outside = given[k * g : (k + 1) * g]
            target = targets[k * t : (k + 1) * t]
            held: list[Any] = []
            # what is eaten turns over many times in a stage: its balance is counted in turnovers
            turnover = TURNOVER * scale[self.biomass] / scale
            stiff = 1.0 + h * ca.DM(self._eaten) * turnover
            for i in range(vessels):
                part = slice(i * n, (i + 1) * n)
                strain = factors[i * q : (i + 1) * q]
                for j, at_point in enumerate(POINTS):
                    slopes, shares, rate = self.point(
                        z[j][part] * scale, low + span * (v + at_point * move),
                        at + reach * effort, outside, strain, target,
                    )  # fmt: skip
                    a, b, c = self._coefficients(j)
                    turned = a * x[part] + b * z[0][part] + c * z[1][part]
                    constraints.append((h * slopes / scale - turned) / stiff)
                    equality += [True] * n
                    if i == 0:
                        cost += h * WEIGHTS[j] * rate / size
                    held.append(1.0 + slack - shares)
            constraints += held
            equality += [False] * (lim * len(held))
            # oxygen in less air would be richer, but the loop gives all air before any oxygen
            ahead = [k for k, n in enumerate(self.inner) if n in TOGETHER]
            late = [k for k, n in enumerate(self.inner) if n == "oxygen"]
            constraints += [effort[ahead] - effort[k] for k in late]
            equality += [False] * (len(ahead) * len(late))
            cost += MOVE * ca.sumsqr(move)
            cost += SLACK_LINEAR * ca.sum1(slack) + SLACK_SQUARE * ca.sumsqr(slack)
        last = xs[-1][:n] * scale
        volume, drawn = last[self.states.index("V")], last[self.states.index("drawn")]
        made = last[self.product] * volume + drawn
        cost -= (s.product_price * made + s.biomass_price * last[self.biomass] * volume) / size
        self._p = p
        variables = [v for pair in zip(xs, us, strict=False) for v in pair] + [xs[-1]]
        self._equality = equality
        self._nlp = {
            "x": ca.vertcat(*variables), "f": cost, "g": ca.vertcat(*constraints), "p": p,
        }  # fmt: skip

    def _coefficients(self, j: int) -> tuple[Any, Any, Any]:
        """Return what makes a slope of the values at a stage's start and points, for each state.

        What is eaten may be gone within a stage, and a polynomial through it would go below 0:
        it takes Euler's steps, which never do and are exact where it is at rest.
        """
        rows = [EULER[j] if eaten else SLOPES[j] for eaten in self._eaten]
        a, b, c = (ca.DM(list(column)) for column in zip(*rows, strict=True))
        return a, b, c

    def _bounds(self, numbers: Numbers) -> dict[str, Floats]:
        hours = numbers.hours
        s, n = self.settings, len(self.states)
        vessels, m = s.scenarios, len(self.moved)
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
                np.full(2 * vessels * n, FLOOR),
                np.zeros(len(self.inner)),
                -most,
            ]
            high += [
                np.where(loose, np.inf, x_high),
                np.full(2 * vessels * n, CEILING),
                np.ones(len(self.inner)),
                most,
            ]
            low.append(np.zeros(len(self.limits)))
            high.append(np.full(len(self.limits), np.inf))
        equality = np.array(self._equality)
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

    def drawn(self, hours: Floats, moved: Floats) -> Floats:
        """Return what the main feed has taken from its tank at the nodes, L; nothing if endless."""
        flows = moved[:, self.tank].sum(axis=1)
        return np.concatenate([[0.0], np.cumsum(0.5 * hours * (flows[:-1] + flows[1:]))])

    def solver(self, name: str) -> Any:
        """Return the solver ``fatrop`` or ``ipopt``, made when first asked for."""
        if name not in self._solvers:
            options: dict[str, Any] = {"print_time": False, "error_on_fail": False, "expand": True}
            if name == "fatrop":
                options |= {
                    "equality": self._equality,
                    "structure_detection": "auto",
                    "fatrop": {
                        "print_level": 0,
                        "tol": 1e-4,
                        "max_iter": 200,
                        "mu_init": BARRIER,
                    },
                }
            else:
                options["ipopt"] = {
                    "print_level": 0, "sb": "yes", "tol": 1e-4, "max_iter": 200,
                    "max_cpu_time": 20.0,
                }  # fmt: skip
            self._solvers[name] = ca.nlpsol(f"fl_economic_{name}", name, self._nlp, options)
        return self._solvers[name]

    def solve(self, name: str, numbers: Numbers, guess: Guess) -> Found:
        """Solve from ``guess``; the status is the solver's word, to be checked by rollout."""
        s, n = self.settings, len(self.states)
        vessels, stages, m = s.scenarios, s.stages, len(self.moved)
        given = numbers._replace(stock=self._stock(numbers))
        flat = np.concatenate([np.ravel(part) for part in given])
        bounds = self._bounds(numbers)
        begin = np.clip(self._begin(numbers, guess), bounds["lbx"], bounds["ubx"])
        solver = self.solver(name)
        result = solver(x0=begin, p=flat, **bounds)
        stats = solver.stats()
        found = np.asarray(result["x"]).ravel()
        width = self._nx + self._nu
        rows = found[: stages * width].reshape(stages, width)
        ends = np.vstack([rows[:, : vessels * n], found[stages * width :][: vessels * n]])
        u = rows[:, self._nx :]
        span = self.ranges[:, 1] - self.ranges[:, 0]
        nodes = np.vstack([rows[:, : self._nx], found[stages * width :]])
        v = nodes[:, vessels * n : vessels * n + m]
        inner = len(self.inner)
        effort = u[:, 2 * vessels * n : 2 * vessels * n + inner]
        return Found(
            status="solved" if stats["success"] else str(stats.get("unified_return_status")),
            iterations=int(stats.get("iter_count", 0)),
            objective=-float(result["f"]) * numbers.size,
            moved=self.ranges[:, 0] + span * v,
            inner=self.reach[:, 0] + (self.reach[:, 1] - self.reach[:, 0]) * effort,
            states=ends.reshape(stages + 1, vessels, n) * numbers.scale,
            slack=u[:, 2 * vessels * n + inner + m :],
        )

    def _begin(self, numbers: Numbers, guess: Guess) -> Floats:
        """Return the guess as the solver wants it, with the slack that it needs to be feasible."""
        s = self.settings
        vessels, stages = s.scenarios, s.stages
        span = self.ranges[:, 1] - self.ranges[:, 0]
        moved = (guess.moved - self.ranges[:, 0]) / span
        moved[0] = (numbers.applied - self.ranges[:, 0]) / span
        effort = (guess.inner - self.reach[:, 0]) / (self.reach[:, 1] - self.reach[:, 0])
        x = numbers.starts / numbers.scale
        taken = self.drawn(numbers.hours, guess.moved) / s.volume_max_l
        stock = self._stock(numbers) - taken[:, None]
        parts: list[Floats] = []
        for k in range(stages):
            z = guess.states[k] / numbers.scale
            rise = guess.moved[k + 1] - guess.moved[k]
            over = np.max([
                np.asarray(self.point(
                    guess.states[k, j, i], guess.moved[k] + POINTS[j] * rise, guess.inner[k],
                    numbers.given[k], numbers.factors[i], numbers.targets[k],
                )[1]).ravel() - 1.0
                for i in range(vessels) for j in range(2)
            ], axis=0)  # fmt: skip
            parts += [x.ravel(), moved[k], stock[k], z.ravel(), effort[k], moved[k + 1] - moved[k]]
            parts.append(np.maximum(over, 0.0) + 0.01)
            x = z[1]
        parts += [x.ravel(), moved[-1], stock[-1]]
        return np.concatenate(parts)
