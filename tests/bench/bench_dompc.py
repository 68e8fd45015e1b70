"""One receding horizon, solved by this project's way and by do-mpc, side by side.

An E. coli fed-batch (six states with dissolved oxygen; feed, stirrer and air), 20 stages of 3 min,
Radau collocation of two points, soft limits on oxygen, acetate and sugar, a cost of moves. Both
have the same equations, the same bounds, scales, penalties, tolerance and warm start (their own
last solution), and each its own vessel, whose kLa is 2 % better and whose yield is 1 % worse than
both believe. They take turns step by step, so that whatever else the machine does slows both.

Run it by hand: ``pip install do-mpc``, then ``.venv/bin/python tests/bench/bench_dompc.py``.
Ours is CasADi with fatrop, which knows the stages; do-mpc is CasADi with IPOPT. gcc has compiled
the derivatives of both, at -O1: a quarter of a minute each, which is not counted.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import chdir
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from drivers.clock import monotonic
from models.ecoli import M_O2, EColi
from models.model import Functions
from models.oxygen import AIR_O2
from models.symbolic import SYMBOLS, ca, library
from models.transfer import Transfer
from models.vessels import BENCH_5L

Floats = NDArray[np.float64]
STEP_H, STAGES, STEPS, ROUNDS = 0.05, 20, 60, 3
TOL = 1e-6
STATES = ("X", "S", "A", "O", "P", "V")
INPUTS = ("F", "N", "Q")
START = np.array([20.0, 0.03, 0.1, 0.0025, 0.1, 3.2])
FIRST = np.array([0.03, 700.0, 3.0])
SCALE_X = np.array([10.0, 0.05, 0.2, 0.002, 1.0, 1.0])
SCALE_U = np.array([0.03, 500.0, 3.0])
LOW_U, HIGH_U = np.array([0.0, 300.0, 1.0]), np.array([0.15, 1000.0, 6.0])
LOW_X = np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.5])
HIGH_X = np.array([150.0, 20.0, 20.0, 0.02, 50.0, 4.5])
FEED = 500.0  # g/L
EXPRESSED = 0.5
DO_MIN, ACETATE_MAX, SUGAR_MAX = 30.0, 0.5, 0.1  # %, g/L, g/L
PENALTY = np.array([5.0, 5.0, 5.0])  # of a limit passed by its own size, at a node
MOVES = np.array([0.05, 0.02, 0.02])  # of a move by its scale, squared
AERATION = 0.01  # of N and Q at their scale, an h


class Vat:
    """The equations, for numbers and symbols.

    Args:
        kla: times the nominal one.
        grown: times the nominal yield.
    """

    def __init__(self, kla: float = 1.0, grown: float = 1.0) -> None:
        self.organism = EColi()
        self.transfer = Transfer(self.organism, BENCH_5L)
        self.kla = kla
        names = [v.name for v in self.organism.parameters]
        self.strain = [v.default for v in self.organism.parameters]
        self.strain[names.index("Yem")] *= grown
        self.full = float(self.transfer.saturation_mmol_per_l(37.0, AIR_O2)) * M_O2 / 1e3

    def rhs(self, x: Any, u: Any, fn: Functions) -> list[Any]:
        """Return ``dx/dt`` per hour."""
        X, S, A, O, P, V = x  # noqa: E741, N806 symbols of the source
        F, N, Q = u  # noqa: N806 likewise
        r = self.organism.rates(S, A, O, EXPRESSED, self.strain, fn)
        D = F / V  # noqa: N806 likewise
        kla = self.kla * self.transfer.kla_per_h(N, Q, V, 37.0, fn)
        return [
            (r.mu - D) * X,
            D * (FEED - S) - r.qS * X,
            (r.qAp - r.qAc) * X - D * A,
            kla * (self.full - O) - r.qO * X - D * O,
            r.qP * X - D * P,
            F,
        ]

    def limits(self, x: Any) -> list[Any]:
        """Return by which share each soft limit is passed: oxygen, acetate, sugar."""
        do = 100.0 * x[3] / (self.transfer.calibration_mmol_per_l * M_O2 / 1e3)
        return [1.0 - do / DO_MIN, x[2] / ACETATE_MAX - 1.0, x[1] / SUGAR_MAX - 1.0]


def effort(u: Any) -> Any:
    """Return the running cost of stirrer and air, an h."""
    return AERATION * (u[1] / SCALE_U[1] + u[2] / SCALE_U[2])


class Plant:
    """A vessel of its own, integrated in small implicit steps."""

    def __init__(self) -> None:
        vat = Vat(kla=1.02, grown=0.99)
        x, u = ca.SX.sym("x", 6), ca.SX.sym("u", 3)
        f = ca.vertcat(*vat.rhs(ca.vertsplit(x), ca.vertsplit(u), SYMBOLS))
        self._step = ca.integrator(
            "plant", "cvodes", {"x": x, "p": u, "ode": f}, 0.0, STEP_H,
            {"reltol": 1e-8, "abstol": 1e-10},
        )  # fmt: skip
        self._vat = vat
        self.x = START.copy()
        self.passed = np.zeros(3)  # sums of shares by which limits were passed, an h

    def move(self, u: Floats) -> None:
        """Let a step pass."""
        self.x = np.asarray(self._step(x0=self.x, p=u)["xf"]).ravel()
        over = np.array([max(float(v) - 0.02, 0.0) for v in self._vat.limits(self.x)])
        self.passed += STEP_H * over


def compiled_derivatives(solver: Any) -> dict[str, Any]:
    """Return what a solver asks of its problem as machine code; a plan's own is made so too."""
    names = ("nlp_f", "nlp_g", "nlp_grad_f", "nlp_jac_g", "nlp_hess_l")
    made = library([solver.get_function(n) for n in names], "gcc", flags=["-O1"])
    return {} if made is None else {n: ca.external(n, str(made)) for n in names}


class Ours:
    """The problem stage by stage, solved by fatrop."""

    name = "fermloop (fatrop)"

    def __init__(self) -> None:
        vat = Vat()
        x0, before = ca.SX.sym("x0", 6), ca.SX.sym("before", 3)
        scale, unit = ca.DM(SCALE_X), ca.DM(SCALE_U)
        variables: list[Any] = []
        constraints: list[Any] = []
        cost: Any = 0.0
        self._equality: list[bool] = []
        low: list[Floats] = []
        high: list[Floats] = []

        def rate(state: Any, u: Any) -> Any:
            values = ca.vertsplit(state * scale), ca.vertsplit(u * unit)
            return ca.vertcat(*vat.rhs(*values, SYMBOLS)) / scale

        states = [ca.SX.sym(f"s{k}", 9) for k in range(STAGES + 1)]
        node_low = np.concatenate([LOW_X / SCALE_X, LOW_U / SCALE_U])
        node_high = np.concatenate([HIGH_X / SCALE_X, HIGH_U / SCALE_U])
        for k in range(STAGES):
            x, past = states[k][:6], states[k][6:]
            c = ca.SX.sym(f"c{k}", 18)
            u, z1, z2, slack = c[:3], c[3:9], c[9:15], c[15:]
            variables += [states[k], c]
            constraints.append(states[k + 1] - ca.vertcat(z2, u))
            self._equality += [True] * 9
            if k == 0:
                constraints.append(states[0] - ca.vertcat(x0 / scale, before / unit))
                self._equality += [True] * 9
            constraints += [
                STEP_H * rate(z1, u) - (-2.0 * x + 1.5 * z1 + 0.5 * z2),
                STEP_H * rate(z2, u) - (2.0 * x - 4.5 * z1 + 2.5 * z2),
                slack - ca.vertcat(*vat.limits(ca.vertsplit(x * scale))),
            ]
            self._equality += [True] * 12 + [False] * 3
            cost += STEP_H * effort(u * unit) + ca.dot(ca.DM(PENALTY), slack)
            cost += ca.dot(ca.DM(MOVES), (u - past) ** 2)
            free = k == 0
            low += [np.full(9, -np.inf) if free else node_low]
            high += [np.full(9, np.inf) if free else node_high]
            inside = LOW_X / SCALE_X, HIGH_X / SCALE_X
            low += [LOW_U / SCALE_U, inside[0], inside[0], np.zeros(3)]
            high += [HIGH_U / SCALE_U, inside[1], inside[1], np.full(3, np.inf)]
        variables.append(states[-1])
        low.append(node_low)
        high.append(node_high)
        last = states[-1][:6] * scale
        cost -= last[0] * last[5] / (START[0] * START[5])
        problem = {
            "x": ca.vertcat(*variables), "f": cost, "g": ca.vertcat(*constraints),
            "p": ca.vertcat(x0, before),
        }  # fmt: skip
        equality = np.array(self._equality)
        self._bounds = {
            "lbx": np.concatenate(low),
            "ubx": np.concatenate(high),
            "lbg": np.zeros(len(equality)),
            "ubg": np.where(equality, 0.0, np.inf),
        }
        self.variables = len(self._bounds["lbx"])
        options: dict[str, Any] = {
            "print_time": False, "error_on_fail": False, "equality": self._equality,
            "structure_detection": "auto",
            "fatrop": {
                "print_level": 0, "tol": TOL, "max_iter": 300,
                "mu_init": 1e-2, "bound_push": 1e-5, "bound_frac": 1e-5,  # near the last one
            },
        }  # fmt: skip
        plain = ca.nlpsol("plain", "fatrop", problem, options)
        options["cache"] = compiled_derivatives(plain)
        self._solver = ca.nlpsol("ours", "fatrop", problem, options)
        self._last: Any = None

    def first(self, x: Floats, u: Floats) -> None:
        """Take the first guess: everything stays as it is."""
        here = np.concatenate([x / SCALE_X, u / SCALE_U])
        control = np.concatenate([u / SCALE_U, x / SCALE_X, x / SCALE_X, np.full(3, 0.01)])
        self._last = np.concatenate([np.tile(np.concatenate([here, control]), STAGES), here])

    def solve(self, x: Floats, before: Floats) -> tuple[Floats, bool]:
        """Return the first inputs and whether it was solved."""
        result = self._solver(x0=self._last, p=np.concatenate([x, before]), **self._bounds)
        self._last = np.asarray(result["x"]).ravel()
        return self._last[9:12] * SCALE_U, bool(self._solver.stats()["success"])


def compiled_theirs(solver: Any, options: Any) -> Any:
    """Return do-mpc's solver with its problem compiled, as its own ``compile_nlp`` does.

    That of 5.1 stops before it uses what it has made: a name is missing there.
    """
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        solver.generate_dependencies("nlp.c")
        subprocess.run(["gcc", "-fPIC", "-shared", "-O1", "nlp.c", "-o", "nlp.so"], check=True)
        return ca.nlpsol("theirs", "ipopt", "./nlp.so", options)


class Theirs:
    """The same in do-mpc's own words."""

    name = "do-mpc (IPOPT)"

    def __init__(self) -> None:
        do_mpc: Any = import_module("do_mpc")
        vat = Vat()
        model: Any = do_mpc.model.Model("continuous", "SX")
        x = [model.set_variable("_x", name) for name in STATES]
        u = [model.set_variable("_u", name) for name in INPUTS]
        for name, slope in zip(STATES, vat.rhs(x, u, SYMBOLS), strict=True):
            model.set_rhs(name, slope)
        model.setup()
        mpc: Any = do_mpc.controller.MPC(model)
        mpc.settings.n_horizon = STAGES
        mpc.settings.t_step = STEP_H
        mpc.settings.state_discretization = "collocation"
        mpc.settings.collocation_type = "radau"
        mpc.settings.collocation_deg = 2
        mpc.settings.collocation_ni = 1
        mpc.settings.store_full_solution = False
        mpc.settings.nlpsol_opts = {
            "ipopt.print_level": 0, "ipopt.sb": "yes", "print_time": 0, "ipopt.tol": TOL,
            "ipopt.max_iter": 300,
        }  # fmt: skip
        mpc.set_objective(mterm=-x[0] * x[5] / (START[0] * START[5]), lterm=STEP_H * effort(u))
        mpc.set_rterm(
            **dict(zip(INPUTS, MOVES, strict=True))  # of moves by their scale, as ours
        )
        for i, name in enumerate(STATES):
            mpc.bounds["lower", "_x", name] = LOW_X[i]
            mpc.bounds["upper", "_x", name] = HIGH_X[i]
            mpc.scaling["_x", name] = SCALE_X[i]
        for i, name in enumerate(INPUTS):
            mpc.bounds["lower", "_u", name] = LOW_U[i]
            mpc.bounds["upper", "_u", name] = HIGH_U[i]
            mpc.scaling["_u", name] = SCALE_U[i]
        for i, expression in enumerate(vat.limits(x)):
            mpc.set_nl_cons(
                f"limit{i}", expression, ub=0.0, soft_constraint=True,
                penalty_term_cons=PENALTY[i],
            )  # fmt: skip
        mpc.setup()
        mpc.S = compiled_theirs(mpc.S, mpc.settings.nlpsol_opts)
        self._mpc: Any = mpc
        self.variables = int(mpc.opt_x_num.cat.shape[0])

    def first(self, x: Floats, u: Floats) -> None:
        """Take the first guess: everything stays as it is."""
        self._mpc.x0, self._mpc.u0 = x, u
        self._mpc.set_initial_guess()

    def solve(self, x: Floats, before: Floats) -> tuple[Floats, bool]:
        """Return the first inputs and whether it was solved."""
        found = np.asarray(self._mpc.make_step(x.reshape(-1, 1))).ravel()
        return found, bool(self._mpc.solver_stats["success"])


def race(makers: tuple[Callable[[], Any], ...]) -> list[tuple[Any, Plant, Floats, int]]:
    """Return each racer with its vessel, its wall seconds a step and what it did not solve."""
    racers = [make() for make in makers]
    plants = [Plant() for _ in racers]
    inputs = [FIRST.copy() for _ in racers]
    times: list[list[float]] = [[] for _ in racers]
    failed = [0 for _ in racers]
    for racer in racers:
        racer.first(START, FIRST)
        racer.solve(START, FIRST)  # the first is cold for both and not counted
    for step in range(STEPS):
        for k in (0, 1) if step % 2 else (1, 0):
            began = monotonic()
            u, solved = racers[k].solve(plants[k].x, inputs[k])
            times[k].append(monotonic() - began)
            failed[k] += not solved
            inputs[k] = np.clip(u, LOW_U, HIGH_U)
            plants[k].move(inputs[k])
    return list(zip(racers, plants, map(np.array, times), failed, strict=True))


def main() -> None:
    """Print both and their ratios, for several rounds."""
    medians: list[float] = []
    slowest: list[float] = []
    every: list[list[Floats]] = [[], []]
    for _ in range(ROUNDS):
        rows = race((Ours, Theirs))
        for k, (racer, plant, times, failed) in enumerate(rows):
            every[k].append(times)
            made, passed = plant.x[0] * plant.x[5], " ".join(f"{v:.4f}" for v in plant.passed)
            print(
                f"{racer.name:<18} {racer.variables} variables: median "
                f"{1e3 * np.median(times):6.1f} ms, p99 {1e3 * np.quantile(times, 0.99):6.1f} ms, "
                f"biomass {made:.3f} g, limits passed {passed} h, {failed} not solved"
            )
        ours, theirs = rows[0][2], rows[1][2]
        medians.append(float(np.median(theirs) / np.median(ours)))
        slowest.append(float(np.quantile(theirs, 0.99) / np.quantile(ours, 0.99)))
    ours, theirs = (np.concatenate(part) for part in every)
    print(
        f"{ROUNDS} rounds of {STEPS} steps: median {np.median(theirs) / np.median(ours):.1f} times "
        f"as fast ({min(medians):.1f} to {max(medians):.1f}), p99 "
        f"{np.quantile(theirs, 0.99) / np.quantile(ours, 0.99):.1f} times "
        f"({min(slowest):.1f} to {max(slowest):.1f})"
    )


if __name__ == "__main__":
    main()
