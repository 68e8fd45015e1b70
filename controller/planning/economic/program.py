"""The whole problem as a solver takes it, put together of what one stage of one vessel gives.

Only what ties stages and vessels together, or costs what it costs, is written here: it is linear
but for squares, and its derivatives are CasADi's own. The rest are ``Condensed``'s numbers, each in
the place where its row and its column meet.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.planning.economic.condensed import Asked, Condensed
from controller.planning.economic.problem import TOGETHER, Floats, Problem
from controller.planning.economic.stage import Stage
from models.symbolic import ca

SLACK_LINEAR, SLACK_SQUARE = 3.0, 1.0  # of a limit exceeded by its own size in a stage
MOVE = 0.2  # of a move over the whole range: less of it, and a feed swings between two limits

Places = NDArray[np.int64]


class Program:
    """Variables, constraints and costs of all stages and vessels.

    Variables go stage by stage: states of each vessel, what is moved and what is left in a tank;
    then what cells eat in each vessel at both points, effort, moves and slack. Constraints
    likewise, dynamics first.

    Attributes:
        equality: of each constraint, whether it is one; the others are at least 0.
        nlp: the problem as CasADi takes it.
        nx: states of a stage, of all vessels, with what is moved and what is left.
        nu: of a stage, the other variables.

    Args:
        problem: of which reactor.
        sizes: of what a solve is given, by name, in its order.
    """

    def __init__(self, problem: Problem, sizes: Mapping[str, int]) -> None:
        self._problem, self._sizes = problem, sizes
        ends = np.cumsum(list(sizes.values())).tolist()
        self._starts = dict(zip(sizes, [0, *ends[:-1]], strict=True))  # of what a solve is given
        stage = Stage(problem)
        self._numbers_of = stage.numbers
        self._of_variables = self._variables()
        self._of_numbers = self._numbers()
        self._parts = Condensed(stage, len(self._of_variables))
        self.equality: list[bool] = []
        self._of_rows = self._rows()
        x, p = ca.SX.sym("x", self._size), ca.SX.sym("p", sum(sizes.values()))
        linear, plain = self._tied(x, p)
        self._linear = ca.Function("linear", [x, p], [linear, ca.jacobian(linear, x)])
        slope = ca.gradient(plain, x)
        curved = ca.triu(ca.jacobian(slope, x))
        self._plain = ca.Function("plain", [x, p], [plain, slope, curved])
        self._asked = {
            name: Asked(self._parts, name, self._of_numbers.shape[1])
            for name in ("values", "slopes", "curvature")
        }
        x, p = ca.MX.sym("x", self._size), ca.MX.sym("p", sum(sizes.values()))
        f, g = self.whole(x, p, self._asked["values"])
        self.nlp = {"x": x, "p": p, "f": f, "g": g}

    def begin(self, points: Floats) -> None:
        """Take scaled states at the points for a guess, shape (stages, 2, scenarios, n)."""
        slow = points[..., self._problem.slow].swapaxes(1, 2)
        self._parts.begin(slow.reshape(len(self._of_variables), -1))

    def over(self, x: Floats, given: Floats) -> Floats:
        """Return how far each limit is passed in each stage without slack, as a share of it.

        Args:
            x: variables, with no slack.
            given: what a solve is given.

        Returns:
            Shape (stages, limits); of the vessel and the point that pass it most.
        """
        s, p = self._problem.settings, self._problem
        rows = self._parts.values(x[self._of_variables], given[self._of_numbers])
        room = rows[:, -2 * len(p.limits) :].reshape(s.stages, 2 * s.scenarios, len(p.limits))
        return -room.min(axis=1)

    @property
    def slack(self) -> Places:
        """Where the slack of each limit is among the variables, shape (stages, limits)."""
        wide, limits = self.nx + self.nu, len(self._problem.limits)
        ends = wide * np.arange(1, self._problem.settings.stages + 1)
        return ends[:, None] - limits + np.arange(limits)

    @property
    def room(self) -> Places:
        """Where room below the limits is among the constraints."""
        return self._of_rows[:, -2 * len(self._problem.limits) :]

    # -- places --------------------------------------------------------------------------------

    @property
    def _cells(self) -> list[tuple[int, int]]:
        """Stage and vessel of each part, in the order in which they are computed."""
        s = self._problem.settings
        return [(k, i) for k in range(s.stages) for i in range(s.scenarios)]

    def _variables(self) -> Places:
        """Return where the variables of each part are among all, shape (parts, variables)."""
        p, vessels = self._problem, self._problem.settings.scenarios
        n, m, inner, limits = len(p.states), len(p.moved), len(p.inner), len(p.limits)
        self.nx = nx = vessels * n + m + len(p.tank)
        tied = 2 * len(p.stiff)
        self.nu = vessels * tied + inner + m + limits
        self._size = p.settings.stages * (nx + self.nu) + nx
        found: list[Places] = []
        for k, i in self._cells:
            own = i * n + np.arange(n)
            moved, stiff = vessels * n + np.arange(m), nx + i * tied + np.arange(tied)
            rest = nx + vessels * tied + np.arange(inner + m)
            found.append(k * (nx + self.nu) + np.concatenate((own, moved, rest, stiff)))
        return np.array(found)

    def _numbers(self) -> Places:
        """Return where the numbers of each part are in what a solve is given."""
        wide, at = self._numbers_of, self._starts
        found: list[Places] = []
        for k, i in self._cells:
            which = {"scale": 0, "factors": i, "hours": k, "given": k, "targets": k}
            parts = [at[n] + which[n] * size + np.arange(size) for n, size in wide.items()]
            found.append(np.concatenate(parts))
        return np.array(found)

    def _rows(self) -> Places:
        """Return where the rows of each part are among the constraints."""
        p, s = self._problem, self._problem.settings
        n, limits = len(p.states), len(p.limits)
        places: list[Places] = []

        def take(count: int, *, equal: bool) -> Places:
            start = len(self.equality)
            self.equality += [equal] * count
            return np.arange(start, start + count)

        for k in range(s.stages):
            after = take(self.nx, equal=True)
            if k == 0:
                take(self.nx, equal=True)
            balances = [take(2 * len(p.stiff), equal=True) for _ in range(s.scenarios)]
            ends = [after[i * n :][:n] for i in range(s.scenarios)]
            room = [take(2 * limits, equal=False) for _ in range(s.scenarios)]
            places += [np.concatenate(rows) for rows in zip(balances, ends, room, strict=True)]
            take(len(self._ahead), equal=False)
        return np.array(places)

    @cached_property
    def _ahead(self) -> list[tuple[int, int]]:
        """Which effort may not be less than which: the loop gives all air before any oxygen.

        Oxygen in less air would be richer, but that is not what comes of it.
        """
        inner = self._problem.inner
        first = [k for k, name in enumerate(inner) if name in TOGETHER]
        return [(a, b) for b, name in enumerate(inner) if name == "oxygen" for a in first]

    # -- expressions ---------------------------------------------------------------------------

    def _tied(self, x: Any, given: Any) -> tuple[Any, Any]:
        """Return what is linear of every row, and the cost that is of no stage alone."""
        p, s = self._problem, self._problem.settings
        n, m, inner = len(p.states), len(p.moved), len(p.inner)
        vessels, tied = s.scenarios, 2 * len(p.stiff)
        of = {name: given[a:][: self._sizes[name]] for name, a in self._starts.items()}
        low, span = ca.DM(p.ranges[:, 0]), ca.DM(p.ranges[:, 1] - p.ranges[:, 0])
        everywhere = ca.vertcat(*(of["scale"] for _ in range(vessels)))
        rows: list[Any] = []
        cost: Any = 0.0
        wide = self.nx + self.nu
        for k in range(s.stages):
            here, u = x[k * wide :][: self.nx], x[k * wide + self.nx :][: self.nu]
            after = x[(k + 1) * wide :][: self.nx]
            u = u[vessels * tied :]
            effort, move, slack = u[:inner], u[inner : inner + m], u[inner + m :]
            moved, stock = here[vessels * n : vessels * n + m], here[vessels * n + m :]
            flow = low + span * (moved + 0.5 * move)
            fed = of["hours"][k] * flow[p.tank] / s.volume_max_l
            rows.append(after - ca.vertcat(ca.SX(vessels * n, 1), moved + move, stock - fed))
            if k == 0:
                applied = (of["applied"] - low) / span
                rows.append(here - ca.vertcat(of["starts"] / everywhere, applied, of["stock"]))
            rows += [ca.SX(vessels * tied, 1), *[slack] * (2 * vessels)]
            rows += [effort[a] - effort[b] for a, b in self._ahead]
            cost += MOVE * ca.sumsqr(move)
            cost += SLACK_LINEAR * ca.sum1(slack) + SLACK_SQUARE * ca.sumsqr(slack)
        last = x[s.stages * wide :][:n] * of["scale"]
        volume, drawn = last[p.states.index("V")], last[p.states.index("drawn")]
        made = last[p.product] * volume + drawn
        cost -= (s.product_price * made + s.biomass_price * last[p.biomass] * volume) / of["size"]
        return ca.vertcat(*rows), cost

    def _stages(self, x: Any, p: Any) -> tuple[Any, Any]:
        """Return variables and numbers of every part, a column each."""
        return tuple(
            ca.reshape(of[places.ravel().tolist()], places.shape[1], places.shape[0])
            for of, places in ((x, self._of_variables), (p, self._of_numbers))
        )

    def whole(self, x: Any, p: Any, parts: Any) -> tuple[Any, Any]:
        """Return objective and constraints.

        Args:
            x: variables.
            p: what a solve is given.
            parts: ``(variables, numbers) -> rows, costs`` of all parts, a column each.
        """
        rows, costs = parts(*self._stages(x, p))
        places = self._of_rows.ravel().tolist()
        shape = len(self.equality), len(places)
        into = ca.DM.triplet(places, list(range(len(places))), ca.DM.ones(len(places)), *shape)
        likely = ca.sum2(costs * ca.DM(self._likely).T) / p[-1]
        return self._plain(x, p)[0] + likely, self._linear(x, p)[0] + into @ ca.vec(rows)

    @property
    def _likely(self) -> list[float]:
        return [float(i == 0) for _, i in self._cells]

    # -- derivatives ---------------------------------------------------------------------------

    def functions(self, solver: str) -> dict[str, Any]:
        """Return values and derivatives by the names under which a solver asks CasADi for them.

        Args:
            solver: ``fatrop`` or ``ipopt``; they ask for the same in different words.
        """
        x, p = (ca.MX.sym(n, self.nlp[n].shape[0]) for n in ("x", "p"))
        lam_f, lam_g = ca.MX.sym("lam_f"), ca.MX.sym("lam_g", len(self.equality))
        d_rows, d_costs = self._asked["slopes"](*self._stages(x, p))
        _, d_linear = self._linear(x, p)
        _, d_plain, dd_plain = self._plain(x, p)
        f, g = self.whole(x, p, self._asked["values"])
        weighted = ca.mtimes(d_costs, ca.diag(ca.DM(self._likely)) / p[-1])
        f_x = self._gradient(weighted, d_plain)
        g_x = self._jacobian(d_rows, d_linear)
        weights = ca.reshape(lam_g[self._of_rows.ravel().tolist()], *self._of_rows.shape[::-1])
        weight = lam_f / p[-1] * ca.DM(self._likely).T
        slope, curved = self._asked["curvature"](*self._stages(x, p), weights, weight)
        l_xx = self._hessian(curved, lam_f * dd_plain)
        l_x = self._gradient(slope, ca.mtimes(d_linear.T, lam_g) + lam_f * d_plain)
        of: dict[str, dict[str, Any]] = {
            "nlp_f": {"f": f},
            "nlp_g": {"g": g},
            "nlp_grad_f": {"grad_f_x": f_x},
            "nlp_jac_g": {"g": g, "jac_g_x": g_x},
            "nlp_hess_l": {"grad_gamma_x": l_x, "hess_gamma_x_x": ca.triu2symm(l_xx)},
            # at the end, for multipliers; those of what a solve is given are asked by nobody
            "nlp_grad": {"f": f, "g": g, "grad_gamma_x": l_x, "grad_gamma_p": ca.MX(*p.shape)},
        }
        if solver == "ipopt":
            of["nlp_grad_f"] = {"f": f, **of["nlp_grad_f"]}
            of["nlp_hess_l"] = {"triu_hess_gamma_x_x": l_xx}
        given = {"x": x, "p": p, "lam_f": lam_f, "lam_g": lam_g}
        found: dict[str, Any] = {}
        for name, out in of.items():
            names = list(given) if name in ("nlp_hess_l", "nlp_grad") else ["x", "p"]
            args = [given[n] for n in names]
            found[name] = ca.Function(name, args, list(out.values()), names, list(out))
        return found

    def _jacobian(self, d_rows: Any, d_linear: Any) -> Any:
        one = ca.Sparsity.dense(self._parts.rows, self._parts.variables)
        rows, columns = _spread(self._of_rows, self._of_variables, one)
        own_rows, own_columns = _triplet(d_linear.sparsity())
        shape = (len(self.equality), self._size)
        return _placed(shape, [rows, own_rows], [columns, own_columns], [d_rows, d_linear])

    def _gradient(self, slopes: Any, plain: Any) -> Any:
        zeros = np.zeros((len(self._of_variables), 1), dtype=np.int64)
        one = ca.Sparsity.dense(self._parts.variables, 1)
        rows, columns = _spread(self._of_variables, zeros, one)
        own_rows, own_columns = _triplet(plain.sparsity())
        places = [rows, own_rows], [columns, own_columns]
        return ca.densify(_placed((self._size, 1), *places, [slopes, plain]))

    def _hessian(self, curved: Any, plain: Any) -> Any:
        one = ca.Sparsity.upper(self._parts.variables)
        rows, columns = _spread(self._of_variables, self._of_variables, one)
        own_rows, own_columns = _triplet(plain.sparsity())
        # a part's own order of variables is not that of all: each place to the upper triangle
        upper = [np.minimum(rows, columns), own_rows], [np.maximum(rows, columns), own_columns]
        return _placed((self._size, self._size), *upper, [curved, plain])


def _triplet(sparsity: Any) -> tuple[Places, Places]:
    rows, columns = sparsity.get_triplet()
    return np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)


def _spread(rows: Places, columns: Places, one: Any) -> tuple[Places, Places]:
    """Return where the numbers of all parts belong, of which each has the sparsity of ``one``."""
    row, column = _triplet(one)
    return rows[:, row].ravel(), columns[:, column].ravel()


def _placed(
    shape: tuple[int, int], rows: Sequence[Places], columns: Sequence[Places], parts: Sequence[Any]
) -> Any:
    """Return a sparse matrix of the numbers of ``parts``, those of one place added up."""
    high, wide = shape
    keys = np.concatenate(columns) * high + np.concatenate(rows)
    places, which = np.unique(keys, return_inverse=True)
    starts = np.searchsorted(places, np.arange(wide + 1) * high)
    sparsity = ca.Sparsity(high, wide, starts.tolist(), (places % high).tolist())
    into = ca.DM.triplet(
        which.tolist(), list(range(len(keys))), ca.DM.ones(len(keys)), len(places), len(keys)
    )
    numbers = ca.vertcat(*(part.nz[:] for part in parts))
    return ca.MX(sparsity, ca.mtimes(into, numbers))
