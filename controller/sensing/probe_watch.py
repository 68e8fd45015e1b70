"""Whether the DO probe still agrees with what the cells breathe and what the gas carries over.

What is breathed is carried over: ``OUR = kLa (C* - O)``. Of a probe that drifts, a soft sensor says
that kLa changes, since stirrer and gas explain it no longer. That is the residual: the oxygen that
there would be if the factor on kLa were what it was in the last hours, against what the probe
shows; less what the law of kLa may be wrong by, where stirrer and gas have had to follow cells that
breathe more than in those hours.
What cells breathe beside their equations (acetate that nobody knew of, eaten when the feed is cut)
the soft sensor lays on kLa, too. The carbon dioxide beside what the model gives off says how much
that is, with neither kLa nor the oxygen's flow meter, which mislead the analyser's oxygen by more
than that while the air is enriched. A probe is accused by no more than both ways say.
Antifoam and viscosity move the factor too. A gas step tells them apart: what another stirrer
speed, gas flow or DO setpoint changes does not depend on the factor at all.
"""

import math
from collections import deque
from typing import Final, NamedTuple

REFERENCE_H: Final = 8.0  # over which the factor is remembered: a drift is faster than a broth
LEARNT_H: Final = 3.0  # of it, before anything is said
LAW: Final = 0.01  # of the way up in OUR, in logarithms, where it has not been: exponents differ
SURE: Final = 0.12  # spread of the factor's logarithm from which on it is remembered
LEAST_OUR: Final = 1.0  # mmol/(L.h)
BESIDE_S: Final = 600.0  # over which what is breathed beside the model is averaged
LEAST_SHARE: Final = 0.2  # of the model's OUR, that may be left of it by the carbon dioxide
MINUTE_S: Final = 60.0
SIDE: Final = 3  # min that are averaged on each side of a step
GAP: Final = 8  # min between them, in which the probe follows
STEADY: Final = 1.5  # % of air saturation that the probe may wander in each
LEAST: Final = 0.15  # logarithm of the step in kLa by OUR, from which on it tells anything


class Look(NamedTuple):
    """A minute: kLa without its factor (1/h), OUR (mmol/(L.h)), driving force and DO (%).

    ``beside`` is the CO2 that is measured beside that of the model, mmol/(L.h); NaN: not measured.
    """

    kla: float
    our: float
    force: float
    do: float
    beside: float = math.nan


class Usual(NamedTuple):
    """Logarithms: the factor on kLa by the model's OUR, that by the CO2, and OUR."""

    factor: float
    by_gas: float
    our: float


class Step(NamedTuple):
    """What a gas step told.

    Attributes:
        time: s.
        size: kLa by OUR after it, over that before it.
        offset: what the probe shows too much, % of air saturation.
        sd: of that.
    """

    time: float
    size: float
    offset: float
    sd: float


class ProbeWatch:
    """Judges a DO probe; ``look`` at every estimate.

    Attributes:
        offset: what the probe shows too much by OUR and kLa, % of air saturation.
        step: what the last gas step told; ``None`` before the first.
    """

    __slots__ = ("_at", "_beside", "_minutes", "_sum", "_usual", "_weight", "offset", "step")

    def __init__(self) -> None:
        self.offset = 0.0
        self.step: Step | None = None
        self._usual: Usual | None = None  # as it was in the last hours
        self._weight = 0.0  # h in it
        self._beside = 0.0  # mmol/(L.h)
        self._minutes: deque[Look] = deque(maxlen=2 * SIDE + GAP)
        self._sum: list[Look] = []  # of this minute
        self._at = -math.inf

    def copy(self) -> "ProbeWatch":
        """Return another of the same state."""
        other = ProbeWatch()
        other.offset, other.step, other._usual = self.offset, self.step, self._usual
        other._beside, other._weight, other._at = self._beside, self._weight, self._at
        other._sum = list(self._sum)
        other._minutes = self._minutes.copy()
        return other

    def look(self, now: float, hours: float, log_factor: float, sd: float, look: Look) -> None:
        """Take what is believed now.

        Args:
            now: s.
            hours: since the last call.
            log_factor: logarithm of the factor on kLa.
            sd: its spread.
            look: at gas and probe.
        """
        now_is = self._now(hours, log_factor, look)
        usual = self._usual or now_is
        if sd < SURE:
            self._weight = min(self._weight + hours, REFERENCE_H)
            share = min(hours / max(self._weight, 1e-6), 1.0)
            pairs = zip(usual, now_is, strict=True)
            self._usual = usual = Usual(*(old + share * (new - old) for old, new in pairs))
        self.offset = 0.0
        if self._weight >= LEARNT_H:
            law = LAW * max(now_is.our - usual.our, 0.0)
            ways = (now_is.factor - usual.factor, now_is.by_gas - usual.by_gas)
            told = max(min(map(abs, ways)) - law, 0.0) if ways[0] * ways[1] > 0.0 else 0.0
            self.offset = look.force * math.expm1(math.copysign(told, ways[0]))
        self._sum.append(look)
        if now - self._at >= MINUTE_S:
            self._minutes.append(_mean(self._sum))
            self._sum, self._at = [], now
            self._judge(now)

    def _now(self, hours: float, log_factor: float, look: Look) -> Usual:
        """Return the factor in both ways; one mol of CO2 is taken for one of oxygen."""
        if not math.isnan(look.beside):
            share = -math.expm1(-hours * 3600.0 / BESIDE_S)
            self._beside += share * (look.beside - self._beside)
        our = max(look.our, LEAST_OUR)
        more = math.log(max(1.0 + self._beside / our, LEAST_SHARE))
        return Usual(log_factor, log_factor + more, math.log(our))

    def _judge(self, now: float) -> None:
        """Solve for what the probe shows too much, if there was a step and both sides stand."""
        minutes = list(self._minutes)
        if len(minutes) < 2 * SIDE + GAP:
            return
        before, after = minutes[:SIDE], minutes[-SIDE:]
        if self._weight < LEARNT_H or not (_steady(before) and _steady(after)):
            return
        a, b = _mean(before), _mean(after)
        if min(a.our, b.our, a.kla, b.kla) <= 0.0:
            return
        size = (b.kla / b.our) / (a.kla / a.our)
        if abs(math.log(size)) < LEAST:
            return
        offset = (size * b.force - a.force) / (size - 1.0)  # the factor has cancelled
        sd = 0.03 * size * abs(b.force - offset) / abs(size - 1.0)  # of 3 % in OUR or kLa
        self.step = Step(now, size, -offset, sd)


def _steady(side: list[Look]) -> bool:
    return max(m.do for m in side) - min(m.do for m in side) <= STEADY


def _mean(looks: list[Look]) -> Look:
    n = len(looks)
    return Look(*(sum(column) / n for column in zip(*looks, strict=True)))
