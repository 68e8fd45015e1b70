"""The plant's board: every reactor as a row, and their main quantities beside each other."""

from dashboards.grafana import board as boards
from dashboards.grafana import parts, queries
from dashboards.grafana.cells import Column, table, tiles
from dashboards.grafana.lines import Series, timeline, trend
from dashboards.grafana.plain import Json
from dashboards.grafana.scope import Scope

VALUES = ("temperature", "ph", "do", "agitation", "air_flow", "weight", "pressure")
COMPARED = ("do", "ph", "temperature", "our", "feed", "est.biomass")
OF_A_REACTOR = f"{queries.SITE} AND \"reactor\" != 'plant'"


def plant(scope: Scope) -> Json:
    """Return the board as plain classic JSON."""
    say = scope.say
    compared = [
        trend(
            boards.frame(scope, "all", title=scope.name(field)),
            [
                Series(
                    queries.trend(scope.field(field), scope=queries.SITE, by="reactor"),
                    "$tag_reactor",
                    "",
                )
            ],
            scope.unit(scope.field(field)),
        )
        for field in COMPARED
    ]
    standing = tiles(
        boards.frame(scope, "active"),
        [queries.alarms_together(OF_A_REACTOR)],
        [Column("alarms", say("active"), above=1)],
    )
    modes = timeline(
        boards.frame(scope, "feed.mode"),
        [(queries.trend("feed.mode", "last", scope=queries.SITE, by="reactor"), "$tag_reactor")],
        parts.states(scope, "mode", parts.MODES),
    )
    rows: list[boards.Row] = [
        (9, [_reactors(scope)]),
        (5, [modes, standing]),
        say("all"),
        *((8, compared[n : n + 3]) for n in range(0, len(compared), 3)),
    ]
    return boards.board(scope, "plant", rows, variables=[boards.site(scope)])


def _reactors(scope: Scope) -> object:
    say = scope.say
    missing = say("missing")
    fields = [scope.field(m) for m in VALUES if scope.field(m) in scope.units]
    modes = parts.states(scope, "mode", parts.MODES)
    levels = parts.states(scope, "level", parts.LEVELS)
    simulated = parts.states(scope, "simulated", parts.SIMULATED)
    board = f"/d/{boards.uid('reactor', scope.language)}"
    columns = [
        Column(
            "reactor",
            say("reactor"),
            width=70,
            link=f"{board}?var-site=${{site}}&var-reactor=${{__value.raw}}&${{__url_time_range}}",
        ),
        Column("seen", say("contact"), "dateTimeFromNow", width=130),
        Column("batch", say("batch.one"), missing=say("none"), width=150),
        Column("phase", say("phase"), states=parts.ended(scope), missing=say("none")),
        Column("age", scope.named("age"), decimals=2, missing=say("none")),
        Column("feed.mode", say("feed.mode"), states=modes, missing=missing),
        Column("optimiser.mode", say("level"), states=levels, missing=say("none")),
        *(
            Column(
                field,
                scope.named(field),
                decimals=2,
                missing=missing,
                below=scope.limits.get(field, (None, None))[0],
                above=scope.limits.get(field, (None, None))[1],
            )
            for field in fields
        ),
        Column("alarms", say("active"), above=1),
        Column("simulated", say("simulated"), states=simulated, missing=missing),
    ]
    known = (
        f'SELECT last("scan.lateness") AS "lateness" FROM "{queries.SCANS}" '
        f'WHERE {queries.SITE} AND $timeFilter GROUP BY "reactor"'
    )
    asked = ["age", "feed.mode", "optimiser.mode", *fields, "simulated"]
    return table(
        boards.frame(scope, "reactors"),
        [
            known,
            queries.now(asked, queries.SITE, "reactor batch"),
            queries.alarms_active(OF_A_REACTOR),
            queries.phase_now(OF_A_REACTOR),
        ],
        columns,
        join="reactor",
        sort="reactor",
    )
