"""A batch of the past: what is right comes in whole, what is wrong is named and nothing is done."""

import json
import sqlite3
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from drivers.point import Quality, Sample, Tag
from fermloop.cli import app
from fermloop.failure import explained
from historian.events import Event, Kind
from historian.sqlite import SqliteReader, SqliteStore

pa: Any = import_module("pyarrow")  # neither has types
pq: Any = import_module("pyarrow.parquet")

T0 = 1_709_251_200.0  # 2024-03-01T08:00+08:00
MAP = """
reactor = "R1"
batch = "R1-2024-017"
recipe = "paper"
separator = ";"
decimal = ","
time = { column = "Zeit", form = "%d.%m.%Y %H:%M:%S", zone = "Asia/Shanghai" }
[columns]
"T" = { tag = "R1.temperature", unit = "[degF]", low = 0, high = 150 }
"Feed" = { tag = "R1.feed", unit = "L/h", quality = "q" }
"""
HEAD = "Zeit;T;Feed;q\n"
ROWS = [
    "01.03.2024 08:00:00;98,6;0,01;",
    "01.03.2024 08:00:10;;0,02;UNCERTAIN",
    "01.03.2024 08:00:30;100,4;-;BAD",
    "01.03.2024 08:00:20;98,6;0,02;GOOD",
]
FEED = Tag("R1.feed", "mL/h", 0, 200)


class Folder:
    """A store that knows the feed, a file and its mapping."""

    def __init__(self, path: Path) -> None:
        self.path, self.store = path, path / "store.sqlite"
        with SqliteStore(self.store) as store:
            store.append([Sample(FEED, T0 - 1e6, 1.0, Quality.GOOD)])
        self.write(MAP, HEAD + "\n".join(ROWS))

    def write(self, mapping: str, data: str, name: str = "old.csv") -> None:
        (self.path / "old.toml").write_text(mapping, encoding="utf-8")
        (self.path / name).write_text(data, encoding="utf-8")

    def says(self, *words: str, file: str = "old.csv", store: Path | None = None) -> str:
        fixed = [str(self.path / file), "--map", str(self.path / "old.toml")]
        where = ["--store", str(store or self.store)]
        result = CliRunner().invoke(app, ["import", *fixed, *where, *words])
        if isinstance(result.exception, Exception):
            failure = explained(result.exception)
            assert failure is not None, result.exception
            return "\n".join(failure.lines)
        return result.output

    def digest(self) -> list[str]:
        """Return what is in the store; a reader's own side files do not count."""
        with sqlite3.connect(self.store) as db:
            dump = "".join(db.iterdump())
        db.close()
        return [dump, self.store.with_name("store.sqlite.heads").read_text(encoding="utf-8")]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_csv_comes_in_with_units_order_and_quality_put_right(folder: Folder) -> None:
    before = folder.digest()
    said = folder.says("--dry-run")
    assert "old.csv: 4 rows as R1-2024-017 of R1" in said
    assert "  T -> R1.temperature [[degF]]: 3 values 98.6 to 100.4, 1 missing, 0 BAD" in said
    assert "  Feed -> R1.feed [L/h -> mL/h]: 3 values 10 to 20, 0 missing, 1 BAD" in said
    assert "rows in another order than time: 1; sorted" in said
    assert "nothing was written (--dry-run)" in said
    assert folder.digest() == before
    assert "R1-2024-017 written" in folder.says()
    with SqliteReader(folder.store) as reader:
        feed = reader.read(FEED, T0, T0 + 30)
        assert [(s.time - T0, s.quality) for s in feed] == [(0, 2), (10, 1), (20, 2), (30, 0)]
        assert [s.value for s in feed[:3]] == [10.0, 20.0, 20.0]
        batch = reader.batch("R1-2024-017").batch
        assert (batch.began, batch.ended, batch.state) == (
            T0,
            T0 + 30,
            "COMPLETE",
        )
        assert batch.inoculated == T0
        assert reader.verify().ok
        who = reader.audit(1)[0]
        assert "R1-2024-017 imported from old.csv: 4 rows" in who["text"]
        assert str(who["data"]["why"]).startswith("SHA-256 ")


def test_a_known_tag_gets_its_own_unit_and_a_new_one_that_of_the_column(folder: Folder) -> None:
    with SqliteStore(folder.store) as store:
        store.append([Sample(Tag("R1.temperature", "Cel", 0, 150), T0 - 1e6 + 1, 1, Quality.GOOD)])
    assert "  T -> R1.temperature [[degF] -> Cel]: 3 values 37 to 38," in folder.says("--dry-run")


def test_parquet_that_was_exported_comes_back_as_it_was(folder: Folder) -> None:
    folder.says()
    words = ["export", "R1-2024-017", "--store", str(folder.store), "--format", "parquet"]
    out = folder.path / "out.parquet"
    assert CliRunner().invoke(app, [*words, "--out", str(out)]).exit_code == 0
    mapping = """
        reactor = "R1"
        batch = "again"
        time = { column = "time" }
        [columns."R1.feed [mL/h]"]
        tag = "R1.feed"
        unit = "mL/h"
        quality = "R1.feed quality"
        low = 0
        high = 200
    """
    folder.write(mapping, "")
    other = folder.path / "other.sqlite"
    assert "again written" in folder.says(file="out.parquet", store=other)
    with SqliteReader(folder.store) as first, SqliteReader(other) as second:
        one, two = (r.read(FEED, T0, T0 + 30) for r in (first, second))
        assert [(s.time, s.quality) for s in one] == [(s.time, s.quality) for s in two]
        assert [s.value for s in one][:3] == [s.value for s in two][:3]


def test_a_file_that_is_only_half_there_is_refused_and_nothing_is_done(folder: Folder) -> None:
    table = pa.table({"Zeit": ["a"] * 999, "T": [1.0] * 999})
    pq.write_table(table, folder.path / "whole.parquet")
    whole = (folder.path / "whole.parquet").read_bytes()
    (folder.path / "half.parquet").write_bytes(whole[: len(whole) // 2])
    before = folder.digest()
    assert "half.parquet: no Parquet: " in folder.says(file="half.parquet")
    text = HEAD + "\n".join(ROWS)
    folder.write(MAP, text[:-7])
    assert "line 5: 3 columns, 4 names" in folder.says()
    assert folder.digest() == before


@pytest.mark.parametrize(
    ("change", "data", "message"),
    [
        (
            ('unit = "L/h"', 'unit = "g/L"'),
            "",
            "columns.'Feed'.unit: g/L cannot become mL/h of R1.feed; mL/h, L/h, mL/min, mL/s can",
        ),
        (
            ("high = 150", "high = 50"),
            "",
            "T: 100 % of the values are outside 0 to 50 [degF] of R1.temperature (98.6, ...): is",
        ),
        (
            ('"Feed" =', '"feed" ='),
            "",
            "columns.'feed': 'feed' is not in old.csv; 'Zeit', 'T', 'Feed', 'q'",
        ),
        (
            (", low = 0, high = 150", ""),
            "",
            "columns.'T': R1.temperature is not known yet; its low and high are required",
        ),
        (("R1.feed", "R2.feed"), "", "columns.'Feed'.tag: R2.feed is not allowed; a tag of R1"),
        (
            ('"%d.%m.%Y %H:%M:%S"', '"iso"'),
            "",
            "old.csv: line 2: '01.03.2024 08:00:00' is no time like iso",
        ),
        (("Asia/Shanghai", "Asia/Nowhere"), "", "old.toml: time.zone: no zone 'Asia/Nowhere'"),
        (("separator", "separater"), "", "old.toml: separater"),
        (('"Zeit"', '"zeit"'), "", "time.column: 'zeit' is not in old.csv; 'Zeit', 'T'"),
        (
            ('= ";"', '= "|"'),
            "",
            "old.toml: time.column: 'Zeit' is not in old.csv; 'Zeit;T;Feed;q'",
        ),
        (("", ""), "01.03.2024 08:00:40;abc;0,1;", "old.csv: line 6: T: 'abc' is no number"),
        (("", ""), "01.03.2024 08:00:40;98,6;0,1;ok", "old.csv: line 6: 'ok' is no quality"),
        (("", ""), "01.03.2024 08:00:30;98,6;0,1;", "old.csv: line 6: the same time as line 4"),
        (("", ""), "01.03.2024 08:00:40;98,6", "old.csv: line 6: 2 columns, 4 names"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_done(
    folder: Folder, change: tuple[str, str], data: str, message: str
) -> None:
    mapping = MAP.replace(*change) if change[0] else MAP
    folder.write(mapping, HEAD + "\n".join([*ROWS, data] if data else ROWS))
    before = folder.digest()
    assert message in folder.says()
    assert folder.digest() == before


def test_a_batch_over_another_is_refused(folder: Folder) -> None:
    folder.says()
    before = folder.digest()
    said = folder.says()
    assert "batch: R1-2024-017 is in the store already" in said
    assert "R1 has 4 rows in" in said
    folder.write(MAP.replace("R1-2024-017", "R1-2024-018"), HEAD + "\n".join(ROWS))
    assert "overlaps with batch R1-2024-017" in folder.says("--dry-run")
    assert folder.digest() == before


def test_a_batch_under_way_and_a_running_plant_are_not_disturbed(folder: Folder) -> None:
    with SqliteStore(folder.store) as store:
        assert "another process writes to this store" in folder.says()
        start = {"batch": "R1-9", "state": "RUNNING"}
        store.record(Event(T0 + 1e6, "recipe", Kind.PHASE, "R1", "started", start))
        store.flush()
        assert "R1: batch R1-9 is RUNNING; end it first" in folder.says("--dry-run")
    with SqliteReader(folder.store) as reader:
        assert [b.id for b in reader.batches()] == ["R1-9"]


def test_ages_need_a_beginning_and_gaps_are_told(folder: Folder) -> None:
    mapping = """
        reactor = "R1"
        batch = "aged"
        time = { column = "h", form = "h", began = "2024-03-01T08:00:00+08:00" }
        inoculated = "2024-03-01T09:00:00+08:00"
        [columns]
        do = { tag = "R1.do", unit = "%", low = 0, high = 100 }
    """
    hours = [i / 10 for i in range(20)] + [5.0, 5.1]
    folder.write(mapping, "h,do\n" + "\n".join(f"{h},30" for h in hours))
    told = json.loads(folder.says("--json"))
    assert (told["rows"], told["began"], told["inoculated"]) == (22, T0, T0 + 3600)
    assert [[round(t - T0) for t in gap] for gap in told["gaps"]] == [[6840, 18000]]
    with SqliteReader(folder.store) as reader:
        batch = reader.batch("aged")
        assert [e["data"]["why"] for e in batch.gaps] == ["import"]
        assert batch.batch.age_h(T0 + 7200) == 1.0
    folder.write(mapping.replace(", began", ", begun"), "h,do\n0,1")
    assert "old.toml: time.begun: no such key" in folder.says()


def test_a_program_after_an_import_tells_of_no_gap_since_then(folder: Folder) -> None:
    folder.says()
    with SqliteStore(folder.store) as store:
        store.append([Sample(FEED, T0 + 40, 1.0, Quality.GOOD)])
    with SqliteReader(folder.store) as reader:
        gaps = reader.events(kinds=[Kind.GAP])
        assert [e["data"].get("why") for e in gaps] == []
