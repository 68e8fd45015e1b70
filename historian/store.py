"""The Historian protocol: where samples and events go, and how they come back."""

from collections.abc import Iterable
from typing import Protocol

from drivers.point import Sample, Tag
from historian.events import Event


class Historian(Protocol):
    """Takes what happened without ever making the scan wait, and gives it back."""

    def append(self, samples: Iterable[Sample]) -> None:
        """Queue the samples of one scan; they make one row a reactor.

        Never blocks and never raises: a full queue drops the row, counts its samples as lost
        and records a gap.
        """
        ...

    def record(self, event: Event) -> None:
        """Queue an event."""
        ...

    def read(self, tag: Tag, start: float, end: float) -> list[Sample]:
        """Return the committed samples of ``tag`` with ``start <= time <= end``, oldest first."""
        ...


class NullHistorian:
    """Keeps nothing: for searches that look only at a report."""

    def append(self, samples: Iterable[Sample]) -> None:
        """Forget the samples."""

    def record(self, event: Event) -> None:
        """Forget the event."""

    def read(self, tag: Tag, start: float, end: float) -> list[Sample]:
        """Return nothing."""
        return []
