"""Every alarm of a plant: begun, ended and acknowledged, each change told as an event.

Pure: no clock, no I/O. Rules (``alarm_rules``) and whoever notices something say each scan what is
so; delays, first-out and the states of ISA-18.2 are here.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from controller.alarms.alarm import NOTHING, Alarm, Definition, State
from controller.loops.loop import RefusedError
from controller.texts.said import said
from historian.events import Event, Kind

Tell = Callable[[Event], None]


class Alarms:
    """The alarms by id.

    Args:
        definitions: everything that can be wrong.
        tell: takes the event of each change.

    Attributes:
        listed: those that are not normal, and the first-outs of groups that are not, by id.
        changed: something has changed since somebody looked.
    """

    def __init__(self, definitions: Iterable[Definition], tell: Tell) -> None:
        self._all = {c.id: Alarm(c) for c in definitions}
        self._tell = tell
        self.listed: dict[str, Alarm] = {}
        self.changed = False
        self._groups: dict[str, dict[str, Alarm]] = {}  # the listed ones

    def __getitem__(self, name: str) -> Alarm:
        return self._all[name]

    def __contains__(self, name: str) -> bool:
        return name in self._all

    @property
    def active(self) -> dict[str, Alarm]:
        """Those that are so now, by id, acknowledged or not."""
        return {name: alarm for name, alarm in self.listed.items() if alarm.active}

    def sorted(self) -> list[Alarm]:
        """Return the listed ones: to be acknowledged first, then by priority, the newest first."""
        return sorted(
            self.listed.values(),
            key=lambda a: (a.acknowledged, not a.active, -a.definition.priority, -a.began),
        )

    @property
    def definitions(self) -> list[Definition]:
        """Everything that can be wrong."""
        return [alarm.definition for alarm in self._all.values()]

    def set(
        self, name: str, on: bool, now: float, value: float = math.nan, **params: object
    ) -> None:
        """Say whether a condition is so; see ``judge``.

        Raises:
            KeyError: there is no such alarm.
        """
        alarm = self._all[name]
        if on != alarm.active or alarm.differs is not None:
            self.judge(alarm, on, now, value, params)

    def judge(
        self,
        alarm: Alarm,
        on: bool,
        now: float,
        value: float = math.nan,
        params: Mapping[str, object] = NOTHING,
    ) -> None:
        """Take what is so now; begin or end the alarm when it has been so for its delay.

        A delay runs only from call to call: who does not know whether it is so says nothing, and
        then nothing begins or ends. It starts again when the condition is for once as before.

        Args:
            alarm: of this register.
            on: whether the condition is so.
            now: s since 1970 UTC, never smaller than before.
            value: what was measured.
            params: what the text names beside its own.
        """
        if on == alarm.active:
            alarm.differs = None
            return
        if alarm.differs is None:
            alarm.differs = now
        definition = alarm.definition
        if on and any(self._all[name].active for name in definition.unless):
            alarm.differs = now  # its delay begins when they are over
            return
        if now - alarm.differs < (definition.on_delay_s if on else definition.off_delay_s):
            return
        alarm.differs = None
        if on:
            self._begin(alarm, now, value, params)
        else:
            self._end(alarm, now)

    def acknowledge(self, name: str, now: float, who: str, comment: str) -> list[Alarm]:
        """Acknowledge one alarm, or all of a reactor; return those that were.

        Args:
            name: an alarm's id or a reactor.
            now: s since 1970 UTC.
            who: the person.
            comment: what that person says; may be empty.

        Raises:
            LookupError: there is no alarm and no reactor of this name.
            RefusedError: there is nothing to acknowledge.
        """
        one = self._all.get(name)
        if one is None and not any(a.definition.reactor == name for a in self._all.values()):
            waiting = ", ".join(n for n, a in self.listed.items() if not a.acknowledged) or "none"
            raise LookupError(said("no_alarm", name=name, waiting=waiting))
        among = self.listed.values() if one is None else [one]
        found = [
            a
            for a in among
            if not a.acknowledged and name in (a.definition.reactor, a.definition.id)
        ]
        if not found:
            raise RefusedError(_why_not(name, one))
        for alarm in found:
            alarm.acknowledged, alarm.seen = True, now
            alarm.who, alarm.comment = who, comment
            words = f": {comment}" if comment else ""
            self._say(alarm, now, f"operator:{who}", f"acknowledged{words}: {alarm.text}")
            self._leave(alarm)
        return found

    # -- restart -------------------------------------------------------------------------------

    def as_state(self) -> dict[str, Any]:
        """Return what a restart needs, as JSON."""
        return {name: alarm.as_state() for name, alarm in self.listed.items()}

    def restore(self, state: Mapping[str, Any]) -> list[str]:
        """Take up what an earlier controller left; return a line for each that cannot be.

        What is no longer in the plant file is left out. What was active stays so, with its time,
        until somebody says otherwise.
        """
        lines: list[str] = []
        for name, kept in state.items():
            known = self._all.get(name)
            if known is None:
                lines.append(f"{name}: no longer in the plant file; its alarm is forgotten")
                continue
            try:
                alarm = Alarm.from_state(known.definition, kept)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                lines.append(f"{name}: begins anew; what was kept is damaged: {error!r}")
                continue
            self._put(alarm)
        for group in {a.definition.group for a in self.listed.values()}:
            self._clear(group)
        return lines

    # -- helpers -------------------------------------------------------------------------------

    def _put(self, restored: Alarm) -> None:
        """Make an alarm, which rules hold by reference, as ``restored`` is."""
        alarm = self._all[restored.definition.id]
        for name in Alarm.__slots__:
            setattr(alarm, name, getattr(restored, name))
        self._list(alarm)

    def _list(self, alarm: Alarm) -> None:
        self.listed[alarm.definition.id] = alarm
        self._groups.setdefault(alarm.definition.group, {})[alarm.definition.id] = alarm

    def _unlist(self, alarm: Alarm) -> None:
        del self.listed[alarm.definition.id]
        del self._groups[alarm.definition.group][alarm.definition.id]

    def _begin(self, alarm: Alarm, now: float, value: float, params: Mapping[str, object]) -> None:
        definition = alarm.definition
        if alarm.state is State.NORMAL:
            alarm.count = 0
        # what everybody has seen is no part of this burst
        if all(a.acknowledged for a in self._groups.get(definition.group, {}).values()):
            alarm.first_out = True
        alarm.active, alarm.acknowledged = True, False
        alarm.began, alarm.ended, alarm.seen = now, math.nan, math.nan
        alarm.who = alarm.comment = ""
        alarm.value, alarm.count = value, alarm.count + 1
        alarm.params = params
        self._list(alarm)
        self._say(alarm, now, "system", alarm.text)

    def _end(self, alarm: Alarm, now: float) -> None:
        alarm.active, alarm.ended = False, now
        self._say(alarm, now, "system", f"over after {now - alarm.began:.0f} s: {alarm.text}")
        self._leave(alarm)

    def _leave(self, alarm: Alarm) -> None:
        """Take a normal alarm off the list, and the marks of a group that is all normal."""
        if alarm.state is State.NORMAL:
            if not alarm.first_out:
                self._unlist(alarm)
            self._clear(alarm.definition.group)

    def _clear(self, group: str) -> None:
        """End the first-outs of a group in which everything is normal."""
        members = list(self._groups.get(group, {}).values())
        if all(a.state is State.NORMAL for a in members):
            for alarm in members:
                alarm.first_out = False
                self._unlist(alarm)

    def _say(self, alarm: Alarm, now: float, source: str, text: str) -> None:
        self.changed = True
        self._tell(Event(now, source, Kind.ALARM, alarm.definition.source, text, alarm.as_json()))


def _why_not(name: str, alarm: Alarm | None) -> str:
    if alarm is None:
        return said("none_waits", name=name)
    if alarm.state is State.ACKNOWLEDGED:
        return said("seen_already", name=name, who=alarm.who)
    return said("normal", name=name)
