"""What an experiment says of a process: the ultimate point of a relay, and a fitted model.

The model is fitted to everything that was recorded, by least squares: for given pole, dead time and
second lag the rest (slope, level, drift) is linear. What the data do not tell is refused.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from controller.tuning.experiment import Cycle, Record
from controller.tuning.process import Process

Floats = NDArray[np.float64]

EXPLAINED = 0.6  # of what the measurement did must follow from the output
UNSURE = 0.25  # relative standard deviation that a slope may have
MOST = 3000  # scans that are fitted; a longer record is thinned


class UnidentifiedError(ValueError):
    """The data do not tell what the process is; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class UltimatePoint:
    """Where the loop oscillates at constant height: gain (u/y) and period (s)."""

    gain: float
    period_s: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A process model with what is known about how good it is.

    Attributes:
        process: the model.
        explained: share of the measurement's movement that the model makes of the output (R²).
        residual: standard deviation of what is left, y.
        slope_sd: standard deviation of the slope, relative.
        dead_sd: standard deviation of dead time and second lag together, s.
        level: of the measurement without any move, in the middle of the record, y.
        drift: of that, y/s.
        notes: what a person should know.
    """

    process: Process
    explained: float
    residual: float
    slope_sd: float
    dead_sd: float
    level: float
    drift: float
    notes: tuple[str, ...] = ()

    def modelled(self, record: Record) -> Floats:
        """Return what the model makes of the outputs of a record, y, shape (n,)."""
        t, u = np.asarray(record.times), np.asarray(record.outputs)
        dt = float(np.median(np.diff(t)))
        made = self.process.sampled(dt).outputs(u - u[0])
        return made + self.level + self.drift * (t - float(t[0] + t[-1]) / 2)


def ultimate_point(cycles: Sequence[Cycle], move: float, hysteresis: float) -> UltimatePoint:
    """Return the ultimate point by the describing function of a relay with hysteresis.

    ``Ku = 4 d / (pi sqrt(a² - e²))``. The true gain of a lag with dead time is within about -20 to
    +10 % of it, for the oscillation is no sine.

    Args:
        cycles: the last, equal ones of a `Relay`.
        move: d, u.
        hysteresis: e, y.

    Raises:
        UnidentifiedError: there is no oscillation, or it is within the hysteresis.

    Source: K. J. Åström, T. Hägglund, Automatica 20 (1984) 645-651.
    """
    if not cycles:
        raise UnidentifiedError("no oscillation was seen")
    height = median(c.amplitude for c in cycles)
    if height <= 1.05 * hysteresis:
        raise UnidentifiedError(
            f"the oscillation (± {height:.3g}) is within the hysteresis ({hysteresis:.3g}); make "
            "the move larger"
        )
    gain = 4.0 * move / (math.pi * math.sqrt(height**2 - hysteresis**2))
    return UltimatePoint(gain, median(c.period_s for c in cycles))


def fit(record: Record, probe_s: float = 0.0) -> Fit:
    """Return the lag or integrator with dead time that says best what was recorded.

    The record must be evenly sampled. A lag that the data cannot tell from an integrator is taken
    as an integrator, and a second lag only where it pays; both by the Bayesian information
    criterion on the number of independent residuals.

    Args:
        record: of an experiment, from rest.
        probe_s: a second lag that is known, s; 0: it is fitted if there is one.

    Raises:
        UnidentifiedError: the data do not tell.
    """
    data = _Data(record)
    plain = [_fitted(data, probe_s, free) for free in (_POLE_FREE, _INTEGRATING)]
    if not probe_s:
        plain += [_fitted(data, None, free) for free in (_POLE_FREE, _INTEGRATING)]
    effective = data.independent(min(plain, key=lambda f: f.squares).residuals)
    best = min(plain, key=lambda f: f.information(effective))
    return _judged(data, best, effective)


_POLE_FREE, _INTEGRATING = True, False


class _Data:
    """A record as columns, thinned to a few thousand scans."""

    def __init__(self, record: Record) -> None:
        times = np.asarray(record.times)
        if len(times) < 30:
            raise UnidentifiedError(f"{len(times)} scans are too few; at least 30 are required")
        steps = np.diff(times)
        self.dt = float(np.median(steps))
        if float(np.max(np.abs(steps - self.dt))) > 0.5 * self.dt:
            raise UnidentifiedError("scans are missing in the record; repeat the experiment")
        outputs = np.asarray(record.outputs)
        self.u = outputs - outputs[0]
        self.y = np.asarray(record.measured)
        self.stride = max(1, len(times) // MOST)
        self.span_s = float(times[-1] - times[0])
        if float(np.ptp(self.u)) == 0.0:
            raise UnidentifiedError("the output was not moved")
        rest = np.ones(len(self.y)), np.linspace(-0.5, 0.5, len(self.y))
        self.rest = np.column_stack(rest)[:: self.stride]
        self.shown = self.y[:: self.stride]
        left = self.shown - self.rest @ np.linalg.lstsq(self.rest, self.shown)[0]
        self.squares = float(left @ left)  # of what neither level nor drift explains

    def columns(self, pole: float, dead_s: float, lag2_s: float) -> Floats:
        """Return what a process of slope 1 makes of the output, level and drift."""
        made = Process(1.0, pole, dead_s, lag2_s).sampled(self.dt).outputs(self.u)
        return np.column_stack((made[:: self.stride], self.rest))

    def independent(self, residuals: Floats) -> float:
        """Return how many of the residuals tell something new: fewer where they are alike."""
        squares = float(residuals @ residuals)
        n = len(residuals)
        if squares <= 0.0:
            return float(n)
        alike = float(residuals[1:] @ residuals[:-1]) / squares
        alike = min(max(alike, 0.0), 0.999)
        return max(10.0, n * (1.0 - alike) / (1.0 + alike))


@dataclass(frozen=True, slots=True)
class _Fitted:
    pole: float
    dead_s: float
    lag2_s: float
    free: tuple[str, ...]
    coefficients: Floats
    residuals: Floats

    @property
    def squares(self) -> float:
        return float(self.residuals @ self.residuals)

    def information(self, effective: float) -> float:
        """Return the Bayesian information criterion; less is better."""
        mean = max(self.squares / len(self.residuals), 1e-300)
        return effective * math.log(mean) + (len(self.free) + 3) * math.log(effective)

    def process(self) -> Process:
        return Process(float(self.coefficients[0]), self.pole, self.dead_s, self.lag2_s)


def _fitted(data: _Data, lag2_s: float | None, pole_free: bool) -> _Fitted:
    """Return the best of one kind of model; ``lag2_s`` is free where ``None``."""
    from scipy.optimize import least_squares

    span = data.span_s
    free = ("pole",) * pole_free + ("dead_s",) + ("lag2_s",) * (lag2_s is None)
    high = {"pole": 0.5 / data.dt, "dead_s": span / 4, "lag2_s": span / 4}
    known = {"pole": 0.0, "lag2_s": lag2_s or 0.0}

    def values(x: Sequence[float] | Floats) -> dict[str, float]:
        # quadratic, so that small values are found as well as large ones
        return known | {name: high[name] * float(v) ** 2 for name, v in zip(free, x, strict=True)}

    def solved(x: Sequence[float] | Floats) -> tuple[Floats, Floats]:
        columns = data.columns(**values(x))
        size = np.linalg.norm(columns[:, 0])
        if not size > 1e-300:
            return np.zeros(3), data.shown - float(np.mean(data.shown))
        columns[:, 0] /= size
        found = np.asarray(np.linalg.lstsq(columns, data.shown)[0], dtype=np.float64)
        left = data.shown - columns @ found
        found[0] /= size
        return found, left

    def residuals(x: Floats) -> Floats:
        return solved(x)[1]

    def squares(x: tuple[float, ...]) -> float:
        left = solved(x)[1]
        return float(left @ left)

    grids = {
        "pole": [math.sqrt(k / span / high["pole"]) for k in (0.3, 1, 3, 10, 30, 100)],
        "dead_s": [0.02, 0.1, 0.2, 0.35, 0.55],
        "lag2_s": [0.1, 0.3],
    }
    starts: list[tuple[float, ...]] = [()]
    for name in free:
        starts = [(*s, min(g, 0.95)) for s in starts for g in grids[name]]
    starts.sort(key=squares)
    best: Floats | None = None
    least = math.inf
    for start in starts[:2]:
        result = least_squares(residuals, start, bounds=(0.0, 1.0), xtol=1e-10, max_nfev=60)
        if result.cost < least:
            least, best = float(result.cost), np.asarray(result.x)
    if best is None:
        raise UnidentifiedError("no model follows what was recorded")
    found, left = solved(best)
    return _Fitted(**values(best), free=free, coefficients=found, residuals=left)


def _judged(data: _Data, found: _Fitted, effective: float) -> Fit:
    """Return the fit with its confidence, or refuse it."""
    explained = 1.0 - found.squares / data.squares if data.squares > 0 else 0.0
    if explained < EXPLAINED:
        raise UnidentifiedError(
            f"only {100 * max(explained, 0.0):.0f} % of what the measurement did follows from the "
            f"output ({100 * EXPLAINED:.0f} % are required); make the move larger, or wait for "
            "a steadier phase"
        )
    slope_sd, dead_sd = _deviations(data, found, effective)
    process = found.process()
    if not slope_sd <= UNSURE:
        raise UnidentifiedError(
            f"the slope is uncertain by {100 * slope_sd:.0f} % ({100 * UNSURE:.0f} % are "
            "allowed); make the move larger or the experiment longer"
        )
    slow = process.dead_s + process.lag2_s
    if not dead_sd <= 0.5 * slow + data.dt:
        raise UnidentifiedError(
            f"the dead time ({slow:.3g} s) is uncertain by {dead_sd:.3g} s; make the move larger "
            "or the experiment longer"
        )
    if slow > 0.9 * data.span_s / 4:
        raise UnidentifiedError("the experiment is too short for the dead time; make it longer")
    notes: list[str] = []
    if process.integrating:
        notes.append("no end of the movement was seen: taken as an integrator, which is safe")
    drift = float(found.coefficients[2]) / data.span_s
    moved = abs(process.slope) * float(np.ptp(data.u)) * min(process.lag_s, data.span_s)
    if abs(drift) * data.span_s > 0.5 * moved:
        notes.append("the measurement drifts about as much as the experiment moved it")
    if slow < data.dt:
        notes.append("dead time and second lag are shorter than a scan: the scan limits the loop")
    residual = math.sqrt(found.squares / max(1, len(found.residuals) - 5))
    level = float(found.coefficients[1])
    return Fit(process, explained, residual, slope_sd, dead_sd, level, drift, tuple(notes))


def _deviations(data: _Data, found: _Fitted, effective: float) -> tuple[float, float]:
    """Return the relative standard deviation of the slope, and that of all dead time, s."""
    names = ("dead_s", "lag2_s", "pole")
    at = {"pole": found.pole, "dead_s": found.dead_s, "lag2_s": found.lag2_s}
    slope = float(found.coefficients[0])
    base = data.columns(**at)
    made = base[:, 0]
    columns = [made, base[:, 1], base[:, 2]]
    free = [n for n in names if n in found.free]
    for name in free:
        by = 0.01 * at[name] + (1e-4 / data.span_s if name == "pole" else 0.05 * data.dt)
        moved = data.columns(**(at | {name: at[name] + by}))[:, 0]
        columns.append(slope * (moved - made) / by)
    jacobian = np.column_stack(columns)
    size = np.linalg.norm(jacobian, axis=0)
    size[size == 0.0] = 1.0
    scaled = jacobian / size
    variance = found.squares / max(1.0, len(found.residuals) - len(columns))
    variance *= len(found.residuals) / effective
    normal = scaled.T @ scaled + 1e-12 * np.eye(len(columns))
    inverse = np.asarray(np.linalg.inv(normal), np.float64)
    covariance = variance * inverse / np.outer(size, size)
    slope_sd = math.sqrt(max(0.0, float(covariance[0, 0]))) / abs(slope) if slope else math.inf
    late = np.array([0.0, 0.0, 0.0] + [1.0 if n in ("dead_s", "lag2_s") else 0.0 for n in free])
    return slope_sd, math.sqrt(max(0.0, float(late @ covariance @ late)))
