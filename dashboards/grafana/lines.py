"""Panels of lines and bars: against time, and against another quantity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import attr

from dashboards.grafana.panels import Frame, core, letter, target
from dashboards.grafana.plain import Json
from dashboards.grafana.style import GREYS, PV, States, mappings, named, thresholds

# Two seconds would do for a scan of 1 s; five also carry a scan that is late or coarser.
# An estimate is stored once an update, at most a minute apart.
SCAN, ESTIMATE = "5s", "1m"


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
        targets=[target(n, query, name) for n, (query, name) in enumerate(rows)],
        colorMode="fixed",
        fillOpacity=70,
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
    overrides: list[Json] = [named(x[0], [("unit", "suffix: h"), ("displayName", x[1])])]
    for one, colour in lines.items():
        overrides.append(named(one, [("color", {"mode": "fixed", "fixedColor": colour})]))
    return XyChart(
        **frame.common(),
        targets=[target(n, query, "", rows=True) for n, query in enumerate(queries)],
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
    return {"matcher": {"id": "byFrameRefID", "options": letter(n)}, "properties": properties}
