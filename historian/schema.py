"""The store's file: how it is opened, brought up to date and laid out."""

import fcntl
import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

APPLICATION_ID = int.from_bytes(b"ferm", "big")
MINUTE_S = 60  # width of a rollup
HOUR_MIN = 60  # minutes in the wider one
MISSING = "-"  # quality digit of a tag that the row does not have

CORRUPT = 11  # SQLITECORRUPT
SALVAGE = (  # what to do about it
    "; it is damaged and is not written to; what can be read still is: fermloop store check says"
    " what is lost, fermloop store salvage makes a new one of the rest, fermloop restore brings"
    " back a backup"
)

_LEAST = 1_000_000  # bytes of the disk that a log and its index need to begin with
_MIGRATIONS = Path(__file__).with_name("migrations")
_OWN_COLUMNS = ("seq", "time", "quality")


class StoreError(Exception):
    """The store cannot be opened: missing, held by another process, newer, or not one of ours."""


@dataclass(frozen=True, slots=True)
class Column:
    """Where a tag lives in its reactor's table.

    Attributes:
        id: key of the tag in ``rollup``.
        name: the tag's name, ``R1.do.sp``.
        suffix: the name without the reactor, ``do.sp``.
        col: the column's name in SQL, not yet quoted.
        place: index of the tag's digit in the quality text.
        unit: UCUM code.
        low: least value that can be real, in ``unit``.
        high: greatest value that can be real, in ``unit``.
    """

    id: int
    name: str
    suffix: str
    col: str
    place: int
    unit: str
    low: float
    high: float


def quoted(name: str) -> str:
    """Return an SQL identifier in quotes."""
    return '"' + name.replace('"', '""') + '"'


def lineage(identity: str) -> str:
    """Return what a store has in common with those that were restored from its backups."""
    return identity.partition(".")[0]


def row_table(reactor: str) -> str:
    """Return the quoted name of a reactor's table."""
    return quoted(f"row {reactor}")


def split_name(name: str) -> tuple[str, str]:
    """Return reactor and suffix of a tag's name; a name without a dot has the suffix ``value``."""
    reactor, _, suffix = name.partition(".")
    return reactor, suffix or "value"


def free_column(suffix: str, taken: Iterable[str]) -> str:
    """Return a column name for ``suffix``: SQL ignores case, tag names do not."""
    used = {name.casefold() for name in (*_OWN_COLUMNS, *taken)}
    name, count = suffix, 1
    while name.casefold() in used:
        count += 1
        name = f"{suffix}~{count}"
    return name


def columns(db: sqlite3.Connection, reactor: str) -> list[Column]:
    """Return the columns of a reactor, in the order of their places."""
    found = db.execute(
        "SELECT id, name, suffix, col, place, unit, low, high FROM tag"
        " WHERE reactor = ? ORDER BY place",
        (reactor,),
    )
    return [Column(*row) for row in found]


def column_of(db: sqlite3.Connection, name: str) -> Column | None:
    """Return where the tag ``name`` lives, ``None`` if it was never stored."""
    row = db.execute(
        "SELECT id, name, suffix, col, place, unit, low, high FROM tag WHERE name = ?", (name,)
    ).fetchone()
    return None if row is None else Column(*row)


def make_table(db: sqlite3.Connection, reactor: str, cols: Iterable[str]) -> None:
    """Make the table of a new reactor with the columns ``cols``.

    All at once: each ``ALTER TABLE`` reads the whole schema anew, which for a hundred reactors
    takes ten seconds. ``AUTOINCREMENT`` keeps ``seq`` growing even after the newest rows were
    deleted, so that a cursor never meets an old number again.
    """
    table = row_table(reactor)
    values = "".join(f", {quoted(col)} REAL" for col in cols)
    db.execute("INSERT OR IGNORE INTO reactor (name) VALUES (?)", (reactor,))
    db.execute(
        f"CREATE TABLE IF NOT EXISTS {table}"
        f" (seq INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, quality TEXT{values})"
    )
    index = quoted(f"row {reactor} time")
    db.execute(f"CREATE INDEX IF NOT EXISTS {index} ON {table} (time)")


def open_writer(path: Path) -> tuple[sqlite3.Connection, IO[bytes]]:
    """Open the store for its one writer, make it if it is not there, and bring it up to date.

    Returns:
        The connection, in autocommit, and the lock file: whoever holds it open is the writer.

    Raises:
        StoreError: another process writes to it, or it is not a store of this version or older.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = lock_writer(path)
    db: sqlite3.Connection | None = None
    try:
        db = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=1024
        )
        db.execute("PRAGMA busy_timeout = 5000")
        _check_ours(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA wal_autocheckpoint = 4000")  # pages: fewer, larger check points
        db.execute("PRAGMA secure_delete = OFF")  # freed pages need no zeros in them
        db.execute("PRAGMA journal_size_limit = 67108864")  # bytes the WAL may keep after a peak
        _migrate(db, path)
        _look(db)
    except sqlite3.Error as error:
        if db is not None:
            db.close()
        lock.close()
        code = getattr(error, "sqlite_errorcode", 0)
        hint = SALVAGE if code & 0xFF == CORRUPT else _if_full(path)
        raise StoreError(f"{path}: cannot be opened as a store: {error}{hint}") from error
    except StoreError:
        if db is not None:
            db.close()
        lock.close()
        raise
    return db, lock


def _if_full(path: Path) -> str:
    """Return what to do where the disk has no room for the log."""
    disk = os.statvfs(path.parent)
    free = disk.f_bavail * disk.f_frsize
    return f"; the disk is full ({free / 1e6:.1f} MB left): make room on it" * (free < _LEAST)


def open_reader(path: Path, *, older: bool = False) -> sqlite3.Connection:
    """Open the store read-only beside its writer; with ``older`` one of an older program too.

    Raises:
        StoreError: it is not there yet, or not a store of this version.
    """
    if not path.exists():
        raise StoreError(f"{path}: no store here yet")
    uri = f"file:{quote(os.fspath(path.absolute()))}?mode=ro"
    db: sqlite3.Connection | None = None
    try:
        db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA busy_timeout = 5000")
        version = _version(db)
        _check_ours(db, path)
    except sqlite3.Error as error:
        if db is not None:
            db.close()
        raise StoreError(f"{path}: cannot be read as a store: {error}") from error
    except StoreError:
        if db is not None:
            db.close()
        raise
    if version == 0:  # its writer is making it just now
        db.close()
        raise StoreError(f"{path}: no store here yet")
    if version > len(_scripts()) or (version < len(_scripts()) and not older):
        db.close()
        raise StoreError(
            f"{path}: schema {version}, this program reads {len(_scripts())};"
            " the controller brings an older one up to date when it starts"
        )
    return db


def _version(db: sqlite3.Connection) -> int:
    """Return the schema's number, of a file that was cut short too: what is there can be read."""
    try:
        return _pragma(db, "user_version")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF != CORRUPT:
            raise
        db.execute("PRAGMA writable_schema = ON")  # which is read-only here: no check of the size
        return _pragma(db, "user_version")


def _scripts() -> list[Path]:
    return sorted(_MIGRATIONS.glob("*.sql"))


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    """Run each script that the file has not seen, each in one transaction with its number."""
    scripts = _scripts()
    version = _pragma(db, "user_version")
    if version > len(scripts):
        raise StoreError(f"{path}: schema {version} is newer than this program's {len(scripts)}")
    for number, script in enumerate(scripts[version:], version + 1):
        text = script.read_text(encoding="utf-8")
        try:
            db.executescript(f"BEGIN IMMEDIATE;\n{text}\nPRAGMA user_version = {number};\nCOMMIT;")
        except sqlite3.Error as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise StoreError(f"{path}: {script.name} failed: {error}") from error


def _check_ours(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a database that somebody else made."""
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and _pragma(db, "application_id") != APPLICATION_ID:
        raise StoreError(f"{path}: is a database, but not a fermloop store")


def _look(db: sqlite3.Connection) -> None:
    """Read the newest of everything: what is damaged there must not be written on.

    Raises:
        sqlite3.DatabaseError: it cannot be read.
    """
    tables = ["event", "audit"]
    tables += [f"row {row[0]}" for row in db.execute("SELECT name FROM reactor")]
    for table in tables:
        db.execute(f"SELECT * FROM {quoted(table)} ORDER BY rowid DESC LIMIT 1").fetchone()


def _pragma(db: sqlite3.Connection, name: str) -> int:
    value: Any = db.execute(f"PRAGMA {name}").fetchone()[0]
    return int(value)


def lock_writer(path: Path) -> IO[bytes]:
    """Return the lock file of a store: whoever holds it open is its writer.

    Raises:
        StoreError: another process is.
    """
    lock = path.with_name(path.name + ".lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StoreError(f"{path}: another process writes to this store") from None
    return lock
