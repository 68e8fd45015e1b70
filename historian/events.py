"""The one append-only Event: alarms, audit, phases, gaps, advice and notes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What an event is about."""

    ALARM = "alarm"
    AUDIT = "audit"
    PHASE = "phase"
    GAP = "gap"
    ADVICE = "advice"
    PLAN = "plan"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened and is never changed afterwards.

    Attributes:
        time: s since 1970 UTC.
        source: who or what caused it: ``operator:ana``, ``recipe``, ``optimiser``,
            ``interlock``, ``system``.
        kind: what it is about.
        subject: reactor, loop, tag or device: ``R1.do``.
        text: one sentence in English for a person; ``data`` has what a program needs.
        data: JSON-serialisable; old and new values, reason, limits.
    """

    time: float
    source: str
    kind: Kind
    subject: str
    text: str
    data: Mapping[str, object] = field(default_factory=dict[str, object])
