"""The one append-only Event: alarms, audit, phases, gaps, advice and notes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, Protocol, runtime_checkable


class Kind(StrEnum):
    """What an event is about."""

    ALARM = "alarm"
    AUDIT = "audit"
    PHASE = "phase"
    GAP = "gap"
    ADVICE = "advice"
    PLAN = "plan"
    NOTE = "note"


@runtime_checkable
class Told(Protocol):
    """A text, in English, that can be told in Chinese too."""

    def told(self, language: Literal["en", "zh"]) -> str:
        """Return it in a language."""
        ...


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
        data: JSON-serialisable; old and new values, reason, limits; ``text_zh``, the sentence in
            Chinese, where there is one.
    """

    time: float
    source: str
    kind: Kind
    subject: str
    text: str
    data: Mapping[str, object] = field(default_factory=dict[str, object])

    def in_both(self) -> "Event":
        """Return the event with its sentence in Chinese, if that can be told so."""
        if "text_zh" in self.data or not isinstance(self.text, Told):
            return self
        return replace(self, data={**self.data, "text_zh": self.text.told("zh")})


def gap(
    time: float,
    reactor: str,
    english: str,
    chinese: str,
    data: Mapping[str, object] = MappingProxyType({}),
) -> Event:
    """Return what is told of samples of ``reactor`` that are not there, in both languages."""
    return Event(time, "system", Kind.GAP, reactor, english, {**data, "text_zh": chinese})
