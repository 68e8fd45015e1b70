"""How far the forwarder has come: its cursor, kept across crashes, and its status, for others."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, cast


@dataclass(slots=True)
class Cursor:
    """What the server has acknowledged.

    Attributes:
        store: identity of the store that the numbers belong to.
        rows: ``seq`` of the last acknowledged row, by reactor.
        events: id of the last event whose alarm the server has.
        forwarded: samples acknowledged since this cursor began.
        quarantined: samples that the server refused for good.
    """

    store: str = ""
    rows: dict[str, int] = field(default_factory=dict[str, int])
    events: int = 0
    forwarded: int = 0
    quarantined: int = 0


@dataclass(slots=True)
class Status:
    """What the forwarder does now, written about every second.

    Attributes:
        pid: its process.
        time: when this was written, s since 1970 UTC, wall clock.
        forwarded: samples acknowledged by the server.
        quarantined: samples that the server refused for good.
        behind_rows: rows in the store that the server does not have yet.
        batch_rows: rows in one request, as it has adapted.
        error: why the last request failed; empty while all is well.
        failing_since: when that began, s since 1970 UTC; ``None`` while all is well.
        fields_aside: fields that the server refuses, kept out for some minutes.
    """

    pid: int = 0
    time: float = 0.0
    forwarded: int = 0
    quarantined: int = 0
    behind_rows: int = 0
    batch_rows: int = 0
    error: str = ""
    failing_since: float | None = None
    fields_aside: list[str] = field(default_factory=list[str])


def load_cursor(path: Path) -> Cursor | None:
    """Return the cursor, ``None`` if there is none or it is no longer readable.

    A lost cursor loses nothing: the same points sent again replace themselves.
    """
    found = _load(path)
    try:
        rows = {str(k): int(v) for k, v in cast(Mapping[str, Any], found["rows"]).items()}
        return Cursor(
            str(found["store"]),
            rows,
            int(found.get("events", 0)),  # an older version forwarded none
            int(found["forwarded"]),
            int(found["quarantined"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def save_cursor(path: Path, cursor: Cursor) -> None:
    """Replace the cursor so that a crash at any moment leaves the old or the new one."""
    _replace(path, json.dumps(asdict(cursor)), durable=True)


def load_status(path: Path) -> Status | None:
    """Return the forwarder's status, ``None`` if it never wrote one."""
    found = _load(path)
    names = {f.name for f in fields(Status)}
    return Status(**{k: v for k, v in found.items() if k in names}) if found else None


def save_status(path: Path, status: Status) -> None:
    """Replace the status; not made durable, it is written again in a second."""
    _replace(path, json.dumps(asdict(status)), durable=False)


def _load(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def _replace(path: Path, text: str, *, durable: bool) -> None:
    aside = path.with_name(path.name + ".new")
    with aside.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        if durable:
            file.flush()
            os.fsync(file.fileno())
    aside.replace(path)
    if durable:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
