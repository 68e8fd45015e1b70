"""One vessel in one stage of a plan, with its derivatives: what the problem is made of.

Direct collocation at the two Radau points of a stage, which is stable however fast substrate is
eaten. Every stage of every vessel is the same function of its own numbers, so its derivatives are
made and compiled once; those of the whole problem are the same numbers in other places, and take a
tenth of the time that CasADi's virtual machine needs for the whole problem's own.

Source: L. T. Biegler, Nonlinear Programming (SIAM, 2010), chapter 10, for the collocation.
"""

from typing import Any

import numpy as np

from controller.planning.economic.problem import KWH, M3_PER_H, Problem
from models.symbolic import SYMBOLS, Compiled, ca, compiled

POINTS = (1.0 / 3.0, 1.0)  # of a stage: Radau's two
# derivatives of the polynomial through 0, 1/3 and 1 at 1/3 and at 1
SLOPES = ((-2.0, 1.5, 0.5), (2.0, -4.5, 2.5))
EULER = ((-3.0, 3.0, 0.0), (0.0, -1.5, 1.5))  # the same in two steps of the implicit Euler method
WEIGHTS = (0.75, 0.25)
TURNOVER = 0.05  # g/(g.h) that cells usually eat, for the size of balances alone
OPTIMISED = "-O1"  # gcc: more takes five times as long and makes nothing faster


class Stage:
    """Balances, room below each limit and costs of one vessel in one stage.

    Its variables are one column: states at the start, as a share of each one's usual size; what is
    moved, how hard the oxygen loop works and how far each moves, as shares of their ranges; then
    the states at both points, first of what cells eat, last of the others. So are its numbers:
    usual sizes, factors, hours, what is given and targets.

    Attributes:
        variables: how many of each, by name, in their order.
        numbers: likewise.
        inside: how many of the variables, the last of them, are solved for before a solver sees
            the rest: the first rows say what they are.
        tied: how many rows after those are balances, of what cells eat.
        values: ``(variables, numbers) -> rows, cost``; the rows are balances, states at the end
            with the sign of what is taken off, and room below the limits at both points.

    Args:
        problem: of which reactor.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = p = problem
        n, m = len(p.states), len(p.moved)
        self.tied, self.inside = 2 * len(p.stiff), 2 * len(p.slow)
        self.variables = {
            "start": n, "moved": m, "effort": len(p.inner), "move": m,
            "stiff": self.tied, "inside": self.inside,
        }  # fmt: skip
        self.numbers = {
            "scale": n, "factors": len(p.settings.learned), "hours": 1,
            "given": len(p.given), "targets": len(p.tracked),
        }  # fmt: skip
        parts = {k: ca.SX.sym(k, size) for k, size in (self.variables | self.numbers).items()}
        y = ca.vertcat(*(parts[k] for k in self.variables))
        given = ca.vertcat(*(parts[k] for k in self.numbers))
        self.values = ca.Function("values", [y, given], list(self._formulated(parts)))

    def compiled(self, parts: int) -> tuple[Compiled, Compiled]:
        """Return what gives values and slopes of many, and what gives curvature.

        ``first(variables, numbers) -> rows, cost, d rows, d cost`` and
        ``second(variables, numbers, weights of rows, weight of cost) -> slope, curvature`` of what
        they weigh up to; each part has its columns.
        """
        y, given = (ca.SX.sym(n, self.values.size1_in(i)) for i, n in enumerate(("y", "given")))
        rows, cost = self.values(y, given)
        weights, weight = ca.SX.sym("weights", rows.shape[0]), ca.SX.sym("weight")
        hessian, slope = ca.hessian(weight * cost + ca.dot(weights, rows), y)
        slopes = [ca.densify(ca.jacobian(rows, y)), ca.densify(ca.jacobian(cost, y))]
        name = f"fl_{self._problem.model.name}_stage"
        first = ca.Function(f"{name}_one", [y, given], [rows, cost, *slopes])
        second = ca.Function(
            f"{name}_curve", [y, given, weights, weight], [slope, ca.densify(hessian)]
        )
        mapped = [
            f.map(f"{name}_{word}", "serial", parts, [], [])
            for f, word in ((first, "first"), (second, "second"))
        ]
        made = compiled(mapped, flags=[OPTIMISED])
        return made[f"{name}_first"], made[f"{name}_second"]

    def _formulated(self, parts: dict[str, Any]) -> tuple[Any, Any]:
        """Return rows and cost."""
        p, hours, scale = self._problem, parts["hours"], parts["scale"]
        low, span = ca.DM(p.ranges[:, 0]), ca.DM(p.ranges[:, 1] - p.ranges[:, 0])
        at, reach = ca.DM(p.reach[:, 0]), ca.DM(p.reach[:, 1] - p.reach[:, 0])
        # what is eaten turns over many times in a stage: its balance is counted in turnovers
        turnover = TURNOVER * scale[p.biomass] / scale
        stiff = 1.0 + hours * ca.DM(p.eaten) * turnover
        first, second = self._points(parts)
        balances: list[Any] = []
        room: list[Any] = []
        cost: Any = 0.0
        for j, (state, point) in enumerate(zip((first, second), POINTS, strict=True)):
            slopes, shares, rate = self._point(
                state * scale,
                low + span * (parts["moved"] + point * parts["move"]),
                at + reach * parts["effort"],
                parts,
            )
            a, b, c = self._coefficients(j)
            turned = a * parts["start"] + b * first + c * second
            balances.append((hours * slopes / scale - turned) / stiff)
            room.append(1.0 - shares)
            cost += hours * WEIGHTS[j] * rate
        own, tied = ([b[places] for b in balances] for places in (p.slow, p.stiff))
        return ca.vertcat(*own, *tied, -second, *room), cost

    def _points(self, parts: dict[str, Any]) -> tuple[Any, Any]:
        """Return the states at both points, in their order."""
        stiff, slow = self._problem.stiff, self._problem.slow
        order = np.argsort([*stiff, *slow]).tolist()
        halves = zip(
            ca.vertsplit(parts["stiff"], len(stiff)),
            ca.vertsplit(parts["inside"], len(slow)),
            strict=True,
        )
        first, second = (ca.vertcat(*pair)[order] for pair in halves)
        return first, second

    def _point(self, x: Any, moved: Any, effort: Any, parts: dict[str, Any]) -> tuple[Any, ...]:
        """Return slopes of the states, shares of the limits and the rate of cost."""
        problem, m = self._problem, self._problem.model
        s = problem.settings
        xs = ca.vertsplit(x)
        u, p = problem.arrange(moved, effort, parts["given"]), problem.parameters(parts["factors"])
        slopes = ca.vertcat(*m.rhs(0.0, xs, u, p, SYMBOLS))
        y = m.output(0.0, xs, u, p, SYMBOLS)
        # the loop enriches last, so a vessel short of oxygen has all the stirrer's heat
        full = problem.arrange(moved, problem.full, parts["given"])
        stirred = m.output(0.0, xs, full, p, SYMBOLS)[3]
        shares = ca.vertcat(*problem.used(xs, (*y[:3], stirred, *y[4:])).values())
        cost: Any = s.energy_price * KWH * y[5]
        cost += s.oxygen_price * M3_PER_H * u[problem.inputs.index("oxygen")]
        for name, price in s.feed_prices.items():
            cost += price * u[problem.inputs.index(name)]
        for i, (place, weight) in enumerate(zip(problem.tracked, s.track.values(), strict=True)):
            cost += weight * (xs[place] / ca.fmax(parts["targets"][i], 1e-3) - 1.0) ** 2
        return slopes, shares, cost

    def _coefficients(self, j: int) -> tuple[Any, Any, Any]:
        """Return what makes a slope of the values at a stage's start and points, for each state.

        What is eaten may be gone within a stage, and a polynomial through it would go below 0:
        it takes Euler's steps, which never do and are exact where it is at rest.
        """
        rows = [EULER[j] if eaten else SLOPES[j] for eaten in self._problem.eaten]
        a, b, c = (ca.DM(list(column)) for column in zip(*rows, strict=True))
        return a, b, c
