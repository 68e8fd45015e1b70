"""Faults of pumps, valves, gas flow controllers and stirrers.

Sources of the failure modes: the usual ones; sizes are ours where a table gives none.
"""

import math
from collections.abc import Callable
from typing import Final

from sim.fault_kinds import (
    GAS,
    PUMP,
    STIRRER,
    VALVE,
    Begin,
    Case,
    End,
    Kind,
    Size,
    each,
    percent,
)
from sim.faulty import FaultyDrive, Mover, StuckDrive, insert, slugs, stiction


def moving(make: Callable[[Case, str], Callable[[Mover], Mover]]) -> Begin:
    """Return what changes what each drive does."""
    return each(lambda case, part: insert(case.vessel.drives[part], 1, make(case, part)))


def _less_flow(case: Case, part: str) -> Callable[[Mover], Mover]:
    left = 1.0 - case.size / 100.0
    return lambda inner: FaultyDrive(inner, gives=lambda flow, age: left * flow)


def _held(case: Case, part: str) -> Callable[[Mover], Mover]:
    at = case.vessel.flow(part)
    return lambda inner: StuckDrive(inner, at)


def off(case: Case, part: str) -> Callable[[Mover], Mover]:
    """Return what keeps a drive from doing anything."""
    return lambda inner: FaultyDrive(inner, wants=lambda wanted: 0.0)


def _sticky(case: Case, part: str) -> Callable[[Mover], Mover]:
    band = case.size / 100.0 * case.usual(part)
    stuck = stiction(band, case.vessel.actual(f"{case.vessel.prefix}.{part}"))
    return lambda inner: FaultyDrive(inner, wants=stuck)


def _air(case: Case, part: str) -> Callable[[Mover], Mover]:
    gives = slugs(case.size / 100.0, case.vessel.age)
    return lambda inner: FaultyDrive(inner, gives=gives)


def _by_hand(case: Case, part: str) -> End:
    now = case.vessel.actual(f"{case.vessel.prefix}.{part}")
    held = now if math.isnan(case.size) else case.size / 100.0 * case.usual(part)
    return case.vessel.by_hand(part, held)


LOCAL: Final = Size("what its panel sets (else what it holds)", "%", math.nan, 0.0, 100.0)
DRIVE_FAULTS: Final = (
    Kind("blocked", PUMP, "gives less than it should, or nothing", moving(_less_flow),
         percent("flow lost", 100.0)),
    Kind("worn", PUMP, "gives less, or more if negative", moving(_less_flow),
         percent("flow lost", 20.0, -50.0, 90.0)),
    Kind("empty", PUMP, "its bottle is empty: it turns, and nothing comes", moving(off),
         alone=True),
    Kind("air", PUMP, "air in the line: for a part of each minute nothing comes", moving(_air),
         percent("air", 30.0)),
    Kind("stiction", VALVE, "moves only when it must move further than this", moving(_sticky),
         percent("of its range", 5.0)),
    *(
        Kind("stuck", sort, "stays where it is", moving(_held), alone=True)
        for sort in (PUMP, VALVE, GAS, STIRRER)
    ),
    *(
        Kind("local", sort, "is switched to local: a hand at its panel decides, its switch "
             "`NAME_remote` shows 0", each(_by_hand), LOCAL, alone=True)
        for sort in (PUMP, VALVE, GAS, STIRRER)
    ),
    Kind("off", VALVE, "closes, whatever is wanted", moving(off), alone=True),
    Kind("zero", GAS, "gives no flow", moving(off), alone=True),
    Kind("stopped", STIRRER, "trips and stands still", moving(off), alone=True),
)  # fmt: skip
