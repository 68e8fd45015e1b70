"""What a tuning would do: our own PID, scan by scan, on the process model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.loops.pid import Pid, Tuning
from controller.tuning.process import Plant, Process

Floats = NDArray[np.float64]

MOST_SCANS = 20_000


@dataclass(frozen=True, slots=True)
class Response:
    """What measurement and output do after a step at time 0, as distances from where they were.

    Attributes:
        times: s, shape (n,).
        measured: y, shape (n,).
        output: u, shape (n,).
        iae: integral of the absolute error, y·s.
        overshoot: beyond the setpoint, as a share of the step; 0 for a load.
    """

    times: Floats
    measured: Floats
    output: Floats
    iae: float
    overshoot: float


def predict(
    process: Process,
    tuning: Tuning,
    dt: float,
    duration_s: float,
    *,
    setpoint: float = 0.0,
    load: float = 0.0,
    room: tuple[float, float] = (-np.inf, np.inf),
) -> Response:
    """Return the response to a step of the setpoint (y) or of a load on the output (u).

    Args:
        process: the model.
        tuning: of the loop.
        dt: scan, s.
        duration_s: s; at most 20 000 scans.
        setpoint: step of it, y.
        load: added to what the actuator does, u.
        room: how far the output can go down and up from where it is, u.
    """
    n = max(2, min(MOST_SCANS, round(duration_s / dt) + 1))
    t, plant = tuning, Plant(process.sampled(dt))
    pid = Pid(t.kp, t.ti_s, t.td_s, t.deadband, t.filter_s, t.derivative_filter_s)
    pid.track(0.0, 0.0, 0.0)
    measured, output = np.zeros(n), np.zeros(n)
    y, (low, high) = 0.0, room
    for k in range(n):
        measured[k] = y
        wanted = pid.update(setpoint, y, dt)
        u = min(max(wanted, low), high)
        if u != wanted:
            pid.limit(u)
        output[k] = u
        y = min(max(plant.step(u + load), -1e9), 1e9)  # an unstable one is shown, not refused
    iae = float(np.sum(np.abs(setpoint - measured)) * dt)
    beyond = float(np.max(measured / setpoint - 1.0)) if setpoint else 0.0
    return Response(np.arange(n, dtype=np.float64) * dt, measured, output, iae, max(0.0, beyond))
