"""The reactor's board: what an operator keeps open all shift."""

from collections.abc import Iterator

from dashboards.grafana import board as boards
from dashboards.grafana import parts, queries
from dashboards.grafana.cells import Column, newest, tiles
from dashboards.grafana.lines import Series, timeline, trend
from dashboards.grafana.plain import Json
from dashboards.grafana.scope import Scope

LED = ("temperature", "ph", "do", "agitation", "air", "feed")  # first, in this order
MEASURED = (
    "temperature",
    "ph",
    "do",
    "agitation",
    "air_flow",
    "offgas_o2",
    "offgas_co2",
    "weight",
    "feed_weight",
    "pressure",
)
NEWEST = ("age", "do", "ph", "temperature", "agitation", "air_flow", "feed", "weight", "our", "cer")


def reactor(scope: Scope) -> Json:
    """Return the board as plain classic JSON."""
    return boards.board(
        scope,
        "reactor",
        [*_state(scope), *_loops(scope), *_estimates(scope), *_trust(scope)],
        variables=[boards.site(scope), boards.reactor(scope)],
        annotations=boards.marks(scope),
    )


def _state(scope: Scope) -> Iterator[boards.Row]:
    say = scope.say
    fields = [scope.field(m) for m in MEASURED if scope.field(m) in scope.units]
    columns = [
        Column(
            field,
            scope.name(field),
            scope.unit(field),
            missing=say("missing"),
            below=scope.limits.get(field, (None, None))[0],
            above=scope.limits.get(field, (None, None))[1],
        )
        for field in fields
    ]
    simulated = Column(
        "simulated", say("simulated"), states=parts.states(scope, "simulated", parts.SIMULATED)
    )
    yield (
        4,
        [
            tiles(
                boards.frame(scope, "tiles"),
                [queries.now([*fields, "simulated"])],
                [*columns, simulated],
            )
        ],
    )
    yield say("state")
    shown = [f for f in NEWEST if f in scope.units] + [f"est.{e}" for e in ("biomass", "product")]
    phase = timeline(
        boards.frame(scope, "phase"), [(queries.phases(), say("phase"))], parts.ended(scope)
    )
    yield (
        9,
        [
            newest(
                boards.frame(scope, "now"),
                [(queries.latest(field), scope.named(field)) for field in shown],
                (say("now.name"), say("now.value"), say("now.age")),
            ),
            parts.modes(scope),
        ],
    )
    yield 4, [phase]


def _loops(scope: Scope) -> Iterator[boards.Row]:
    yield scope.say("loops")
    known = {loop.name: loop for loop in scope.loops}
    first = [known[name] for name in LED if name in known]
    closed = [loop for loop in scope.loops if loop.measured and loop not in first]
    shown = [parts.of_loop(scope, loop) for loop in (*first, *closed)]
    doses = [
        Series(queries.trend(f"{loop.name}.op"), scope.name(loop.name), "")
        for loop in scope.loops
        if not loop.measured and loop.name not in LED
    ]
    flows = [scope.field(m) for m in ("air_flow", "oxygen_flow")]
    weights = [scope.field(m) for m in ("weight", "feed_weight")]
    gases = [scope.field(m) for m in ("offgas_o2", "offgas_co2")]
    shown += [
        parts.quantities(scope, "gas", flows),
        parts.quantities(scope, "offgas", gases),
        parts.quantities(scope, "respiration", ["our", "cer"], right="rq"),
        parts.quantities(scope, "weights", weights),
    ]
    if doses:
        shown.append(trend(boards.frame(scope, "feeds"), doses, "none"))
    if "pressure" in scope.measured:
        shown.append(parts.quantities(scope, "pressure", [scope.field("pressure")]))
    yield from parts.pairs(shown)


def _estimates(scope: Scope) -> Iterator[boards.Row]:
    yield scope.say("estimates")
    yield from parts.pairs([parts.estimate(scope, suffix) for suffix in scope.estimates])
    yield scope.say("foreseen")
    yield from parts.pairs(parts.future(scope))


def _trust(scope: Scope) -> Iterator[boards.Row]:
    say = scope.say
    fields = [scope.field(m) for m in MEASURED if scope.field(m) in scope.units]
    yield say("trust")
    yield (
        9,
        [
            timeline(
                boards.frame(scope, "trust"),
                [(queries.quality(field), scope.name(field)) for field in fields],
                parts.states(scope, "quality", parts.QUALITIES),
            )
        ],
    )
    yield (
        8,
        [
            timeline(
                boards.frame(scope, "alarms"),
                [(queries.alarms(), "$tag_id")],
                parts.states(scope, "alarm", parts.ALARM_STATES),
            )
        ],
    )
