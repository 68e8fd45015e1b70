"""The simulator's speed against its rivals, in one run: the generated loop, numpy, the closed loop.

    .venv/bin/python tests/bench/bench_simulator.py [--closed-loop HOURS]

The problem: 40 h of E. coli in fed-batch (induced after 14 h) with dissolved oxygen near 30 %, in
1 s or 10 s steps with inputs of their own. CPU seconds of the best of some rounds, interleaved, so
that the ratios survive a busy machine; wall seconds where threads are compared.
"""

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from drivers.clock import monotonic
from models.ecoli import PARAMETERS, EColi
from models.fn import ARRAYS
from models.loop import Loop
from models.model import Functions, Variable
from models.symbolic import rosenbrock

Array = NDArray[np.float64]
HOURS = 40.0
C_FILE = Path(__file__).with_name("plant_loop.c")
PLANTS = 256
PLANT_H = 1.0  # of the 256


class AeratedFedBatch:
    """``EColi`` with volume and dissolved oxygen; feed, kLa and induction are given."""

    name = "bench_aerated"
    time_unit: Literal["h", "s"] = "h"
    states = (*EColi.states, Variable("O", "g/L", 0.002, 0.0, doc="dissolved oxygen"))
    inputs = (
        Variable("F", "L/h", 0.0, 0.0, doc="feed"),
        Variable("kLa", "1/h", 100.0, 0.0, doc="oxygen transfer"),
        Variable("induced", "1", 0.0, 0.0, 1.0, doc="1 from induction on"),
    )
    parameters = (
        *PARAMETERS,
        Variable("S_f", "g/L", 500.0, 0.0, doc="glucose in the feed"),
        Variable("O_sat", "g/L", 0.0070, 0.0, doc="dissolved oxygen in equilibrium"),
    )
    outputs = ()

    def rhs(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        X, S, A, P, E, V, O = x  # noqa: E741, N806 (symbols as in the model)
        F, kLa, induced = u  # noqa: N806
        *strain, S_f, O_sat = p  # noqa: N806
        organism = EColi()
        r = organism.rates(S, A, O, E * induced, strain, fn)
        D = F / V  # noqa: N806
        return (
            (r.mu - D) * X,
            D * (S_f - S) - r.qS * X,
            (r.qAp - r.qAc) * X - D * A,
            r.qP * X - D * P,
            -organism.capacity_loss(strain) * E * induced,
            F + 0.0 * V,
            kLa * (O_sat - O) - r.qO * X - D * O,
        )

    def output(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        return ()


MODEL = AeratedFedBatch()
START = np.array([5.0, 0.05, 0.1, 0.0, 1.0, 3.0, 0.0025])
P = np.array([v.default for v in MODEL.parameters])


def inputs(step_s: float, hours: float = HOURS) -> Array:
    """Return the inputs of each step: a slow exponential feed, kLa that keeps up, induction."""
    t = np.arange(0.0, hours, step_s / 3600.0)
    feed = np.minimum(0.006 * np.exp(0.12 * t), 0.030) * np.where(t > 14.0, 0.7, 1.0)
    return np.column_stack([feed, 100.0 + 0.75 * 1e4 * feed * 3.0, np.where(t > 14.0, 1.0, 0.0)])


def hand_written(folder: Path) -> Callable[[Array, Array, float], Array]:
    """Return the C loop of ``plant_loop.c``: RK4."""
    library = folder / "plant_loop.so"
    flags = ["-O3", "-fno-math-errno", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(C_FILE), "-lm"], check=True)
    call = ctypes.CDLL(str(library)).plant_loop
    call.restype = None

    def run(x: Array, u: Array, h: float) -> Array:
        path = np.empty((len(u), len(x)))
        at = [ctypes.c_void_p(a.ctypes.data) for a in (x.copy(), u, P, path)]
        call(*at[:3], ctypes.c_double(h), ctypes.c_longlong(len(u)), at[3])
        return path

    return run


def numpy_rk4(x: Array, u: Array, p: Array, h: float) -> Array:
    """Return many plants after the steps of ``u``, RK4 on arrays; x and p shaped (n, plants)."""

    def slope(now: Array, held: Array) -> Array:
        return np.array(MODEL.rhs(0.0, list(now), list(held), list(p), ARRAYS))

    for held in u:
        a = slope(x, held)
        b = slope(x + 0.5 * h * a, held)
        c = slope(x + 0.5 * h * b, held)
        x = x + h / 6.0 * (a + 2.0 * (b + c) + slope(x + h * c, held))
    return x


def best(
    ways: dict[str, Callable[[], object]],
    timer: Callable[[], float] = time.process_time,
    rounds: int = 7,
) -> dict[str, float]:
    """Return the seconds of the fastest of some rounds of each way, taken in turns."""
    found = dict.fromkeys(ways, np.inf)
    for _ in range(rounds):
        for name, way in ways.items():
            start = timer()
            way()
            found[name] = min(found[name], timer() - start)
    return found


def apart(a: Array, b: Array) -> float:
    """Return the greatest difference of two final states, relative to each state's own size."""
    return float(np.max(np.abs(a - b) / np.maximum(np.abs(b), 1e-2)))


def one_plant(folder: Path) -> dict[str, float]:
    """Return speed ratios against the hand-written loop, and errors after 40 h."""
    by_hand, loop = hand_written(folder), Loop(rosenbrock(MODEL))
    seconds, tens = inputs(1.0), inputs(10.0)
    ways: dict[str, Callable[[], object]] = {
        "hand-written RK4, 1 s": lambda: by_hand(START, seconds, 1 / 3600),
        "generated ROS2, 1 s": lambda: loop(START, seconds, P, 1 / 3600),
        "generated ROS2, 10 s": lambda: loop(START, tens, P, 10 / 3600),
    }
    took = best(ways)
    exact = by_hand(START, np.repeat(seconds, 4, axis=0), 0.25 / 3600)[-1]
    exact_tens = by_hand(START, np.repeat(tens, 40, axis=0), 0.25 / 3600)[-1]
    for name, s in took.items():
        print(f"{name:<44} {HOURS * 3600 / s:>12,.0f} sim-s/s")
    return {
        "1s": took["hand-written RK4, 1 s"] / took["generated ROS2, 1 s"],
        "10s": took["hand-written RK4, 1 s"] / took["generated ROS2, 10 s"],
        "error_1s": apart(loop(START, seconds, P, 1 / 3600)[-1], exact),
        "error_10s": apart(loop(START, tens, P, 10 / 3600)[-1], exact_tens),
        "error_rk4": apart(by_hand(START, seconds, 1 / 3600)[-1], exact),
    }


def many_plants() -> dict[str, float]:
    """Return how much faster 256 different plants are than vectorised in numpy, wall seconds."""
    loop = Loop(rosenbrock(MODEL))
    u = inputs(1.0, PLANT_H)
    rng = np.random.default_rng(1)
    p = P[:, None] * rng.lognormal(0.0, 0.05, (len(P), PLANTS))
    x = np.repeat(START[:, None], PLANTS, axis=1)
    halves = np.array_split(np.ascontiguousarray(p.T), os.cpu_count() or 1)
    few = u[:100]  # numpy's time per step is the same in each
    with ThreadPoolExecutor() as pool:  # the loop lets other threads run

        def part(q: Array, held: Array = u) -> Array:
            return loop.many(np.tile(START, (len(q), 1)), held, q, 1 / 3600)

        def threaded() -> list[Array]:
            return list(pool.map(part, halves))

        ways: dict[str, Callable[[], object]] = {
            "numpy": lambda: numpy_rk4(x, few, p, 1 / 3600),
            "loops": threaded,
        }
        took, cpu = best(ways, monotonic, 5), best(ways, rounds=5)
    vectorised = took["numpy"] * len(u) / len(few)
    for name, s in (
        ("numpy RK4, vectorised", vectorised),
        ("loops on vectors, threads", took["loops"]),
    ):
        print(f"{PLANTS} plants, {name:<32} {PLANTS * PLANT_H * 3600 / s:>12,.0f} plant-s/s")
    same = apart(part(halves[0], few).T, numpy_rk4(x, few, p, 1 / 3600)[:, : len(halves[0])])
    per_core = cpu["numpy"] * len(u) / len(few) / cpu["loops"]
    return {"256": vectorised / took["loops"], "256_per_core": per_core, "256_apart": same}


def closed_loop(hours: float) -> float:
    """Return wall seconds of ``hours`` of a batch through the drivers' code at 1 s scans."""
    root = Path(__file__).resolve().parents[2] / "sim"
    words = [
        "batch",
        str(root / "plants/ecoli_5l.toml"),
        "--recipe",
        str(root / "recipes/ecoli.toml"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        start = monotonic()
        subprocess.run(
            [sys.executable, "-m", "fermloop", *words, "--hours", f"{hours:g}", "--seed", "1"],
            check=True, cwd=folder, stdout=subprocess.DEVNULL,
            env={"PYTHONPATH": str(root.parent), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        return monotonic() - start


def main() -> None:
    """Print every row of the simulator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--closed-loop", type=float, default=0.0, metavar="HOURS")
    hours = parser.parse_args().closed_loop
    with tempfile.TemporaryDirectory() as folder:
        found = one_plant(Path(folder)) | many_plants()
    print(f"1 s inputs: {found['1s']:.0%} of the hand-written loop (goal 50 %, then 100 %)")
    print(
        f"10 s inputs: {found['10s']:.1f} times it (goal 1, then 3), error {found['error_10s']:.1e}"
    )
    print(f"errors after 40 h: ROS2 1 s {found['error_1s']:.1e}, RK4 1 s {found['error_rk4']:.1e}")
    print(
        f"256 plants: {found['256']:.0f} times numpy, {found['256_per_core']:.0f} times for each "
        "core (goal 10, then 50)"
    )
    if hours:
        took = closed_loop(hours)
        print(
            f"closed loop, {hours:g} h: {took:.1f} s, 40 h: {took * 40 / hours:.0f} s (goal 20, 8)"
        )


if __name__ == "__main__":
    main()
