"""Whether the alarms of a batch were ones that an operator can live with (ISA-18.2, EEMUA 191)."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from historian.batch import BatchRecord

TEN_MIN_S: Final = 600.0
FLOOD: Final = 10  # alarms in ten minutes: more than one operator can take in
STANDING_S: Final = 86_400.0
PRIORITIES: Final = ("critical", "high", "medium", "low")


class Health(NamedTuple):
    """One figure; ``good`` is what it should be, as people read it, and ``ok`` whether it is."""

    key: str
    value: int | float
    unit: str
    good: str = ""
    ok: bool = True


def health(record: BatchRecord, end: float) -> Iterator[Health]:
    """Yield the figures of a batch until ``end``, s since 1970 UTC.

    Rates are of ten minutes and of one operator, who is taken to see this vessel alone.
    """
    alarms = record.alarms
    began = record.batch.began
    slots = max(1, round((end - began) / TEN_MIN_S))
    per_slot = [0] * slots
    for alarm in alarms:
        slot = int((alarm.began - began) // TEN_MIN_S)
        per_slot[min(max(slot, 0), slots - 1)] += 1
    mean = len(alarms) / slots
    flood = 100.0 * sum(n >= FLOOD for n in per_slot) / slots
    lasted = (alarm.began for alarm in alarms if alarm.ended is None)
    standing = sum(end - since > STANDING_S for since in lasted)
    unseen = sum(alarm.acknowledged is None for alarm in alarms)
    yield Health("alarms", len(alarms), "")
    yield Health("mean", mean, "", "< 1", mean < 1.0)
    yield Health("peak", max(per_slot), "", f"< {FLOOD}", max(per_slot) < FLOOD)
    yield Health("flood", flood, "%", "< 1 %", flood < 1.0)
    yield Health("standing", standing, "", "0", not standing)
    yield Health("unseen", unseen, "", "0", not unseen)


def priorities(record: BatchRecord) -> dict[str, int]:
    """Return how many alarms of each priority there were, the highest first."""
    alarms = record.alarms
    return {p: n for p in PRIORITIES if (n := sum(a.priority == p for a in alarms))}
