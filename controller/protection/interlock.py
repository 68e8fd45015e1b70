"""One interlock: a condition, and what is demanded of actuators while it holds.

Pure. It imports nothing of ours but the conditions.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from controller.protection.conditions import Condition
from controller.texts.said import Said, said

Demands = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Interlock:
    """A condition, and what is demanded of actuators while it holds.

    Attributes:
        name: ``R1.low_do``.
        condition: when it trips.
        for_s: how long the condition must hold before it trips, s.
        clear_s: how long it must be gone again, by GOOD readings, before it clears, s.
        force: value of each actuator while tripped, in its unit, by tag name.
        at_most: the greatest value of each actuator while tripped, in its unit, by tag name.
        at_least: the least value of each actuator while tripped, in its unit, by tag name.
        no_start: actuators that stay at rest if they are; one that runs is left alone.
        on_bad: ``trip`` after ``bad_s`` without a usable reading, or ``hold`` what it was; a timer
            that already runs towards a trip runs on.
        bad_s: s; there is no such grace before the first usable reading.
        latch: stays tripped until somebody resets it.
        bypass_max_s: longest bypass, s; 0: it may never be bypassed.
    """

    name: str
    condition: Condition
    for_s: float = 0.0
    clear_s: float = 0.0
    force: Demands = field(default_factory=dict[str, float])
    at_most: Demands = field(default_factory=dict[str, float])
    at_least: Demands = field(default_factory=dict[str, float])
    no_start: tuple[str, ...] = ()
    on_bad: Literal["trip", "hold"] = "trip"
    bad_s: float = 30.0
    latch: bool = False
    bypass_max_s: float = 0.0

    def __post_init__(self) -> None:
        times = (self.for_s, self.clear_s, self.bypass_max_s)
        if not (all(0 <= t < math.inf for t in times) and self.bad_s >= 0):
            raise ValueError(
                f"{self.name}: for_s, clear_s, bad_s and bypass_max_s must be 0 s or more"
            )
        values = [v for each in (self.force, self.at_most, self.at_least) for v in each.values()]
        if not (values or self.no_start) or not all(map(math.isfinite, values)):
            raise ValueError(
                f"{self.name}: force, at_most, at_least or no_start must name at least one "
                "actuator, with a finite value"
            )

    @property
    def text(self) -> Said:
        """What it does, for people: ``R1.do below 12 % for 20 s: R1.feed = 0``."""
        when = self.condition.text
        if self.for_s:
            when = said("lasting", what=when, s=self.for_s)
        return said("interlock", when=when, does=self.does)

    @property
    def does(self) -> Sequence[str]:
        """What it demands, for people: ``R1.feed = 0`` and ``R1.stirrer ≤ 60``."""
        signs = (("=", self.force), ("≤", self.at_most), ("≥", self.at_least))
        demands = [f"{n} {sign} {v:g}" for sign, each in signs for n, v in each.items()]
        return demands + [said("does_not_start", name=name) for name in self.no_start]

    @property
    def limits(self) -> list[tuple[str, float, float]]:
        """What it demands: each actuator with the least and the greatest value, in its unit."""
        inf = math.inf
        return (
            [(name, value, value) for name, value in self.force.items()]
            + [(name, -inf, value) for name, value in self.at_most.items()]
            + [(name, value, inf) for name, value in self.at_least.items()]
        )

    @property
    def actuators(self) -> tuple[str, ...]:
        """Every actuator that it demands something of."""
        return tuple(dict.fromkeys([name for name, _, _ in self.limits] + list(self.no_start)))


class InterlockEvent(NamedTuple):
    """An interlock tripped or cleared, or its bypass ended by itself.

    Attributes:
        time: s since 1970 UTC.
        name: the interlock's.
        what: which of these.
        order: its place among those tripped, 1 for the first out; 0 when it is not tripped.
        value: what was measured, in the measurement's unit; NaN if it was BAD.
        text: one sentence for people.
    """

    time: float
    name: str
    what: Literal["tripped", "cleared", "bypass ended"]
    order: int
    value: float
    text: str


class Demand(NamedTuple):
    """Where an actuator must be, and which interlocks say so.

    Attributes:
        low: the least value, in the actuator's unit.
        high: the greatest.
        why_low: the text of the interlock that demands ``low``.
        why_high: the text of the interlock that demands ``high``.
    """

    low: float
    high: float
    why_low: str
    why_high: str


class Bypass(NamedTuple):
    """An interlock demands nothing for a while, because an engineer said so.

    Attributes:
        since: s since 1970 UTC.
        until: when it ends by itself, s since 1970 UTC.
        who: the engineer.
        reason: why.
    """

    since: float
    until: float
    who: str
    reason: str


class Status(NamedTuple):
    """How an interlock stands.

    Attributes:
        tripped: whether its condition holds, or it is latched; a bypass does not hide it.
        order: its place among those tripped, 1 for the first out; 0 when it is not tripped.
        text: why it is tripped, or when it would be.
        latched: tripped until somebody resets it.
        bypass: ``None``: it demands what it should.
        bypass_max_s: longest bypass, s.
    """

    tripped: bool
    order: int
    text: str
    latched: bool
    bypass: Bypass | None
    bypass_max_s: float
