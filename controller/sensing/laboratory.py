"""Results of the laboratory: checked when they are entered, corrected but never overwritten.

A result has three times: when the broth was taken, when the result was there, when it was entered.
What the estimator makes of it belongs to the first of them; what anybody could know to the last.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from controller.plant_file.settings import AnalyteSettings
from controller.texts.said import said
from drivers.point import RangeError

SAME_S: Final = 30.0  # two results of one analyte this near are of one sample
AHEAD_S: Final = 5.0  # a clock elsewhere may be this much ahead of ours
PER: Final[Mapping[str, Mapping[str, float]]] = {  # factor from a unit to one of the plant file
    "g/L": {"mg/L": 1e-3, "g/L": 1.0, "kg/m3": 1.0},
    "mg/L": {"mg/L": 1.0, "g/L": 1e3, "kg/m3": 1e3},
    "mmol/L": {"mmol/L": 1.0, "mol/L": 1e3},
}
HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Result:
    """One result.

    Attributes:
        number: by which it is corrected; from 1, of a reactor.
        batch: in which the broth was taken; empty for one before the present batch.
        analyte: what was measured.
        value: in ``unit``; the limit of detection where ``below_limit``.
        unit: that of the plant file.
        below_limit: nothing was found above ``value``.
        t_sampled: when the broth was taken, s since 1970 UTC.
        t_available: when the result was there.
        t_entered: when it was entered here.
        who: entered it: a person, or the file it came in.
        corrects: number of the result that it replaces, or 0.
        corrected_by: number of the one that replaces it, or 0.
    """

    number: int
    batch: str
    analyte: str
    value: float
    unit: str
    below_limit: bool
    t_sampled: float
    t_available: float
    t_entered: float
    who: str
    corrects: int = 0
    corrected_by: int = 0

    def as_state(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody wants to enter; the meanings are those of ``Result``."""

    analyte: str
    value: float
    unit: str
    t_sampled: float
    t_available: float | None = None
    below_limit: bool = False
    corrects: int = 0


class Laboratory:
    """The results of a reactor.

    Args:
        reactor: ``R1``.
        analytes: what may be entered, by name.
    """

    def __init__(self, reactor: str, analytes: Mapping[str, AnalyteSettings]) -> None:
        self.reactor = reactor
        self.analytes = analytes
        self._results: dict[int, Result] = {}
        self._last = 0  # number given

    def enter(self, entry: Entry, now: float, batch: str, began: float, who: str) -> Result:
        """Take a result in.

        Args:
            entry: as somebody gives it.
            now: s since 1970 UTC.
            batch: the present one, or empty.
            began: when it began; -inf where there is none.
            who: enters it.

        Raises:
            RangeError: analyte, unit, value or a time is not allowed.
            ValueError: the sample has a result already, or there is none to correct.
        """
        settings = self._analyte(entry.analyte)
        value = self._value(entry, settings)
        available = now if entry.t_available is None else entry.t_available
        self._times(entry.t_sampled, available, now, settings)
        old = self._corrected(entry)
        result = Result(
            number=self._last + 1,
            batch=batch if entry.t_sampled >= began else "",
            analyte=entry.analyte,
            value=value,
            unit=settings.unit,
            below_limit=entry.below_limit,
            t_sampled=entry.t_sampled,
            t_available=available,
            t_entered=now,
            who=who,
            corrects=entry.corrects,
        )
        if old is not None:
            self._results[old.number] = replace(old, corrected_by=result.number)
        self._results[result.number] = result
        self._last = result.number
        return result

    def __getitem__(self, number: int) -> Result:
        return self._results[number]

    def forget(self, now: float) -> None:
        """Forget what is too old to be corrected: a batch begins, and the store has everything."""
        for r in list(self._results.values()):
            settings = self.analytes.get(r.analyte)
            if settings is None or now - r.t_sampled > settings.max_age_h * HOUR_S:
                del self._results[r.number]

    def valid(self, analyte: str = "") -> list[Result]:
        """Return the results that nothing has replaced, by when the broth was taken."""
        all_of = self._results.values()
        found = (r for r in all_of if not r.corrected_by and analyte in ("", r.analyte))
        return sorted(found, key=lambda r: r.t_sampled)

    def as_state(self) -> dict[str, Any]:
        """Return all results as JSON, for a restart."""
        return {"last": self._last, "results": [r.as_state() for r in self._results.values()]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up the results of ``as_state``.

        Raises:
            KeyError, TypeError: it is no such state; nothing has changed.
        """
        results = [Result(**row) for row in state["results"]]
        self._last = int(state["last"])
        self._results = {r.number: r for r in results}

    def _analyte(self, name: str) -> AnalyteSettings:
        if name not in self.analytes:
            known = list(self.analytes) or "none"
            raise RangeError(said("no_analyte", reactor=self.reactor, name=name, known=known))
        return self.analytes[name]

    def _value(self, entry: Entry, settings: AnalyteSettings) -> float:
        """Return the value in the plant file's unit."""
        units = PER.get(settings.unit, {settings.unit: 1.0})
        if entry.unit not in units:
            raise RangeError(
                said("wrong_unit", name=entry.analyte, unit=entry.unit, known=list(units))
            )
        value = entry.value * units[entry.unit]
        if not settings.low <= value <= settings.high:  # NaN is in no range
            raise RangeError(
                said(
                    "assay_range",
                    name=entry.analyte,
                    value=value,
                    low=settings.low,
                    high=settings.high,
                    unit=settings.unit,
                )
            )
        return value

    def _times(
        self, sampled: float, available: float, now: float, settings: AnalyteSettings
    ) -> None:
        if not (math.isfinite(sampled) and math.isfinite(available)):
            raise RangeError(said("sample_time"))
        if sampled > now + AHEAD_S or available > now + AHEAD_S:
            ahead = (max(sampled, available) - now) / 60.0
            raise RangeError(said("sample_ahead", minutes=round(ahead, 1)))
        if available < sampled:
            raise RangeError(said("sample_order"))
        if now - sampled > settings.max_age_h * HOUR_S:
            age = (now - sampled) / HOUR_S
            raise RangeError(said("sample_old", hours=round(age, 1), most=settings.max_age_h))

    def _corrected(self, entry: Entry) -> Result | None:
        """Return the result that the entry replaces, if it says so; there must be no other."""
        if entry.corrects:
            old = self._results.get(entry.corrects)
            if old is None:
                known = list(self._results) or "none"
                raise ValueError(said("no_result", number=entry.corrects, known=known))
            if old.corrected_by:
                raise ValueError(
                    said("corrected", number=old.number, by=old.corrected_by, who=old.who)
                )
            if old.analyte != entry.analyte:
                raise ValueError(said("other_analyte", number=old.number, name=old.analyte))
            return old
        for known in self.valid(entry.analyte):
            if abs(known.t_sampled - entry.t_sampled) <= SAME_S:
                raise ValueError(
                    said(
                        "entered_before",
                        name=entry.analyte,
                        value=known.value,
                        unit=known.unit,
                        who=known.who,
                        number=known.number,
                    )
                )
        return None
