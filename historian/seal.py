"""Sealing: the rows of a finished batch are written to Parquet, with its record and checksums."""

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from drivers.clock import wall
from historian.batch import BatchRecord
from historian.files import digest, entry, sync_folder, write
from historian.reader import SqliteReader
from historian.schema import Column, columns, open_reader, quoted, row_table
from historian.sealed import FOLDER, MANIFEST, RECORD, ROWS, Manifest, manifests

_GROUP = 3600  # rows in a row group of Parquet: an hour at 1 Hz


class SealError(Exception):
    """A batch cannot be sealed, or what is sealed is not what it was."""


def due(store: Path, older_than_h: float = 0.0) -> list[str]:
    """Return the finished batches that are not sealed and ended so long before the newest row."""
    sealed = {manifest.batch for _, manifest in manifests(store)}
    with SqliteReader(store) as reader:
        newest = {name: reader.newest(name)[1] for name in reader.reactors()}
        return [
            b.id
            for b in reader.batches()
            if b.ended is not None
            and b.id not in sealed
            and newest.get(b.reactor, 0.0) - b.ended >= older_than_h * 3600.0
        ]


def seal(store: Path, id_: str) -> Manifest:
    """Write a finished batch to ``sealed/ID`` beside its store, checked row by row.

    Nothing is taken from the store: its writer does that when it finds the manifest.

    Raises:
        SealError: the batch is under way, has no rows or is sealed already, or what was written
            is not what is in the store; nothing is left of it.
        LookupError: there is no such batch.
        OSError: it cannot be written.
    """
    with SqliteReader(store) as reader:
        record = reader.batch(id_)
        identity = reader.store_id()
    batch = record.batch
    if batch.ended is None:
        raise SealError(f"{id_}: is under way; only a finished batch is sealed")
    folder = store.parent / FOLDER
    aside, place = folder / f".{id_}.part", folder / id_
    if place.exists():
        raise SealError(f"{place}: is sealed already")
    shutil.rmtree(aside, ignore_errors=True)  # of a program that died
    aside.mkdir(parents=True)
    try:
        with contextlib.closing(open_reader(store)) as db:
            db.execute("BEGIN")
            manifest = _write_rows(db, record, aside, identity)
            _compare(db, manifest, aside / ROWS)
        write(aside / MANIFEST, json.dumps(asdict(manifest), indent=1).encode())
        sync_folder(aside)
        aside.rename(place)
        sync_folder(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return manifest


def check(folder: Path, manifest: Manifest) -> None:
    """Refuse a sealed batch whose files are not what they were.

    Raises:
        SealError: one is missing or was changed.
    """
    for name, wanted in manifest.files.items():
        try:
            found = digest(folder / name)
        except OSError as error:
            raise SealError(f"{folder / name}: {error.strerror}") from None
        if found != (wanted["sha256"], wanted["bytes"]):
            raise SealError(f"{folder / name}: its checksum is another: it was changed or damaged")


def _write_rows(
    db: sqlite3.Connection, record: BatchRecord, folder: Path, identity: str
) -> Manifest:
    """Write the rows between a batch's start and end, and its record."""
    pa: Any = import_module("pyarrow")  # it has no types; imported where needed
    pq: Any = import_module("pyarrow.parquet")

    batch = record.batch
    known = columns(db, batch.reactor)
    span = db.execute(
        f"SELECT count(*), min(seq), max(seq) FROM {row_table(batch.reactor)}"
        " WHERE time >= ? AND time <= ?",
        (batch.began, batch.ended),
    ).fetchone()
    if not span[0]:
        raise SealError(f"{batch.id}: the store has no rows of it")
    fields = [pa.field("seq", pa.int64()), pa.field("time", pa.float64(), metadata={"unit": "s"})]
    fields.append(pa.field("quality", pa.string()))
    for c in known:
        told = {"unit": c.unit, "low": repr(c.low), "high": repr(c.high), "tag": c.name}
        fields.append(pa.field(c.suffix, pa.float64(), metadata=told))
    schema = pa.schema(fields, metadata={"batch": batch.id, "reactor": batch.reactor})
    count, start, end = 0, float("inf"), -float("inf")
    with pq.ParquetWriter(folder / ROWS, schema, compression="zstd") as file:
        for rows in _pages(db, batch.reactor, known, span[1], span[2]):
            lists = list(zip(*rows, strict=True))
            arrays = [pa.array(v, f.type) for v, f in zip(lists, schema, strict=True)]
            file.write_table(pa.table(arrays, schema=schema))
            count += len(rows)
            start, end = min(start, *lists[1]), max(end, *lists[1])
    write(folder / RECORD, json.dumps(record.as_json(), ensure_ascii=False, indent=1).encode())
    return Manifest(
        batch=batch.id,
        reactor=batch.reactor,
        store=identity,
        software=f"fermloop {version('fermloop')}",
        made=wall(),
        rows=count,
        first=span[1],
        last=span[2],
        start=start,
        end=end,
        suffixes=tuple(c.suffix for c in known),
        files={name: entry(folder / name) for name in (ROWS, RECORD)},
    )


def _pages(
    db: sqlite3.Connection, reactor: str, known: list[Column], first: int, last: int
) -> Iterator[list[tuple[Any, ...]]]:
    names = ", ".join(quoted(c.col) for c in known)
    sql = (
        f"SELECT seq, time, quality, {names} FROM {row_table(reactor)}"
        " WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
    )
    while rows := db.execute(sql, (first - 1, last, _GROUP)).fetchall():
        yield rows
        first = rows[-1][0] + 1


def _compare(db: sqlite3.Connection, manifest: Manifest, path: Path) -> None:
    """Read the file back and hold every value against the store's, to the last bit."""
    pq: Any = import_module("pyarrow.parquet")

    with path.open("rb") as handle:
        os.fsync(handle.fileno())
    known = columns(db, manifest.reactor)
    pages = _pages(db, manifest.reactor, known, manifest.first, manifest.last)
    with pq.ParquetFile(path) as file:
        for group, rows in enumerate(pages):
            table = file.read_row_group(group)
            lists = [table.column(i).to_pylist() for i in range(table.num_columns)]
            if rows != list(zip(*lists, strict=True)):
                raise SealError(f"{path}: row group {group} is not what is in the store")
        if file.metadata.num_rows != manifest.rows:
            raise SealError(f"{path}: has {file.metadata.num_rows} rows, not {manifest.rows}")
