"""How long one update of the soft sensor takes: the step alone, compiled and not, and all of it.

Run it by hand: ``.venv/bin/python tests/bench/bench_estimator.py``. Figures of one run on a shared
machine; only their ratios travel.
"""

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.estimator import Estimator, EstimatorSettings
from drivers.clock import monotonic
from drivers.point import Quality, Sample, Tag
from models.fedbatch import SoftSensor
from models.kalman import sigma_step
from models.symbolic import Compiled, compiled

READINGS = {
    "temperature": 37.0,
    "ph": 7.0,
    "do": 30.0,
    "agitation": 330.0,
    "offgas_o2": 20.6,
    "offgas_co2": 0.3,
    "air_flow": 1.0,
    "oxygen_flow": 0.0,
    "weight": 3.03,
    "feed_weight": 2.5,
}


def microseconds(call: Callable[[], object], count: int = 500, rounds: int = 7) -> float:
    """Return the time of one call in the fastest of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        start = monotonic()
        for _ in range(count):
            call()
        best = min(best, monotonic() - start)
    return best / count * 1e6


def filled(step: Compiled) -> Compiled:
    """Return ``step`` with a state, a covariance and the model's defaults in its buffers."""
    model = SoftSensor()
    x, p, u, parameters, h = step.arguments[:5]
    n = len(model.states)
    for i, state in enumerate(model.states):
        x[i] = max(state.default, 0.1)
        p[i * n + i] = 0.01
    for i, variable in enumerate(model.inputs):
        u[i] = variable.default
    for i, variable in enumerate(model.parameters):
        parameters[i] = variable.default
    h[0] = 10.0 / 3600.0
    for i in range(len(model.outputs)):
        step.arguments[7][i] = 0.1
    return step


def main() -> None:
    """Print the step in machine code and in CasADi's virtual machine, and a whole update."""
    function = sigma_step(SoftSensor(), name="fl_bench_sigma")
    native, machine = (
        filled(compiled([function], compiler)[function.name()]) for compiler in ("gcc", None)
    )
    fast, slow = microseconds(native), microseconds(machine, 100)
    print(f"step, {'gcc' if native.native else 'no compiler'}: {fast:8.1f} us")
    print(f"step, CasADi's virtual machine: {slow:8.1f} us, {slow / fast:.1f} times as long")
    estimator = Estimator(EstimatorSettings())
    readings = {
        name: Sample(Tag(f"R1.{name}", "1", -1e3, 1e4), 0.0, value, Quality.GOOD)
        for name, value in READINGS.items()
    }
    now = 0.0

    def update() -> None:
        nonlocal now
        now += 10.0
        estimator.update(now, readings, {"feed": 10.0, "base": 5.0}, induced=False)

    print(f"update, everything in it: {microseconds(update, 200):8.1f} us")


if __name__ == "__main__":
    main()
