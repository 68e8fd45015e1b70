"""The optimiser's problem: how to feed and aerate from now to harvest for the most product.

Substrate is taken as eaten when it comes (``qS = F S_f / M``), so the states are four and none is
stiff: biomass, volume, product and the feed itself. Stages of any length between N + 1 nodes;
the feed is linear in between. With 24 stages fatrop solves it in 10-20 ms.
"""

from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import casadi
import numpy as np
from numpy.typing import NDArray

from controller.planning.cells import NODE_SIZE, SITUATED_SIZE, Cells, Node, Situated
from models.fedbatch import FACTORS
from models.symbolic import Compiled, compiled

ca: Any = casadi  # its stubs leave most results untyped
Floats = NDArray[np.float64]

STATE_SCALE = (100.0, 1.0, 10.0, 0.05)  # g, L, g, L/h
NX, NU = 4, 5  # states; slope of the feed, oxygen setpoint, three slacks
SLOPE_SCALE, DO_SCALE = 0.05, 100.0  # L/h per h, %

# weights in g of product; slack is a share of a limit
SLACK_LINEAR, SLACK_SQUARE = 20.0, 20.0
ABSURD = 20.0  # slack of a guess from which a solver is not let loose: fatrop may never return
VOLUME_STIFF = 10.0  # 0.1 L too much is as bad as twice the oxygen
MOVE, SUBSTRATE, AERATION = 0.01, 5e-4, 2e-4


class Solution(NamedTuple):
    """What a solver returned, in plain units.

    ``biomass_g``, ``volume_l``, ``product_g``, ``feed_l_per_h`` and ``do_percent`` have shape
    (N + 1,); ``slack`` shape (N + 1, 2): shares of the oxygen and of the uptake limit by which
    they are broken.
    """

    status: str
    iterations: int
    objective: float
    biomass_g: Floats
    volume_l: Floats
    product_g: Floats
    feed_l_per_h: Floats
    do_percent: Floats
    slack: Floats


class Problem:
    """The problem, built once; every solve has its own numbers.

    Args:
        cells: rates and limits.
        stages: N.
    """

    def __init__(self, cells: Cells, stages: int = 24) -> None:
        self.cells, self.stages = cells, stages
        self._parameters = ca.SX.sym("p", SITUATED_SIZE + 2 + NODE_SIZE * (stages + 1))
        self._problem, self._equality = self._build()
        self._bounds = self._plain_bounds()
        self._solvers: dict[str, Any] = {}
        self.node: Compiled
        self.step: Compiled
        self.node, self.step = self._functions()

    def _situated(self, p: Any) -> Situated:
        return Situated(
            *(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]),
            factors=[p[8 + i] for i in range(len(FACTORS))],
        )

    def _node(self, p: Any, k: int) -> Node:
        start = SITUATED_SIZE + 2 + NODE_SIZE * k
        return Node(*(p[start + i] for i in range(NODE_SIZE)))

    def _functions(self) -> tuple[Compiled, Compiled]:
        """Compile one stage and the limits at one node, for rollouts outside the solver."""
        y, u = ca.SX.sym("y", 3), ca.SX.sym("u", 3)  # feed, slope, oxygen
        n, p = ca.SX.sym("n", NODE_SIZE), ca.SX.sym("s", SITUATED_SIZE)
        node, s = Node(*(n[i] for i in range(NODE_SIZE))), self._situated(p)
        parts = [y[i] for i in range(3)]
        name = f"fl_{self.cells.organism.name}"
        shares = ca.Function(
            f"{name}_shares",
            [y, u, n, p],
            [ca.vertcat(*self.cells.shares(parts, u[0], u[2], node, s))],
        )
        stage = ca.Function(
            f"{name}_stage", [y, u, n, p], [self.cells.stage(parts, u[0], u[1], u[2], node, s)]
        )
        made = compiled([shares, stage])
        return made[shares.name()], made[stage.name()]

    def _build(self) -> tuple[dict[str, Any], list[bool]]:
        """Return the problem and which of its constraints are equalities.

        Variables and constraints go stage by stage, dynamics first, so that fatrop finds the
        structure by itself.
        """
        p, s = self._parameters, self._situated(self._parameters)
        start_low = p[SITUATED_SIZE]
        start_high = p[SITUATED_SIZE + 1]
        scale = ca.DM(list(STATE_SCALE))
        xs = [ca.SX.sym(f"x{k}", NX) for k in range(self.stages + 1)]
        us = [ca.SX.sym(f"u{k}", NU) for k in range(self.stages + 1)]
        cost: Any = 0.0
        constraints: list[Any] = []
        equality: list[bool] = []
        for k in range(self.stages + 1):
            x, n = xs[k] * scale, self._node(p, k)
            y, feed = [x[i] for i in range(3)], x[3]
            slope, do = us[k][0] * SLOPE_SCALE, us[k][1] * DO_SCALE
            if k < self.stages:
                after = ca.vertcat(
                    self.cells.stage(y, feed, slope, do, n, s), feed + slope * n.hours
                )
                constraints.append(xs[k + 1] - after / scale)
                equality += [True] * NX
                cost += n.hours * (
                    MOVE * us[k][0] ** 2 + SUBSTRATE * s.feed_g_per_l * feed + AERATION * do
                )
            if k == 0:
                given = ca.vertcat(s.biomass_g, s.volume_l, s.product_g) / scale[:3]
                constraints += [xs[0][:3] - given]
                constraints += [xs[0][3] - start_low / STATE_SCALE[3]]
                constraints += [start_high / STATE_SCALE[3] - xs[0][3]]
                equality += [True] * 3 + [False] * 2
            oxygen, uptake, heat = self.cells.shares(y, feed, do, n, s)
            constraints += [
                n.oxygen_share - oxygen + us[k][2],
                n.uptake_share - uptake + us[k][3],
                1.0 - heat + us[k][2],
                us[k][1] - s.do_floor / DO_SCALE,
                VOLUME_STIFF * (self.cells.limits.volume_max - y[1]) + us[k][4],
            ]
            equality += [False] * 5
            for slack in (us[k][2], us[k][3], us[k][4]):
                cost += SLACK_LINEAR * slack + SLACK_SQUARE * slack**2
        last = xs[-1] * scale
        cost -= last[2] + s.biomass_value * last[0]
        variables = [v for pair in zip(xs, us, strict=True) for v in pair]
        problem = {
            "x": ca.vertcat(*variables),
            "f": cost,
            "g": ca.vertcat(*constraints),
            "p": p,
        }
        return problem, equality

    def _plain_bounds(self) -> dict[str, Floats]:
        w = self.cells.limits
        low = [1e-6, 0.01, -1.0, w.feed_min / STATE_SCALE[3]]
        high = [20.0, 20.0, 100.0, w.feed_max / STATE_SCALE[3]]
        steep = w.slope_max / SLOPE_SCALE
        low += [-steep, w.do_min / DO_SCALE, 0.0, 0.0, 0.0]
        high += [steep, w.do_max / DO_SCALE, np.inf, np.inf, np.inf]  # slack is never short
        count = self.stages + 1
        equality = np.array(self._equality)
        return {
            "lbx": np.tile(low, count),
            "ubx": np.tile(high, count),
            "lbg": np.zeros(len(equality)),
            "ubg": np.where(equality, 0.0, np.inf),
        }

    def solver(self, name: str) -> Any:
        """Return the solver ``fatrop`` or ``ipopt``, made when first asked for."""
        if name not in self._solvers:
            options: dict[str, Any] = {"print_time": False, "error_on_fail": False}
            if name == "fatrop":
                options |= {
                    "equality": self._equality,
                    "structure_detection": "auto",
                    "fatrop": {"print_level": 0, "tol": 1e-5, "max_iter": 120},
                }
            else:
                options["ipopt"] = {
                    "print_level": 0,
                    "sb": "yes",
                    "tol": 1e-5,
                    "max_iter": 150,
                    "max_cpu_time": 3.0,
                }
            self._solvers[name] = ca.nlpsol(f"fl_{name}", name, self._problem, options)
        return self._solvers[name]

    def solve(
        self,
        name: str,
        situated: Situated,
        start: tuple[float, float],
        nodes: Sequence[Node],
        guess: Floats,
    ) -> Solution:
        """Solve from ``guess``; the status is the solver's word, to be checked by rollout.

        Args:
            name: ``fatrop`` or ``ipopt``.
            situated: constants.
            start: least and greatest first feed, L/h.
            nodes: N + 1 of them.
            guess: shape (N + 1, 5): biomass g, volume L, product g, feed L/h, oxygen %.
        """
        flat = [*situated[:8], *situated.factors, *start]
        for node in nodes:
            flat += node
        begin = self._start(guess, nodes, (*situated[:8], *situated.factors))
        excess = float(begin.reshape(-1, NX + NU)[:, 6:9].max())
        if not excess < ABSURD:
            return _unsolved(f"not tried: the guess is {excess:.3g} times a limit beyond it", guess)
        solver = self.solver(name)
        result = solver(x0=begin, p=flat, **self._bounds)
        stats = solver.stats()
        found = np.asarray(result["x"]).reshape(self.stages + 1, NX + NU)
        return Solution(
            status="solved" if stats["success"] else str(stats.get("unified_return_status")),
            iterations=int(stats.get("iter_count", 0)),
            objective=-float(result["f"]),
            biomass_g=found[:, 0] * STATE_SCALE[0],
            volume_l=found[:, 1] * STATE_SCALE[1],
            product_g=found[:, 2] * STATE_SCALE[2],
            feed_l_per_h=found[:, 3] * STATE_SCALE[3],
            do_percent=found[:, 5] * DO_SCALE,
            slack=found[:, 6:8],
        )

    def _start(self, guess: Floats, nodes: Sequence[Node], constants: Sequence[float]) -> Floats:
        """Return the guess as the solver wants it, with the slack that it needs to be feasible.

        Without that slack, or with a bound on it, fatrop may never return from absurd states.
        """
        begin = np.zeros((self.stages + 1, NX + NU))
        begin[:, :4] = guess[:, :4] / np.array(STATE_SCALE)
        hours = np.array([max(node.hours, 1e-6) for node in nodes[:-1]])
        begin[:-1, 4] = np.diff(guess[:, 3]) / hours / SLOPE_SCALE
        begin[:, 5] = guess[:, 4] / DO_SCALE
        for k, node in enumerate(nodes):
            y, feed, do = guess[k, :3], guess[k, 3], guess[k, 4]
            oxygen, uptake, heat = self.shares_at(y.tolist(), (feed, 0.0, do), node, constants)
            over = VOLUME_STIFF * (y[1] - self.cells.limits.volume_max)
            begin[k, 6] = max(oxygen - node.oxygen_share, heat - 1.0, 0.0) + 0.01
            begin[k, 7] = max(uptake - node.uptake_share, 0.0) + 0.01
            begin[k, 8] = max(over, 0.0) + 0.01
        low, high = (self._bounds[key].reshape(begin.shape) for key in ("lbx", "ubx"))
        return np.clip(begin, low, high).ravel()

    def shares_at(
        self,
        y: Sequence[float],
        inputs: Sequence[float],
        node: Node,
        constants: Sequence[float],
    ) -> list[float]:
        """Return ``Cells.shares`` in numbers.

        Args:
            y: biomass g, volume L, product g.
            inputs: feed L/h, its slope, oxygen %.
            node: the node.
            constants: ``Situated`` with its factors at the end, flat.
        """
        fill(self.node.arguments, (y, inputs, node, constants))
        self.node()
        return list(self.node.results[0])


def _unsolved(status: str, guess: Floats) -> Solution:
    """Return ``guess`` as it is, with a status that says that nobody solved anything."""
    columns = (guess[:, 0], guess[:, 1], guess[:, 2], guess[:, 3], guess[:, 4])
    return Solution(status, 0, 0.0, *columns, np.zeros((len(guess), 2)))


def fill(buffers: Sequence["array[float]"], groups: Sequence[Sequence[float]]) -> None:
    """Write each group of numbers into its buffer."""
    for buffer, group in zip(buffers, groups, strict=True):
        for i, value in enumerate(group):
            buffer[i] = value
