"""Panels that several boards have: a quantity against time, a loop, modes, lists of events."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dashboards.grafana import queries
from dashboards.grafana.board import Row, frame
from dashboards.grafana.cells import Column, table
from dashboards.grafana.lines import ESTIMATE, PLANNED, Series, timeline, trend
from dashboards.grafana.scope import LoopFacts, Scope
from dashboards.grafana.style import ABNORMAL, DOUBTFUL, GREYS, OP, PV, SP, States

MODES = (GREYS[7], OP, SP, GREYS[4], GREYS[3], DOUBTFUL, ABNORMAL)
ALARM_STATES = ("#c9cdd1", OP, DOUBTFUL, ABNORMAL)
QUALITIES = (ABNORMAL, DOUBTFUL, SP)
SIMULATED = (SP, DOUBTFUL)
LEVELS = (GREYS[7], OP, GREYS[4], GREYS[3])
BINDINGS = (*range(10), 99)  # codes of the stored tag
PRIORITIES = {p: f"priority.{p}" for p in ("critical", "high", "medium", "low")}
SOURCES = {
    **{s: f"source.{s}" for s in ("system", "recipe", "optimiser", "interlock", "estimator")},
    "device": "source.device",
    "^operator:(.*)$": "source.operator",
}
SPREAD = ("est.biomass", "est.product")  # what plans carry the estimate's doubt along of
AHEAD = "12h"  # as far as plans are told


def states(scope: Scope, what: str, colours: Sequence[str]) -> States:
    """Return the names and colours of the numbers 0, 1, … of a state."""
    return {n: (scope.say(f"{what}.{n}"), colour) for n, colour in enumerate(colours)}


def words(scope: Scope, known: Mapping[str, str]) -> States:
    """Return words of the record, or patterns of them, as people read them."""
    return {word: (scope.say(key), PV) for word, key in known.items()}


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
    analyte = scope.assays.get(suffix)
    sampled = Series(queries.assayed(analyte or ""), scope.say("assay"), PV, points=True)
    upper, lower = scope.say("estimate.upper"), scope.say("estimate.lower")
    return trend(
        frame(scope, "estimate", title=scope.name(field)),
        [
            Series(queries.trend(field), scope.name(field)),
            Series(queries.trend(f"{field}.high"), upper, SP, fills_to=lower, hidden=True),
            Series(queries.trend(f"{field}.low"), lower, SP, hidden=True),
            *([sampled] if analyte else []),
        ],
        scope.unit(field),
        every=ESTIMATE,
        limits=scope.limits.get(field, (None, None)),
    )


def ahead(scope: Scope, key: str, fields: Sequence[str]) -> Any:
    """Return what the newest plan foresees of quantities of one unit, with an interval if known."""
    upper, lower = scope.say("estimate.upper"), scope.say("estimate.lower")
    series: list[Series] = []
    for n, field in enumerate(fields):
        name = scope.name(field.removesuffix(".sp"))
        series.append(Series(queries.ahead(field), name, GREYS[n], dotted=True))
    if fields[0] in SPREAD:
        series += [
            Series(queries.ahead(f"{fields[0]}_high"), upper, SP, fills_to=lower, hidden=True),
            Series(queries.ahead(f"{fields[0]}_low"), lower, SP, hidden=True),
        ]
    limits = scope.limits.get(scope.field(fields[0].removesuffix(".sp")), (None, None))
    unit = scope.unit(fields[0])
    return trend(frame(scope, key), series, unit, every=PLANNED, ahead=AHEAD, limits=limits)


def future(scope: Scope) -> list[Any]:
    """Return what the optimiser foresees: what it would set, and what would come of it."""
    return [
        ahead(scope, "ahead.feed", ["feed.sp"]),
        ahead(scope, "ahead.do", ["do.sp"]),
        ahead(scope, "ahead.biomass", ["est.biomass"]),
        ahead(scope, "ahead.product", ["est.product"]),
        ahead(scope, "ahead.our", ["our"]),
        ahead(scope, "ahead.substrate", ["est.substrate"]),
    ]


def ended(scope: Scope) -> States:
    """Return how a batch ended, in words; its phases have their own."""
    return {state: (scope.say(f"phase.{state}"), GREYS[7]) for state in ("COMPLETE", "ABORTED")}


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
            Column(scope.told, scope.say("column.text")),
            Column("source", scope.say("column.who"), states=words(scope, SOURCES), width=160),
        ],
    )


def pairs(panels: Sequence[Any]) -> Iterator[Row]:
    """Yield panels two by two."""
    for n in range(0, len(panels), 2):
        yield 8, panels[n : n + 2]
