"""The batches' board: chosen batches by their age, the golden band of others, and key figures."""

from typing import Any

from dashboards.grafana import board as boards
from dashboards.grafana import queries
from dashboards.grafana.cells import Column, table
from dashboards.grafana.lines import against
from dashboards.grafana.plain import Json
from dashboards.grafana.scope import Scope
from dashboards.grafana.style import ABNORMAL, GREYS

OVERLAID = ("do", "ph", "temperature", "our", "feed", "est.biomass", "est.product", "est.substrate")
BANDED = ("our", "est.biomass", "est.product")
KPIS = {
    "age": ("age", "max", "h"),
    "do_least": ("do", "min", "percent"),
    "our_peak": ("our", "max", "none"),
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
            boards.batches(scope, "batch", within, all_at_first=False),
            boards.batches(scope, "reference", within, all_at_first=True),
        ],
        start="now-30d",
        refresh="1m",
    )


def _kpis(scope: Scope) -> Any:
    asked = {key: (f'"{scope.field(field)}"', how) for key, (field, how, _) in KPIS.items()}
    columns = [Column("batch", scope.say("batch.one"))]
    columns += [Column(key, scope.say(f"kpi.{key}"), decimals=2) for key in KPIS]
    query = queries.whole(asked, queries.BATCHES, "batch")
    return table(boards.frame(scope, "kpi"), [query], columns, sort="batch", down=True)


def _overlay(scope: Scope, field: str) -> Any:
    return against(
        boards.frame(scope, "overlay", title=scope.named(field)),
        [queries.by_age(field)],
        x=("age", scope.say("age.h")),
        y=[],
        transformations=[
            {"id": "partitionByValues", "options": {"fields": ["batch"], "keepFields": False}},
            # without it, the time would be drawn too
            {"id": "filterFieldsByName", "options": {"include": {"pattern": "^(age|value.*)$"}}},
        ],
        unit=scope.unit(field),
    )


def _grouped(name: str) -> Json:
    """Return the step that makes one row of each age: least, mean and greatest."""
    reducers = ["min", "mean", "max"] if name == "reference" else ["mean"]
    return {
        "id": "groupBy",
        "options": {
            "fields": {
                "age": {"aggregations": [], "operation": "groupby"},
                "value": {"aggregations": reducers, "operation": "aggregate"},
            }
        },
        "filter": {"id": "byRefId", "options": "A" if name == "reference" else "B"},
    }


_JOINED: list[Json] = [
    _grouped("reference"),
    _grouped("batch"),
    {"id": "joinByField", "options": {"byField": "age", "mode": "outer"}},
    {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": "age", "desc": False}]}},
]


def _band(scope: Scope, field: str) -> Any:
    say = scope.say
    return against(
        boards.frame(scope, "band", title=f"{say('band')}: {scope.named(field)}"),
        [queries.by_age(field, queries.REFERENCES), queries.by_age(field)],
        x=("age", say("age.h")),
        y=[
            ("value (min)", say("low")),
            ("value (mean) 1", say("middle")),
            ("value (max)", say("high")),
            ("value (mean) 2", say("overlay")),
        ],
        transformations=_JOINED,
        unit=scope.unit(field),
        lines={
            "value (min)": GREYS[4],
            "value (max)": GREYS[4],
            "value (mean) 1": GREYS[1],
            "value (mean) 2": "text",
        },
    )


def _calculated(alias: str, left: str, operator: str, right: str) -> Json:
    return {
        "id": "calculateField",
        "options": {
            "alias": alias,
            "mode": "binary",
            "binary": {
                "left": {"matcher": {"id": "byName", "options": left}},
                "operator": operator,
                "right": {"matcher": {"id": "byName", "options": right}},
            },
            "replaceFields": False,
        },
    }


def _deviation(scope: Scope, field: str) -> Any:
    """Return ``(value - mean) / half the band's width`` against the age."""
    return against(
        boards.frame(scope, "deviation", title=f"{scope.say('deviation')}: {scope.name(field)}"),
        [queries.by_age(field, queries.REFERENCES), queries.by_age(field)],
        x=("age", scope.say("age.h")),
        y=[("score", scope.say("score"))],
        transformations=[
            *_JOINED,
            _calculated("away", "value (mean) 2", "-", "value (mean) 1"),
            _calculated("width", "value (max)", "-", "value (min)"),
            _calculated("half", "away", "/", "width"),
            _calculated("score", "half", "+", "half"),
        ],
        unit="none",
        lines={"score": ABNORMAL},
    )
