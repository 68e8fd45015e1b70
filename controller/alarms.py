"""What is wrong now: raised once, cleared once, each with an event."""

from collections.abc import Callable
from dataclasses import dataclass

from historian.events import Event, Kind


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something abnormal that lasts.

    Attributes:
        time: when it began, s since 1970 UTC.
        subject: device, loop or reactor.
        text: one line for an operator.
    """

    time: float
    subject: str
    text: str


class Alarms:
    """The active alarms by key.

    Args:
        tell: takes the event of each beginning and end.
    """

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self.active: dict[str, Alarm] = {}
        self._tell = tell

    def set(self, key: str, on: bool, now: float, subject: str, text: str) -> None:
        """Begin or end the alarm ``key``; nothing happens while it stays as it is."""
        alarm = self.active.get(key)
        if on and alarm is None:
            self.active[key] = Alarm(now, subject, text)
            self._tell(Event(now, "system", Kind.ALARM, subject, text, {"active": True}))
        elif not on and alarm is not None:
            del self.active[key]
            over = f"over after {now - alarm.time:.0f} s: {alarm.text}"
            self._tell(Event(now, "system", Kind.ALARM, alarm.subject, over, {"active": False}))
