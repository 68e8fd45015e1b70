"""Rows become InfluxDB line protocol, built by hand: a third of the cost of the client's Point."""

import re
from typing import Any, NamedTuple

from pydantic_core import to_json

from historian.event_rows import EventRow
from historian.reader import Rows
from historian.schema import MISSING

MEASUREMENT = "fermloop"
ALARMS = "alarm"  # the measurement of the alarms' changes

_TEMPLATES = 1000  # patterns of missing values and qualities remembered for each encoder
_UNFIT = re.compile(r"[\x00-\x1f\x7f\\]")  # never meant in a name, and no escape is portable


ALARM_STATES = {"normal": 0, "returned": 1, "acknowledged": 2, "unacknowledged": 3}


class Line(NamedTuple):
    """One point: the samples of one row.

    Attributes:
        reactor: whose row it is.
        seq: the row's number in the store.
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


def alarm_line(site: str, event: EventRow) -> Line:
    """Return the change of an alarm as a point of its own measurement; empty if it is none.

    Numbers only: ``state`` (0 normal, 1 over and not acknowledged, 2 acknowledged, 3 active and
    not acknowledged), ``severity`` of OPC UA and ``value`` where something was measured. The texts
    stay in the store.
    """
    data = event["data"]
    state = ALARM_STATES.get(str(data.get("state")))
    name, reactor = str(data.get("id", "")), str(data.get("reactor") or "plant")
    if state is None or not name:
        return Line(reactor, 0, "", 0)
    head = f"{ALARMS},id={escape(name)},priority={escape(str(data.get('priority')))}"
    head += f",reactor={escape(reactor)},site={escape(site)}"
    fields = [f"state={state}i", f"severity={data.get('severity', 0)}i"]
    if isinstance(value := data.get("value"), int | float):
        fields.append(f"value={float(value)!r}")
    return Line(reactor, 0, f"{head} {','.join(fields)} {round(event['time'] * 1e6)}", 0)


def split_fields(text: str) -> tuple[str, list[tuple[str, str]], str]:
    """Take a line apart: head ``fermloop,site=…``, fields ``(key, value)`` escaped, time."""
    head, fields, time = re.split(r"(?<!\\) ", text)
    pairs = (re.split(r"(?<!\\)=", field) for field in re.split(r"(?<!\\),", fields))
    return head, [(key, value) for key, value in pairs], time


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
        suffixes: field names, in the order of the rows' values.
    """

    def __init__(self, site: str, reactor: str, suffixes: tuple[str, ...]) -> None:
        self.suffixes = suffixes
        self._reactor = reactor
        self._head = f"{MEASUREMENT},reactor={escape(reactor)},site={escape(site)}"
        self._head = self._head.replace("%", "%%")
        self._keys = [escape(suffix).replace("%", "%%") for suffix in suffixes]
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
