"""How robust a tuning is on a process model, computed for the loop as it is: sampled, filtered."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.loops.pid import Tuning
from controller.tuning.process import Complex, Process

Floats = NDArray[np.float64]

MS_WANTED = 1.7  # the greatest sensitivity that is called robust
GAIN_MARGIN_WANTED = 2.0
POINTS = 6000


@dataclass(frozen=True, slots=True)
class Margins:
    """How far a loop is from oscillating.

    Attributes:
        stable: whether it holds at all; the rest means nothing otherwise.
        ms: greatest sensitivity: by how much a disturbance is amplified at the worst frequency.
        gain_margin: by what factor the process gain may grow.
        phase_margin: degrees.
        delay_margin_s: s of more dead time that it bears.
    """

    stable: bool
    ms: float
    gain_margin: float
    phase_margin: float
    delay_margin_s: float

    @property
    def robust(self) -> bool:
        """Whether Ms <= 1.7 and the gain margin >= 2."""
        return self.stable and self.ms <= MS_WANTED and self.gain_margin >= GAIN_MARGIN_WANTED


def margins(process: Process, tuning: Tuning, dt: float) -> Margins:
    """Return the margins of `controller.pid.Pid` with ``tuning`` on ``process``, scan ``dt`` s.

    The deadband is left out: it only makes the loop slower near its setpoint.
    """
    omega = _frequencies(process, tuning, dt)
    loop = open_loop(process, tuning, dt, omega)
    sensitivity = 1.0 / np.abs(1.0 + loop)
    phase = np.unwrap(np.angle(loop))
    size = np.abs(loop)
    gain_margin = math.inf
    for k in np.flatnonzero(np.diff(np.floor((phase - math.pi) / (2 * math.pi)))):
        at = _between(phase[k], phase[k + 1], _level(phase[k], phase[k + 1]))
        height = float(size[k] + at * (size[k + 1] - size[k]))
        if 0.0 < height < 1.0:
            gain_margin = min(gain_margin, 1.0 / height)
    phase_margin, delay_s = math.inf, math.inf
    for k in np.flatnonzero(np.diff(np.signbit(size - 1.0).astype(np.int8))):
        at = _between(float(size[k]), float(size[k + 1]), 1.0)
        margin = (float(phase[k] + at * (phase[k + 1] - phase[k])) + math.pi) % (2 * math.pi)
        signed = margin if margin <= math.pi else margin - 2 * math.pi
        phase_margin = min(phase_margin, math.degrees(signed), key=abs)
        delay_s = min(delay_s, margin / float(omega[k] + at * (omega[k + 1] - omega[k])))
    return Margins(
        _stable(loop, omega, process, tuning, dt),
        float(np.max(sensitivity)),
        gain_margin,
        phase_margin,
        delay_s,
    )


def open_loop(process: Process, tuning: Tuning, dt: float, omega: Floats) -> Complex:
    """Return the open loop's frequency response as the scan makes it, at ``omega`` (rad/s)."""
    back = np.exp(-1j * omega * dt)  # one scan ago
    keep = tuning.filter_s / (tuning.filter_s + dt)
    filtered = (1.0 - keep) / (1.0 - keep * back)
    controller = tuning.kp * (1.0 + dt / tuning.ti_s / (1.0 - back))
    if tuning.td_s:
        lag = tuning.td_s / 8 if tuning.derivative_filter_s is None else tuning.derivative_filter_s
        controller = controller + tuning.kp * tuning.td_s * (1.0 - back) / (lag + dt - lag * back)
    return process.sampled(dt).response(omega) * controller * filtered


def _frequencies(process: Process, tuning: Tuning, dt: float) -> Floats:
    """Return frequencies (rad/s) from far below the loop's own up to half the sampling rate."""
    ti_s = tuning.ti_s if math.isfinite(tuning.ti_s) else 0.0
    slow = max(ti_s, 1.0 / process.pole if process.pole else 0.0, process.dead_s, process.lag2_s)
    slow = max(slow, (ti_s / abs(tuning.kp * process.slope)) ** 0.5, 10 * dt)
    top = math.pi / dt
    many = np.geomspace(min(1e-3 / slow, top / 1e3), top, POINTS)
    even = np.linspace(top / POINTS, top, POINTS)
    return np.union1d(many, even)


def _stable(loop: Complex, omega: Floats, process: Process, tuning: Tuning, dt: float) -> bool:
    """Whether the closed loop has no pole outside the unit circle (principle of the argument).

    1 + L without its integrators, ``(1 - 1/z)`` each, has no pole outside; as the frequency goes
    from 0 to half the sampling rate, its angle turns by half a turn for each zero there.
    """
    integrators = int(process.integrating) + int(math.isfinite(tuning.ti_s))
    closed = (1.0 + loop) * (1.0 - np.exp(-1j * omega * dt)) ** integrators
    turned = np.unwrap(np.angle(closed))
    at_zero = 0.0 if closed[0].real > 0 else math.pi  # it begins on the real axis
    begin = float(np.angle(closed[0] * np.exp(-1j * at_zero))) + at_zero
    total = float(turned[-1] - turned[0]) + (begin - at_zero)
    return abs(total) < math.pi / 2


def _level(a: float, b: float) -> float:
    """Return the odd multiple of pi between two angles."""
    high = max(a, b)
    return math.pi + 2 * math.pi * math.floor((high - math.pi) / (2 * math.pi))


def _between(a: float, b: float, level: float) -> float:
    return 0.0 if a == b else (level - a) / (b - a)
