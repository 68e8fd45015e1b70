"""Panels of numbers in cells: tables and tiles."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboards.grafana.panels import Frame, core, letter, target
from dashboards.grafana.plain import Json
from dashboards.grafana.style import PV, States, mappings, named, thresholds


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, or one tile of a row of tiles.

    Attributes:
        field: as the query calls it.
        name: as people do.
        unit: Grafana's.
        states: names and colours of its numbers.
        missing: what stands where there is no value; coloured.
        beyond: a number from which on it says nothing, and the word that stands there then.
        above: value from which on it is abnormal.
        below: value under which it is abnormal.
        decimals: digits; as many as Grafana thinks if ``None``.
        width: pixels; as much as is left if 0.
        link: where a click leads.
    """

    field: str
    name: str
    unit: str = ""
    states: States = dataclasses.field(default_factory=dict[int | str, tuple[str, str]])
    missing: str = ""
    beyond: tuple[float, str] | None = None
    above: float | None = None
    below: float | None = None
    decimals: int | None = None
    width: int = 0
    link: str = ""


def table(
    frame: Frame,
    queries: Sequence[str],
    columns: Sequence[Column],
    *,
    join: str = "",
    sort: str = "",
    down: bool = False,
    transformations: Sequence[Json] = (),
) -> Any:
    """Return a table of rows.

    Args:
        frame: title and so on.
        queries: each gives rows.
        columns: in their order; what else the queries give is left out.
        join: the field by which the rows of several queries are put together; the times are those
            of the first, as ``seen``.
        sort: the field that it is sorted by.
        down: the greatest first.
        transformations: Grafana's own, before the columns are named.
    """
    steps: list[Json] = list(transformations)
    if join:
        steps += [_seen(letter(0)), *(_timeless(letter(n)) for n in range(1, len(queries)))]
        steps.append({"id": "joinByField", "options": {"byField": join, "mode": "outer"}})
    kept = "|".join(f"^{_literally(c.field)}$" for c in columns)
    steps += [
        {"id": "filterFieldsByName", "options": {"include": {"pattern": kept}}},
        {
            "id": "organize",
            "options": {
                "indexByName": {c.field: n for n, c in enumerate(columns)},
                "renameByName": {c.field: c.name for c in columns},
                "excludeByName": {},
                "includeByName": {},
            },
        },
    ]
    names = {c.field: c.name for c in columns}
    return core.Table(
        **frame.common(),
        targets=[target(n, query, "", rows=True) for n, query in enumerate(queries)],
        colorMode="fixed",
        sortBy=[core.TableSortByField(displayName=names[sort], desc=down)] if sort else [],
        transformations=steps,
        extraJson={
            "fieldConfig": {
                "defaults": {
                    "color": {"mode": "fixed", "fixedColor": PV},
                    "custom": {"cellOptions": {"type": "auto"}, "align": "left", "minWidth": 70},
                    "noValue": frame.empty,
                },
                "overrides": [_column(c, c.name, cell=True) for c in columns],
            },
        },
    )


def newest(frame: Frame, rows: Sequence[tuple[str, str]], columns: tuple[str, str, str]) -> Any:
    """Return the newest value of each row and how long ago it was.

    Args:
        frame: title and so on.
        rows: query (one point) and name, with its unit, of each.
        columns: what to call name, value and age.
    """
    name, value, age = columns
    return core.Table(
        **frame.common(),
        targets=[target(n, query, text) for n, (query, text) in enumerate(rows)],
        colorMode="fixed",
        # the transformation puts the newest first, so rows would change places all the time
        sortBy=[core.TableSortByField(displayName=name, desc=False)],
        transformations=[
            {"id": "seriesToRows", "options": {}},
            {
                "id": "organize",
                "options": {
                    "indexByName": {"Metric": 0, "Value": 1, "Time": 2},
                    "renameByName": {"Metric": name, "Value": value, "Time": age},
                    "excludeByName": {},
                    "includeByName": {},
                },
            },
        ],
        extraJson={
            "fieldConfig": {
                "defaults": {
                    "color": {"mode": "fixed", "fixedColor": PV},
                    "custom": {"cellOptions": {"type": "auto"}, "align": "left"},
                    "decimals": 2,
                    "noValue": frame.empty,
                },
                "overrides": [
                    {
                        "matcher": {"id": "byName", "options": age},
                        "properties": [{"id": "unit", "value": "dateTimeFromNow"}],
                    }
                ],
            },
        },
    )


def tiles(frame: Frame, queries: Sequence[str], columns: Sequence[Column]) -> Any:
    """Return a large number for each column of queries that give one row.

    One alone needs no name beside the panel's title.
    """
    return core.Stat(
        **frame.common(),
        targets=[target(n, query, "", rows=True) for n, query in enumerate(queries)],
        colorMode="value",
        graphMode="none",
        reduceCalc="lastNotNull",
        fields="",  # every number
        textMode="value_and_name" if len(columns) > 1 else "value",
        noValue=frame.empty,
        overrides=[_column(c, c.field) for c in columns],
        extraJson={
            "fieldConfig": {"defaults": {"color": {"mode": "fixed", "fixedColor": PV}}},
            "options": {"wideLayout": True, "showPercentChange": False},
        },
    )


def _literally(name: str) -> str:
    """Return a name as a regular expression of Grafana's."""
    return "".join(f"[{letter}]" if letter in ".*" else letter for letter in name)


def _seen(ref: str) -> Json:
    """Return the step that names the times of a query's rows, or a join gives them another name."""
    return {
        "id": "organize",
        "options": {
            "renameByName": {"Time": "seen"},
            "indexByName": {},
            "excludeByName": {},
            "includeByName": {},
        },
        "filter": {"id": "byRefId", "options": ref},
    }


def _timeless(ref: str) -> Json:
    """Return the step that takes the times off a query's rows; those of the first stay."""
    return {
        "id": "filterFieldsByName",
        "options": {"exclude": {"pattern": "^Time$"}},
        "filter": {"id": "byRefId", "options": ref},
    }


def _column(column: Column, matched: str, *, cell: bool = False) -> Json:
    put: list[tuple[str, object]] = []
    if not cell:
        put.append(("displayName", column.name))
    if column.unit:
        put.append(("unit", column.unit))
    if column.decimals is not None:
        put.append(("decimals", column.decimals))
    if mapped := mappings(column.states, column.missing, column.beyond):
        put.append(("mappings", mapped))
    if column.above is not None or column.below is not None:
        put.append(("thresholds", thresholds((column.below, column.above), PV)))
        put.append(("color", {"mode": "thresholds"}))
    if cell and (mapped or column.above is not None or column.below is not None):
        put.append(("custom.cellOptions", {"type": "color-text"}))
    if column.width:
        put.append(("custom.width", column.width))
    if column.link:
        put.append(("links", [{"title": column.name, "url": column.link, "targetBlank": False}]))
    return named(matched, put)
