"""What a store, or a file, has of a batch that a model can be fitted to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from controller.sensing.laboratory import Entry
from historian.history import History

Floats = NDArray[np.float64]
STEPS: Final = 240  # rows at most, of a day: 6 min each
SHORTEST_H: Final = 0.1  # row
LONGEST_H: Final = 0.25  # row of a long batch
INTERLOCK: Final = ".interlock"  # how the alarm of one that trips ends
ABORTED: Final = "ABORTED"


@dataclass(frozen=True, slots=True)
class Assay:
    """One result of the laboratory.

    Attributes:
        analyte: what was measured.
        hours: when the broth was taken, h since inoculation.
        value: in ``unit``; the limit of detection where ``below_limit``.
        unit: as it was entered.
        below_limit: nothing was found above ``value``.
    """

    analyte: str
    hours: float
    value: float
    unit: str
    below_limit: bool


@dataclass(frozen=True)
class Record:
    """One batch from its inoculation on.

    Attributes:
        name: its id.
        step_h: length of a row, h.
        units: UCUM code by name of the tag without its reactor.
        values: likewise the mean of each row, shape (n,); NaN is a gap.
        assays: what the laboratory found, by when the broth was taken; corrected ones are left out.
        kept: it was not aborted, and no interlock tripped after its inoculation.
    """

    name: str
    step_h: float
    units: Mapping[str, str]
    values: Mapping[str, Floats]
    assays: Sequence[Assay]
    kept: bool = True

    @property
    def hours(self) -> float:
        """How long it was."""
        return self.step_h * len(next(iter(self.values.values())))


def recorded(
    history: History, batch: str, wanted: Sequence[str], entries: Sequence[Entry] = ()
) -> Record:
    """Return what the store has of a batch.

    Args:
        history: the store.
        batch: its id.
        wanted: tags without their reactor; what was never stored is left out.
        entries: results that are not in the store; those of broth of this batch are taken.

    Raises:
        LookupError: there is no such batch, or nothing that is wanted was stored.
        ValueError: it was never inoculated, or is not over.
    """
    record = history.batch(batch)
    of = record.batch
    if of.inoculated is None:
        raise ValueError(f"{batch}: was never inoculated")
    if of.ended is None:
        raise ValueError(f"{batch}: is not over yet")
    hours = of.age_h(of.ended)
    known = {n.partition(".")[2] for n in history.tags() if n.partition(".")[0] == of.reactor}
    names = [name for name in wanted if name in known]
    if not names:
        raise LookupError(f"{batch}: the store has none of {', '.join(wanted)}")
    step = min(max(hours / STEPS, SHORTEST_H), LONGEST_H)
    found = history.aligned([batch], names, start_h=0.0, end_h=hours, points=round(hours / step))
    step_h = float(found.age_h[1] - found.age_h[0]) if len(found.age_h) > 1 else hours
    values = {name: rows[0] for name, rows in found.values.items()}
    assays = [a for s in record.samples if (a := _assay(s, of.age_h(float(s["t_sampled"]))))]
    assays += [
        Assay(e.analyte, of.age_h(e.t_sampled), e.value, e.unit, e.below_limit)
        for e in entries
        if of.inoculated <= e.t_sampled <= of.ended
    ]
    tripped = any(a.id.endswith(INTERLOCK) and a.began >= of.inoculated for a in record.alarms)
    kept = of.state != ABORTED and not tripped
    return Record(batch, step_h, found.units, values, assays, kept)


def _assay(sample: Mapping[str, Any], hours: float) -> Assay | None:
    if sample.get("corrected_by"):
        return None
    below = bool(sample.get("below_limit"))
    value, unit = float(sample["value"]), str(sample["unit"])
    return Assay(str(sample["analyte"]), hours, value, unit, below)
