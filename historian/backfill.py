"""A chosen stretch of the store is sent once more, beside the forwarder and in its words."""

from collections.abc import Callable, Iterator
from pathlib import Path

from historian.delivery import Delivery
from historian.outbox import Outbox
from historian.progress import Cursor
from historian.reader import SqliteReader

_ROWS = 1000  # in one request at most


def backfill(
    reader: SqliteReader,
    post: Callable[[bytes], None],
    site: str,
    start: float,
    end: float,
    quarantine: Path,
) -> Iterator[tuple[int, int]]:
    """Send the rows, minutes and events between two times again; what is there replaces itself.

    Args:
        reader: the store.
        post: writes lines, as that of ``Forwarder``.
        site: name of the plant.
        start: s since 1970 UTC.
        end: s since 1970 UTC.
        quarantine: file for what the server refuses.

    Yields:
        Rows sent and fields refused, after each request.

    Raises:
        UnavailableError: the server does not take it now; all of it may be sent again later.
    """
    outbox, delivery = Outbox(reader, site), Delivery(post, quarantine)
    cursor, last_event = _chosen(reader, start, end)
    rows = 0
    while any(cursor.gaps.values()) or cursor.events < last_event:
        some = outbox.missed(cursor, _ROWS) if any(cursor.gaps.values()) else outbox.told(cursor)
        refused = sum(delivery.deliver(some.lines))
        rows += sum(1 for line in some.lines if line.seq)
        cursor = some.then
        yield rows, refused


def _chosen(reader: SqliteReader, start: float, end: float) -> tuple[Cursor, int]:
    """Return a cursor from which the stretch is missing, and the last event in it."""
    cursor = Cursor()
    for reactor in reader.reactors():
        with reader.table(reactor, start, end) as (db, rows, _):
            first, last = db.execute(
                f"SELECT min(seq), max(seq) FROM {rows} WHERE time >= ? AND time <= ?", (start, end)
            ).fetchone()
            if first is not None:
                cursor.gaps[reactor] = [[first - 1, last]]
    with reader.snapshot() as db:
        first, last = db.execute(
            "SELECT min(id), max(id) FROM event WHERE time >= ? AND time <= ?", (start, end)
        ).fetchone()
    cursor.events = (first or 1) - 1
    return cursor, last or 0
