"""The optimiser's board: plan against actual, what it believes, how near the limits, its words."""

from controller.sensing.innovations import BIAS
from dashboards.grafana import board as boards
from dashboards.grafana import parts, queries
from dashboards.grafana.lines import ESTIMATE, Series, timeline, trend
from dashboards.grafana.plain import Json
from dashboards.grafana.scope import Scope
from dashboards.grafana.style import GREYS, OP, PV, SP

PLANNED = {"feed": "feed", "do": "do"}  # loop: what it moves or measures
INSTRUMENTS = ("do", "offgas_o2", "offgas_co2", "weight")  # that every soft sensor listens to


def optimiser(scope: Scope) -> Json:
    """Return the board as plain classic JSON."""
    say = scope.say
    planned = [
        trend(
            boards.frame(scope, f"plan.{loop}", operate=True),
            [
                Series(queries.trend(scope.field(pv)), say("pv"), PV),
                Series(queries.trend(f"{loop}.sp", "last"), say("sp"), SP, dashed=True, steps=True),
                Series(
                    queries.foreseen(f"{loop}.sp"), say("planned"), OP, dotted=True, sparse=True
                ),
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
            Series(queries.trend(f"innovation.{i}"), scope.name(scope.field(i)), GREYS[n])
            for n, i in enumerate(INSTRUMENTS)
        ],
        "suffix:σ",
        every=ESTIMATE,
        limits=(-BIAS, BIAS),
    )
    rows: list[boards.Row] = [
        (9, planned),
        (4, [level, led, binding]),
        (9, [_gain(scope), _evidence(scope), _solves(scope)]),
        say("came"),
        (8, [_came(scope, field) for field in ("est.biomass", "est.product", "our")]),
        say("foreseen"),
        *parts.pairs(parts.future(scope)),
        say("trusted"),
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
        "suffix:g",
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
            Series(hours, say("shadow_h"), GREYS[2], unit="suffix:h"),
        ],
        "percent",
    )


def _came(scope: Scope, field: str) -> object:
    """Return what was foreseen an hour before beside what came."""
    return trend(
        boards.frame(scope, "came", title=scope.name(field)),
        [
            Series(queries.trend(field), scope.name(field)),
            Series(
                queries.foreseen(f"{field}_early"), scope.say("early"), SP, dotted=True, sparse=True
            ),
        ],
        scope.unit(field),
        every=ESTIMATE,
    )


def _solves(scope: Scope) -> object:
    """Return how long a plan takes, and how many were late or dropped."""
    say = scope.say
    return trend(
        boards.frame(scope, "solves"),
        [
            Series(queries.trend("optimiser.solve", "max"), say("solve")),
            *(
                Series(
                    queries.trend(f"optimiser.{name}", "max"),
                    say(f"solves.{name}"),
                    GREYS[n],
                    unit="none",
                    steps=True,
                )
                for n, name in enumerate(("plans", "late", "sheds"), 1)
            ),
        ],
        "s",
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
