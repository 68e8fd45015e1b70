"""What waits for the disk: rows in their order, events, and the newest of each state."""

import threading
from collections import deque
from dataclasses import dataclass

from historian.events import Event
from historian.rows import Scan


@dataclass(slots=True)
class Group:
    """What goes into one commit."""

    states: dict[str, str]
    events: list[Event]
    scans: list[Scan]

    def __bool__(self) -> bool:
        return bool(self.scans or self.events or self.states)


class Inbox:
    """Filled by any thread, emptied by the writer's.

    Attributes:
        scans: not yet taken, oldest first; appending is safe without a lock.
    """

    def __init__(self) -> None:
        self.scans: deque[Scan] = deque()
        self._lock = threading.Lock()  # for the two below
        self._events: list[Event] = []
        self._states: dict[str, str] = {}

    def record(self, event: Event) -> None:
        """Put an event in."""
        with self._lock:
            self._events.append(event)

    def put_state(self, key: str, text: str) -> None:
        """Put a state in, JSON, in the place of an older one of that key."""
        with self._lock:
            self._states[key] = text

    def state(self, key: str, group: Group | None) -> str | None:
        """Return a state that waits here, or in the group that was taken last."""
        with self._lock:
            text = self._states.get(key)
            return group.states.get(key) if text is None and group is not None else text

    def put_back(self, group: Group) -> None:
        """Put the rows of a group in again, before all others: they have to wait."""
        self.scans.extendleft(reversed(group.scans))
        group.scans.clear()

    def take(self, rows: int) -> Group:
        """Take everything out, but at most so many rows."""
        with self._lock:
            states, self._states = self._states, {}
            events, self._events = self._events, []
        count = min(len(self.scans), rows)
        return Group(states, events, [self.scans.popleft() for _ in range(count)])
