"""A batch as a table for a spreadsheet or a program: CSV, Parquet or XLSX.

One row a scan. Columns: local time, age of the batch in h, s since 1970 UTC, and for each tag its
value, with the unit in the header, and beside it its quality where it is not GOOD. BAD has no
value.
"""

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

from drivers.point import Quality, Tag
from historian.batch import BatchRecord
from historian.reader import SqliteReader

FORMATS: Final = ("csv", "parquet", "xlsx")
TIME, AGE, UTC = "time", "age [h]", "time [s since 1970 UTC]"
QUALITY = "quality"
_PAGE = 5000  # rows read at once
_LOOK_S = 600.0  # in which the first row of a batch is looked for first
_SHEET_ROWS = 1_048_575  # in one sheet of a workbook, its header aside
_NAMES = {"0": Quality.BAD.name, "1": Quality.UNCERTAIN.name}
_DECIMALS = 6  # of the age in h: 4 ms


class Page(NamedTuple):
    """Some rows, column by column.

    Attributes:
        times: s since 1970 UTC.
        values: a list for each tag; ``None`` where it is BAD or was not sampled.
        qualities: a list for each tag; ``None`` where it is GOOD or was not sampled.
    """

    times: list[float]
    values: list[list[float | None]]
    qualities: list[list[str | None]]


@dataclass(frozen=True)
class Table:
    """A batch to be exported.

    Attributes:
        reader: the store.
        record: of the batch.
        tags: its columns.
    """

    reader: SqliteReader
    record: BatchRecord
    tags: tuple[Tag, ...]

    @property
    def headers(self) -> list[str]:
        """The columns' names."""
        pairs = ((header(tag), f"{tag.name} {QUALITY}") for tag in self.tags)
        return [TIME, AGE, UTC, *(name for pair in pairs for name in pair)]

    def pages(self) -> Iterator[Page]:
        """Yield the rows of the batch in the order of the store."""
        batch = self.record.batch
        end = batch.ended if batch.ended is not None else float("inf")
        after = self._before(batch.began)
        while (some := self.reader.rows(batch.reactor, after, _PAGE)).rows:
            after = some.rows[-1][0]
            rows = [row for row in some.rows if batch.began <= row[1] <= end]
            if rows:
                yield self._page(some.suffixes, rows)
            if some.rows[0][1] > end:
                return

    def _before(self, time: float) -> int:
        """Return the ``seq`` before the first row from ``time`` on."""
        for end in (time + _LOOK_S, float("inf")):
            with self.reader.table(self.record.batch.reactor, time, end) as (db, rows, some):
                if some:
                    sql = f"SELECT min(seq) FROM {rows} WHERE time >= ? AND time <= ?"
                    found = db.execute(sql, (time, end)).fetchone()[0]
                    if found is not None:
                        return int(found) - 1
        return 0

    def _page(self, suffixes: Sequence[str], rows: list[tuple[Any, ...]]) -> Page:
        columns = list(zip(*rows, strict=True))
        place = {f"{self.record.batch.reactor}.{s}": i for i, s in enumerate(suffixes)}
        nothing: list[Any] = [None] * len(rows)
        values: list[list[float | None]] = []
        qualities: list[list[str | None]] = []
        for tag in self.tags:
            i = place.get(tag.name)
            values.append(nothing if i is None else list(columns[3 + i]))
            qualities.append(nothing if i is None else _qualities(columns[2], i))
        return Page(list(columns[1]), values, qualities)


def table(reader: SqliteReader, batch_id: str, names: Sequence[str] = ()) -> Table:
    """Return a batch to be exported, with the tags ``names`` or all.

    Raises:
        LookupError: there is no such batch, or it has no such tag.
    """
    record = reader.batch(batch_id)
    own = {n: t for n, t in reader.tags().items() if t.reactor == record.batch.reactor}
    if unknown := [name for name in names if name not in own]:
        raise LookupError(f"{unknown[0]}: no such tag in {batch_id}; it has {', '.join(own)}")
    return Table(reader, record, tuple(own[n] for n in names) if names else tuple(own.values()))


def write(what: Table, path: Path, form: str) -> int:
    """Write a batch into a new file, whole or not at all; return the number of rows.

    Raises:
        FileExistsError: there is one already.
        FileNotFoundError: there is no such folder.
        ValueError: there is no such form.
    """
    forms: dict[str, Callable[[Table, Path], int]] = {
        "csv": _csv,
        "parquet": _parquet,
        "xlsx": _xlsx,
    }
    if form not in forms:
        raise ValueError(f"{form}: {', '.join(FORMATS)} are allowed")
    if path.exists():
        raise FileExistsError(f"{path}: is there already; name another, or remove it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder")
    aside = path.with_name(f"{path.name}.new{os.getpid()}")
    try:
        count = forms[form](what, aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return count


def header(tag: Tag) -> str:
    """Return the header of a tag's values: ``R1.do [%]``."""
    unit = tag.unit if tag.unit.startswith("[") else f"[{tag.unit}]"  # pH is [pH] in UCUM
    return f"{tag.name} {unit}"


def _qualities(texts: Sequence[str | None], place: int) -> list[str | None]:
    return [
        None if text is None or len(text) <= place else _NAMES.get(text[place]) for text in texts
    ]


def _csv(what: Table, path: Path) -> int:
    count = 0
    age = what.record.batch.age_h
    with path.open("w", encoding="utf-8-sig", newline="") as file:  # Excel knows UTF-8 by the mark
        writer = csv.writer(file)
        writer.writerow(what.headers)
        for page in what.pages():
            columns: list[Sequence[object]] = [
                [_local(t).isoformat(timespec="milliseconds") for t in page.times],
                [round(age(t), _DECIMALS) for t in page.times],
                page.times,
                *_side_by_side(page),
            ]
            writer.writerows(zip(*columns, strict=True))
            count += len(page.times)
    return count


def _parquet(what: Table, path: Path) -> int:
    pa: Any = import_module("pyarrow")  # has no types
    pq: Any = import_module("pyarrow.parquet")
    batch = what.record.batch
    zone = _local(batch.began).strftime("%z")
    of_tag = (pa.float64(), pa.dictionary(pa.int8(), pa.string()))
    times = pa.timestamp("us", tz=f"{zone[:3]}:{zone[3:5]}")
    kinds = [times, pa.float64(), pa.float64(), *(of_tag * len(what.tags))]
    about = {"batch": batch.id, "began": batch.began, "zero": batch.zero, "state": batch.state}
    units = {tag.name: tag.unit for tag in what.tags}
    metadata = {"fermloop": json.dumps({**about, "units": units})}
    schema = pa.schema(list(zip(what.headers, kinds, strict=True)), metadata=metadata)
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for page in what.pages():
            columns: list[Sequence[object]] = [
                [round(t * 1e6) for t in page.times],
                [batch.age_h(t) for t in page.times],
                page.times,
                *_side_by_side(page),
            ]
            arrays = [pa.array(c, type=k) for c, k in zip(columns, kinds, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(page.times)
    return count


def _xlsx(what: Table, path: Path) -> int:
    xlsxwriter: Any = import_module("xlsxwriter")  # has no types
    batch, count = what.record.batch, 0
    book: Any = xlsxwriter.Workbook(path, {"constant_memory": True, "remove_timezone": True})
    clock = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
    bold = book.add_format({"bold": True})
    zone = _local(batch.began).strftime("%z")
    headers = [f"{TIME} (UTC{zone[:3]}:{zone[3:5]})", *what.headers[1:]]
    sheet: Any = None
    row = _SHEET_ROWS
    for page in what.pages():
        sides = _side_by_side(page)
        for i, time in enumerate(page.times):
            if row >= _SHEET_ROWS:
                sheet = _sheet(book, "data", count // _SHEET_ROWS, headers, bold)
                row = 0
            row += 1
            count += 1
            sheet.write_datetime(row, 0, _local(time), clock)
            sheet.write_number(row, 1, batch.age_h(time))
            sheet.write_number(row, 2, time)
            for place, side in enumerate(sides, 3):
                if (cell := side[i]) is not None:
                    sheet.write(row, place, cell)
    _record_sheets(book, what.record, clock, bold)
    book.close()
    return count


def _sheet(book: Any, name: str, number: int, headers: Sequence[str], bold: Any) -> Any:
    sheet = book.add_worksheet(name if not number else f"{name} {number + 1}")
    sheet.freeze_panes(1, 1)
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, len(headers), 14)
    for place, header in enumerate(headers):
        sheet.write_string(0, place, header, bold)
    return sheet


def _record_sheets(book: Any, record: BatchRecord, clock: Any, bold: Any) -> None:
    """Write what happened and what the laboratory found beside the data."""
    batch = record.batch
    events = [(e["time"], e["kind"], e["source"], e["subject"], e["text"]) for e in record.events]
    results = [
        (float(r["t_sampled"]), r["analyte"], float(r["value"]), r["unit"], r.get("who", ""))
        for r in record.samples
        if not r.get("corrected_by")
    ]
    sheets: Mapping[str, tuple[Sequence[str], Sequence[tuple[Any, ...]]]] = {
        "events": (("kind", "source", "subject", "text"), events),
        "laboratory": (("analyte", "value", "unit", "who"), results),
    }
    for name, (headers, rows) in sheets.items():
        sheet = _sheet(book, name, 0, [TIME, AGE, *headers], bold)
        for number, (time, *cells) in enumerate(rows, 1):
            sheet.write_datetime(number, 0, _local(time), clock)
            sheet.write_number(number, 1, batch.age_h(time))
            for place, cell in enumerate(cells, 2):
                if isinstance(cell, float):
                    sheet.write_number(number, place, cell)
                else:
                    sheet.write_string(number, place, str(cell))  # never a formula


def _side_by_side(page: Page) -> list[Sequence[object]]:
    pairs = zip(page.values, page.qualities, strict=True)
    return [column for pair in pairs for column in pair]


def _local(time: float) -> datetime:
    return datetime.fromtimestamp(time).astimezone()
