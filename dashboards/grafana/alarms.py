"""The alarms' board: what stands, what came first, how often, and what else happened."""

from dashboards.grafana import board as boards
from dashboards.grafana import parts, queries
from dashboards.grafana.cells import Column, table
from dashboards.grafana.lines import Series, timeline, trend
from dashboards.grafana.plain import Json
from dashboards.grafana.scope import Scope
from dashboards.grafana.style import GREYS

FLOOD = 10.0  # alarms in 10 min, ISA-18.2


def alarms(scope: Scope) -> Json:
    """Return the board as plain classic JSON."""
    say = scope.say
    states = parts.states(scope, "alarm", parts.ALARM_STATES)
    priorities = parts.words(scope, parts.PRIORITIES)
    standing = table(
        boards.frame(scope, "standing"),
        [queries.alarms_standing()],
        [
            Column("state", say("column.state"), states=states, width=190),
            Column("id", say("column.alarm")),
            Column("priority", say("column.priority"), states=priorities, width=90),
            Column("reactor", say("reactor"), width=90),
            Column("Time", say("column.since"), "dateTimeAsLocal", width=190),
        ],
        sort="state",
        down=True,
    )
    first = table(
        boards.frame(scope, "first"),
        [queries.alarms_begun(queries.SITE)],
        [
            Column("Time", say("column.time"), "dateTimeAsLocal", width=190),
            Column("id", say("column.alarm")),
            Column("priority", say("column.priority"), states=priorities, width=90),
        ],
    )
    rate = trend(
        boards.frame(scope, "rate"),
        [Series(queries.alarm_rate("10m"), say("column.count"), GREYS[1])],
        "none",
        every="10m",
        limits=(None, FLOOD),
        bars=True,
    )
    counted = {
        key: table(
            boards.frame(scope, title),
            [queries.alarms_counted(tag)],
            [
                Column(tag, say(key), states=priorities if tag == "priority" else {}),
                Column("n", say("column.count"), width=90),
            ],
            sort="n",
            down=True,
            transformations=[
                {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": "n", "desc": True}]}},
                {"id": "limit", "options": {"limitField": 10}},
            ],
        )
        for key, title, tag in (
            ("column.alarm", "top", "id"),
            ("column.priority", "priorities", "priority"),
        )
    }
    history = timeline(
        boards.frame(scope, "alarms"),
        [(queries.alarms(queries.SITE), "$tag_id")],
        states,
    )
    site = queries.SITE
    rows: list[boards.Row] = [
        (9, [standing, first]),
        (7, [rate, *counted.values()]),
        (9, [history]),
        (8, [parts.happened(scope, "interlocks", _of("interlock"))]),
        (8, [parts.happened(scope, "advice", queries.events("advice", scope=site))]),
        (8, [parts.happened(scope, "mode_changes", _acts())]),
        (8, [parts.happened(scope, "gaps", queries.events("gap|note", scope=site))]),
    ]
    return boards.board(scope, "alarms", rows, variables=[boards.site(scope)])


def _acts() -> str:
    """Return what people and others did; of an optimiser's plans, only that they took a mode."""
    which = '("source" !~ /^optimiser/ OR "text" =~ / mode:/)'
    return queries.events("audit", which, scope=queries.SITE)


def _of(source: str) -> str:
    """Return what a part of the controller did or said."""
    return queries.events("audit|note", f'"source" =~ /^{source}/', scope=queries.SITE)
