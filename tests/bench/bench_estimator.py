"""The soft sensor's step by points, by slopes and as filterpy's UKF: how long it takes, how right.

Run it by hand: ``.venv/bin/python tests/bench/bench_estimator.py``. All three have the same model,
noise and gates and see the same batch of another organism (``watched_batches``, without its
laboratory). filterpy gets our compiled equations, called once a point; what it takes with them in
Python is reckoned from one call of each a point, an explicit step that would not hold. Figures of
one run on a shared machine; only their ratios travel.
"""

import math
import sys
from array import array
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.sensing.estimate import Estimate
from controller.sensing.estimator import Estimator, EstimatorSettings, Step
from drivers.clock import monotonic
from drivers.point import Quality, Sample, Tag
from models.ecoli import EColi
from models.fn import SCALARS
from models.kalman import sigma_step, slope_step
from models.soft_sensor import SoftSensor
from models.symbolic import Compiled, compiled, plant_step
from models.vessels import VESSELS
from tests.bench.watched_batches import CASES, Batch, watched

CASE, SEED = CASES["ecoli_5l"], 901
FILTERPY: Any = import_module("filterpy.kalman")  # pip install "fermloop[bench]"; it has no types


def microseconds(call: Callable[[], object], count: int = 10, rounds: int = 400) -> float:
    """Return the time of one call in the fastest of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        start = monotonic()
        for _ in range(count):
            call()
        best = min(best, monotonic() - start)
    return best / count * 1e6


class Rival:
    """filterpy's UKF as a step of ours: the same arguments and results.

    Args:
        model: its equations come compiled, state and outputs in one call.
    """

    def __init__(self, model: SoftSensor) -> None:
        function = plant_step(model, f"fl_{model.name}_rival")
        self._move = compiled([function])[function.name()]
        n, m = len(model.states), len(model.outputs)
        self._n, self._m = n, m
        sizes = (n, n * n, len(model.inputs), len(model.parameters), 1, n, m, m, m, n)
        self.arguments = [array("d", bytes(8 * size)) for size in sizes]
        self.results = [array("d", bytes(8 * size)) for size in (n, n * n, m, m, n)]
        self._low = np.array([v.low for v in model.states])
        self._high = np.array([v.high for v in model.states])
        points = FILTERPY.MerweScaledSigmaPoints(n, alpha=math.sqrt(3.0 / n), beta=2.0, kappa=0.0)
        self._filter = FILTERPY.UnscentedKalmanFilter(n, m, 1.0, self._look, self._step, points)

    def _step(self, x: Any, _dt: float) -> Any:
        self._move.arguments[0][:] = array("d", np.clip(x, self._low, self._high))
        self._move()
        return np.clip(np.array(self._move.results[0]), self._low, self._high)

    def _look(self, x: Any, seen: Sequence[int] = ()) -> Any:
        h = self._move.arguments[3][0]
        self._move.arguments[3][0] = 0.0
        self._move.arguments[0][:] = array("d", np.clip(x, self._low, self._high))
        self._move()
        self._move.arguments[3][0] = h
        return np.array(self._move.results[1])[list(seen)]

    def __call__(self) -> None:
        """Predict, gate and update."""
        x, p, u, parameters, h, q, z, r, gate, _ = self.arguments
        n, f = self._n, self._filter
        for buffer, values in zip(self._move.arguments[1:], (u, parameters, h), strict=True):
            buffer[:] = values
        f.x, f.P, f.Q = np.array(x), np.array(p).reshape(n, n), np.diag(np.array(q) * h[0])
        f.P = f.P + 1e-12 * np.eye(n)
        f.predict(dt=h[0])
        everything = range(self._m)
        expected = np.array([self._look(point, everything) for point in f.sigmas_f])
        y = f.Wm @ expected
        spread = f.Wc @ (expected - y) ** 2 + np.array(r)
        off = np.array(z) - y
        taken = [i for i in everything if gate[i] > 0 and off[i] ** 2 <= gate[i] * spread[i]]
        if taken:
            noise = np.diag(np.array(r)[taken])
            f.update(np.array(z)[taken], R=noise, hx=self._look, seen=taken)
        self.results[0][:] = array("d", np.clip(f.x, self._low, self._high))
        self.results[1][:] = array("d", (0.5 * (f.P + f.P.T)).ravel())
        self.results[2][:], self.results[3][:] = array("d", off), array("d", np.abs(spread))


def watch(batch: Batch, estimator: Estimator) -> list[Estimate]:
    """Return what is believed at the times of the truth, without any laboratory."""
    found: list[Estimate] = []
    tags = {m: Tag(f"R1.{m}", "1", -1e9, 1e9) for m in batch.readings}
    due = 0
    for k, now in enumerate(batch.times):
        readings = {
            m: Sample(tag, now, value, Quality.GOOD)
            for m, tag in tags.items()
            for value in (batch.readings[m][k],)
            if value is not None
        }
        flows = {name: values[k] for name, values in batch.flows.items()}
        estimate = estimator.update(now, readings, flows, batch.phase[k] >= 2)
        while due < len(batch.truth["time"]) and batch.truth["time"][due] <= now:
            found.append(estimate)
            due += 1
    return found


def wrong(batch: Batch, found: Sequence[Estimate], name: str, word: str) -> float:
    """Return the root of the mean squared error from an hour on, in the unit of ``name``."""
    pairs = [(e.value(name), true) for e, true in zip(found, batch.truth[word], strict=False)]
    return math.sqrt(mean((a - b) ** 2 for a, b in pairs[6:]))


def main() -> None:
    """Print how right and how long each is, and what a whole update costs."""
    batch = watched(CASE, SEED)
    start = EstimatorSettings(substrate_g_per_l=8.0)
    rows: dict[str, tuple[float, float, float]] = {}
    whole = 0.0

    def native(make: Callable[..., Any]) -> Callable[[SoftSensor], Compiled]:
        def made(model: SoftSensor) -> Compiled:
            function = make(model, name=f"fl_bench_{make.__name__}")
            return compiled([function])[function.name()]

        return made

    steps: dict[str, Callable[[SoftSensor], Step]] = {
        "by points (ukf)": native(sigma_step),
        "by slopes (ekf)": native(slope_step),
        "filterpy UKF": Rival,
    }
    for name, make in steps.items():
        kept: list[Step] = []

        def keep(model: SoftSensor, make: Any = make, kept: list[Step] = kept) -> Step:
            kept.append(make(model))
            return kept[0]

        estimator = Estimator(start, (), keep)
        try:
            begun = monotonic()
            found = watch(batch, estimator)
            if not whole:
                whole = (monotonic() - begun) / len(batch.times) * 1e6
            errors = (
                wrong(batch, found, "biomass_g_per_l", "dry_weight"),
                wrong(batch, found, "acetate_g_per_l", "acetate"),
            )
        except np.linalg.LinAlgError:
            errors = (math.nan, math.nan)
        rows[name] = (microseconds(kept[0], 1 if name.startswith("f") else 10), *errors)
    slow = rows["filterpy UKF"][0]
    model = SoftSensor(EColi(), VESSELS["5l"])
    x, u, p = (
        [max(v.default, 0.1) for v in group]
        for group in (model.states, model.inputs, model.parameters)
    )
    plain = microseconds(
        lambda: (model.rhs(0.0, x, u, p, SCALARS), model.output(0.0, x, u, p, SCALARS))
    )
    plain = slow + (2 * len(x) + 1) * plain
    for name, (took, biomass, acetate) in rows.items():
        print(
            f"| {name} | {took:.1f} us | {slow / took:.0f} x | biomass {biomass:.3f} g/L "
            f"| acetate {acetate:.3f} g/L |"
        )
    ours = rows["by points (ukf)"][0]
    print(f"filterpy UKF, equations in Python: {plain:.0f} us, {plain / ours:.0f} x by points")
    print(f"a whole update, by points: {whole:.0f} us in the mean of a batch")


if __name__ == "__main__":
    main()
