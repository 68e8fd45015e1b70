"""The batches' board: chosen batches by their age, the golden band of others, and key figures."""

from typing import Any

from dashboards.grafana import board as boards
from dashboards.grafana import queries
from dashboards.grafana.cells import Column, table
from dashboards.grafana.lines import Drawn, against
from dashboards.grafana.plain import Json
from dashboards.grafana.scope import Scope
from dashboards.grafana.style import GREYS, PV

OVERLAID = ("do", "ph", "temperature", "our", "feed", "est.biomass", "est.product", "est.substrate")
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
    by_batch: list[Json] = [
        _grouped("value", ["mean"], "age", "batch"),
        {
            "id": "groupingToMatrix",
            "options": {
                "columnField": "batch",
                "rowField": "age",
                "valueField": "value (mean)",
                "emptyValue": "null",
            },
        },
    ]
    return against(
        boards.frame(scope, "overlay", title=scope.named(field)),
        [queries.by_age(field)],
        x=("age", scope.say("age.h")),
        transformations=[*by_batch, _RISING],
        unit=scope.unit(field),
        bridged=BRIDGED_H,
    )


def _grouped(value: str, reducers: list[str], *groups: str, only: str = "") -> Json:
    """Return the step that makes one row of each group, of the frame of one query if ``only``."""
    fields: Json = {group: {"aggregations": [], "operation": "groupby"} for group in groups}
    fields[value] = {"aggregations": reducers, "operation": "aggregate"}
    step: Json = {"id": "groupBy", "options": {"fields": fields}}
    return {**step, "filter": {"id": "byRefId", "options": only}} if only else step


_RISING: Json = {
    "id": "sortBy",
    "options": {"fields": {}, "sort": [{"field": "age", "desc": False}]},
}
# least, mean and greatest of the references beside the mean of the chosen batches, by age
_JOINED: list[Json] = [
    _grouped("reference", ["min", "mean", "max"], "age", only="A"),
    _grouped("value", ["mean"], "age", only="B"),
    {"id": "joinByField", "options": {"byField": "age", "mode": "outer"}},
    _RISING,
]
LOW, MIDDLE, HIGH, CHOSEN = "reference (min)", "reference (mean)", "reference (max)", "value (mean)"


def _both(field: str) -> list[str]:
    return [queries.by_age(field, queries.REFERENCES, "reference"), queries.by_age(field)]


def _band(scope: Scope, field: str) -> Any:
    say = scope.say
    return against(
        boards.frame(scope, "band", title=f"{say('band')}: {scope.named(field)}"),
        _both(field),
        x=("age", say("age.h")),
        transformations=_JOINED,
        unit=scope.unit(field),
        drawn=[
            Drawn(HIGH, GREYS[4], say("high"), fills_to=say("low")),
            Drawn(LOW, GREYS[4], say("low")),
            Drawn(MIDDLE, GREYS[1], say("middle")),
            Drawn(CHOSEN, PV, say("overlay")),
        ],
        bridged=BRIDGED_H,
    )


def _calculated(alias: str, left: str, operator: str, right: str) -> Json:
    return {
        "id": "calculateField",
        "options": {
            "alias": alias,
            "mode": "binary",
            "binary": {"left": left, "operator": operator, "right": right},
            "replaceFields": False,
        },
    }


def _deviation(scope: Scope, field: str) -> Any:
    """Return ``(value - mean) / half the band's width`` against the age."""
    return against(
        boards.frame(scope, "deviation", title=f"{scope.say('deviation')}: {scope.name(field)}"),
        _both(field),
        x=("age", scope.say("age.h")),
        transformations=[
            *_JOINED,
            _calculated("away", CHOSEN, "-", MIDDLE),
            _calculated("width", HIGH, "-", LOW),
            _calculated("half", "away", "/", "width"),
            _calculated("score", "half", "+", "half"),
            {"id": "filterFieldsByName", "options": {"include": {"pattern": "^(age|score)$"}}},
        ],
        unit="none",
        drawn=[Drawn("score", PV, scope.say("score"))],
        bridged=BRIDGED_H,
    )
