"""Rows become InfluxDB line protocol, built by hand: a third of the cost of the client's Point."""

import re
from typing import Any, NamedTuple

from pydantic_core import to_json

from historian.reader import Rows
from historian.schema import MISSING

MEASUREMENT = "fermloop"
PLANT = "plant"  # stands for the reactor of tags that are of none; the measurement of their rows

_LONGEST = 1000  # characters of a text
_TEMPLATES = 1000  # patterns of missing values and qualities remembered for each encoder
_UNFIT = re.compile(r"[\x00-\x1f\x7f\\]")  # never meant in a name, and no escape is portable
_TAKEN = frozenset({"time", "site", "reactor", "batch"})  # no field may have a tag's name
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_NAME = r"(?:[^,= \\]|\\.)+"
_VALUE = r'(?:"(?:[^"\\]|\\.)*"|[^, "]+)'
_FIELD = re.compile(f"({_NAME})=({_VALUE})")
_LINE = re.compile(rf"((?:[^ \\]|\\.)+) ({_NAME}={_VALUE}(?:,{_NAME}={_VALUE})*) (-?\d+)")


class Line(NamedTuple):
    """One point: the samples of one row, or an event, a minute, ….

    Attributes:
        reactor: whose row it is.
        seq: the row's number in the store; 0 if it is no row.
        text: line protocol without an end of line; empty if nothing was sampled.
        samples: how many samples it carries, BAD ones included.
    """

    reactor: str
    seq: int
    text: str
    samples: int


class _Template(NamedTuple):
    format: str  # takes the values that are there, then the time
    samples: int


def escape(name: str) -> str:
    """Return a tag key, tag value or field key as line protocol wants it."""
    plain = _UNFIT.sub("_", name)
    return plain.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def measurement_of(reactor: str) -> str:
    """Return where the rows of a reactor go: those of no vessel apart from the vessels'."""
    return PLANT if reactor == PLANT else MEASUREMENT


def field_key(suffix: str, *, escaped: bool = True) -> str:
    """Return the field of a tag; a name that InfluxDB has taken gets an underscore."""
    name = suffix + "_" if suffix in _TAKEN else suffix
    return escape(name) if escaped else name


def unescape(key: str) -> str:
    """Return the name that ``escape`` made a key of."""
    return re.sub(r"\\([,= ])", r"\1", key)


def quote(text: str) -> str:
    """Return a text as the value of a field: one line, of sensible length."""
    plain = _CONTROL.sub(" ", text).strip()[:_LONGEST].encode("utf-8", "replace").decode()
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def split_fields(text: str) -> tuple[str, list[tuple[str, str]], str]:
    """Take a line apart: head ``fermloop,batch=…``, fields ``(key, value)`` escaped, time."""
    found = _LINE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no line")
    head, fields, time = found.groups()
    return head, [(key, value) for key, value in _FIELD.findall(fields)], time


def join_fields(head: str, fields: list[tuple[str, str]], time: str) -> str:
    """Undo ``split_fields``."""
    return f"{head} {','.join(f'{key}={value}' for key, value in fields)} {time}"


class Encoder:
    """Turns rows of one reactor and one set of columns into lines.

    A field a sampled tag, named by its suffix; beside it ``<suffix>_q`` (0 BAD, 1 UNCERTAIN) only
    where it is not GOOD; a BAD sample has no value. Times are whole microseconds.

    Args:
        site: name of the plant, the tag ``site``.
        reactor: the tag ``reactor``.
        batch: the tag ``batch``; it is on every line, since InfluxDB 3 takes no tag that the first
            line did not have.
        suffixes: field names, in the order of the rows' values.
    """

    def __init__(self, site: str, reactor: str, batch: str, suffixes: tuple[str, ...]) -> None:
        self.suffixes = suffixes
        self._reactor = reactor
        where = measurement_of(reactor)
        self._head = f"{where},batch={escape(batch)},reactor={escape(reactor)}"
        self._head = f"{self._head},site={escape(site)}".replace("%", "%%")
        self._keys = [field_key(suffix).replace("%", "%%") for suffix in suffixes]
        self._full = self._template(None, (False,) * len(suffixes))
        self._templates: dict[tuple[str | None, tuple[bool, ...]], _Template] = {}

    def lines(self, rows: Rows) -> list[Line]:
        """Return one line a row, in order."""
        return [self._line(row) for row in rows.rows]

    def _line(self, row: tuple[Any, ...]) -> Line:
        seq, time, quality, *values = row
        # Shortest digits that read back as the same number, as repr gives them, in a fifth to a
        # tenth of its time; None and whatever is not finite come out as null.
        numbers = to_json(values, inf_nan_mode="null").decode()
        texts = numbers[1:-1].split(",")
        if quality is None and "null" not in numbers:
            template = self._full
        else:
            template = self._find(quality, tuple([t == "null" for t in texts]))
            texts = [t for t in texts if t != "null"]
        if not template.samples:
            return Line(self._reactor, seq, "", 0)
        text = template.format % (*texts, round(time * 1e6))
        return Line(self._reactor, seq, text, template.samples)

    def _find(self, quality: str | None, absent: tuple[bool, ...]) -> _Template:
        key = quality, absent
        template = self._templates.get(key)
        if template is None:
            if len(self._templates) >= _TEMPLATES:
                self._templates.clear()
            template = self._templates[key] = self._template(quality, absent)
        return template

    def _template(self, quality: str | None, absent: tuple[bool, ...]) -> _Template:
        fields: list[str] = []
        samples = 0
        for place, (key, no_value) in enumerate(zip(self._keys, absent, strict=True)):
            digit = quality[place : place + 1] if quality else ""
            if no_value and digit in ("", MISSING):
                continue  # not sampled in this scan
            samples += 1
            if no_value:
                fields.append(f"{key}_q=0i")
                continue
            fields.append(f"{key}=%s")
            if digit in ("0", "1"):
                fields.append(f"{key}_q={digit}i")
        return _Template(f"{self._head} {','.join(fields)} %d", samples)
