"""Events as they are stored, and the queries for them."""

import json
import sqlite3
from collections.abc import Sequence
from typing import TypedDict

from historian.events import Kind


class EventRow(TypedDict):
    """An ``Event`` as it is stored and as JSON shows it; its ``id`` only grows."""

    id: int
    time: float
    source: str
    kind: str
    subject: str
    text: str
    data: dict[str, object]


def events(db: sqlite3.Connection, where: str, arguments: Sequence[object]) -> list[EventRow]:
    """Return the events that an SQL clause chooses."""
    rows = db.execute(
        f"SELECT id, time, source, kind, subject, text, data FROM event {where}", arguments
    ).fetchall()
    return [
        EventRow(
            id=id_,
            time=time,
            source=source,
            kind=kind,
            subject=subject,
            text=text,
            data=json.loads(data),
        )
        for id_, time, source, kind, subject, text, data in rows
    ]


def of_kinds(kinds: Sequence[Kind] | None) -> tuple[str, tuple[str, ...]]:
    """Return the condition that an event is of these kinds, and its arguments; ``None``: any."""
    if kinds is None:
        return "", ()
    return f" AND kind IN ({', '.join('?' * len(kinds))})", tuple(k.value for k in kinds)
