"""Panels that several boards have: a quantity against time, a loop, modes, lists of events."""

from collections.abc import Sequence
from typing import Any

from dashboards.grafana import queries
from dashboards.grafana.board import frame
from dashboards.grafana.cells import Column, table
from dashboards.grafana.lines import ESTIMATE, Series, timeline, trend
from dashboards.grafana.scope import LoopFacts, Scope
from dashboards.grafana.style import ABNORMAL, DOUBTFUL, GREYS, OP, PV, SP, States

MODES = (GREYS[7], OP, SP, GREYS[4], GREYS[3], DOUBTFUL, ABNORMAL)
ALARM_STATES = ("#c9cdd1", OP, DOUBTFUL, ABNORMAL)
QUALITIES = (ABNORMAL, DOUBTFUL, SP)
SIMULATED = (SP, DOUBTFUL)
LEVELS = (GREYS[7], OP, GREYS[4], GREYS[3])
BINDINGS = (*range(9), 99)  # codes of the stored tag


def states(scope: Scope, what: str, colours: Sequence[str]) -> States:
    """Return the names and colours of the numbers 0, 1, … of a state."""
    return {n: (scope.say(f"{what}.{n}"), colour) for n, colour in enumerate(colours)}


def of_loop(scope: Scope, loop: LoopFacts) -> Any:
    """Return a loop: measured solid, setpoint dashed, output on an axis of its own."""
    pv = loop.measured or loop.name
    series = [
        Series(queries.trend(pv), scope.say("pv"), PV),
        Series(
            queries.trend(f"{loop.name}.sp", "last"), scope.say("sp"), SP, dashed=True, steps=True
        ),
    ]
    if loop.measured:
        output = scope.unit(f"{loop.name}.op")
        series.append(Series(queries.trend(f"{loop.name}.op"), scope.say("op"), OP, unit=output))
    key = loop.name if f"{loop.name}.about" in _KNOWN else "empty"
    return trend(
        frame(scope, key, title=scope.name(loop.name), operate=True),
        series,
        scope.unit(f"{loop.name}.sp"),
        limits=scope.limits.get(pv, (None, None)),
    )


_KNOWN = ("do.about", "ph.about", "temperature.about")


def quantities(scope: Scope, key: str, fields: Sequence[str], *, right: str = "") -> Any:
    """Return quantities of one unit against time; ``right`` has an axis of its own."""
    series = [
        Series(queries.trend(name), scope.name(name), GREYS[n % len(GREYS)])
        for n, name in enumerate(fields)
    ]
    if right:
        unit = scope.unit(right)
        series.append(Series(queries.trend(right), scope.name(right), OP, unit=unit))
    limits = scope.limits.get(fields[0], (None, None))
    return trend(frame(scope, key), series, scope.unit(fields[0]), limits=limits)


def estimate(scope: Scope, suffix: str) -> Any:
    """Return a soft sensor with its 90 % interval."""
    field = f"est.{suffix}"
    upper, lower = scope.say("estimate.upper"), scope.say("estimate.lower")
    return trend(
        frame(scope, "estimate", title=scope.name(field)),
        [
            Series(queries.trend(field), scope.name(field)),
            Series(queries.trend(f"{field}.high"), upper, SP, fills_to=lower, hidden=True),
            Series(queries.trend(f"{field}.low"), lower, SP, hidden=True),
        ],
        scope.unit(field),
        every=ESTIMATE,
        limits=scope.limits.get(field, (None, None)),
    )


def modes(scope: Scope) -> Any:
    """Return what mode each loop was really in."""
    rows = [
        (queries.trend(f"{loop.name}.mode", "last"), scope.name(loop.name)) for loop in scope.loops
    ]
    return timeline(frame(scope, "modes"), rows, states(scope, "mode", MODES))


def happened(scope: Scope, key: str, query: str) -> Any:
    """Return a list of events, the newest first."""
    return table(
        frame(scope, key),
        [query],
        [
            Column("Time", scope.say("column.time"), "dateTimeAsLocal", width=180),
            Column("subject", scope.say("column.what"), width=180),
            Column("text", scope.say("column.text")),
            Column("source", scope.say("column.who"), width=160),
        ],
    )
