"""Delivers lines and sorts out what the server refuses, down to the single field."""

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from drivers.clock import monotonic, wall
from historian.lines import Line, join_fields, split_fields

_ASIDE_S = 600.0  # a refused field is tried again after this
_QUARANTINE_BYTES = 64 * 2**20  # then the file is set aside once, as *.old
_SYSTEMIC = 3  # lines refused whole, and none accepted: it is not the lines' fault


class UnavailableError(Exception):
    """Nothing was acknowledged and nothing is wrong with the lines: try again later.

    Attributes:
        retry_after_s: how long the server asked to be left alone; ``None`` if it did not.
    """

    def __init__(self, text: str, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class RefusedError(Exception):
    """The server has read the lines and will never take all of them; good ones may be stored.

    Attributes:
        too_large: it would take them in smaller portions.
        partial: it says that it stored the others.
        dropped: how many points it says it dropped; 0 if it does not say.
    """

    def __init__(self, text: str, *, too_large: bool = False) -> None:
        super().__init__(text)
        self.too_large = too_large
        self.partial = "partial write" in text
        found = re.search(r"dropped=(\d+)", text)
        self.dropped = int(found[1]) if found else 0


class Delivery:
    """Posts lines; on a refusal halves them until what is refused stands alone.

    Good lines, and the good fields of a refused line, are stored; the rest goes to a quarantine
    file, one JSON object a line, which names the row (reactor and seq). A field refused while its
    neighbours are taken (its type changed, say) is kept out of further lines for some minutes, so
    that it cannot slow down the others.

    Args:
        post: sends a body; raises ``UnavailableError`` or ``RefusedError``. It may be sent twice.
        quarantine: the file.
    """

    def __init__(self, post: Callable[[bytes], None], quarantine: Path) -> None:
        self._post = post
        self._quarantine = quarantine
        self._aside: dict[str, tuple[float, str]] = {}  # field: until when, and why
        self._refusals: list[tuple[str, str]] = []
        self._accepted = False
        self._whole = 0  # lines of this delivery refused with every field
        self.too_large = False  # some portion of the last delivery was

    @property
    def fields_aside(self) -> list[str]:
        """Fields that are kept out for now, each after its measurement: ``fermloop do``."""
        return sorted(self._aside)

    def deliver(self, lines: Sequence[Line]) -> tuple[int, int]:
        """Send the lines, in order; return how many fields the server refused for good.

        Returns:
            Refused fields of rows, and those of everything else.

        Raises:
            UnavailableError: not all could be sent; send all again, later.
        """
        self._refusals, self._accepted, self._whole, self.too_large = [], False, 0, False
        now = monotonic()
        self._aside = {k: v for k, v in self._aside.items() if v[0] > now}
        self._send([line.text for line in lines if line.text])
        if not self._refusals:
            return 0, 0
        rows = {_point(line.text): line for line in lines if line.text}
        told = [(rows[_point(text)], text, error) for text, error in self._refusals]
        self._write_quarantine(told)
        counts = [(line.seq > 0, len(split_fields(text)[1])) for line, text, _ in told]
        return sum(n for row, n in counts if row), sum(n for row, n in counts if not row)

    def _send(self, texts: list[str]) -> None:
        if self._aside:
            texts = [kept for text in texts if (kept := self._strip(text))]
        if not texts:
            return
        try:
            self._post("\n".join(texts).encode())
            self._accepted = True
        except RefusedError as refused:
            self.too_large |= refused.too_large
            if len(texts) == 1:
                self._send_one(texts[0], refused)
            elif self._whole and refused.dropped >= len(texts):
                self._refusals += [(text, str(refused)) for text in texts]
            else:
                half = len(texts) // 2
                self._send(texts[:half])
                self._send(texts[half:])

    def _send_one(self, text: str, refused: RefusedError) -> None:
        """Find out which fields of a refused line are to blame; all of them: the line is."""
        head, fields, time = split_fields(text)
        bad: list[tuple[str, str]] = []
        if self._whole:  # one line has shown it already: do not ask field by field again
            bad = fields
        else:
            self._bisect(head, fields, time, bad)
        if not bad:
            return
        self._refusals.append((join_fields(head, bad, time), str(refused)))
        if len(bad) < len(fields):
            until = monotonic() + _ASIDE_S
            self._aside.update({_name(head, key): (until, str(refused)) for key, _ in bad})
            return
        self._whole += 1
        if self._whole >= _SYSTEMIC and not (self._accepted or refused.partial):
            raise UnavailableError(f"refuses every line: {refused}") from refused

    def _bisect(
        self, head: str, fields: list[tuple[str, str]], time: str, bad: list[tuple[str, str]]
    ) -> None:
        """Send the halves of a refused line; append what is refused alone to ``bad``."""
        if len(fields) == 1:
            bad += fields
            return
        half = len(fields) // 2
        for part in (fields[:half], fields[half:]):
            try:
                self._post(join_fields(head, part, time).encode())
                self._accepted = True
            except RefusedError as refused:
                self.too_large |= refused.too_large
                self._bisect(head, part, time, bad)

    def _strip(self, text: str) -> str:
        """Return the line without the fields that are kept out, empty if none is left."""
        head, fields, time = split_fields(text)
        out = [field for field in fields if _name(head, field[0]) in self._aside]
        if not out:
            return text
        why = self._aside[_name(head, out[0][0])][1]
        self._refusals.append((join_fields(head, out, time), why))
        kept = [field for field in fields if field not in out]
        return join_fields(head, kept, time) if kept else ""

    def _write_quarantine(self, refused: Sequence[tuple[Line, str, str]]) -> None:
        path = self._quarantine
        if path.exists() and path.stat().st_size > _QUARANTINE_BYTES:
            path.replace(path.with_name(path.name + ".old"))
        now = wall()
        with path.open("a", encoding="utf-8") as file:
            for line, text, error in refused:
                row = {"time": now, "reactor": line.reactor, "seq": line.seq or None}
                file.write(json.dumps({**row, "error": error, "line": text}) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _name(head: str, key: str) -> str:
    return f"{head.partition(',')[0]} {key}"


def _point(text: str) -> tuple[str, str]:
    """Return what a line and every part of it have in common: series and time."""
    head, _, time = split_fields(text)
    return head, time
