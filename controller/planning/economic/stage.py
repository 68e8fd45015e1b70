"""One vessel in one stage of a plan, with its derivatives: what the problem is made of.

Direct collocation at the two Radau points of a stage, which is stable however fast substrate is
eaten. Every stage of every vessel is the same function of its own numbers, so its derivatives are
made and compiled once; those of the whole problem are the same numbers in other places, and take a
tenth of the time that CasADi's virtual machine needs for the whole problem's own.

Source: L. T. Biegler, Nonlinear Programming (SIAM, 2010), chapter 10, for the collocation.
"""

from typing import Any

from controller.planning.economic.problem import KWH, M3_PER_H, Problem
from models.symbolic import SYMBOLS, ca, library

POINTS = (1.0 / 3.0, 1.0)  # of a stage: Radau's two
# derivatives of the polynomial through 0, 1/3 and 1 at 1/3 and at 1
SLOPES = ((-2.0, 1.5, 0.5), (2.0, -4.5, 2.5))
EULER = ((-3.0, 3.0, 0.0), (0.0, -1.5, 1.5))  # the same in two steps of the implicit Euler method
WEIGHTS = (0.75, 0.25)
TURNOVER = 0.05  # g/(g.h) that cells usually eat, for the size of balances alone
OPTIMISED = "-O1"  # gcc: more takes five times as long and makes nothing faster


class Stage:
    """Balances, room below each limit and costs of one vessel in one stage.

    Its variables are one column: states at the start and at both points, each as a share of its
    usual size; what is moved, how hard the oxygen loop works and how far each moves, as shares of
    their ranges; slack. So are its numbers: usual sizes, factors, hours, what is given and targets.

    Attributes:
        variables: how many of each, by name, in their order.
        numbers: likewise.
        rows: balances and room.

    Args:
        problem: of which reactor.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = p = problem
        n, m, limits = len(p.states), len(p.moved), len(p.limits)
        self.variables = {
            "start": n, "first": n, "second": n,
            "moved": m, "effort": len(p.inner), "move": m, "slack": limits,
        }  # fmt: skip
        self.numbers = {
            "scale": n, "factors": len(p.settings.learned), "hours": 1,
            "given": len(p.given), "targets": len(p.tracked),
        }  # fmt: skip
        self.rows = 2 * n + 2 * limits
        name = f"fl_{p.model.name}_stage"
        parts = {k: ca.SX.sym(k, size) for k, size in (self.variables | self.numbers).items()}
        y = ca.vertcat(*(parts[k] for k in self.variables))
        given = ca.vertcat(*(parts[k] for k in self.numbers))
        rows, cost = self._rows(parts)
        weights, weight = ca.SX.sym("weights", self.rows), ca.SX.sym("weight")
        lagrangian = weight * cost + ca.dot(weights, rows)
        hessian, slope = ca.hessian(lagrangian, y)
        self.values = ca.Function(f"{name}_values", [y, given], [rows, cost])
        slopes = [ca.jacobian(rows, y), ca.jacobian(cost, y).T]
        self._first = ca.Function(f"{name}_first", [y, given], [rows, cost, *slopes])
        self._second = ca.Function(
            f"{name}_second", [y, given, weights, weight], [slope, ca.triu(hessian)]
        )

    def compiled(self) -> tuple[Any, Any]:
        """Return what gives values and slopes, and what gives curvature, as fast as they can be.

        ``first(variables, numbers) -> rows, cost, d rows, d cost`` and
        ``second(variables, numbers, weights of rows, weight of cost)`` gives slope and curvature
        (upper triangle) of what they weigh up to.
        """
        made = library([self._first, self._second], "gcc", flags=[OPTIMISED])
        if made is None:  # without a compiler: the same numbers from CasADi's virtual machine
            return self._first, self._second
        first, second = (ca.external(f.name(), str(made)) for f in (self._first, self._second))
        return first, second

    def _rows(self, parts: dict[str, Any]) -> tuple[Any, Any]:
        """Return balances at both points, room below each limit at both points; and the cost."""
        p, hours, scale = self._problem, parts["hours"], parts["scale"]
        low, span = ca.DM(p.ranges[:, 0]), ca.DM(p.ranges[:, 1] - p.ranges[:, 0])
        at, reach = ca.DM(p.reach[:, 0]), ca.DM(p.reach[:, 1] - p.reach[:, 0])
        # what is eaten turns over many times in a stage: its balance is counted in turnovers
        turnover = TURNOVER * scale[p.biomass] / scale
        stiff = 1.0 + hours * ca.DM(p.eaten) * turnover
        balances: list[Any] = []
        room: list[Any] = []
        cost: Any = 0.0
        for j, point in enumerate(POINTS):
            slopes, shares, rate = self._point(
                parts[("first", "second")[j]] * scale,
                low + span * (parts["moved"] + point * parts["move"]),
                at + reach * parts["effort"],
                parts,
            )
            a, b, c = self._coefficients(j)
            turned = a * parts["start"] + b * parts["first"] + c * parts["second"]
            balances.append((hours * slopes / scale - turned) / stiff)
            room.append(1.0 + parts["slack"] - shares)
            cost += hours * WEIGHTS[j] * rate
        return ca.vertcat(*balances, *room), cost

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
