"""The system's board: is the control system itself well?"""

from dashboards.grafana import board as boards
from dashboards.grafana import parts, queries
from dashboards.grafana.cells import Column, table, tiles
from dashboards.grafana.lines import Series, trend
from dashboards.grafana.plain import Json
from dashboards.grafana.scope import Scope
from dashboards.grafana.style import GREYS

LAG_S = 60.0  # from which InfluxDB is behind
LATE_MS = 200.0  # from which a scan is late enough to look into


def system(scope: Scope) -> Json:
    """Return the board as plain classic JSON."""
    say = scope.say
    lateness = trend(
        boards.frame(scope, "lateness"),
        [
            Series(
                queries.trend("scan.lateness", "max", scope=queries.SITE, by="reactor"),
                f"$tag_reactor {say('greatest')}",
                GREYS[1],
            ),
            Series(
                queries.trend("scan.lateness", scope=queries.SITE, by="reactor"),
                f"$tag_reactor {say('mean')}",
                GREYS[3],
            ),
        ],
        "ms",
        limits=(None, LATE_MS),
    )
    missed = trend(
        boards.frame(scope, "missed"),
        [
            Series(
                queries.trend("scan.missed", "max", scope=queries.SITE, by="reactor"),
                "$tag_reactor",
                "",
                steps=True,
            )
        ],
        "none",
    )
    arrival = trend(
        boards.frame(scope, "arrival"),
        [
            Series(
                f'SELECT mean("scan.lateness_n") FROM "{queries.MINUTES}" WHERE {queries.SITE} '
                'AND $timeFilter GROUP BY time($__interval), "reactor" fill(null)',
                "$tag_reactor",
                "",
            )
        ],
        "none",
        every="1m",
    )
    forwarder = trend(
        boards.frame(scope, "forwarder"),
        [
            Series(
                queries.trend("influx.lag", "max", scope=queries.SITE, rows="plant"),
                say("lag"),
                GREYS[0],
            ),
            Series(
                queries.trend("influx.behind", "max", scope=queries.SITE, rows="plant"),
                say("waiting"),
                GREYS[3],
                unit="none",
            ),
            Series(
                queries.trend("influx.quarantined", "max", scope=queries.SITE, rows="plant"),
                say("quarantined"),
                GREYS[2],
                unit="none",
            ),
        ],
        "s",
        every="10s",
        limits=(None, LAG_S),
    )
    audit = tiles(
        boards.frame(scope, "audit"),
        [
            'SELECT last("seq") AS "seq" FROM "audit_head" '
            f"WHERE {queries.SITE} AND {queries.SO_FAR}"
        ],
        [Column("seq", say("audit"))],
    )
    tags = table(
        boards.frame(scope, "tags"),
        [
            'SELECT last("unit") AS "unit", last("low") AS "low", last("high") AS "high" '
            f'FROM "tag" WHERE {queries.REACTOR} AND time > ${{__to}}ms - 400d GROUP BY "field"'
        ],
        [
            Column("field", say("column.tag")),
            Column("unit", say("column.unit")),
            Column("low", say("column.low")),
            Column("high", say("column.high")),
        ],
        sort="field",
    )
    size = trend(
        boards.frame(scope, "store"),
        [
            Series(_of_plant("store.size"), say("store.size"), GREYS[0]),
            Series(_of_plant("store.free"), say("store.free"), GREYS[3], unit="bytes"),
        ],
        "bytes",
        every="10s",
    )
    latency = trend(
        boards.frame(scope, "latency"),
        [
            Series(_of_plant(f"device.{device}.latency", "max"), device, "")
            for device in scope.devices
        ],
        "ms",
        every="10s",
    )
    rows: list[boards.Row] = [
        (8, [lateness, missed]),
        (8, [arrival, forwarder]),
        (8, [latency, size]),
        (8, [_versions(scope), audit]),
        (9, [parts.happened(scope, "restarts", queries.events("note|gap", scope=queries.SITE))]),
        (10, [tags]),
    ]
    return boards.board(
        scope, "system", rows, variables=[boards.site(scope), boards.reactor(scope)]
    )


def _of_plant(field: str, aggregate: str = "mean") -> str:
    return queries.trend(field, aggregate, scope=queries.SITE, rows="plant")


def _versions(scope: Scope) -> object:
    """Return a row for each program that runs, and its version."""
    unnamed = {"exclude": {"pattern": "^(Time|reactor|site)$"}}
    return table(
        boards.frame(scope, "versions"),
        [queries.software()],
        [Column("Field", scope.say("program")), Column("Last *", scope.say("version"))],
        sort="Field",
        transformations=[
            {"id": "filterFieldsByName", "options": unnamed},
            {"id": "reduce", "options": {"reducers": ["lastNotNull"]}},
        ],
    )
