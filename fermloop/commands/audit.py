"""``fermloop audit``: reads the audit trail out of the store, also while the plant runs."""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from controller.plant import load_plant
from controller.registry import held
from drivers.clock import wall
from fermloop.failure import USAGE, WORLD, FailureError
from historian.event_rows import EventRow
from historian.events import Kind
from historian.reader import SqliteReader
from historian.schema import StoreError

PAGE = 1000


class Wanted(NamedTuple):
    """What to show; empty texts and ``None`` show all.

    Attributes:
        since: s since 1970 UTC; negative: s before now.
        until: the same.
    """

    who: str
    source: str
    subject: str
    what: str
    why: str
    since: float | None
    until: float | None

    def shows(self, row: EventRow, now: float) -> bool:
        """Whether ``row`` is wanted."""
        data, (source, _, who) = row["data"], row["source"].partition(":")
        time = row["time"]
        return (
            (self.since is None or time >= _moment(self.since, now))
            and (self.until is None or time <= _moment(self.until, now))
            and self.who in ("", who)
            and self.source in ("", source)
            and (self.subject in ("", row["subject"]) or row["subject"].startswith(self._part))
            and self.what in ("", data.get("what"))
            and self.why.casefold() in str(data.get("why", "")).casefold()
        )

    @property
    def _part(self) -> str:
        return f"{self.subject}."


def verify(plant_file: Path, head: str, as_json: bool) -> None:
    """Print the verdict.

    Raises:
        FailureError: the trail is not what was written, or there is none.
    """
    if head and (len(head) < 8 or not set(head.lower()) <= set("0123456789abcdef")):
        raise FailureError(f"--head {head}: 8 to 64 hexadecimal digits are required", USAGE)
    plant = load_plant(plant_file)
    closed = not held(plant.socket)
    with SqliteReader(plant.store) as reader:
        try:
            verdict = reader.verify(head, closed=closed)
        except StoreError as error:
            raise FailureError(str(error)) from None
    if as_json:
        print(json.dumps({"ok": verdict.ok, **asdict(verdict)}))
    elif verdict.ok:
        print(f"OK: {verdict.count} links, {verdict.heads} exported heads")
        print(f"head: {verdict.head}")
        if verdict.before:
            print(f"not protected: {verdict.before} audit events from before the chain began")
    if not verdict.ok:
        good = f"good up to link {verdict.count} ({verdict.head or 'none'})"
        raise FailureError([f"{plant.store}: {verdict.fault}", good], WORLD)


def show(plant_file: Path, wanted: Wanted, limit: int, as_json: bool) -> None:
    """Print the newest wanted rows, oldest first."""
    plant = load_plant(plant_file)
    now = wall()
    with SqliteReader(plant.store) as reader:
        try:
            found = deque((row for row in _rows(reader) if wanted.shows(row, now)), limit)
        except StoreError as error:
            raise FailureError(str(error)) from None
    for row in found:
        print(json.dumps(row, ensure_ascii=False) if as_json else line(row))


def line(row: EventRow) -> str:
    """Return one row as a line for a person."""
    data = row["data"]
    time = datetime.fromtimestamp(row["time"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    parts = [time, row["source"], row["text"]]
    if data.get("role"):
        parts[1] += f" ({data['role']})"
    if data.get("refused"):
        parts.append(f"REFUSED: {data['refused']}")
    if data.get("why"):
        parts.append(f"because {data['why']}")
    return "  ".join(parts)


def _moment(time: float, now: float) -> float:
    return time + now if time < 0 else time


def _rows(reader: SqliteReader) -> Iterator[EventRow]:
    after = 0
    while page := reader.events(after, PAGE, [Kind.AUDIT]):
        yield from page
        after = page[-1]["id"]
