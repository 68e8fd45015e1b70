"""A batch that was read from a file is written into a store, in one piece or not at all."""

import getpass
import hashlib
import sqlite3
from datetime import datetime
from pathlib import Path

from drivers.clock import wall
from fermloop.failure import USAGE, WORLD, FailureError
from fermloop.importing.batch import Import
from historian.batches import UNDER_WAY
from historian.commits import Commits
from historian.events import Event, Kind
from historian.inbox import Group
from historian.reader import SqliteReader
from historian.schema import StoreError
from historian.upkeep import FOR_GOOD


def require_room(reader: SqliteReader, batch: Import) -> None:
    """Refuse what would lie over something that is in the store.

    Raises:
        FailureError: a line for each thing that is there already.
    """
    reactor, wanted = batch.mapping.reactor, batch.mapping.batch
    lines: list[str] = []
    for other in reader.batches():
        if other.id == wanted:
            lines.append(f"batch: {wanted} is in the store already")
        elif other.reactor == reactor and other.state in UNDER_WAY:
            lines.append(f"{reactor}: batch {other.id} is {other.state}; end it first")
        elif (
            other.reactor == reactor
            and other.began <= batch.ended
            and (other.ended is None or other.ended >= batch.began)
        ):
            lines.append(f"{span(batch)} overlaps with batch {other.id}")
    if reactor in reader.reactors():
        with reader.table(reactor, batch.began, batch.ended) as (db, source, _):
            rows = db.execute(
                f"SELECT count(*) FROM {source} WHERE time >= ? AND time <= ?",
                (batch.began, batch.ended),
            ).fetchone()[0]
        if rows:
            lines.append(f"{reactor} has {rows} rows in {span(batch)} already")
    if lines:
        raise FailureError(lines, USAGE)


def events(batch: Import, file: Path) -> list[Event]:
    """Return the events of an imported batch: its start, its gaps, its end, and who did it."""
    m = batch.mapping
    source = f"import:{batch.source}"
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()

    def phase(time: float, text: str, **data: object) -> Event:
        return Event(time, source, Kind.PHASE, m.reactor, text, data)

    recipe = {"name": m.recipe, "phase": [{"name": "imported", "inoculates": True}]}
    about = {"file": batch.source, "sha256": sha256, "mapping": m.model_dump()}
    start = {"batch": m.batch, "state": "RUNNING", "version": 1, "recipe": recipe}
    events = [
        phase(batch.began, f"batch {m.batch} imported", **start, imported=about),
        phase(batch.inoculated, "inoculated", inoculated=True),
    ]
    for first, last in batch.gaps:
        text = f"no rows for {last - first:.1f} s in {batch.source}"
        data = {"start": first, "end": last, "why": "import"}
        events.append(Event(last, "system", Kind.GAP, m.reactor, text, data))
    events.append(phase(batch.ended, "complete: the end of the file", state="COMPLETE"))
    who = f"operator:{getpass.getuser()}"
    text = f"{m.batch} imported from {batch.source}: {len(batch.scans)} rows"
    data = {"what": "import", "old": "", "new": m.batch, "why": f"SHA-256 {sha256}"}
    return [*events, Event(wall(), who, Kind.AUDIT, m.reactor, text, data)]


def write(path: Path, batch: Import, events: list[Event]) -> None:
    """Commit everything in one transaction."""
    try:
        commits = Commits(path, float("inf"), FOR_GOOD)
    except StoreError as error:
        raise FailureError([str(error), "stop the plant, or import into another --store"]) from None
    try:
        with SqliteReader(path) as reader:
            require_room(reader, batch)  # once more, now that nobody else writes
        commits.write(Group({}, events, list(batch.scans)))
    except (OSError, sqlite3.Error, ArithmeticError, ValueError) as error:
        raise FailureError(f"{path}: {error}; nothing was written", WORLD) from None
    finally:
        commits.close()


def span(batch: Import) -> str:
    """Return when a batch was, for people."""
    return f"{clock(batch.began)} to {clock(batch.ended)}"


def clock(time: float) -> str:
    """Return a time as this machine's clock shows it."""
    return datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
