"""How fast the plant runs: simulated seconds per second, each way in the same run.

Run it by hand: ``.venv/bin/python tests/bench/bench_plant.py``. Figures of one run on a shared
machine; only their ratios travel.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from drivers.clock import monotonic
from models.bioreactor import Bioreactor
from models.ecoli import EColi
from models.fn import SCALARS
from models.symbolic import compiled, plant_step
from models.vessels import BENCH_5L
from sim.vessel import Vessel


def best(run: Callable[[], None], rounds: int = 5) -> float:
    """Return the wall seconds of the fastest of some rounds."""
    times: list[float] = []
    for _ in range(rounds):
        start = monotonic()
        run()
        times.append(monotonic() - start)
    return min(times)


def line(name: str, simulated_s: float, wall_s: float) -> None:
    """Print one way's speed."""
    rate = simulated_s / wall_s
    print(f"{name:<58} {rate:>12,.0f} sim-s/s {1e6 / rate:>10.2f} us per s")


def vessel_alone() -> None:
    """An hour of the whole vessel: drives, step, probes."""
    vessel = Vessel("ecoli", "5l", 1)

    def hour() -> None:
        vessel.advance(vessel.time + 3600.0)

    line("Vessel.advance, drives and instruments included", 3600.0, best(hour))

    def polled() -> None:
        for _ in range(3600):
            vessel.advance(vessel.time + 1.0)
            for name in ("R1.do", "R1.ph", "R1.temperature", "R1.weight"):
                vessel.read(name)
            vessel.write("R1.stirrer", 400.0)

    line("  one call a second, 4 reads, 1 write", 3600.0, best(polled))


def others_alone() -> None:
    """Half an hour of the other organisms, each in the vessel of its size."""
    for organism, size in (("yeast", "300l"), ("penicillin", "100m3"), ("pensim", "300l")):
        vessel = Vessel(organism, size, 1)

        def half_an_hour(vessel: Vessel = vessel) -> None:
            vessel.advance(vessel.time + 1800.0)

        line(f"Vessel.advance of {organism} in {size}", 1800.0, best(half_an_hour))


def bare_step(compiler: str | None) -> None:
    """An hour of 1 s steps without drives and instruments."""
    model = Bioreactor(EColi(), BENCH_5L)
    (step,) = compiled([plant_step(model)], compiler).values()
    x, u, p, h = step.arguments
    p[:] = type(p)("d", [v.default for v in model.parameters])
    u[:] = type(u)("d", [v.default for v in model.inputs])
    x[:] = type(x)("d", model.start(list(p)))
    h[0] = 1.0 / 3600.0
    after = step.results[0]

    def hour() -> None:
        for _ in range(3600):
            step()
            x[:] = after

    name = "compiled step" if step.native else "step in CasADi's virtual machine"
    line(f"{name}, one call a second", 3600.0, best(hour))


def rival() -> None:
    """The same equations given to SciPy, restarted every second as inputs change."""
    model = Bioreactor(EColi(), BENCH_5L)
    p = [v.default for v in model.parameters]
    u = [v.default for v in model.inputs]
    x = np.array(model.start(p))

    def f(t: float, y: np.ndarray) -> np.ndarray:
        return np.array(model.rhs(t, list(y), u, p, SCALARS))

    def twenty_seconds() -> None:
        y = x
        for _ in range(20):
            y = solve_ivp(f, (0.0, 1.0 / 3600.0), y, method="BDF", rtol=1e-4, atol=1e-7).y[:, -1]

    line("SciPy BDF, restarted every second", 20.0, best(twenty_seconds, 2))


if __name__ == "__main__":
    vessel_alone()
    others_alone()
    bare_step("gcc")
    bare_step(None)
    rival()
