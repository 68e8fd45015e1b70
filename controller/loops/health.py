"""How healthy a loop is, from what was stored of it: measurement, setpoint, output and mode."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from controller.loops.loop import WORKING, Mode

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

JUDGED_S = 1200.0  # the least stretch in automatic that says something about an oscillation
WINDOW_S = 7200.0  # a longer stretch is judged in parts
SWINGS = 10  # that a part must hold: of fewer, chance makes regular ones
GAP = 5.5  # scans without data that end a stretch
REGULAR = 1.5  # over the root of the number of swings: the second hill's height beyond chance
EXCESSIVE = 0.5  # decay ratio from which a loop oscillates
STICKS, SMOOTH = 0.6, 0.4  # stiction index above which a valve sticks, below which none does
STICKS_AT_RANDOM = 0.8  # the same without a regular oscillation, where loads make the swings uneven
AT_LIMIT = 0.5  # % of span


@dataclass(frozen=True, slots=True)
class Trace:
    """What was stored of a loop; every array has the shape (n,).

    Attributes:
        times: s, increasing.
        measured: y; NaN where BAD.
        setpoint: y.
        output: u.
        mode: the actual mode's number.
        output_low: least output, u.
        output_high: greatest output, u.
        band: half width within which the measurement should be, y; NaN: nobody has said.
    """

    times: Floats
    measured: Floats
    setpoint: Floats
    output: Floats
    mode: Floats
    output_low: float
    output_high: float
    band: float = math.nan


@dataclass(frozen=True, slots=True)
class Oscillation:
    """How a loop swings, in the stretches in which it does, or in the one that comes nearest.

    Attributes:
        index: decay ratio of the error's autocorrelation, 0 (no second hill) to 1 (never ends).
        period_s: s, of the swings that come nearest to regular; NaN where there are none.
        amplitude: y, of what is regular.
        stiction: 0..1; how much more the swings look like triangles than like sines.
    """

    index: float = 0.0
    period_s: float = math.nan
    amplitude: float = math.nan
    stiction: float = math.nan

    @property
    def excessive(self) -> bool:
        """Whether it is one that a person should know of."""
        return self.index >= EXCESSIVE


@dataclass(frozen=True, slots=True)
class Health:
    """The figures of a loop; shares are 0..1, NaN where the data do not tell.

    Attributes:
        hours: from the first sample to the last, h.
        automatic: share of the time in AUTO, CASCADE or OPTIMISER.
        modes: share of the time in each mode, by name.
        bad: share of the time without a good measurement.
        in_band: share of the automatic time within the band.
        iae: integral of the absolute error in automatic, y·h.
        error: mean absolute error in automatic, y.
        travel: of the output, % of its span per h in automatic.
        reversals: changes of its direction per h, of more than 0.5 % of span.
        saturated: share of the automatic time with the output at a limit.
        beyond: share of the time out of the band in which the output was at a limit.
        at_low: whether that is mostly its lower one.
        judged_h: h that were long enough in one piece to be judged for oscillation.
        oscillating: share of them in which it oscillates.
        oscillation: how, where it is worst.
        stiction: index over the stretches that oscillate, or over all where none does.
        verdict: for a person: what is wrong first, and what to do.
    """

    hours: float = 0.0
    automatic: float = 0.0
    modes: Mapping[str, float] = field(default_factory=dict[str, float])
    bad: float = math.nan
    in_band: float = math.nan
    iae: float = math.nan
    error: float = math.nan
    travel: float = math.nan
    reversals: float = math.nan
    saturated: float = math.nan
    beyond: float = math.nan
    at_low: bool = False
    judged_h: float = 0.0
    oscillating: float = math.nan
    oscillation: Oscillation = Oscillation()
    stiction: float = math.nan
    verdict: str = ""

    @property
    def good(self) -> bool:
        """Whether nothing is to be done."""
        return self.verdict.startswith("good")


def health(trace: Trace) -> Health:
    """Return how healthy a loop is.

    The oscillation index is the decay ratio of the autocorrelation of the error (T. Miao, D. E.
    Seborg, IEEE Int. Conf. Control Applications 1999, 359-364; from 0.5 on a loop oscillates
    excessively), in stretches of about 2 h or ten swings. The stiction index compares, in an
    oscillating stretch, triangles with sines fitted to each half swing of the output (Q. P. He,
    J. Wang, M. Pottmann, S. J. Qin, Ind. Eng. Chem. Res. 46 (2007) 4549-4560; above 0.6 the valve
    sticks; ours: above 0.8 also where loads make the swings uneven).
    """
    t, n = trace.times, len(trace.times)
    if n < 2:
        return _judged(trace, Health())
    dt = float(np.median(np.diff(t)))
    weights = np.minimum(np.diff(t, append=t[-1] + dt), GAP * dt)  # s that each sample stands for
    total = float(weights.sum())
    bad = np.isnan(trace.measured)
    automatic = np.isin(trace.mode, [m.value for m in WORKING])
    used = automatic & ~bad
    error = np.where(used, trace.setpoint - trace.measured, 0.0)
    used_s, automatic_s = float(weights[used].sum()), float(weights[automatic].sum())
    iae = float(np.sum(np.abs(error) * weights)) / 3600.0
    inside = used & (np.abs(error) <= trace.band)
    low, high = trace.output_low, trace.output_high
    span = high - low
    near = AT_LIMIT / 100.0 * span
    at_low, at_high = automatic & (trace.output <= low + near), trace.output >= high - near
    stopped = at_low | (automatic & at_high)
    outside = used & (np.abs(error) > trace.band)
    parts, swings = _swings(trace, used, dt)
    seconds = [dt * (p.stop - p.start) for p in parts]
    judged_s = sum(seconds)
    swinging_s = sum(s for s, o in zip(seconds, swings, strict=True) if o.excessive)
    found = Health(
        hours=float(t[-1] - t[0]) / 3600.0,
        automatic=automatic_s / total,
        modes={
            m.name: float(weights[trace.mode == m].sum()) / total
            for m in Mode
            if np.any(trace.mode == m)
        },
        bad=float(weights[bad].sum()) / total,
        in_band=_share(float(weights[inside].sum()), automatic_s * (trace.band == trace.band)),
        iae=iae if used_s else math.nan,
        error=_share(iae * 3600.0, used_s),
        travel=_share(100.0 * _travel(trace.output, automatic) / span * 3600.0, automatic_s),
        reversals=_share(_reversals(trace.output[automatic], near) * 3600.0, automatic_s),
        saturated=_share(float(weights[stopped].sum()), automatic_s),
        beyond=_share(float(weights[outside & stopped].sum()), float(weights[outside].sum())),
        at_low=float(weights[at_low].sum()) > 0.5 * float(weights[stopped].sum()),
        judged_h=judged_s / 3600.0,
        oscillating=_share(swinging_s, judged_s),
        oscillation=max(swings, key=lambda o: o.index, default=Oscillation()),
        stiction=_mean([o.stiction for o in swings if o.excessive or not swinging_s]),
    )
    return _judged(trace, found)


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else math.nan


def _mean(values: list[float]) -> float:
    known = [v for v in values if v == v]
    return sum(known) / len(known) if known else math.nan


def _travel(output: Floats, automatic: Flags) -> float:
    return float(np.sum(np.abs(np.diff(output))[automatic[1:] & automatic[:-1]]))


def _reversals(output: Floats, least: float) -> int:
    """Return how often the output turns after moving by more than ``least``."""
    count, direction = 0, 0
    if not len(output):
        return 0
    extreme = float(output[0])
    for value in output.tolist():
        moved = value - extreme
        if direction * moved > 0:
            extreme = value
        elif abs(moved) > least:
            count += direction != 0
            direction, extreme = (1 if moved > 0 else -1), value
    return count


def _swings(trace: Trace, used: Flags, dt: float) -> tuple[list[slice], list[Oscillation]]:
    """Return the parts that are judged, and how the loop swings in each.

    A slow loop swings a few times in 2 h: longer parts of it are judged, where there are.
    """
    parts = list(_stretches(trace, used, dt, WINDOW_S))
    swings = [_oscillation(trace, part, dt) for part in parts]
    periods = [o.period_s for o in swings if o.period_s == o.period_s]
    window = SWINGS * float(np.median(periods)) if periods else 0.0
    if window <= WINDOW_S:
        return parts, swings
    parts = list(_stretches(trace, used, dt, window))
    return parts, [_oscillation(trace, part, dt) for part in parts]


def _stretches(trace: Trace, used: Flags, dt: float, window_s: float) -> Iterator[slice]:
    """Yield parts of about ``window_s`` in automatic, without gap and at one setpoint."""
    step = max(trace.band * 0.5, 1e-9) if trace.band == trace.band else math.inf
    breaks = (
        (np.diff(trace.times) > GAP * dt)
        | (np.abs(np.diff(trace.setpoint)) > step)
        | (used[1:] != used[:-1])
    )
    edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(used)]
    least, most = math.ceil(JUDGED_S / dt), math.ceil(window_s / dt)
    for begin, end in pairwise(edges):
        if not used[begin] or end - begin < max(least, 100):
            continue
        parts = max(1, round((end - begin) / most))
        size = (end - begin) // parts
        for k in range(parts):
            yield slice(begin + k * size, begin + (k + 1) * size)


def _oscillation(trace: Trace, part: slice, dt: float) -> Oscillation:
    error = _straightened((trace.setpoint - trace.measured)[part])
    variance = float(np.mean(error**2))
    if variance <= 0.0:
        return Oscillation()
    hills = _autocorrelation(error)
    ends = np.flatnonzero(np.diff(np.signbit(hills).astype(np.int8))) + 1
    if len(ends) < 4:
        return Oscillation()
    valley, hill, next_valley = (
        int(ends[0] + np.argmin(hills[ends[0] : ends[1]])),
        int(ends[1] + np.argmax(hills[ends[1] : ends[2]])),
        int(ends[2] + np.argmin(hills[ends[2] : ends[3]])),
    )
    sticks = _triangles(trace.output[part], hill)
    height = float(hills[hill])
    if hill < 4 or height < max(0.1, REGULAR / math.sqrt(len(error) / hill)):
        return Oscillation(period_s=hill * dt, stiction=sticks)
    below = np.interp(hill, [valley, next_valley], [hills[valley], hills[next_valley]])
    above = np.interp(valley, [0, hill], [1.0, height])
    index = (height - float(below)) / (float(above) - float(hills[valley]))
    amplitude = math.sqrt(2.0 * variance * height)
    return Oscillation(min(1.0, index), hill * dt, amplitude, sticks)


def _straightened(values: Floats) -> Floats:
    at = np.linspace(-1.0, 1.0, len(values))
    slope = float(at @ values) / float(at @ at)
    return values - float(np.mean(values)) - slope * at


def _autocorrelation(values: Floats) -> Floats:
    spectrum = np.fft.rfft(values, 2 * len(values))
    found = np.fft.irfft(np.abs(spectrum) ** 2)[: len(values) // 2]
    return np.asarray(found / found[0], np.float64)


def _triangles(output: Floats, period: int) -> float:
    """Return the stiction index of the output's half swings; ``period`` in scans.

    A stuck valve holds still while the integral ramps: triangles. A loop that is too tight, or a
    disturbance, makes sines.
    """
    short = max(1, period // 20)
    smooth = np.convolve(output, np.ones(short) / short, "same")
    middle = np.convolve(smooth, np.ones(period) / period, "same")
    swings = (smooth - middle)[period:-period]
    ends = np.flatnonzero(np.diff(np.signbit(swings).astype(np.int8))) + 1
    sine = triangle = 0.0
    for begin, end in pairwise(ends.tolist()):
        if end - begin >= max(4, period // 4):
            half = np.abs(swings[begin:end])
            at = (np.arange(len(half)) + 0.5) / len(half)
            sine += _left(half, np.sin(np.pi * at))
            triangle += min(
                _left(half, np.minimum(at / top, (1.0 - at) / (1.0 - top)))
                for top in np.linspace(0.15, 0.85, 15).tolist()
            )
    return sine / (sine + triangle) if sine + triangle > 0.0 else math.nan


def _left(values: Floats, shape: Floats) -> float:
    """Return the squares that are left of ``values`` after the best multiple of ``shape``."""
    rest = values - float(values @ shape) / float(shape @ shape) * shape
    return float(rest @ rest)


def _judged(trace: Trace, h: Health) -> Health:
    return replace(h, verdict=_verdict(trace, h))


def _verdict(trace: Trace, h: Health) -> str:
    """Return what is wrong and what to do; a cause that hides others comes first."""
    automatic_s = h.hours * 3600.0 * h.automatic
    if h.hours * 3600.0 < JUDGED_S:
        return f"too little data: {60 * h.hours:.0f} min; {JUDGED_S / 60:.0f} min are required"
    if h.bad > 0.05:
        return f"measurement BAD {_percent(h.bad)} of the time: see to the probe and its line first"
    if automatic_s < JUDGED_S:
        return "not in automatic: nothing to judge"
    if h.automatic < 0.5:
        return (
            f"in automatic only {_percent(h.automatic)} of the time: ask why; what follows is "
            "about that time alone"
        )
    if h.saturated > 0.1 and not h.beyond <= 0.5:
        which, more = ("lower", "less") if h.at_low else ("upper", "more")
        return (
            f"output at its {which} limit {_percent(h.saturated)} of the time: it can give no "
            f"{more}, and no tuning helps there"
        )
    if h.oscillating > 0.2:
        return _swinging(trace, h)
    if h.stiction > STICKS_AT_RANDOM and not h.in_band >= 0.95:
        return (
            f"swings unevenly (mean error {h.error:.2g}), as a sticking valve or sudden loads make "
            "it: watch whether the valve moves while its output ramps, then fermloop tune"
        )
    if h.in_band < 0.95:
        return (
            f"in band only {_percent(h.in_band)} of the time without oscillation: too slow, or "
            "disturbed by more than it can take; fermloop tune shows which"
        )
    if h.travel > 2000.0:
        return (
            f"the output travels {h.travel / 100:.0f} strokes an hour: noise reaches the actuator; "
            "a filter (filter_s) or a smaller gain"
        )
    if h.judged_h == 0.0:
        return (
            f"good as far as the data go; no stretch of {JUDGED_S / 60:.0f} min at one setpoint, "
            "so oscillation is not judged"
        )
    return "good"


def _swinging(trace: Trace, h: Health) -> str:
    o = h.oscillation
    seen = f"oscillates by ± {o.amplitude:.2g} every {o.period_s:.0f} s"
    if trace.band == trace.band and o.amplitude < 0.25 * trace.band and not h.in_band < 0.95:
        return f"good: {seen}, little beside its band"
    if h.stiction > STICKS:
        return f"{seen}, as a sticking valve makes it: see to the valve, then fermloop tune"
    if h.stiction < SMOOTH:
        return (
            f"{seen}, smoothly: too tight, or a disturbance with that period; if it goes on in "
            "MANUAL it comes from outside, else fermloop tune"
        )
    return f"{seen}; neither tuning nor valve can be cleared: try MANUAL, then fermloop tune"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
