"""Backups of a store while it is written, and the way back; each is checked before it counts.

A backup is a folder with the store as of one moment, its audit heads and a manifest with the
checksum of every file. It is made aside and renamed when all of it is there and good.
"""

import contextlib
import json
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from drivers.clock import wall
from historian.audit import heads_path, read_heads, verify
from historian.commits import WRITER
from historian.events import Event, Kind
from historian.files import digest, entry, sync_folder, write
from historian.schema import StoreError, lineage, lock_writer, open_reader, row_table
from historian.seal import SealError
from historian.seal import check as check_sealed
from historian.sealed import FOLDER, manifests
from historian.sqlite import SqliteStore

MANIFEST = "manifest.json"
STORE = "store.sqlite"


class BackupError(Exception):
    """A backup cannot be made, is not whole, or cannot be put in place."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds.

    Attributes:
        made: s since 1970 UTC.
        software: what made it.
        store: identity of the store.
        rows: newest number of each reactor.
        newest: time of the newest row, s since 1970 UTC; 0 without rows.
        events: how many.
        head: newest hash of the audit trail.
        files: bytes and SHA-256 of each file, by its path in the backup.
    """

    made: float
    software: str
    store: str
    rows: dict[str, int]
    newest: float
    events: int
    head: str
    files: dict[str, dict[str, Any]]


def back_up(store: Path, folder: Path) -> tuple[Path, Manifest]:
    """Back a store up into a new folder in ``folder``, while it is written; return both.

    Raises:
        BackupError: the copy is not good; nothing is left of it.
        StoreError: there is no store.
        OSError: it cannot be written.
    """
    now = wall()
    name = f"backup-{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}Z"
    aside, place = folder / f".{name}.part", folder / name
    folder.mkdir(parents=True, exist_ok=True)
    if place.exists():
        raise BackupError(f"{place}: is there already; backups are a second apart at least")
    aside.mkdir(mode=0o700)
    try:
        heads = heads_path(store)
        if heads.exists():  # before the store, which may grow meanwhile
            shutil.copyfile(heads, heads_path(aside / STORE))
        for place_of, _ in manifests(store):  # before it too: what is not there yet is in it
            shutil.copytree(place_of, aside / FOLDER / place_of.name)
        _copy(store, aside / STORE)
        manifest = _manifest(aside, now)
        write(aside / MANIFEST, json.dumps(asdict(manifest), indent=1).encode())
        check(aside)
        sync_folder(aside)
        aside.rename(place)
        sync_folder(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return place, manifest


def check(folder: Path) -> Manifest:
    """Return the manifest of a backup that is whole and good.

    Raises:
        BackupError: it is not; the message says what is wrong with which file.
    """
    try:
        told: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest = Manifest(**told)
    except OSError as error:
        raise BackupError(f"{folder}: no backup: {error.strerror}: {MANIFEST}") from None
    except (ValueError, TypeError) as error:
        raise BackupError(f"{folder / MANIFEST}: damaged: {error}") from None
    for name, wanted in manifest.files.items():
        path = folder / name
        if not path.exists():
            raise BackupError(f"{path}: is missing")
        found, size = digest(path)
        if size != wanted["bytes"]:
            raise BackupError(f"{path}: has {size} bytes, not {wanted['bytes']}")
        if found != wanted["sha256"]:
            raise BackupError(f"{path}: its checksum is another: it was changed or damaged")
    _check_store(folder / STORE)
    return manifest


def restore(folder: Path, store: Path, who: str) -> tuple[Manifest, Path | None]:
    """Put a backup in the place of a store, or where none is yet.

    What was there stays beside it. The restored store has an identity of its own, so that a
    forwarder's cursor, which may be ahead, begins anew; and its audit trail says who did it.

    Args:
        folder: the backup.
        store: the path of the store; its folder is made.
        who: does it.

    Returns:
        The backup's manifest, and where the replaced store is now.

    Raises:
        BackupError: the backup is not good; nothing was changed.
        StoreError: the store is being written; nothing was changed.
        OSError: it cannot be written; nothing was changed.
    """
    manifest = check(folder)
    store.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(lock_writer(store)):
        stamp = f"{datetime.fromtimestamp(wall(), UTC):%Y%m%d-%H%M%S}Z"
        fresh, old = (
            store.with_name(f"{store.name}.{w}-{stamp}") for w in ("restoring", "replaced")
        )
        try:
            shutil.copyfile(folder / STORE, fresh)
            _settle(fresh, folder, manifest)
            replaced = _move_aside(store, old) if store.exists() else None
            heads = heads_path(store)
            if heads.exists():
                heads.rename(heads_path(old))
            if heads_path(folder / STORE).exists():
                shutil.copyfile(heads_path(folder / STORE), heads)
            _bring_sealed(folder, store)
            fresh.replace(store)
            sync_folder(store.parent)
        finally:
            fresh.unlink(missing_ok=True)
    with SqliteStore(store) as opened:
        opened.record(_restored(folder, manifest, who))
    return manifest, replaced


def _restored(folder: Path, manifest: Manifest, who: str) -> Event:
    made = datetime.fromtimestamp(manifest.made, UTC)
    text = f"the store was restored from a backup of {made:%Y-%m-%d %H:%M:%S} UTC"
    data = {"what": "restore", "old": None, "new": str(folder), "why": "", "made": manifest.made}
    return Event(wall(), f"operator:{who}", Kind.AUDIT, "store", text, data)


def _copy(store: Path, target: Path) -> None:
    """Copy a store as of one moment; its writer goes on meanwhile."""
    with (
        contextlib.closing(open_reader(store)) as source,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file; it becomes WAL when opened
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _manifest(folder: Path, now: float) -> Manifest:
    with contextlib.closing(open_reader(folder / STORE)) as db:
        rows: dict[str, int] = {}
        newest = 0.0
        for (reactor,) in db.execute("SELECT name FROM reactor ORDER BY name").fetchall():
            sql = f"SELECT seq, time FROM {row_table(reactor)} ORDER BY seq DESC LIMIT 1"
            seq, time = db.execute(sql).fetchone() or (0, 0.0)
            rows[reactor], newest = seq, max(newest, time)
        identity = db.execute("SELECT id FROM identity").fetchone()[0]
        events = db.execute("SELECT count(*) FROM event").fetchone()[0]
        head = db.execute("SELECT hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()[0]
    files = {str(p.relative_to(folder)): entry(p) for p in _files(folder)}
    software = f"fermloop {version('fermloop')}"
    return Manifest(now, software, identity, rows, newest, events, head, files)


def _check_store(path: Path) -> None:
    """Refuse a store that SQLite finds a fault in, or whose audit trail is not what was written."""
    try:
        with contextlib.closing(open_reader(path, older=True)) as db:
            found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            heads = heads_path(path)
            verdict = verify(db, list(read_heads(heads)) if heads.exists() else [])
    except (StoreError, sqlite3.Error) as error:
        raise BackupError(f"{path}: {error}") from None
    if found != "ok":
        raise BackupError(f"{path}: damaged: {found}")
    if not verdict.ok:
        raise BackupError(f"{path}: audit trail: {verdict.fault}")


def _settle(fresh: Path, folder: Path, manifest: Manifest) -> None:
    """Check the copy that will be the store, and give it an identity of its own."""
    if digest(fresh)[0] != manifest.files[STORE]["sha256"]:
        raise BackupError(f"{fresh}: what was written is not what is in {folder}")
    with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as db:
        anew = f"{lineage(manifest.store)}.{secrets.token_hex(4)}"
        db.execute("UPDATE identity SET id = ?", (anew,))
        closed = json.dumps({"closed": True})
        db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (WRITER, closed))
    with fresh.open("rb") as file:
        os.fsync(file.fileno())


def _move_aside(store: Path, old: Path) -> Path:
    """Keep the present store under another name, its log in it if it can be read."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(store)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for suffix in ("-wal", "-shm"):  # what is still in it must not meet another store
        log = store.with_name(store.name + suffix)
        if log.exists():
            log.rename(old.with_name(old.name + suffix))
    os.link(store, old)  # so that there is a store at every moment
    return old


def _bring_sealed(folder: Path, store: Path) -> None:
    """Copy the sealed batches of a backup that are not there, or are there and not good."""
    for place, sealed in manifests(folder / STORE):
        target = store.parent / FOLDER / place.name
        try:
            check_sealed(target, sealed)
        except SealError:
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(place, target)


def _files(folder: Path) -> Iterator[Path]:
    return (p for p in sorted(folder.rglob("*")) if p.is_file() and p != folder / MANIFEST)
