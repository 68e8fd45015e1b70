"""The audit trail: every AUDIT event is a link of a hash chain, written with it in one transaction.

A link's hash covers the link before it and every column of its event, so that whoever changes,
removes, inserts or reorders rows has to make every later link anew. That is told by the heads:
after each commit the newest link goes into a file beside the store (``store.sqlite.heads``, a line
``seq hash time``). Whoever can write the store can write that file too, so keep heads where he
cannot: on paper, in mail, on another machine.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

EventColumns = tuple[float, str, str, str, str, str]  # time, source, kind, subject, text, data


class Link(NamedTuple):
    """One link: its number, the id of its event and its hash."""

    seq: int
    event: int
    hash: str


class Head(NamedTuple):
    """A link that was exported when it was the newest, and the time of its event."""

    seq: int
    hash: str
    time: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a check of the chain.

    Attributes:
        count: links that were found good, from the first one on.
        head: hash of the last of them.
        fault: the first thing that is wrong, in one line; empty if nothing is.
        before: audit events from before the chain began; nothing protects them.
        heads: exported heads that the chain was held against.
    """

    count: int
    head: str
    fault: str
    before: int
    heads: int

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.fault


def heads_path(store: Path) -> Path:
    """Return the file of the exported heads of a store."""
    return store.with_name(store.name + ".heads")


def link_hash(previous: Link, event: int, columns: EventColumns) -> str:
    """Return the hash of the link that follows ``previous``, as 64 hex digits.

    Canonical JSON: an array, no spaces, ASCII only, floats as their shortest repr.
    """
    time, *texts = columns
    body = [*previous, previous.seq + 1, event, float(time) + 0.0, *texts]  # -0.0 is stored as 0.0
    text = json.dumps(body, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Chain:
    """The writer's end of the chain: adds links inside the store's transaction.

    Args:
        db: the writer's connection.
        heads: where heads are exported to.

    Attributes:
        broken: why the store is not the one whose heads were exported, in one line; or empty.
    """

    def __init__(self, db: sqlite3.Connection, heads: Path) -> None:
        self._db = db
        self._heads = heads
        newest = db.execute("SELECT seq, event, hash FROM audit ORDER BY seq DESC LIMIT 1")
        self._head = self._committed = Link(*newest.fetchone())
        self._time = 0.0
        self._exported = -1
        self.broken = ""
        last = None
        with contextlib.suppress(OSError):
            for head in read_heads(heads):
                last = head
        if last is not None:
            self._exported = last.seq
            self.broken = _against(db, last, self._head)
        self._export()

    def add(self, event: int, columns: EventColumns) -> None:
        """Link an event that was inserted in the open transaction."""
        self._head = Link(self._head.seq + 1, event, link_hash(self._head, event, columns))
        self._time = columns[0]
        self._db.execute("INSERT INTO audit VALUES (?, ?, ?)", self._head)

    def commit(self) -> None:
        """The transaction is committed: export the head if it is new."""
        if self._head != self._committed:
            self._committed = self._head
        self._export()

    def rollback(self) -> None:
        """The transaction was undone: so are its links."""
        self._head = self._committed

    def _export(self) -> None:
        """Append the newest head, on disk when this returns; a full disk is tried again later."""
        seq, _, digest = self._committed
        if seq == self._exported:
            return
        with contextlib.suppress(OSError):
            handle = os.open(self._heads, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "ab") as file:
                # a line that a power cut has torn ends here, and is no head
                file.write(f"\n{seq} {digest} {self._time!r}\n".encode())
                file.flush()
                os.fsync(handle)
            self._exported = seq


def read_heads(path: Path) -> Iterator[Head]:
    """Yield the exported heads, oldest first; torn lines are passed over.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    with path.open(encoding="ascii", errors="replace") as file:
        for line in file:
            words = line.split(" ")
            with contextlib.suppress(ValueError):
                seq, digest, time = words
                if len(digest) == 64 and line.endswith("\n"):
                    yield Head(int(seq), digest, float(time))


def verify(
    db: sqlite3.Connection, heads: Iterable[Head] = (), known: str = "", *, closed: bool = False
) -> Verdict:
    """Walk the whole chain and say whether it is what was written.

    Args:
        db: a connection to the store; nothing is written.
        heads: exported ones; each must be in the chain.
        known: a hash that somebody noted, or its beginning; it must be in the chain too.
        closed: nobody writes now, so that the newest link must be exported.
    """
    wanted: dict[int, list[Head]] = {}
    for head in heads:
        wanted.setdefault(head.seq, []).append(head)
    count = sum(map(len, wanted.values()))
    start = db.execute("SELECT seq, event, hash FROM audit WHERE seq = 0").fetchone()
    if start is None:
        return Verdict(0, "", "link 0, the start of the chain, was removed", 0, count)
    previous, found = Link(*start), not known or _is(start[2], known)
    before = db.execute(
        "SELECT count(*) FROM event WHERE kind = 'audit' AND id BETWEEN 1 AND ?", (previous.event,)
    ).fetchone()[0]
    fault = _told_otherwise(previous, wanted)
    at = previous.event
    if not fault:
        for row in _links(db):
            at = row[1]
            fault = _fault(previous, row) or _told_otherwise(Link(*row[:3]), wanted)
            if fault:
                break
            previous = Link(*row[:3])
            found = found or _is(previous.hash, known)
        else:
            at = previous.event
            fault = _end(previous, wanted, closed=closed)
    if stray := _stray(db, start[1], at if fault and isinstance(at, int) else None):
        fault = stray
    if not fault and not found:
        fault = f"the head {known} is not in the chain: its end was cut, or it was made anew"
    return Verdict(previous.seq, previous.hash, fault, before, count)


def _links(db: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """Yield every link but the first, with the columns of its event or ``None``."""
    return db.execute(
        "SELECT a.seq, a.event, a.hash, e.id, e.time, e.source, e.kind, e.subject, e.text, e.data"
        " FROM audit a LEFT JOIN event e ON e.id = a.event WHERE a.seq != 0 ORDER BY a.seq"
    )


def _fault(previous: Link, row: tuple[Any, ...]) -> str:
    """Return what is wrong with the link after ``previous``, or nothing."""
    seq, event, digest, there, *columns = row
    if not isinstance(event, int):
        return f"link {seq} is damaged: {event!r} is no event's id"
    if seq != previous.seq + 1:
        return f"link {previous.seq + 1} was removed (after event {previous.event})"
    if there is None:
        return f"event {event} (link {seq}) was removed"
    shown = f"event {event} (link {seq}, {_when(columns[0])}, {columns[3]}: {columns[4]})"
    if event <= previous.event:
        return f"{shown} is out of order: it is linked after event {previous.event}"
    try:
        expected = link_hash(previous, event, tuple(columns))
    except (TypeError, ValueError):
        expected = ""
    if digest != expected:
        return f"{shown} is not what was written here: it was changed, inserted or moved"
    return ""


def _told_otherwise(link: Link, wanted: dict[int, list[Head]]) -> str:
    for head in wanted.get(link.seq, ()):
        if head.hash != link.hash:
            when = _when(head.time)
            return f"link {link.seq} is not the head that was exported ({when}): it was made anew"
    return ""


def _end(last: Link, wanted: dict[int, list[Head]], *, closed: bool) -> str:
    """Return whether links are missing at the end, or are there that nobody exported."""
    newest = max(wanted, default=0)
    if newest > last.seq:
        time = _when(wanted[newest][-1].time)
        return f"links {last.seq + 1} to {newest} were removed: head {newest} was exported ({time})"
    return _unexported(newest, last.seq) if closed and last.seq > newest else ""


def _stray(db: sqlite3.Connection, start: int, before: int | None) -> str:
    """Return the first audit event that no link knows, if it is before the event ``before``."""
    row = db.execute(
        "SELECT id, time, subject, text FROM event WHERE kind = 'audit' AND (id > ? OR id < 1)"
        " AND id NOT IN (SELECT event FROM audit WHERE seq > 0) ORDER BY id LIMIT 1",
        (start,),
    ).fetchone()
    if row is None or (before is not None and row[0] >= before):
        return ""
    shown = f"event {row[0]} ({_when(row[1])}, {row[2]}: {row[3]})"
    return f"{shown} has no link: it was inserted, or its link removed"


def _against(db: sqlite3.Connection, head: Head, newest: Link) -> str:
    """Return what a store that is opened has not in common with the head exported last."""
    found = db.execute("SELECT hash FROM audit WHERE seq = ?", (head.seq,)).fetchone()
    if found is None or found[0] != head.hash:
        what = "is missing" if found is None else "is another"
        return f"audit trail: link {head.seq}, exported ({_when(head.time)}), {what} in this store"
    if newest.seq > head.seq:
        return f"audit trail: {_unexported(head.seq, newest.seq)}"
    return ""


def _unexported(exported: int, last: int) -> str:
    return (
        f"links {exported + 1} to {last} were not exported when they were written: "
        "the controller died in that moment, or somebody else wrote them"
    )


def _is(digest: str, known: str) -> bool:
    return bool(known) and digest.startswith(known.lower())


def _when(time: object) -> str:
    try:
        return datetime.fromtimestamp(float(str(time)), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"time {time!r}"
