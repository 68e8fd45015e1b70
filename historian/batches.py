"""Which batches there are and were: each as its own phase events tell it, one after another."""

import sqlite3
from dataclasses import dataclass, replace
from typing import Any, cast

from historian.event_rows import EventRow, events
from historian.events import Kind

HOUR_S = 3600.0
PHASE = Kind.PHASE.value
UNDER_WAY = frozenset({"RUNNING", "HELD"})
UNFINISHED = "UNFINISHED"  # another batch began, and nobody had told how this one ended


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch of one reactor.

    Attributes:
        id: ``R1-20260101-0000``.
        reactor: ``R1``.
        recipe: name of the recipe.
        state: RUNNING, HELD, COMPLETE or ABORTED; UNFINISHED where its end was never told.
        began: s since 1970 UTC.
        inoculated: s since 1970 UTC; ``began`` where the recipe does not inoculate, ``None`` where
            it has not come to that.
        ended: s since 1970 UTC; ``None`` while it is under way.
        first: id of the event that started it.
        last: id of the event that ended it, or of its newest phase event while it is under way.
    """

    id: str
    reactor: str
    recipe: str
    state: str
    began: float
    inoculated: float | None
    ended: float | None
    first: int
    last: int

    @property
    def zero(self) -> float:
        """When its age begins: the inoculation, else the start; s since 1970 UTC."""
        return self.began if self.inoculated is None else self.inoculated

    def age_h(self, time: float) -> float:
        """Return the age in h at ``time``; negative before the inoculation."""
        return (time - self.zero) / HOUR_S


class BatchList:
    """Every batch of a store, oldest first: asked again, it reads only the events that came since.

    Attributes:
        batches: as of the last ``update``.
    """

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self._newest: dict[str, int] = {}  # place of a reactor's newest batch
        self._read = 0  # id of the newest event

    def update(self, db: sqlite3.Connection) -> None:
        """Take what has been told since; ``db`` is in a read transaction."""
        for event in events(db, "WHERE kind = ? AND id > ? ORDER BY id", (PHASE, self._read)):
            self._read = event["id"]
            at = self._newest.get(event["subject"])
            under_way = at is not None and self.batches[at].ended is None
            if "batch" in event["data"]:
                if at is not None and under_way:
                    self.batches[at] = _unfinished(self.batches[at], event)
                self._newest[event["subject"]] = len(self.batches)
                self.batches.append(_begun(event))
            elif at is not None and under_way:
                self.batches[at] = _gone_on(self.batches[at], event)


def _begun(event: EventRow) -> Batch:
    data = event["data"]
    recipe = cast("dict[str, Any]", data.get("recipe") or {})
    inoculates = any(phase.get("inoculates") for phase in recipe.get("phase", ()))
    return Batch(
        id=str(data["batch"]),
        reactor=event["subject"],
        recipe=str(recipe.get("name", "")),
        state="RUNNING",
        began=event["time"],
        inoculated=None if inoculates else event["time"],
        ended=None,
        first=event["id"],
        last=event["id"],
    )


def _unfinished(batch: Batch, following: EventRow) -> Batch:
    """Return a batch whose end nobody told before the next one began."""
    return replace(batch, state=UNFINISHED, ended=following["time"], last=following["id"] - 1)


def _gone_on(batch: Batch, event: EventRow) -> Batch:
    """Return a batch that is under way after one more of its events."""
    data, time = event["data"], event["time"]
    state = str(data.get("state", batch.state))
    inoculated = batch.inoculated
    if data.get("inoculated") and inoculated is None:
        inoculated = time
    return replace(
        batch,
        state=state,
        inoculated=inoculated,
        ended=None if state in UNDER_WAY else time,
        last=event["id"],
    )
