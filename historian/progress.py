"""How far the forwarder has come: its cursor, kept across crashes, and its status, for others."""

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter

_VERSION = 2  # of the cursor's file; an older one knew no events, no minutes and no batches


@dataclass(slots=True)
class Cursor:
    """What the server has acknowledged.

    Attributes:
        store: identity of the store that the numbers belong to.
        rows: ``seq`` of the last acknowledged row, by reactor.
        gaps: stretches before it that were left for later, ``[after, up to]``, by reactor.
        minutes: minutes with acknowledged rows that were not over yet, by reactor.
        tags: what was last told of units and ranges, by reactor.
        events: id of the last event that the server has.
        head: number of the last link of the audit trail that the server has.
        forwarded: samples acknowledged since this cursor began.
        quarantined: samples that the server refused for good.
        refused: fields of other measurements that it refused for good.
    """

    store: str = ""
    rows: dict[str, int] = field(default_factory=dict[str, int])
    gaps: dict[str, list[list[int]]] = field(default_factory=dict[str, list[list[int]]])
    minutes: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    tags: dict[str, str] = field(default_factory=dict[str, str])
    events: int = 0
    head: int = 0
    forwarded: int = 0
    quarantined: int = 0
    refused: int = 0


_CURSOR = TypeAdapter(Cursor)


@dataclass(slots=True)
class Status:
    """What the forwarder does now, written about every second.

    Attributes:
        pid: its process.
        time: when this was written, s since 1970 UTC, wall clock.
        forwarded: samples acknowledged by the server.
        quarantined: samples that the server refused for good.
        refused: fields of events, minutes and the like that it refused for good.
        behind_rows: rows in the store that the server does not have yet.
        lag_s: by how much the newest row that the server has is older than the store's, s.
        rate_per_s: samples acknowledged per second, over the last ten seconds or so.
        batch_rows: rows in one request, as it has adapted.
        error: why the last request failed; empty while all is well.
        failing_since: when that began, s since 1970 UTC; ``None`` while all is well.
        fields_aside: fields that the server refuses, kept out for some minutes.
    """

    pid: int = 0
    time: float = 0.0
    forwarded: int = 0
    quarantined: int = 0
    refused: int = 0
    behind_rows: int = 0
    lag_s: float = 0.0
    rate_per_s: float = 0.0
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
        if found.pop("version") != _VERSION:
            return None
        return _CURSOR.validate_python(found)
    except (KeyError, ValueError):
        return None


def save_cursor(path: Path, cursor: Cursor) -> None:
    """Replace the cursor so that a crash at any moment leaves the old or the new one."""
    text = json.dumps({"version": _VERSION, **asdict(cursor)})
    _replace(path, text, durable=True)


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
