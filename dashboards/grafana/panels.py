"""The panels of a board in our words; the one file that imports grafanalib."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import grafanalib._gen as _gen  # pyright: ignore[reportMissingTypeStubs]
import grafanalib.core as _core  # pyright: ignore[reportMissingTypeStubs]
import grafanalib.influxdb as _influxdb  # pyright: ignore[reportMissingTypeStubs]

from dashboards.grafana.plain import Json, plain

# It has no types; what leaves this file is plain JSON.
core, influxdb = cast(Any, _core), cast(Any, _influxdb)

DATASOURCE = {"type": "influxdb", "uid": "fermloop-influxdb"}
SCHEMA = 41

# Grey unless something is abnormal (ISA-101). ``text`` follows the light and the dark theme.
PV, SP, OP = "text", "#8f959c", "#a3927c"
GREYS = ("text", "#8f959c", "#a3927c", "#6f8297")
ABNORMAL, DOUBTFUL = "#c4162a", "#e0a30c"


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a trend.

    Attributes:
        query: InfluxQL.
        name: what the legend calls it.
        colour: a colour that is no alarm.
        dashed: a setpoint.
        unit: on an axis of its own at the right; ``""`` for the panel's.
        steps: holds its value until the next one: a mode, a setpoint.
        fills_to: name of the series down to which a band is filled.
        hidden: drawn only as the edge of a band, without a line or a legend.
    """

    query: str
    name: str
    colour: str = PV
    dashed: bool = False
    unit: str = ""
    steps: bool = False
    fills_to: str = ""
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """A value beyond which a trend is abnormal and takes colour."""

    value: float
    above: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel stands on the grid of 24 columns."""

    x: int
    y: int
    w: int
    h: int


def trend(
    title: str,
    place: Place,
    series: Sequence[Series],
    unit: str,
    *,
    every: str,
    description: str = "",
    limit: Limit | None = None,
    link: Json | None = None,
) -> Any:
    """Return lines against time, gaps left open.

    Args:
        title: heading.
        place: on the grid.
        series: the lines; their letters A, B, C … name them in overrides, whatever the language.
        unit: Grafana's id, or ``suffix: …``.
        every: least width of a bucket; at least the time between two samples, or gaps appear
            that are none.
        description: what the reader cannot see.
        limit: where the first series becomes abnormal.
        link: from the panel's title.
    """
    return core.TimeSeries(
        title=title,
        description=description or None,
        dataSource=DATASOURCE,
        gridPos=_grid(place),
        interval=every,
        maxDataPoints=None,
        targets=[_target(n, s.query, s.name) for n, s in enumerate(series)],
        unit=unit,
        colorMode="fixed",
        lineWidth=1,
        spanNulls=False,
        showPoints="auto",
        pointSize=3,
        legendPlacement="bottom",
        legendCalcs=["lastNotNull"],
        tooltipMode="multi",
        overrides=[_style(n, s, limit if n == 0 else None) for n, s in enumerate(series)],
        links=[link] if link else [],
        extraJson={
            "fieldConfig": {"defaults": {"color": {"fixedColor": PV}}},
            "options": {"legend": {"showLegend": True}},
        },
    )


def timeline(
    title: str,
    place: Place,
    rows: Sequence[tuple[str, str]],
    states: Mapping[int, tuple[str, str]],
    *,
    every: str,
    description: str = "",
) -> Any:
    """Return bars of named states against time; no bar where nothing is known.

    Args:
        title: heading.
        place: on the grid.
        rows: query and name of each.
        states: name and colour of each number.
        every: least width of a bucket.
        description: what the reader cannot see.
    """
    options = {
        str(value): {"text": text, "color": colour, "index": n}
        for n, (value, (text, colour)) in enumerate(sorted(states.items()))
    }
    return core.StateTimeline(
        title=title,
        description=description or None,
        dataSource=DATASOURCE,
        gridPos=_grid(place),
        interval=every,
        maxDataPoints=None,
        targets=[_target(n, query, name) for n, (query, name) in enumerate(rows)],
        colorMode="fixed",
        fillOpacity=70,
        mappings=[{"type": "value", "options": options}] if options else [],
        showValue="auto",
        extraJson={
            "fieldConfig": {"defaults": {"color": {"fixedColor": GREYS[1]}}},
            "options": {
                "legend": {"showLegend": False, "calcs": []},
                "tooltip": {"sort": "none"},
            },
        },
    )


def table(
    title: str,
    place: Place,
    rows: Sequence[tuple[str, str]],
    columns: tuple[str, str, str],
    *,
    description: str = "",
) -> Any:
    """Return the newest value of each row and how long ago it was.

    Args:
        title: heading.
        place: on the grid.
        rows: query (one point) and name, with its unit, of each.
        columns: what to call name, value and age.
        description: what the reader cannot see.
    """
    name, value, age = columns
    return core.Table(
        title=title,
        description=description or None,
        dataSource=DATASOURCE,
        gridPos=_grid(place),
        maxDataPoints=None,
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


def heading(title: str, y: int) -> Any:
    """Return a line with a title across the board."""
    return core.RowPanel(title=title, gridPos=_grid(Place(0, y, 24, 1)), maxDataPoints=None)


def variable(name: str, label: str, query: str) -> Any:
    """Return a choice among the values that a query finds."""
    return core.Template(
        name=name, label=label, query=query, dataSource=DATASOURCE, refresh=2, sort=1, default=None
    )


def address(name: str, label: str, default: str) -> Any:
    """Return a text that a reader may change, such as an address."""
    return core.Template(name=name, label=label, query=default, type="textbox", default=default)


def link(title: str, url: str, *, keep: bool = False) -> Json:
    """Return a link of a board or a panel; ``keep`` passes on time and variables."""
    made = cast(Json, core.ExternalLink(uri=url, title=title, keepTime=keep).to_json_data())
    return made | {
        "includeVars": keep,
        "targetBlank": not keep,
        "asDropdown": False,
        "icon": "dashboard" if keep else "external link",
        "tags": [],
        "tooltip": "",
    }


def annotation(name: str, query: str, text: str, tags: str) -> Json:
    """Return marks on every trend, where ``query`` has a row.

    Args:
        name: as the board's switch shows it.
        query: what asks for them.
        text: the column that is shown.
        tags: the column of their tags.
    """
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": ABNORMAL,
        "query": query,
        "fromAnnotations": True,
        "textColumn": text,
        "tagsColumn": tags,
    }


def board(
    *,
    title: str,
    uid: str,
    description: str,
    tags: Sequence[str],
    variables: Sequence[Any],
    links: Sequence[Json],
    panels: Sequence[Any],
    annotations: Sequence[Json] = (),
) -> Json:
    """Return a whole board as plain classic JSON."""
    made = core.Dashboard(
        title=title,
        uid=uid,
        description=description,
        tags=list(tags),
        editable=False,
        graphTooltip=1,  # one crosshair on all panels
        annotations=core.Annotations(list(annotations)),
        links=list(links),
        panels=list(panels),
        refresh="5s",
        schemaVersion=SCHEMA,
        templating=core.Templating(list(variables)),
        time=core.Time("now-24h", "now"),
        timePicker=core.TimePicker(["1s", "5s", "10s", "30s", "1m", "5m"], []),
        timezone="browser",
    ).auto_panel_ids()
    return plain(json.loads(json.dumps(made.to_json_data(), cls=_gen.DashboardEncoder)))


def _grid(place: Place) -> Any:
    return core.GridPos(h=place.h, w=place.w, x=place.x, y=place.y)


def _letter(n: int) -> str:
    return chr(ord("A") + n)


def _target(n: int, query: str, name: str) -> Any:
    return influxdb.InfluxDBTarget(query=query, alias=name, datasource=DATASOURCE, refId=_letter(n))


def _style(n: int, series: Series, limit: Limit | None) -> Json:
    properties: list[Json] = []

    def put(key: str, value: object) -> None:
        properties.append({"id": key, "value": value})

    if limit is None:
        put("color", {"mode": "fixed", "fixedColor": series.colour})
    else:
        put("color", {"mode": "thresholds"})
        put("custom.gradientMode", "scheme")
        put("thresholds", _thresholds(limit, series.colour))
    if series.dashed:
        put("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})
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


def _thresholds(limit: Limit, colour: str) -> Json:
    below, above = (colour, ABNORMAL) if limit.above else (ABNORMAL, colour)
    # Grafana takes the first step as the one without an end, whatever its value; null is not
    # in our JSON, so it stands far below every quantity here.
    steps = [{"color": below, "value": -1e9}, {"color": above, "value": limit.value}]
    return {"mode": "absolute", "steps": steps}
