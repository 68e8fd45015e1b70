"""The optimiser's board: plan against actual, what it believes, how near the limits, its words."""

from dashboards.grafana import board as boards
from dashboards.grafana import parts, queries
from dashboards.grafana.lines import ESTIMATE, Series, timeline, trend
from dashboards.grafana.plain import Json
from dashboards.grafana.scope import Scope
from dashboards.grafana.style import GREYS, PV, SP

PLANNED = {"feed": "feed", "do": "do"}  # loop: what it moves or measures


def optimiser(scope: Scope) -> Json:
    """Return the board as plain classic JSON."""
    say = scope.say
    planned = [
        trend(
            boards.frame(scope, f"plan.{loop}", operate=True),
            [
                Series(queries.trend(scope.field(pv)), say("pv"), PV),
                Series(queries.trend(f"{loop}.sp", "last"), say("sp"), SP, dashed=True, steps=True),
            ],
            scope.unit(f"{loop}.sp"),
            limits=scope.limits.get(pv, (None, None)),
        )
        for loop, pv in PLANNED.items()
    ]
    led = timeline(
        boards.frame(scope, "led"),
        [(queries.trend(f"{loop}.mode", "last"), scope.name(loop)) for loop in PLANNED],
        parts.states(scope, "mode", parts.MODES),
    )
    level = timeline(
        boards.frame(scope, "level"),
        [(queries.trend("optimiser.mode", "last"), say("level"))],
        parts.states(scope, "level", parts.LEVELS),
    )
    binding = timeline(
        boards.frame(scope, "binding"),
        [(queries.trend("optimiser.binding", "last"), say("binding"))],
        {n: (say(f"binding.{n}"), GREYS[n % 8 or 7]) for n in parts.BINDINGS},
    )
    slack = trend(boards.frame(scope, "slack"), _slack(scope), "none")
    factors = [f"est.{name}" for name in scope.estimates if name.endswith("_factor")]
    learned = trend(
        boards.frame(scope, "factors"),
        [Series(queries.trend(f), scope.name(f), GREYS[n % 8]) for n, f in enumerate(factors)],
        "none",
        every=ESTIMATE,
    )
    innovations = trend(
        boards.frame(scope, "innovations"),
        [
            Series(
                queries.trend(f'"{scope.field("weight")}" - "est.volume"'),
                f"{scope.name('weight')} - {scope.name('volume')}",
            )
        ],
        "suffix: kg",
        every=ESTIMATE,
    )
    rows: list[boards.Row] = [
        (9, planned),
        (4, [level, led, binding]),
        (9, [_gain(scope), _evidence(scope)]),
        (9, [slack, innovations]),
        *([(9, [learned])] if factors else []),
        (9, [parts.happened(scope, "advice", queries.events("advice"))]),
        (
            9,
            [
                parts.happened(
                    scope, "plans.list", queries.events("audit", '"source" =~ /^optimiser/')
                )
            ],
        ),
    ]
    return boards.board(
        scope,
        "optimiser",
        rows,
        variables=[boards.site(scope), boards.reactor(scope)],
        annotations=boards.marks(scope),
    )


def _gain(scope: Scope) -> object:
    upper, lower = scope.say("estimate.upper"), scope.say("estimate.lower")
    high, low = (queries.trend(f"optimiser.gain_{edge}") for edge in ("high", "low"))
    return trend(
        boards.frame(scope, "gain"),
        [
            Series(queries.trend("optimiser.gain"), scope.say("gain")),
            Series(high, upper, SP, fills_to=lower, hidden=True),
            Series(low, lower, SP, hidden=True),
        ],
        "suffix: g",
        every=ESTIMATE,
    )


def _evidence(scope: Scope) -> object:
    say = scope.say
    hours = queries.trend("optimiser.shadow_h", "max")
    return trend(
        boards.frame(scope, "evidence"),
        [
            Series(queries.trend("optimiser.coverage"), say("coverage")),
            Series(queries.trend("optimiser.guardrail"), say("guardrail"), GREYS[3]),
            Series(hours, say("shadow_h"), GREYS[2], unit="suffix: h"),
        ],
        "percent",
    )


def _slack(scope: Scope) -> list[Series]:
    """Return what is left to each limit of the plant file."""
    found: list[Series] = []
    for field, (low, high) in scope.limits.items():
        name = scope.named(field)
        if low is not None:
            found.append(Series(queries.trend(f'"{field}" - {low:g}'), f"{name} > {low:g}", ""))
        if high is not None:
            found.append(Series(queries.trend(f'{high:g} - "{field}"'), f"{name} < {high:g}", ""))
    return found
