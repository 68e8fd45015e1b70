"""A laboratory's folder: files of any origin, taken in row by row, and nothing lost."""

import asyncio
import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.sensing.laboratory import Entry
from controller.sensing.laboratory_files import LaboratoryFolder, Row, moment

HEAD = "analyte,value,unit,t_sampled\n"
TAKEN = "2026-01-01T02:10:00Z"


class Book:
    """Takes everything but what is called ``odd``."""

    def __init__(self, folder: Path) -> None:
        self.entered: list[tuple[Entry, str, str]] = []
        self.refused: list[tuple[str, str]] = []
        self.folder = LaboratoryFolder(folder, "R1", self._enter, self._refuse)

    def _enter(self, entry: Entry, reason: str, who: str) -> str:
        if entry.analyte == "odd":
            raise ValueError("R1: no analyte odd")
        self.entered.append((entry, reason, who))
        return "done"

    def _refuse(self, where: str, row: Row, why: str) -> None:
        self.refused.append((where, why))

    def looks(self, times: int = 2) -> None:
        for _ in range(times):
            for path, rows, why in self.folder.look():
                self.folder.put_away(path, self.folder.take(path, rows, why))


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "laboratory")


def put(book: Book, text: str | bytes, name: str = "a.csv") -> Path:
    book.folder.folder.mkdir(exist_ok=True)
    path = book.folder.folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_whole_file_is_entered_and_put_away(book: Book) -> None:
    path = put(book, HEAD + f"acetate,1.2,g/L,{TAKEN}\nod,30,1,{TAKEN}\n")
    book.looks()
    at = datetime(2026, 1, 1, 2, 10, tzinfo=UTC).timestamp()
    assert [e for e, _, _ in book.entered] == [
        Entry("acetate", 1.2, "g/L", at),
        Entry("od", 30.0, "1", at),
    ]
    assert {who for _, _, who in book.entered} == {"file:a.csv"}
    assert not path.exists()
    assert (path.parent / "entered" / "a.csv").exists()
    assert not (path.parent / "refused").exists()


def test_a_file_that_still_grows_waits(book: Book) -> None:
    put(book, HEAD)
    book.looks(1)
    put(book, HEAD + f"acetate,1.2,g/L,{TAKEN}\n")
    book.looks(1)
    assert book.entered == []
    book.looks(1)
    assert len(book.entered) == 1


def test_rows_that_are_refused_are_kept_with_the_reason_and_can_be_put_back(book: Book) -> None:
    path = put(book, HEAD + f"odd,1,g/L,{TAKEN}\nacetate,x,g/L,{TAKEN}\nod,3,1,{TAKEN}\n")
    book.looks()
    assert len(book.entered) == 1
    assert book.refused == [
        ("a.csv line 2", "R1: no analyte odd"),
        ("a.csv line 3", "value: x is not allowed; a number is"),
    ]
    left = path.parent / "refused" / "a.csv"
    with left.open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [(r["why"], r["analyte"]) for r in rows] == [
        ("R1: no analyte odd", "odd"),
        ("value: x is not allowed; a number is", "acetate"),
    ]
    mended = left.read_text(encoding="utf-8-sig").replace(",x,", ",2,").replace(",odd,", ",od,")
    put(book, mended, "b.csv")
    book.looks()
    assert [e.value for e, _, _ in book.entered] == [3.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("analyte,value\na,1\n", "no column unit, t_sampled; there are analyte, value"),
        (HEAD.replace("unit", "unit,colour"), "column colour is unknown"),
        (HEAD + "acetate,1\n", "line 2: not 4 cells as in the first line"),
        ("", "no column analyte, value, unit, t_sampled; there are none"),
        (b"\x81\xff\xff", "gb18030"),
        (b"a" * (1 << 20 | 1), "1048577 bytes; at most 1048576 are allowed"),
    ],
)
def test_a_file_that_is_no_table_is_put_away_as_it_is(
    book: Book, text: str | bytes, why: str
) -> None:
    path = put(book, text)
    book.looks()
    assert why in book.refused[0][1]
    assert (path.parent / "refused" / "a.csv").read_bytes() == (
        text if isinstance(text, bytes) else text.encode()
    )


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"t_sampled": "yesterday"}, "t_sampled: yesterday is not allowed; 2026-01-31T02:10"),
        ({"t_available": "no"}, "t_available: no is not allowed"),
        ({"reactor": "R2"}, "reactor: R2 is not allowed; this is the folder of R1"),
        ({"below_limit": "perhaps"}, "below_limit: perhaps is not allowed; 1 or 0 is"),
        ({"corrects": "-1"}, "corrects: -1 is not allowed; the number of a result is"),
    ],
)
def test_a_cell_that_is_wrong_is_named(book: Book, row: dict[str, str], why: str) -> None:
    cells = {"analyte": "acetate", "value": "1", "unit": "g/L", "t_sampled": TAKEN} | row
    put(book, ",".join(cells) + "\n" + ",".join(cells.values()) + "\n")
    book.looks()
    assert book.refused[0][1].startswith(why)
    assert book.entered == []


def test_spreadsheets_write_other_bytes_and_separators(book: Book) -> None:
    put(book, b"\xef\xbb\xbf" + HEAD.encode() + f"acetate,1,g/L,{TAKEN}\n".encode(), "utf8.csv")
    cells = HEAD.strip() + ",reason\n" + f"acetate,1,g/L,{TAKEN},稀释\n"
    put(book, cells.replace(",", ";").encode("gb18030"), "gb.csv")
    book.looks()
    assert sorted(reason for _, reason, _ in book.entered) == ["", "稀释"]


def test_a_file_of_the_same_name_does_not_replace_the_first(book: Book) -> None:
    for value in ("1", "2"):
        path = put(book, HEAD + f"acetate,{value},g/L,{TAKEN}\n")
        book.looks()
    names = sorted(p.name for p in (path.parent / "entered").iterdir())
    assert names == ["a-2.csv", "a.csv"]


def test_a_time_without_a_zone_is_that_of_the_machine() -> None:
    local = datetime(2026, 1, 1, 2, 10).astimezone().timestamp()
    assert moment("t_sampled", "2026-01-01T02:10") == local
    assert moment("t_sampled", "2026-01-01T02:10+08:00") == moment("t_sampled", "2025-12-31T18:10Z")


async def test_the_watch_takes_in_what_comes_until_it_is_cancelled(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.sensing.laboratory_files.LOOK_S", 0.01)
    watching = asyncio.create_task(book.folder.watch())
    path = put(book, HEAD + f"acetate,1,g/L,{TAKEN}\n")
    async with asyncio.timeout(10.0):
        while path.exists():  # noqa: ASYNC110 (a file has no event)
            await asyncio.sleep(0.01)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert len(book.entered) == 1
