"""A process as tuning rules know it: a lag or an integrator, a dead time, perhaps a second lag."""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class Process:
    """``slope e^(-dead s) / ((s + pole) (lag2 s + 1))``: a lag, or with ``pole = 0`` an integrator.

    What counts for control near its limits is the slope after the dead time; written so, a lag and
    an integrator are the same thing, and one can go over into the other when it is fitted.

    Attributes:
        slope: y per u per s, of the measurement after a unit step of the output; gain over lag.
        pole: 1/s; the inverse of the lag.
        dead_s: s.
        lag2_s: s; a second lag: a probe, a jacket.
    """

    slope: float
    pole: float = 0.0
    dead_s: float = 0.0
    lag2_s: float = 0.0

    def __post_init__(self) -> None:
        if not (self.slope and math.isfinite(self.slope)):
            raise ValueError(f"slope: {self.slope:g} is not allowed; it must be finite and not 0")
        for name in ("pole", "dead_s", "lag2_s"):
            value: float = getattr(self, name)
            if not 0.0 <= value < math.inf:
                raise ValueError(f"{name}: {value:g} is not allowed; it must be >= 0 and finite")

    @classmethod
    def lag(cls, gain: float, lag_s: float, dead_s: float, lag2_s: float = 0.0) -> "Process":
        """Return a lag (FOPTD): ``gain`` in y/u, the rest in s."""
        return cls(gain / lag_s, 1.0 / lag_s, dead_s, lag2_s)

    @property
    def integrating(self) -> bool:
        """Whether the measurement never comes to rest by itself."""
        return self.pole == 0.0

    @property
    def gain(self) -> float:
        """What a unit of output moves the measurement in the end, y/u; may be infinite."""
        return self.slope / self.pole if self.pole else math.copysign(math.inf, self.slope)

    @property
    def lag_s(self) -> float:
        """The lag, s; infinite for an integrator."""
        return 1.0 / self.pole if self.pole else math.inf

    def response(self, omega: Floats) -> Complex:
        """Return the frequency response without sampling; ``omega`` in rad/s, > 0."""
        s = 1j * omega
        return self.slope * np.exp(-self.dead_s * s) / ((s + self.pole) * (self.lag2_s * s + 1.0))

    def ultimate(self) -> tuple[float, float]:
        """Return the gain (u/y) and the period (s) at which a P controller just oscillates.

        Both are as of continuous control; infinite and 0 without a dead time.
        """
        if not self.dead_s:
            return math.copysign(math.inf, self.slope), 0.0
        high = math.pi / self.dead_s
        low = 1e-9 * high
        for _ in range(60):
            middle = math.sqrt(low * high)
            if self._phase(middle) > -math.pi:
                low = middle
            else:
                high = middle
        gain = abs(complex(self.response(np.array([low]))[0]))
        return math.copysign(1.0 / gain, self.slope), 2 * math.pi / low

    def _phase(self, omega: float) -> float:
        lag = math.atan2(omega, self.pole) + math.atan(omega * self.lag2_s)
        return -lag - omega * self.dead_s

    def sampled(self, dt: float) -> "Sampled":
        """Return what a scan of ``dt`` s sees of it, exactly, with the output held between."""
        return Sampled.of(self, dt)


@dataclass(frozen=True, slots=True)
class Sampled:
    """``z^-(delay + 1) (b0 + b1/z + b2/z²) / (1 + a1/z + a2/z²)``.

    The measurement of scan k + 1 follows from outputs up to scan k, as in a controller that reads,
    decides and writes in one scan. A dead time that is no whole number of scans is exact too.
    """

    b: tuple[float, float, float]
    a: tuple[float, float]
    delay: int
    dt: float

    @classmethod
    def of(cls, process: Process, dt: float) -> "Sampled":
        """Return ``process`` sampled every ``dt`` s behind a zero-order hold."""
        delay = int(process.dead_s / dt + 1e-9)
        late = max(0.0, process.dead_s - delay * dt)  # s of a scan with the output before
        rest = dt - late
        p = process.pole
        x_late, y_late = _forced(process, late)
        x_rest, y_rest = _forced(process, rest)
        a = math.exp(-p * dt)
        if process.lag2_s < 1e-6 * dt:
            return cls((x_rest, math.exp(-p * rest) * x_late, 0.0), (-a, 0.0), delay, dt)
        q = 1.0 / process.lag2_s
        b, c = math.exp(-q * dt), q * _g(p, q, dt)
        x1 = math.exp(-p * rest) * x_late
        y1 = q * _g(p, q, rest) * x_late + math.exp(-q * rest) * y_late
        numerator = (y_rest, c * x_rest - a * y_rest + y1, c * x1 - a * y1)
        return cls(numerator, (-(a + b), a * b), delay, dt)

    def response(self, omega: Floats) -> Complex:
        """Return the frequency response at ``omega``, rad/s, up to pi / dt."""
        w: Complex = np.exp(-1j * omega * self.dt)
        top = self.b[0] + w * (self.b[1] + w * self.b[2])
        bottom = 1.0 + w * (self.a[0] + w * self.a[1])
        return np.asarray(np.power(w, self.delay + 1) * top / bottom, dtype=np.complex128)

    def outputs(self, u: Floats) -> Floats:
        """Return the measurement at every scan for the outputs ``u``, from rest, shape (n,)."""
        from scipy.signal import lfilter

        shift = self.delay + 1
        late = np.zeros_like(u)
        if shift < len(u):
            late[shift:] = u[:-shift]
        return np.asarray(lfilter(self.b, (1.0, *self.a), late), dtype=np.float64)


class Plant:
    """A sampled process that is stepped: the measurement's distance from where it began."""

    def __init__(self, sampled: Sampled) -> None:
        self._s = sampled
        self._u = deque([0.0] * (sampled.delay + 3), maxlen=sampled.delay + 3)
        self._y = (0.0, 0.0)

    def step(self, output: float) -> float:
        """Hold ``output`` for one scan and return the measurement at its end."""
        self._u.append(output)
        u, s = self._u, self._s
        b0, b1, b2 = s.b
        forced = b0 * u[2] + b1 * u[1] + b2 * u[0]
        y = forced - s.a[0] * self._y[0] - s.a[1] * self._y[1]
        self._y = (y, self._y[0])
        return y


def _decay(rate: float, t: float) -> float:
    """Return the integral of ``e^(-rate s)`` from 0 to ``t``."""
    return -math.expm1(-rate * t) / rate if rate * t > 1e-12 else t


def _g(p: float, q: float, t: float) -> float:
    """Return ``(e^(-p t) - e^(-q t)) / (q - p)``, also where both are equal."""
    return math.exp(-min(p, q) * t) * _decay(abs(q - p), t)


def _forced(process: Process, t: float) -> tuple[float, float]:
    """Return what ``t`` s of a unit input make of the first state and of the second."""
    x = process.slope * _decay(process.pole, t)
    if not process.lag2_s:
        return x, x
    return x, x - process.slope * _g(process.pole, 1.0 / process.lag2_s, t)
