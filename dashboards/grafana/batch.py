"""The batches' board: batches by their age, one of them in focus, the golden band, key figures.

What a golden band and a deviation are is ``historian.golden``'s; here Grafana's transformations
compute them.
"""

from typing import Any

from dashboards.grafana import board as boards
from dashboards.grafana import queries
from dashboards.grafana.cells import Column, table
from dashboards.grafana.lines import Drawn, against, numeric, renamed
from dashboards.grafana.plain import Json
from dashboards.grafana.scope import Scope
from dashboards.grafana.style import GREYS, PV, matched
from historian.golden import LEAST, NARROWEST

OVERLAID = ("do", "ph", "temperature", "our", "feed", "est.biomass", "est.product", "est.substrate")
# dashes tell the vessels apart, greys the days, by the last digit of the date in a batch's number
DASHES = ((), (10, 5), (2, 4), (12, 4, 2, 4))
DAYS = ("#6b7d91", "#a3927c", "#8f959c", "#7f8a7a", "#b4bac1")
BRIDGED_H = 0.4  # two steps of the age: of buckets that a start or an end has cut
BANDED = ("our", "est.biomass", "est.product")
KPIS = {
    "age": ("age", "max", "h"),
    "do_least": ("do_min", "min", "percent"),  # of scans, not of the minutes' means
    "our_peak": ("our_max", "max", "none"),
    "biomass": ("est.biomass", "max", "none"),
    "product": ("est.product", "max", "none"),
    "acetate": ("est.acetate", "max", "none"),
    "volume": ("est.volume", "max", "none"),
}


def batch(scope: Scope) -> Json:
    """Return the board as plain classic JSON."""
    say = scope.say
    overlaid = [_overlay(scope, scope.field(name)) for name in OVERLAID]
    rows: list[boards.Row] = [
        (7, [_kpis(scope)]),
        say("overlay"),
        *((9, overlaid[n : n + 2]) for n in range(0, len(overlaid), 2)),
        say("band"),
    ]
    for name in BANDED:
        rows.append((9, [_band(scope, name), _deviation(scope, name)]))
    within = queries.SITE
    return boards.board(
        scope,
        "batch",
        rows,
        variables=[
            boards.site(scope),
            boards.batches(scope, "focus", within, many=False),
            boards.batches(scope, "batch", within, all_at_first=False),
            boards.batches(scope, "reference", within, all_at_first=True),
        ],
        start="now-30d",
        refresh="1m",
    )


def _kpis(scope: Scope) -> Any:
    asked = {key: (scope.field(field), how) for key, (field, how, _) in KPIS.items()}
    columns = [Column("batch", scope.say("batch.one"))]
    columns += [Column(key, scope.say(f"kpi.{key}"), decimals=2) for key in KPIS]
    query = queries.extremes(asked, queries.BATCHES, "batch")
    return table(boards.frame(scope, "kpi"), [query], columns, sort="batch", down=True)


def _overlay(scope: Scope, field: str) -> Any:
    """Return the chosen batches in greys and the one in focus, thick, before them."""
    steps: list[Json] = [
        _grouped("value", ["mean"], "age", "batch"),
        {
            "id": "groupingToMatrix",
            "options": {
                "columnField": "batch",
                "rowField": "age",
                "valueField": "value (mean)",
                "emptyValue": "null",
            },
            "filter": _OF_A,
        },
        # one name and one type, whatever the version makes of them
        renamed({"age\\batch": "age"}),
        numeric("age"),
        _JOINED_BY_AGE,
        {"id": "filterFieldsByName", "options": {"exclude": {"names": ["Time", "batch"]}}},
        _RISING,
    ]
    styles = [
        matched(f"/^{reactor}-/", [("custom.lineStyle", {"fill": "dash", "dash": list(dash)})])
        for n, reactor in enumerate(scope.reactors)
        if (dash := DASHES[n % len(DASHES)])
    ]
    styles += [
        matched(
            f"/-\\d{{7}}[{n}{n + 5}]-\\d+$/", [("color", {"mode": "fixed", "fixedColor": grey})]
        )
        for n, grey in enumerate(DAYS)
    ]
    return against(
        boards.frame(scope, "overlay", title=scope.named(field)),
        [queries.by_age(field), queries.by_age(field, queries.FOCUS, "focus")],
        x=("age", scope.say("age.h")),
        transformations=steps,
        unit=scope.unit(field),
        drawn=[Drawn(FOCUS, PV, "$focus", width=3)],
        styles=styles,
        bridged=BRIDGED_H,
        last=True,
    )


def _grouped(value: str, reducers: list[str], *groups: str) -> Json:
    """Return the step that makes one row of each group of the first query."""
    fields: Json = {group: {"aggregations": [], "operation": "groupby"} for group in groups}
    fields[value] = {"aggregations": reducers, "operation": "aggregate"}
    return {"id": "groupBy", "options": {"fields": fields}, "filter": _OF_A}


def _calculated(alias: str, left: str, operator: str, right: str) -> Json:
    binary = {"left": left, "operator": operator, "right": right}
    options = {"alias": alias, "mode": "binary", "binary": binary, "replaceFields": False}
    return {"id": "calculateField", "options": options}


def _reduced(alias: str, reducer: str, *columns: str) -> Json:
    """Return the step that makes one number of some columns of each row."""
    reduce = {"reducer": reducer, "include": list(columns)}
    options = {"alias": alias, "mode": "reduceRow", "reduce": reduce, "replaceFields": False}
    return {"id": "calculateField", "options": options}


def _where(*conditions: tuple[str, str, Json]) -> Json:
    """Return the step that keeps the rows of which every (column, matcher, its options) holds."""
    filters: list[Json] = [
        {"fieldName": column, "config": {"id": matcher, "options": options}}
        for column, matcher, options in conditions
    ]
    options = {"filters": filters, "type": "include", "match": "all"}
    return {"id": "filterByValue", "options": options}


def _only(*columns: str) -> Json:
    pattern = "^(" + "|".join(columns) + ")$"
    return {"id": "filterFieldsByName", "options": {"include": {"pattern": pattern}}}


FOCUS = "focus"
LOW, HIGH, MIDDLE = "low", "high", "middle"
# Grafana 10 forgets in the first step whose answer a frame was, later ones do not.
_OF_A: Json = {"id": "byRefId", "options": "/^A?$/"}
_JOINED_BY_AGE: Json = {"id": "joinByField", "options": {"byField": "age", "mode": "outer"}}
_RISING: Json = {
    "id": "sortBy",
    "options": {"fields": {}, "sort": [{"field": "age", "desc": False}]},
}
_ENOUGH = _where(("reference (count)", "greaterOrEqual", {"value": LEAST})) | {"filter": _OF_A}


def _references(*more: str) -> list[Json]:
    """Return the steps that make range and middle of the references at each age.

    The middle is the median, of Grafana 11.5 and later; before it is the mean. They get names that
    no version adds anything to when it joins frames.
    """
    names = {"min": LOW, "median": "median", "mean": "mean", "max": HIGH, "count": "count"}
    return [
        _grouped("reference", list(names), "age", *more),
        _ENOUGH,
        renamed({f"reference ({reducer})": name for reducer, name in names.items()}),
    ]


_MIDDLE = _reduced(MIDDLE, "firstNotNull", "median", "mean")


def _band(scope: Scope, field: str) -> Any:
    say = scope.say
    return against(
        boards.frame(scope, "band", title=say("band.of").format(scope.named(field))),
        [
            queries.by_age(field, queries.REFERENCES, "reference"),
            queries.by_age(field, queries.FOCUS, "focus"),
        ],
        x=("age", say("age.h")),
        transformations=[
            *_references(),
            _JOINED_BY_AGE,
            _MIDDLE,
            _only("age", LOW, HIGH, MIDDLE, FOCUS),
            _RISING,
        ],
        unit=scope.unit(field),
        drawn=[
            Drawn(HIGH, GREYS[4], say("high"), fills_to=say("low")),
            Drawn(LOW, GREYS[4], say("low")),
            Drawn(MIDDLE, GREYS[1], say("middle")),
            Drawn(FOCUS, PV, "$focus", width=3),
        ],
        bridged=BRIDGED_H,
    )


def _deviation(scope: Scope, field: str) -> Any:
    """Return ``(value - middle) / half the range`` against the age.

    The range is never less than a hundredth, either way, of the references' greatest value, which
    is one row of its own: by a column of noughts it is joined to all the others.
    """
    greatest = (
        f'SELECT max("{field}") * {2 * NARROWEST:g} AS "narrowest", max("{field}") * 0 AS "all" '
        f'FROM "{queries.MINUTES}" WHERE {queries.REFERENCES} AND $timeFilter'
    )
    joined: Json = {
        "id": "joinByField",
        "options": {"byField": "all", "mode": "outerTabular"},  # Grafana 10 has no other 1:n join
        "filter": {"id": "byRefId", "options": "/^[AC]?$/"},
    }
    return against(
        boards.frame(scope, "deviation", title=scope.say("deviation.of").format(scope.name(field))),
        [
            queries.by_age(field, queries.REFERENCES, "reference", nought="all"),
            queries.by_age(field, queries.FOCUS, "focus"),
            greatest,
        ],
        x=("age", scope.say("age.h")),
        transformations=[
            *_references("all"),
            joined,
            _JOINED_BY_AGE,
            _where((LOW, "isNotNull", {}), (FOCUS, "isNotNull", {})),
            _MIDDLE,
            _calculated("range", HIGH, "-", LOW),
            _reduced("width", "max", "range", "narrowest"),
            _calculated("away", FOCUS, "-", MIDDLE),
            _calculated("half", "away", "/", "width"),
            _calculated("score", "half", "+", "half"),
            _only("age", "score"),
            _RISING,
        ],
        unit="none",
        drawn=[Drawn("score", PV, scope.say("score"))],
        bridged=BRIDGED_H,
        soft=(-1.5, 1.5),
    )
