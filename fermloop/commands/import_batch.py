"""``fermloop import``: a batch of the past, checked whole, then written whole or not at all."""

import getpass
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from controller.config import read_toml, validate
from controller.plant import load_plant
from drivers.clock import wall
from drivers.point import Tag
from fermloop.failure import USAGE, WORLD, FailureError
from fermloop.importing.batch import Import, prepare
from fermloop.importing.mapping import MappingSettings
from fermloop.importing.source import read
from historian.batch import UNDER_WAY
from historian.commits import Commits, Group
from historian.events import Event, Kind
from historian.reader import SqliteReader
from historian.schema import StoreError
from historian.upkeep import FOR_GOOD

_HOUR_S = 3600.0


def run(
    file: Path, map_file: Path, plant: Path | None, store: Path | None, dry: bool, as_json: bool
) -> None:
    """Import the file, or with ``dry`` only say what would be done.

    Raises:
        FailureError: it cannot be; nothing was written.
        ConfigError: a line a mistake in the file or its mapping; nothing was written.
    """
    if (plant is None) is (store is None):
        raise FailureError("--plant, --store: one of them is required", USAGE)
    mapping = validate(MappingSettings, read_toml(map_file), map_file.name)
    site = None if plant is None else load_plant(plant)
    path = store if site is None else site.store
    if path is None:
        raise AssertionError("one of both is there")
    with SqliteReader(path) as reader:
        try:
            known = dict(reader.tags()) if path.exists() else dict[str, Tag]()
            known |= {} if site is None else site.tags
            batch = prepare(read(file, mapping), mapping, map_file.name, known)
            if path.exists():
                _require_room(reader, batch)
        except StoreError as error:
            raise FailureError(str(error), USAGE) from None
    if not dry:
        _write(path, batch, _events(batch, file))
    _tell(batch, path, dry, as_json)


def _require_room(reader: SqliteReader, batch: Import) -> None:
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
            lines.append(f"{_span(batch)} overlaps with batch {other.id}")
    if reactor in reader.reactors():
        with reader.table(reactor, batch.began, batch.ended) as (db, source, _):
            rows = db.execute(
                f"SELECT count(*) FROM {source} WHERE time >= ? AND time <= ?",
                (batch.began, batch.ended),
            ).fetchone()[0]
        if rows:
            lines.append(f"{reactor} has {rows} rows in {_span(batch)} already")
    if lines:
        raise FailureError(lines, USAGE)


def _events(batch: Import, file: Path) -> list[Event]:
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


def _write(path: Path, batch: Import, events: list[Event]) -> None:
    """Commit everything in one transaction."""
    try:
        commits = Commits(path, float("inf"), FOR_GOOD)
    except StoreError as error:
        raise FailureError([str(error), "stop the plant, or import into another --store"]) from None
    try:
        with SqliteReader(path) as reader:
            _require_room(reader, batch)  # once more, now that nobody else writes
        commits.write(Group({}, events, list(batch.scans)))
    except (OSError, sqlite3.Error, ArithmeticError, ValueError) as error:
        raise FailureError(f"{path}: {error}; nothing was written", WORLD) from None
    finally:
        commits.close()


def _tell(batch: Import, path: Path, dry: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_json(batch, dry), ensure_ascii=False))
        return
    for line in _report(batch):
        print(line)
    print("nothing was written (--dry-run)" if dry else f"{path}: {batch.mapping.batch} written")


def _report(batch: Import) -> Iterator[str]:
    m = batch.mapping
    yield f"{batch.source}: {len(batch.scans)} rows as {m.batch} of {m.reactor}, {_span(batch)}"
    yield f"inoculated {_clock(batch.inoculated)}"
    if batch.moved:
        yield f"rows in another order than time: {batch.moved}; sorted"
    for c in batch.columns:
        unit = c.tag.unit if c.unit == c.tag.unit else f"{c.unit} -> {c.tag.unit}"
        yield (
            f"  {c.name} -> {c.tag.name} [{unit}]: {c.values} values {c.low:g} to {c.high:g}, "
            f"{c.missing} missing, {c.bad} BAD"
        )
    for first, last in batch.gaps:
        yield f"  gap of {(last - first) / _HOUR_S:.2f} h from {_clock(first)}"


def _json(batch: Import, dry: bool) -> Mapping[str, object]:
    return {
        "batch": batch.mapping.batch,
        "rows": len(batch.scans),
        "began": batch.began,
        "ended": batch.ended,
        "inoculated": batch.inoculated,
        "moved": batch.moved,
        "gaps": batch.gaps,
        "written": not dry,
        "columns": [
            {
                **{"column": c.name, "tag": c.tag.name, "unit": c.unit, "tag_unit": c.tag.unit},
                **{"values": c.values, "missing": c.missing, "bad": c.bad},
                **({"low": c.low, "high": c.high} if c.values else {}),
            }
            for c in batch.columns
        ],
    }


def _span(batch: Import) -> str:
    return f"{_clock(batch.began)} to {_clock(batch.ended)}"


def _clock(time: float) -> str:
    return datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
