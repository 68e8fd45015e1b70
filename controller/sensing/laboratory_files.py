"""A folder that a laboratory's own system, or a person with a spreadsheet, puts results into.

What is in a file is entered row by row as if somebody typed it. The file goes to ``entered``; rows
that are refused stand in ``refused``, each with the reason in front, and are entered by putting
the mended file back. Nothing is ever deleted.
"""

import asyncio
import csv
import io
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from controller.sensing.laboratory import Entry

NEEDED: Final = ("analyte", "value", "unit", "t_sampled")
KNOWN: Final = (
    *("reactor", "sample", "bench", *NEEDED),
    *("below_limit", "t_available", "t_entered", "corrects", "reason", "why"),
)
LOOK_S: Final = 2.0  # wall; a file that has not changed in between is whole
LARGEST: Final = 1 << 20  # bytes
TRUE, FALSE = ("1", "true", "yes", "是"), ("", "0", "false", "no", "否")

Row = Mapping[str, str]
Enter = Callable[[Entry, str, str], str]  # entry, reason, who; raises ValueError


def entry(row: Row, reactor: str) -> tuple[Entry, str]:
    """Return what a row wants to enter, and why it corrects something.

    Raises:
        ValueError: a cell is not what it must be; the column is named.
    """
    if row.get("reactor", reactor) not in ("", reactor):
        raise ValueError(
            f"reactor: {row['reactor']} is not allowed; this is the folder of {reactor}"
        )
    below = row.get("below_limit", "").lower()
    if below not in TRUE + FALSE:
        raise ValueError(f"below_limit: {below} is not allowed; 1 or 0 is")
    available = row.get("t_available", "")
    corrects = row.get("corrects", "") or "0"
    if not corrects.isdecimal() or len(corrects) > 9:
        raise ValueError(f"corrects: {corrects} is not allowed; the number of a result is")
    try:
        value = float(row["value"])
    except ValueError:
        raise ValueError(
            f"value: {row['value'] or 'nothing'} is not allowed; a number is"
        ) from None
    return (
        Entry(
            analyte=row["analyte"],
            value=value,
            unit=row["unit"],
            t_sampled=moment("t_sampled", row["t_sampled"]),
            t_available=moment("t_available", available) if available else None,
            below_limit=below in TRUE,
            corrects=int(corrects),
        ),
        row.get("reason", ""),
    )


def moment(column: str, text: str) -> float:
    """Return a time as s since 1970 UTC; one without a zone is of this machine's zone.

    Raises:
        ValueError: it is no time; the column is named.
    """
    try:
        return datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except (ValueError, OverflowError):
        raise ValueError(
            f"{column}: {text or 'nothing'} is not allowed; 2026-01-31T02:10, with Z or +08:00 "
            "where it is not the plant's own time"
        ) from None


class LaboratoryFolder:
    """Looks into one reactor's folder.

    Args:
        folder: made if it is not there.
        reactor: ``R1``.
        enter: takes each result.
        refused: told what was not taken: file and line, what stands there, why.
    """

    def __init__(
        self,
        folder: Path,
        reactor: str,
        enter: Enter,
        refused: Callable[[str, Row, str], None],
    ) -> None:
        self.folder, self.reactor = folder, reactor
        self._enter, self._refused = enter, refused
        self._seen: dict[Path, tuple[int, int]] = {}  # size and time of change at the last look

    async def watch(self) -> None:
        """Take in whatever comes, for ever; files are read and moved off the event loop."""
        while True:
            for path, rows, why in await asyncio.to_thread(self.look):
                left = self.take(path, rows, why)
                await asyncio.to_thread(self.put_away, path, left)
            await asyncio.sleep(LOOK_S)

    def look(self) -> list[tuple[Path, list[Row], str]]:
        """Return files that are whole, with their rows or why they cannot be read."""
        self.folder.mkdir(parents=True, exist_ok=True)
        now: dict[Path, tuple[int, int]] = {}
        found: list[tuple[Path, list[Row], str]] = []
        for path in sorted(self.folder.glob("*.csv")):
            stat = path.stat()
            now[path] = (stat.st_size, stat.st_mtime_ns)
            if self._seen.get(path) == now[path]:
                try:
                    found.append((path, rows(path), ""))
                except (OSError, ValueError) as error:
                    found.append((path, [], str(error)))
        self._seen = now
        return found

    def take(self, path: Path, rows: Sequence[Row], why: str) -> list[Row]:
        """Enter the rows of a file; return those that were refused, each with ``why``."""
        if why:
            self._refused(path.name, {}, why)
            return [{"why": why}]
        left: list[Row] = []
        for k, row in enumerate(rows):
            try:
                self._enter(*entry(row, self.reactor), f"file:{path.name}")
            except (LookupError, ValueError) as error:
                self._refused(f"{path.name} line {k + 2}", row, str(error))
                left.append({"why": str(error), **row})
        return left

    def put_away(self, path: Path, left: Sequence[Row]) -> None:
        """Move a file to ``entered``; write what is left of it to ``refused``."""
        unread = len(left) == 1 and set(left[0]) == {"why"}
        if left and not unread:
            text = io.StringIO()
            table = csv.DictWriter(text, list(left[0]), lineterminator="\n", extrasaction="ignore")
            table.writeheader()
            table.writerows(left)
            part = _free(self.folder / "refused" / path.name).with_suffix(".part")
            part.write_text(text.getvalue(), encoding="utf-8-sig")
            os.replace(part, part.with_suffix(".csv"))
        os.replace(path, _free(self.folder / ("refused" if unread else "entered") / path.name))
        self._seen.pop(path, None)


def rows(path: Path) -> list[Row]:
    """Return the rows of a file as UTF-8 or, as spreadsheets in China write it, GB 18030.

    Raises:
        ValueError: it is no such table; it says why.
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    if len(data) > LARGEST:
        raise ValueError(f"{len(data)} bytes; at most {LARGEST} are allowed")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("gb18030")  # its error is a ValueError too
    separator = ";" if ";" in text.partition("\n")[0] else ","
    table = csv.DictReader(io.StringIO(text), delimiter=separator, strict=True)
    columns = [c.strip() for c in table.fieldnames or ()]
    if missing := [c for c in NEEDED if c not in columns]:
        raise ValueError(
            f"no column {', '.join(missing)}; there are {', '.join(columns) or 'none'}"
        )
    if unknown := [c for c in columns if c not in KNOWN]:
        raise ValueError(f"column {', '.join(unknown)} is unknown; known are {', '.join(KNOWN)}")
    try:
        found = list(table)
    except csv.Error as error:
        raise ValueError(f"line {table.line_num}: {error}") from None
    for k, row in enumerate(found):
        if None in row or None in row.values():
            raise ValueError(f"line {k + 2}: not {len(columns)} cells as in the first line")
    return [{c.strip(): str(v).strip() for c, v in row.items()} for row in found]


def _free(path: Path) -> Path:
    """Return ``path``, or with a number behind its name if it is there already."""
    path.parent.mkdir(exist_ok=True)
    free, k = path, 1
    while free.exists():
        k += 1
        free = path.with_stem(f"{path.stem}-{k}")
    return free
