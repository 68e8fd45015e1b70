"""A batch as CSV, Parquet and XLSX: what the file says is what the store has."""

import csv
import json
import math
from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from drivers.point import Quality, Sample, Tag
from fermloop.cli import app
from historian.events import Event, Kind
from historian.export import Page, table, write
from historian.sqlite import SqliteReader, SqliteStore

pq: Any = import_module("pyarrow.parquet")  # neither has types
openpyxl: Any = import_module("openpyxl")

T0 = 1_790_000_000.25
DO, PH = Tag("R1.do", "%", 0, 100), Tag("R1.ph", "[pH]", 0, 14)
HEADERS = ["R1.do [%]", "R1.do quality", "R1.ph [pH]", "R1.ph quality"]
RESULT: dict[str, object] = {
    "number": 1,
    "analyte": "glucose",
    "value": 1.5,
    "unit": "g/L",
    "t_sampled": T0 + 2,
    "who": "ana",
}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[SqliteReader]:
    def told(after: float, kind: Kind, text: str, **data: object) -> Event:
        return Event(T0 + after, "recipe", kind, "R1", text, data)

    path = tmp_path / "data" / "store.sqlite"
    with SqliteStore(path) as store:
        store.append([Sample(DO, T0 - 1, 99.0, Quality.GOOD)])  # before the batch
        store.record(told(0, Kind.PHASE, "started", batch="R1-1", state="RUNNING"))
        store.append([Sample(DO, T0, 30.1, Quality.GOOD), Sample(PH, T0, 7.0, Quality.GOOD)])
        store.append([Sample(DO, T0 + 1, math.nan, Quality.BAD)])
        store.append(
            [Sample(DO, T0 + 2, 1e-7, Quality.UNCERTAIN), Sample(PH, T0 + 2, 7.1, Quality.GOOD)]
        )
        store.record(told(2, Kind.AUDIT, "=1+1", what="sample", result=RESULT))
        store.record(told(3, Kind.PHASE, "complete", state="COMPLETE"))
        store.append([Sample(DO, T0 + 3.5, 99.0, Quality.GOOD)])  # after it
    with SqliteReader(path) as reader:
        yield reader


def test_csv_has_units_local_time_age_and_quality(reader: SqliteReader, tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    assert write(table(reader, "R1-1"), path, "csv") == 3
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")  # Excel reads µ and 溶氧 then
    with path.open(encoding="utf-8-sig", newline="") as file:
        headers, *rows = list(csv.reader(file))
    assert headers == ["time", "age [h]", "time [s since 1970 UTC]", *HEADERS]
    assert [row[3:] for row in rows] == [
        ["30.1", "", "7.0", ""],
        ["", "BAD", "", ""],
        ["1e-07", "UNCERTAIN", "7.1", ""],
    ]
    assert [float(row[2]) for row in rows] == [T0, T0 + 1, T0 + 2]
    assert [datetime.fromisoformat(row[0]).timestamp() for row in rows] == [T0, T0 + 1, T0 + 2]
    assert [float(row[1]) for row in rows] == [0.0, 0.000278, 0.000556]


def test_parquet_has_types_and_says_what_it_is(reader: SqliteReader, tmp_path: Path) -> None:
    path = tmp_path / "b.parquet"
    assert write(table(reader, "R1-1"), path, "parquet") == 3
    found = pq.read_table(path)
    assert found.column_names[3:] == HEADERS
    assert found["R1.do [%]"].to_pylist() == [30.1, None, 1e-7]
    assert found["R1.do quality"].to_pylist() == [None, "BAD", "UNCERTAIN"]
    assert [t.timestamp() for t in found["time"].to_pylist()] == [T0, T0 + 1, T0 + 2]
    about = json.loads(found.schema.metadata[b"fermloop"])
    assert (about["batch"], about["units"]) == ("R1-1", {"R1.do": "%", "R1.ph": "[pH]"})


def test_xlsx_has_the_events_and_the_laboratory_too(reader: SqliteReader, tmp_path: Path) -> None:
    path = tmp_path / "b.xlsx"
    assert write(table(reader, "R1-1"), path, "xlsx") == 3
    book: Any = openpyxl.load_workbook(path)
    assert book.sheetnames == ["data", "events", "laboratory"]
    rows = [list(row) for row in book["data"].iter_rows(values_only=True)]
    assert rows[0][0].startswith("time (UTC")
    assert [row[3:] for row in rows] == [
        HEADERS,
        [30.1, None, 7.0, None],
        [None, "BAD", None, None],
        [1e-7, "UNCERTAIN", 7.1, None],
    ]
    assert rows[1][0].astimezone().timestamp() == T0
    texts = [row[-1] for row in book["events"].iter_rows(values_only=True, min_row=2)]
    assert texts == ["started", "=1+1", "complete"]
    assert book["events"]["F3"].data_type == "s"  # a text, never a formula
    (result,) = book["laboratory"].iter_rows(values_only=True, min_row=2)
    assert result[2:] == ("glucose", 1.5, "g/L", "ana")


def test_chosen_tags_and_a_tag_that_comes_in_mid_batch(
    reader: SqliteReader, tmp_path: Path
) -> None:
    (page,) = table(reader, "R1-1", ["R1.ph"]).pages()
    assert page == Page([T0, T0 + 1, T0 + 2], [[7.0, None, 7.1]], [[None] * 3])


def test_what_cannot_be_is_refused_in_one_line_and_leaves_no_file(
    reader: SqliteReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(*words: str) -> str:
        store = ["--store", str(reader.path)]
        result = CliRunner().invoke(app, ["export", *words, *store])
        return result.output + str(result.exception or "")

    monkeypatch.chdir(tmp_path)
    assert "R2-1: no such batch; the newest in the store: R1-1" in says("R2-1")
    assert "R1.x: no such tag in R1-1; it has R1.do, R1.ph" in says("R1-1", "--tag", "R1.x")
    assert "odt is not allowed; csv, parquet, xlsx are" in says("R1-1", "--format", "odt")
    assert "R1-1.csv: 3 rows of 2 tags" in says("R1-1")
    assert "R1-1.csv: is there already" in says("R1-1")
    assert "nowhere: no such folder" in says("R1-1", "--out", "nowhere/a.csv")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["R1-1.csv", "data"]
