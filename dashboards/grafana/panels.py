"""The panels of a board in our words; with ``board.py`` the only files that import grafanalib."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import attr
import grafanalib.core as _core  # pyright: ignore[reportMissingTypeStubs]
import grafanalib.influxdb as _influxdb  # pyright: ignore[reportMissingTypeStubs]

from dashboards.grafana.plain import Json

# It has no types; what leaves this package is plain JSON.
core, influxdb = cast(Any, _core), cast(Any, _influxdb)

DATASOURCE = {"type": "influxdb", "uid": "fermloop-influxdb"}
# Two seconds would do for a scan of 1 s; five also carry a scan that is late or coarser.
# An estimate is stored once an update, at most a minute apart.
SCAN, ESTIMATE = "5s", "1m"

# Grey unless something is abnormal (ISA-101). ``text`` follows the light and the dark theme.
PV, SP, OP = "text", "#8f959c", "#a3927c"
GREYS = ("text", "#8f959c", "#a3927c", "#6f8297", "#a7adb5", "#7f8a7a", "#b5a7a0", "#6b7078")
ABNORMAL, DOUBTFUL = "#c4162a", "#e0a30c"

States = Mapping[int, tuple[str, str]]  # name and colour of each number


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a trend.

    Attributes:
        query: InfluxQL.
        name: what the legend calls it.
        colour: a colour that is no alarm; empty: a grey of its own for each line that it yields.
        dashed: a setpoint.
        dotted: foreseen.
        unit: on an axis of its own at the right; ``""`` for the panel's.
        steps: holds its value until the next one: a mode, a setpoint.
        fills_to: name of the series down to which a band is filled.
        hidden: drawn only as the edge of a band, without a line or a legend.
    """

    query: str
    name: str
    colour: str = PV
    dashed: bool = False
    dotted: bool = False
    unit: str = ""
    steps: bool = False
    fills_to: str = ""
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, or one tile of a row of tiles.

    Attributes:
        field: as the query calls it.
        name: as people do.
        unit: Grafana's.
        states: names and colours of its numbers.
        missing: what stands where there is no value; coloured.
        above: value from which on it is abnormal.
        below: value under which it is abnormal.
        decimals: digits; as many as Grafana thinks if ``None``.
        width: pixels; as much as is left if 0.
        link: where a click leads.
    """

    field: str
    name: str
    unit: str = ""
    states: States = dataclasses.field(default_factory=dict[int, tuple[str, str]])
    missing: str = ""
    above: float | None = None
    below: float | None = None
    decimals: int | None = None
    width: int = 0
    link: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """What every panel has.

    Attributes:
        title: heading.
        empty: what stands there while there is nothing to show.
        about: what the reader cannot see.
        link: from the panel's title.
    """

    title: str
    empty: str
    about: str = ""
    link: Json | None = None

    def common(self) -> dict[str, Any]:
        """Return grafanalib's arguments."""
        return {
            "title": self.title,
            "description": self.about or None,
            "dataSource": DATASOURCE,
            "maxDataPoints": None,
            "links": [self.link] if self.link else [],
        }


def trend(
    frame: Frame,
    series: Sequence[Series],
    unit: str,
    *,
    every: str = SCAN,
    limits: tuple[float | None, float | None] = (None, None),
    bars: bool = False,
) -> Any:
    """Return lines against time, gaps left open.

    Args:
        frame: title and so on.
        series: the lines; their letters A, B, C … name them in overrides, whatever the language.
        unit: Grafana's id, or ``suffix: …``.
        every: least width of a bucket; at least the time between two samples, or gaps appear
            that are none.
        limits: least and greatest value of the first series that is normal.
        bars: upright bars in place of lines.
    """
    overrides = [_style(n, s, limits if n == 0 else (None, None)) for n, s in enumerate(series)]
    return core.TimeSeries(
        **frame.common(),
        interval=every,
        targets=[_target(n, s.query, s.name) for n, s in enumerate(series)],
        unit=unit,
        colorMode="fixed",
        lineWidth=1,
        drawStyle="bars" if bars else "line",
        fillOpacity=60 if bars else 0,
        spanNulls=False,
        showPoints="auto",
        pointSize=3,
        legendPlacement="bottom",
        legendCalcs=["lastNotNull"],
        tooltipMode="multi",
        overrides=overrides,
        extraJson={
            "fieldConfig": {"defaults": {"color": {"fixedColor": PV}, "noValue": frame.empty}},
            "options": {"legend": {"showLegend": True}},
        },
    )


def timeline(
    frame: Frame,
    rows: Sequence[tuple[str, str]],
    states: States,
    *,
    every: str = SCAN,
) -> Any:
    """Return bars of named states against time; no bar where nothing is known.

    Args:
        frame: title and so on.
        rows: query and name of each.
        states: name and colour of each number.
        every: least width of a bucket.
    """
    return core.StateTimeline(
        **frame.common(),
        interval=every,
        targets=[_target(n, query, name) for n, (query, name) in enumerate(rows)],
        colorMode="fixed",
        fillOpacity=70,
        mappings=_mappings(states),
        showValue="auto",
        extraJson={
            "fieldConfig": {
                "defaults": {"color": {"fixedColor": GREYS[1]}, "noValue": frame.empty}
            },
            "options": {
                "legend": {"showLegend": False, "calcs": []},
                "tooltip": {"sort": "none"},
            },
        },
    )


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
        steps += [_seen(_letter(0)), *(_timeless(_letter(n)) for n in range(1, len(queries)))]
        steps.append({"id": "joinByField", "options": {"byField": join, "mode": "outer"}})
    kept = "|".join(f"^{c.field.replace('.', '[.]')}$" for c in columns)
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
        targets=[_target(n, query, "", rows=True) for n, query in enumerate(queries)],
        colorMode="fixed",
        sortBy=[core.TableSortByField(displayName=names[sort], desc=down)] if sort else [],
        transformations=steps,
        extraJson={
            "fieldConfig": {
                "defaults": {
                    "color": {"mode": "fixed", "fixedColor": PV},
                    "custom": {"cellOptions": {"type": "auto"}},
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
        targets=[_target(n, query, text) for n, (query, text) in enumerate(rows)],
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
                    "custom": {"cellOptions": {"type": "auto"}},
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
    """Return a large number for each column of queries that give one row."""
    return core.Stat(
        **frame.common(),
        targets=[_target(n, query, "", rows=True) for n, query in enumerate(queries)],
        colorMode="value",
        graphMode="none",
        reduceCalc="lastNotNull",
        fields="",  # every number
        textMode="value_and_name",
        noValue=frame.empty,
        overrides=[_column(c, c.field) for c in columns],
        extraJson={
            "fieldConfig": {"defaults": {"color": {"mode": "fixed", "fixedColor": PV}}},
            "options": {"wideLayout": True, "showPercentChange": False},
        },
    )


def against(
    frame: Frame,
    queries: Sequence[str],
    *,
    x: tuple[str, str],
    y: Sequence[tuple[str, str]],
    transformations: Sequence[Json],
    unit: str,
    lines: Mapping[str, str] = {},
) -> Any:
    """Return values against another quantity than time.

    Args:
        frame: title and so on.
        queries: each gives rows.
        x: field and name of the abscissa.
        y: fields to draw and their names; none: every other number of each frame.
        transformations: Grafana's own, which make a frame for each line.
        unit: of the values.
        lines: colour by field.
    """
    series = [
        {
            "x": {"matcher": {"id": "byName", "options": x[0]}},
            "y": {"matcher": {"id": "byName", "options": one}},
            "name": {"fixed": name},
        }
        for one, name in y
    ]
    overrides: list[Json] = [_named(x[0], [("unit", "suffix: h"), ("displayName", x[1])])]
    for one, colour in lines.items():
        overrides.append(_named(one, [("color", {"mode": "fixed", "fixedColor": colour})]))
    return XyChart(
        **frame.common(),
        targets=[_target(n, query, "", rows=True) for n, query in enumerate(queries)],
        transformations=list(transformations),
        extraJson={
            "fieldConfig": {
                "defaults": {
                    "color": {"mode": "shades", "fixedColor": GREYS[3]},
                    "custom": {
                        "show": "lines",
                        "lineWidth": 1,
                        "pointSize": {"fixed": 3},
                        "axisPlacement": "auto",
                    },
                    "unit": unit,
                    "noValue": frame.empty,
                },
                "overrides": overrides,
            },
            "options": {
                "mapping": "manual" if series else "auto",
                "series": series,
                "legend": {
                    "calcs": [],
                    "displayMode": "list",
                    "placement": "bottom",
                    "showLegend": True,
                },
                "tooltip": {"mode": "single", "sort": "none"},
            },
        },
    )


@attr.s
class XyChart(core.Panel):
    """Grafana's XY chart, which grafanalib does not know."""

    def to_json_data(self) -> Json:
        """Return the panel as JSON."""
        return cast(Json, self.panel_json({"type": "xychart"}))  # pyright: ignore[reportUnknownMemberType] untyped


def link(title: str, url: str, *, keep: bool = False, kiosk: bool = False) -> Json:
    """Return a link of a board or a panel; ``keep`` passes on time and variables."""
    made = cast(Json, core.ExternalLink(uri=url, title=title, keepTime=keep).to_json_data())
    return made | {
        "includeVars": keep,
        "targetBlank": not keep,
        "asDropdown": False,
        "icon": "eye" if kiosk else "dashboard" if keep else "external link",
        "tags": [],
        "tooltip": "",
    }


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


def _letter(n: int) -> str:
    return chr(ord("A") + n) if n < 26 else f"Z{n}"


def _target(n: int, query: str, name: str, *, rows: bool = False) -> Any:
    return influxdb.InfluxDBTarget(
        query=query,
        alias=name,
        datasource=DATASOURCE,
        refId=_letter(n),
        format="table" if rows else "time_series",
    )


def _mappings(states: States, missing: str = "") -> list[Json]:
    made: list[Json] = []
    if states:
        options = {
            str(value): {"text": text, "color": colour, "index": n}
            for n, (value, (text, colour)) in enumerate(sorted(states.items()))
        }
        made.append({"type": "value", "options": options})
    if missing:
        result = {"text": missing, "color": DOUBTFUL, "index": len(states)}
        made.append({"type": "special", "options": {"match": "null+nan", "result": result}})
    return made


def _column(column: Column, matched: str, *, cell: bool = False) -> Json:
    put: list[tuple[str, object]] = []
    if not cell:
        put.append(("displayName", column.name))
    if column.unit:
        put.append(("unit", column.unit))
    if column.decimals is not None:
        put.append(("decimals", column.decimals))
    if mapped := _mappings(column.states, column.missing):
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
    return _named(matched, put)


def _named(name: str, put: Iterable[tuple[str, object]]) -> Json:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in put],
    }


def _style(n: int, series: Series, limits: tuple[float | None, float | None]) -> Json:
    properties: list[Json] = []

    def put(key: str, value: object) -> None:
        properties.append({"id": key, "value": value})

    if limits != (None, None):
        put("color", {"mode": "thresholds", "seriesBy": "last"})  # the legend as the newest value
        put("custom.gradientMode", "scheme")
        put("thresholds", thresholds(limits, series.colour))
    elif series.colour:
        put("color", {"mode": "fixed", "fixedColor": series.colour})
    else:
        put("color", {"mode": "shades", "fixedColor": GREYS[3]})
    if series.dashed or series.dotted:
        pattern = [8, 6] if series.dashed else [2, 5]
        put("custom.lineStyle", {"fill": "dash" if series.dashed else "dot", "dash": pattern})
    if series.steps:
        put("custom.lineInterpolation", "stepAfter")
    if series.unit:
        put("unit", series.unit)
        put("custom.axisPlacement", "right")
    if series.fills_to:
        put("custom.fillBelowTo", series.fills_to)
        put("custom.fillOpacity", 20)
    if series.hidden:
        put("custom.lineWidth", 0)
        put("custom.showPoints", "never")
        put("custom.hideFrom", {"legend": True, "tooltip": False, "viz": False})
    return {"matcher": {"id": "byFrameRefID", "options": _letter(n)}, "properties": properties}


def thresholds(limits: tuple[float | None, float | None], colour: str) -> Json:
    """Return Grafana's thresholds: abnormal below and above two limits, ``colour`` between."""
    low, high = limits
    # the first step has no end: null, the only one in our JSON; a number far below would spoil
    # the gradient by which Grafana colours a line
    steps: list[Json] = [{"color": colour if low is None else ABNORMAL, "value": None}]
    if low is not None:
        steps.append({"color": colour, "value": low})
    if high is not None:
        steps.append({"color": ABNORMAL, "value": high})
    return {"mode": "absolute", "steps": steps}
