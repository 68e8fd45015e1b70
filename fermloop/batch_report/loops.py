"""How each loop of a batch held its setpoint, and where the batch left its path."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from controller.plant_file.settings import LoopSettings, ReactorSettings
from fermloop.batch_report.minutes import MINUTE_H, Minutes
from historian.batch import BatchRecord

SETTLING_MIN: Final = 60  # of a loop are not judged
DEVIATION_MIN: Final = 5  # out of band for so long is one


@dataclass(frozen=True, slots=True)
class LoopFigures:
    """How a loop held its setpoint, after the first hour.

    Attributes:
        name: of the loop.
        unit: of what it measures.
        in_band: share of the time; ``None`` where the plant file gives no band.
        iae: integral of the absolute error, unit times h.
        itae: the same, each error times the h since the setpoint was last moved, unit times h^2:
            what is left long after a move counts more.
        largest: greatest deviation of a minute's mean.
        travel: sum of the changes of its output, in % or its unit.
        not_good_min: minutes without a good measurement.
    """

    name: str
    unit: str
    in_band: float | None
    iae: float
    itae: float
    largest: float
    travel: float
    not_good_min: int


@dataclass(frozen=True, slots=True)
class Deviation:
    """A loop out of its band, or a stretch of another kind.

    ``text_zh`` is empty where ``text`` is a name that needs no words. Times in s since 1970 UTC.
    """

    kind: str
    subject: str
    began: float
    ended: float | None
    text: str = ""
    text_zh: str = ""
    unit: str = ""  # of a number in ``text``


def loops(minutes: Minutes, settings: ReactorSettings | None) -> Iterator[LoopFigures]:
    """Yield how each loop that measures something held its setpoint."""
    for name, loop, measured in _measuring(minutes, settings):
        errors = list(_errors(minutes, measured, f"{name}.sp"))
        if not errors:
            continue
        off = [error for error, _ in errors]
        inside = None if loop.band is None else sum(e <= loop.band for e in off) / len(off)
        outputs = [op for (op,) in minutes.rows(f"{name}.op")]
        yield LoopFigures(
            name,
            minutes.tags[measured].unit,
            inside,
            sum(off) * MINUTE_H,
            sum(error * since for error, since in errors) * MINUTE_H,
            max(off),
            sum(abs(b - a) for a, b in pairwise(outputs)),
            minutes.not_good_min(measured),
        )


def deviations(
    record: BatchRecord, minutes: Minutes, settings: ReactorSettings | None
) -> list[Deviation]:
    """Return where the batch left its path, by time."""
    found = [
        d
        for name, loop, measured in _measuring(minutes, settings)
        for d in _outside(minutes, name, loop, measured)
    ]
    for event in record.events:
        data = event["data"]
        if event["kind"] == "gap":
            began = float(str(data.get("start", event["time"])))
            found.append(Deviation("gap", event["subject"], began, event["time"], event["text"]))
        elif event["kind"] == "phase" and data.get("state") in ("HELD", "ABORTED"):
            kind = str(data["state"]).lower()
            found.append(Deviation(kind, event["subject"], event["time"], None, event["text"]))
    for alarm in record.alarms:
        if alarm.priority == "critical" or ".interlock." in alarm.id:
            text = (alarm.text, alarm.text_zh)
            found.append(Deviation("alarm", alarm.subject, alarm.began, alarm.ended, *text))
    return sorted(found, key=lambda d: d.began)


def _measuring(
    minutes: Minutes, settings: ReactorSettings | None
) -> Iterator[tuple[str, LoopSettings, str]]:
    for name, loop in (settings.loop if settings else {}).items():
        measured = loop.measured.partition(".")[2] if loop.measured else ""
        # one with pulses holds no setpoint: it stays below it, and a draw-off is none
        if loop.pulse is None and minutes.has(measured) and minutes.has(f"{name}.sp"):
            yield name, loop, measured


def _errors(minutes: Minutes, measured: str, setpoint: str) -> Iterator[tuple[float, float]]:
    """Yield the absolute error of each minute that is judged, and h since the setpoint moved."""
    before: float | None = None
    moved = judged = 0
    pairs = zip(minutes.mean(measured), minutes.mean(setpoint), strict=True)
    for i, (pv, sp) in enumerate(pairs):
        if sp is not None and sp != before:
            before, moved = sp, i
        if pv is None or sp is None:
            continue
        judged += 1
        if judged > SETTLING_MIN:
            yield abs(pv - sp), (i - moved) * MINUTE_H


def _outside(m: Minutes, name: str, loop: LoopSettings, measured: str) -> Iterator[Deviation]:
    """Yield the stretches in which the minutes' means were out of the band."""
    if loop.band is None:
        return
    began: int | None = None
    worst = 0.0
    pairs = [*zip(m.mean(measured), m.mean(f"{name}.sp"), strict=True), (None, None)]
    for i, (pv, sp) in enumerate(pairs):
        error = 0.0 if pv is None or sp is None or i < SETTLING_MIN else pv - sp
        if abs(error) > loop.band:
            began = i if began is None else began
            worst = max(worst, error, key=abs)
        elif began is not None:
            if i - began >= DEVIATION_MIN:
                text, unit = f"{worst:+.3g}".replace("-", "−"), m.tags[measured].unit
                ended = m.times[i - 1] + 30.0
                yield Deviation("band", name, m.times[began] - 30.0, ended, text, unit=unit)
            began, worst = None, 0.0
