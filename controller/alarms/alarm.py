"""One alarm: what can be wrong and how it stands now, as in ISA-18.2 and OPC UA Part 9."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

from controller.alarms.texts import TEXTS
from controller.texts.said import Language, shown

NOTHING: Mapping[str, object] = MappingProxyType({})


class Priority(IntEnum):
    """How soon a person must act; the number is the Severity (1 to 1000) of OPC UA."""

    LOW = 200
    MEDIUM = 500
    HIGH = 700
    CRITICAL = 900


class State(StrEnum):
    """Where an alarm is; ISA-18.2 calls them NORM, UNACK, ACKED and RTNUN."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned"  # over, and nobody has acknowledged it


@dataclass(frozen=True, slots=True)
class Definition:
    """What can be wrong, and how it is to be told.

    Attributes:
        id: stable over restarts: ``R1.temperature.high``.
        source: tag, loop, interlock, device or reactor that it is about.
        code: key of its text in the catalogue: ``high``.
        priority: how soon a person must act.
        reactor: whose it is; empty for the plant's.
        group: within it the first of a burst is marked as first-out.
        on_delay_s: how long it must last before it is an alarm, s.
        off_delay_s: how long it must be over before the alarm is, s.
        params: what the text names, but for the value: limit, unit.
        unless: ids of alarms that say the same and more: while one is active this does not begin.
        own: a text of the plant file by language, put before the catalogue's.
    """

    id: str
    source: str
    code: str
    priority: Priority
    reactor: str = ""
    group: str = ""
    on_delay_s: float = 0.0
    off_delay_s: float = 0.0
    params: Mapping[str, object] = field(default_factory=dict[str, object])
    own: Mapping[str, str] | None = None
    unless: tuple[str, ...] = ()

    def text(self, params: Mapping[str, object], language: Language) -> str:
        """Return one line in ``en`` or ``zh``; ``params`` beside its own."""
        params = {**self.params, **params}
        line = TEXTS[language][self.code].format_map(
            {key: shown(value, language) for key, value in params.items()}
        )
        return line if self.own is None else f"{self.own[language]}: {line}"


@dataclass(slots=True)
class Alarm:
    """How one definition stands.

    Shelving, suppression and taking out of service have their places here as OPC UA Part 9 names
    them (``ShelvingState``, ``SuppressedState``, ``OutOfServiceState``); no command sets them yet.

    Attributes:
        definition: what can be wrong.
        active: it is so, delays included.
        acknowledged: a person has seen it; an alarm that never was active needs none.
        first_out: it was the first of its group.
        count: how often it began since it was last normal.
        began: when it last became active, s since 1970 UTC; NaN: never.
        ended: when it last returned; NaN: not since it began.
        seen: when it was acknowledged; NaN: not since it began.
        who: who acknowledged it.
        comment: what that person said.
        value: what was measured when it began; NaN where nothing is.
        params: what its text names beside those of the definition.
        differs: since when it is not as ``active`` says; ``None``: it is.
        shelved_until: when shelving ends, s since 1970 UTC; ``None``: not shelved.
        suppressed: by the state of the plant.
        out_of_service: taken out by a person.
    """

    definition: Definition
    active: bool = False
    acknowledged: bool = True
    first_out: bool = False
    count: int = 0
    began: float = math.nan
    ended: float = math.nan
    seen: float = math.nan
    who: str = ""
    comment: str = ""
    value: float = math.nan
    params: Mapping[str, object] = field(default_factory=dict[str, object])
    differs: float | None = None
    shelved_until: float | None = None
    suppressed: bool = False
    out_of_service: bool = False

    @property
    def state(self) -> State:
        """Where it is between normal and acknowledged."""
        if self.active:
            return State.ACKNOWLEDGED if self.acknowledged else State.UNACKNOWLEDGED
        return State.NORMAL if self.acknowledged else State.RETURNED

    @property
    def text(self) -> str:
        """What is wrong, in English."""
        return self.said("en")

    def said(self, language: Language) -> str:
        """Return what is wrong in ``en`` or ``zh``."""
        return self.definition.text({"value": self.value, **self.params}, language)

    def as_json(self) -> dict[str, Any]:
        """Return all that people are shown; times in s since 1970 UTC, or ``None``."""
        c = self.definition
        english, chinese = self.said("en"), self.said("zh")
        return {
            "id": c.id,
            "subject": c.source,
            "reactor": c.reactor,
            "group": c.group,
            "code": c.code,
            "priority": c.priority.name.lower(),
            "severity": int(c.priority),
            "state": self.state,
            "retain": self.state is not State.NORMAL,
            "active": self.active,
            "acknowledged": self.acknowledged,
            "first_out": self.first_out,
            "count": self.count,
            "time": number(self.began),
            "ended": number(self.ended),
            "seen": number(self.seen),
            "who": self.who,
            "comment": self.comment,
            "value": number(self.value),
            "limit": c.params.get("limit"),
            "unit": c.params.get("code_unit", ""),
            "params": dict(self.params),
            "text": english,
            "text_zh": chinese,
            "shelved_until": self.shelved_until,
            "suppressed": self.suppressed,
            "out_of_service": self.out_of_service,
        }

    def as_state(self) -> dict[str, Any]:
        """Return what a restart needs, as JSON."""
        return {
            "active": self.active,
            "acknowledged": self.acknowledged,
            "first_out": self.first_out,
            "count": self.count,
            "began": number(self.began),
            "ended": number(self.ended),
            "seen": number(self.seen),
            "who": self.who,
            "comment": self.comment,
            "value": number(self.value),
            "params": dict(self.params),
            "shelved_until": self.shelved_until,
            "suppressed": self.suppressed,
            "out_of_service": self.out_of_service,
        }

    @classmethod
    def from_state(cls, definition: Definition, state: Mapping[str, Any]) -> "Alarm":
        """Return the alarm that ``as_state`` was of.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        shelved = state["shelved_until"]
        alarm = cls(
            definition,
            active=bool(state["active"]),
            acknowledged=bool(state["acknowledged"]),
            first_out=bool(state["first_out"]),
            count=int(state["count"]),
            began=_time(state["began"]),
            ended=_time(state["ended"]),
            seen=_time(state["seen"]),
            who=str(state["who"]),
            comment=str(state["comment"]),
            value=_time(state["value"]),
            params=dict(state["params"]),
            shelved_until=None if shelved is None else float(shelved),
            suppressed=bool(state["suppressed"]),
            out_of_service=bool(state["out_of_service"]),
        )
        alarm.as_json()  # its text can be made
        return alarm


def number(value: float) -> float | None:
    """Return a number as JSON has it: NaN is ``None``."""
    return value if math.isfinite(value) else None


def _time(value: float | None) -> float:
    return math.nan if value is None else float(value)
