"""The board of energy and carbon: calculated from what is measured, with factors a reader sets."""

from dashboards.grafana import board as boards
from dashboards.grafana import queries
from dashboards.grafana.cells import Column, tiles
from dashboards.grafana.lines import Series, trend
from dashboards.grafana.plain import Json
from dashboards.grafana.scope import Scope
from dashboards.grafana.style import GREYS

# MJ per mol of oxygen taken up: C. L. Cooney, D. I. C. Wang, R. I. Mateles, Biotechnol. Bioeng. 11
# (1969) 269-281; in kW per mmol/h
HEAT = 0.46e3 / 3600.0 / 1e3
PER_HOUR = {"L/min": 0.06, "m3/h": 1.0, "L/h": 1e-3}  # m³/h
SENSELESS = 1e4  # kWh or kg CO2e for a kg of product: there is hardly any yet
FACTORS = {"efficiency": "0.9", "air": "0.04", "cop": "4", "grid": "0.57"}


def energy(scope: Scope) -> Json:
    """Return the board as plain classic JSON."""
    say = scope.say
    consumers = _consumers(scope)
    total = " + ".join(f"({expression})" for expression in consumers.values())
    power = trend(
        boards.frame(scope, "power.now"),
        [
            Series(queries.trend(expression), say(f"energy.{name}"), GREYS[n])
            for n, (name, expression) in enumerate(consumers.items())
        ],
        "kwatt",
    )
    sums = [
        tiles(
            boards.frame(scope, "energy.sum", title=say(f"energy.{name}")),
            [queries.amount(expression)],
            [Column("v", say(f"energy.{name}"), "kwatth", decimals=2)],
        )
        for name, expression in {**consumers, "total": total}.items()
    ]
    little = (SENSELESS, say("per_kg.little"))
    per_kg = tiles(
        boards.frame(scope, "energy.product"),
        [_per_kg(total)],
        [
            Column("kg", say("energy.mass"), decimals=4),
            Column("energy", say("per_kg.energy"), decimals=2, beyond=little),
            Column("co2e", say("carbon"), "suffix:kg", decimals=2),
            Column("carbon", say("per_kg.carbon"), decimals=2, beyond=little),
        ],
    )
    rows: list[boards.Row] = [(9, [power]), (5, sums), (5, [per_kg])]
    variables = [
        boards.constant(key, say(f"factor.{key}"), value) for key, value in FACTORS.items()
    ]
    return boards.board(
        scope,
        "energy",
        rows,
        variables=[boards.site(scope), boards.reactor(scope), *variables],
        refresh="1m",
    )


def _per_kg(power: str) -> str:
    """Return product in kg at the right edge, and energy and CO2e for each kg of it."""
    energy, product = 'sum("kw") / 60', 'last("kg")'  # of minutes
    rows = (
        f'SELECT {power} AS "kw", "est.product" * "est.volume" / 1000 AS "kg" '
        f'FROM "{queries.MINUTES}" WHERE {queries.REACTOR} AND $timeFilter'
    )
    return (
        f'SELECT {product} AS "kg", {energy} / {product} AS "energy", '
        f'{energy} * $grid AS "co2e", {energy} * $grid / {product} AS "carbon" '
        f"FROM ({rows}) WHERE $timeFilter"
    )


def _consumers(scope: Scope) -> dict[str, str]:
    """Return the power of each consumer in kW, as far as this plant measures what it needs."""
    found: dict[str, str] = {}
    if "power" in scope.units:
        found["stirrer"] = '"power" / $efficiency'
    flow = scope.field("air_flow")
    found["air"] = f'"{flow}" * {PER_HOUR.get(scope.units.get(flow, ""), 1.0):g} * $air'
    found["cooling"] = f'"our" * "est.volume" * {HEAT:.6g} / $cop'
    return found
