"""Queries as Grafana sends them: macros and variables put in as its InfluxDB plugin does.

Source: Grafana's ``pkg/tsdb/influxdb/models/query.go`` (time in ms, both ends included) and its
documentation of variables (a choice of several becomes a regular expression).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# s; what Grafana rounds an interval to
ROUND = (
    1,
    2,
    5,
    10,
    15,
    20,
    30,
    60,
    120,
    300,
    600,
    900,
    1200,
    1800,
    3600,
    7200,
    10800,
    21600,
    43200,
)
FACTORS = {"efficiency": "0.9", "air": "0.04", "cop": "4", "grid": "0.57"}
POINTS = 1000  # of a panel half a screen wide


@dataclass(frozen=True, slots=True)
class Reader:
    """What somebody looks at.

    Attributes:
        start: left edge, s since 1970 UTC.
        end: right edge.
        chosen: variables by name; several values are joined with ``|`` in brackets.
    """

    start: int
    end: int
    chosen: Mapping[str, str] = field(
        default_factory=lambda: {
            "site": "demo",
            "reactor": "R1",
            "batch": "(R1-.*)",
            "focus": "R1-20260101-0000",
            "reference": "(R1-.*)",
        }
    )

    def of(self, panel: Mapping[str, Any]) -> "Reader":
        """Return what a panel shows: one with a time of its own looks ahead from the right edge."""
        ahead = str(panel.get("timeFrom", ""))
        if not ahead:
            return self
        assert re.fullmatch(r"\+\d+h", ahead), ahead
        return Reader(self.end, self.end + 3600 * int(ahead[1:-1]), self.chosen)

    def width(self, every: str) -> int:
        """Return the width of a bucket in s, at least ``every``."""
        least = int(every[:-1]) * {"s": 1, "m": 60}[every[-1]] if every else 1
        wanted = max((self.end - self.start) / POINTS, least)
        return next(step for step in ROUND if step >= wanted)

    def asks(self, query: str, every: str = "") -> str:
        """Return a query with everything put in."""
        width = self.width(every)
        window = f"time >= {self.start * 1000}ms and time <= {self.end * 1000}ms"
        filled = query.replace("$timeFilter", window)
        filled = filled.replace("$__interval_ms", str(width * 1000))
        filled = filled.replace("$__interval", f"{width}s")
        filled = filled.replace("${__from}", str(self.start * 1000))
        filled = filled.replace("${__to}", str(self.end * 1000))
        for name, value in {**FACTORS, **self.chosen}.items():
            filled = re.sub(rf"\${name}\b", value, filled)
        left = re.sub(r"/\^[^/]*\$/", "", filled)  # the end of a regular expression
        assert "$" not in left, filled
        return filled


@dataclass(frozen=True, slots=True)
class Asked:
    """One query of a board.

    Attributes:
        where: board and panel, for people.
        query: InfluxQL with macros and variables.
        every: least width of a bucket.
        panel: the panel; empty for an annotation or a variable.
    """

    where: str
    query: str
    every: str
    panel: Mapping[str, Any]


def all_queries(boards: Mapping[str, Mapping[str, Any]]) -> Iterator[Asked]:
    """Yield every query of panels, annotations and variables."""
    for name, board in boards.items():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                where = f"{name}: {panel['title']} {target['refId']}"
                yield Asked(where, target["query"], panel.get("interval", ""), panel)
        for mark in board["annotations"]["list"]:
            yield Asked(f"{name}: @{mark['name']}", mark["query"], "", {})
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                yield Asked(f"{name}: ${variable['name']}", variable["query"], "", {})
