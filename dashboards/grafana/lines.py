"""Panels of lines and bars: against time, and against another quantity."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import attr

from dashboards.grafana.panels import Frame, core, letter, target
from dashboards.grafana.plain import Json
from dashboards.grafana.style import GREYS, PV, States, mappings, named, thresholds

# Two seconds would do for a scan of 1 s; five also carry a scan that is late or coarser.
# An estimate is stored once an update, at most a minute apart.
SCAN, ESTIMATE, PLANNED = "5s", "1m", "10m"
HOUR_MS = 3_600_000
SOFT = {"suffix:g/L": (0.0, 1.0)}  # what an axis of a unit shows at least


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
        points: marks without a line: what was measured now and then.
        sparse: has a point every few minutes, whatever the buckets: a gap is one of an hour.
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
    points: bool = False
    sparse: bool = False


@dataclass(frozen=True, slots=True)
class Drawn:
    """How one line against another quantity than time is drawn.

    Attributes:
        field: as the transformations call it.
        colour: a colour that is no alarm.
        name: as people call it; the field's own if empty.
        fills_to: name of the line down to which a band is filled.
        width: of the line, in pixels.
    """

    field: str
    colour: str
    name: str = ""
    fills_to: str = ""
    width: int = 1


def trend(
    frame: Frame,
    series: Sequence[Series],
    unit: str,
    *,
    every: str = SCAN,
    limits: tuple[float | None, float | None] = (None, None),
    bars: bool = False,
    ahead: str = "",
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
        ahead: shows this much time to come, ``12h``, in place of the chosen time.
    """
    overrides = [_style(n, s, limits) for n, s in enumerate(series)]
    return core.TimeSeries(
        **frame.common(),
        interval=every,
        timeFrom=f"+{ahead}" if ahead else None,
        targets=[target(n, s.query, s.name) for n, s in enumerate(series)],
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
            "fieldConfig": {
                "defaults": {
                    "color": {"fixedColor": PV},
                    "custom": _at_least(SOFT.get(unit)),
                    "noValue": frame.empty,
                }
            },
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
        targets=[target(n, query, name) for n, (query, name) in enumerate(rows)],
        colorMode="fixed",
        fillOpacity=70,
        lineWidth=1,  # parts neighbours of one colour
        mappings=mappings(states),
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


def against(
    frame: Frame,
    queries: Sequence[str],
    *,
    x: tuple[str, str],
    transformations: Sequence[Json],
    unit: str,
    drawn: Sequence[Drawn] = (),
    styles: Sequence[Json] = (),
    bridged: float = 0.0,
    soft: tuple[float, float] | None = None,
    last: bool = False,
) -> Any:
    """Return values against another quantity than time.

    Args:
        frame: title and so on.
        queries: each gives rows.
        x: field and name of the abscissa: the first number of what is drawn, and rising.
        transformations: Grafana's own, which make one frame: the abscissa and each line.
        unit: of the values.
        drawn: lines that are not like all others.
        styles: further overrides, of lines whose names are not known.
        bridged: a hole in a line up to this wide, in hours, is none.
        soft: what the axis shows at least.
        last: whether the legend tells the newest values.
    """
    overrides = [_named_x(*x), *styles]
    for line in drawn:
        put: list[tuple[str, object]] = [("color", {"mode": "fixed", "fixedColor": line.colour})]
        if line.name:
            put.append(("displayName", line.name))
        if line.fills_to:
            put += [("custom.fillBelowTo", line.fills_to), ("custom.fillOpacity", 20)]
        if line.width > 1:
            put.append(("custom.lineWidth", line.width))
        overrides.append(named(line.field, put))
    return Trend(
        **frame.common(),
        targets=[*(target(n, query, "", rows=True) for n, query in enumerate(queries)), _BARE],
        transformations=[*map(_but_bare, transformations), *_bared(x[0])],
        extraJson={
            "fieldConfig": {
                "defaults": {
                    "color": {"mode": "shades", "fixedColor": GREYS[3]},
                    "custom": {
                        "drawStyle": "line",
                        "lineWidth": 1,
                        "showPoints": "never",
                        "spanNulls": bridged or False,
                        **_at_least(soft or SOFT.get(unit)),
                    },
                    "unit": unit,
                    "noValue": frame.empty,
                },
                "overrides": overrides,
            },
            "options": {
                "legend": {
                    "calcs": ["lastNotNull"] if last else [],
                    "displayMode": "list",
                    "placement": "bottom",
                    "showLegend": True,
                },
                "tooltip": {"mode": "multi", "sort": "none"},
            },
        },
    )


def _at_least(soft: tuple[float | None, float | None] | None) -> Json:
    """Return what an axis shows at least, so that no noise fills a panel."""
    low, high = soft or (None, None)
    edges = {"axisSoftMin": low, "axisSoftMax": high}
    return {key: value for key, value in edges.items() if value is not None}


def _named_x(field: str, name: str) -> Json:
    return named(field, [("unit", "suffix:h"), ("displayName", name), ("custom.axisLabel", name)])


def renamed(names: dict[str, str]) -> Json:
    """Return the step that renames columns."""
    options = {"renameByName": names, "indexByName": {}, "excludeByName": {}, "includeByName": {}}
    return {"id": "organize", "options": options}


def numeric(field: str) -> Json:
    """Return the step that makes a column one of numbers, empty where there was none."""
    conversion = {"targetField": field, "destinationType": "number"}
    return {"id": "convertFieldType", "options": {"conversions": [conversion], "fields": {}}}


# Where nothing answers there is no frame, and a trend without one shows Grafana's own error instead
# of our message. So one more query, which every InfluxDB answers, makes a frame of the abscissa
# alone, without rows: to a trend that is no error, and it shows its "noValue" (Grafana 10 to 13).
_BARE = attr.evolve(target(0, "SHOW DATABASES", "", rows=True), refId="bare")
_NAMES = ("name", "iox::database")  # what InfluxDB 1 and 2, and 3, call the only column


def _but_bare(step: Json) -> Json:
    return {"filter": {"id": "byRefId", "options": f"/^(?!{_BARE.refId}$)/"}} | step


def _bared(x: str) -> list[Json]:
    """Return the steps that make it a frame of ``x`` without rows and put it to what is drawn."""
    every: list[Json] = [
        {"fieldName": n, "config": {"id": "isNotNull", "options": {}}} for n in _NAMES
    ]
    return [
        {
            "id": "filterByValue",
            "options": {"filters": every, "type": "exclude", "match": "any"},
            "filter": {"id": "byRefId", "options": _BARE.refId},
        },
        renamed(dict.fromkeys(_NAMES, x)),
        numeric(x),
        {"id": "joinByField", "options": {"byField": x, "mode": "outer"}},
    ]


@attr.s
class Trend(core.Panel):
    """Grafana's trend against a number, which grafanalib does not know."""

    def to_json_data(self) -> Json:
        """Return the panel as JSON."""
        return cast(Json, self.panel_json({"type": "trend"}))  # pyright: ignore[reportUnknownMemberType] untyped


def _style(n: int, series: Series, limits: tuple[float | None, float | None]) -> Json:
    properties: list[Json] = []

    def put(key: str, value: object) -> None:
        properties.append({"id": key, "value": value})

    if n == 0 and limits != (None, None):
        # the legend; the newest bucket is often still empty, and nothing is below every limit
        put("color", {"mode": "thresholds", "seriesBy": "min" if limits[0] is None else "max"})
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
    else:  # the same for all lines of an axis, or Grafana gives them one each
        for edge, value in _at_least(limits).items():
            put(f"custom.{edge}", value)
    if series.points:
        put("custom.drawStyle", "points")
        put("custom.pointSize", 8)
    if series.sparse:
        put("custom.insertNulls", HOUR_MS)
    if series.fills_to:
        put("custom.fillBelowTo", series.fills_to)
        put("custom.fillOpacity", 20)
    if series.hidden:
        put("custom.lineWidth", 0)
        put("custom.showPoints", "never")
        put("custom.hideFrom", {"legend": True, "tooltip": False, "viz": False})
    return {"matcher": {"id": "byFrameRefID", "options": letter(n)}, "properties": properties}
