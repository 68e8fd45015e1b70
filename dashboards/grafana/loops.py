"""The loops' board: how healthy every loop is in the chosen time."""

from collections.abc import Iterator

from dashboards.grafana import board as boards
from dashboards.grafana import parts, queries
from dashboards.grafana.cells import Column, tiles
from dashboards.grafana.lines import Series, trend
from dashboards.grafana.plain import Json
from dashboards.grafana.scope import LoopFacts, Scope
from dashboards.grafana.style import OP

AT_LIMIT = 0.005  # of the output's span


def loops(scope: Scope) -> Json:
    """Return the board as plain classic JSON."""
    rows: list[boards.Row] = [(9, [parts.modes(scope)])]
    for loop in scope.loops:
        rows += _loop(scope, loop)
    return boards.board(scope, "loops", rows, variables=[boards.site(scope), boards.reactor(scope)])


def _loop(scope: Scope, loop: LoopFacts) -> Iterator[boards.Row]:
    say = scope.say
    setpoint = f"{loop.name}.sp"
    yield scope.name(loop.name)
    health = tiles(
        boards.frame(scope, "health"),
        [queries.whole(columns) for columns in _judged(loop)],
        [
            Column("auto", say("health.auto"), "percentunit", decimals=1),
            Column("inside", say("health.inside"), "percentunit", decimals=1, below=0.9),
            Column("error", say("health.error"), scope.unit(setpoint), decimals=3),
            Column("low", say("health.low"), "percentunit", decimals=1),
            Column("high", say("health.high"), "percentunit", decimals=1, above=0.1),
        ],
    )
    output = Series(
        queries.trend(f"{loop.name}.op"), say("op"), OP, unit=scope.unit(f"{loop.name}.op")
    )
    if not loop.measured:
        title = boards.frame(scope, "error", title=say("op"))
        yield 6, [health, trend(title, [output], scope.unit(setpoint))]
        return
    error = Series(queries.trend(f'"{setpoint}" - "{loop.measured}"'), say("error.one"))
    yield 6, [health, trend(boards.frame(scope, "error"), [error, output], scope.unit(setpoint))]


def _judged(loop: LoopFacts) -> Iterator[dict[str, tuple[str, str]]]:
    """Yield the figures of a loop, those of the same fields together: what is averaged, by name."""
    near = AT_LIMIT * (loop.high - loop.low) or 1e-9
    output = f'"{loop.name}.op"'
    yield {"auto": (queries.inside(f'"{loop.name}.mode" - 3', "1.5"), "mean")}
    yield {
        "low": (queries.inside(f"{output} - {loop.low:g}", f"{near:g}"), "mean"),
        "high": (queries.inside(f"{output} - {loop.high:g}", f"{near:g}"), "mean"),
    }
    if not loop.measured:
        return
    error = f'"{loop.name}.sp" - "{loop.measured}"'
    found = {"error": (f"abs({error})", "mean")}
    if loop.band:
        found["inside"] = (queries.inside(error, f"{loop.band:g}"), "mean")
    yield found
