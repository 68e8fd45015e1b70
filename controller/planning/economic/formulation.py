"""The problem of a reactor, read off its plant file."""

from controller.planning.economic.sensed import CARRYING
from controller.planning.economic.settings import EconomicSettings, Range
from controller.plant import Plant
from controller.plant_file.settings import ReactorSettings
from models.control import ControlModel
from models.organisms import ORGANISMS
from models.vessels import GAS_L_PER_MIN, LIQUID_L_PER_H, VESSELS

GRAM = 1e-3  # kg
# inputs that the oxygen loop sets, by their loops; the others than these two where it leads them
LED = {"stirrer": "agitation", "air": "air", "pressure": "pressure", "oxygen": "oxygen"}
ALWAYS = ("stirrer", "air")


def economic_settings(name: str, plant: Plant) -> EconomicSettings:
    """Return what the optimiser of reactor ``name`` may do, in the units of its control model.

    A loop is moved under its own name, which is that of an input of the model: a feed, ``do``,
    ``temperature``, ``pressure`` or ``harvest``. How the oxygen loop finds its way between stirrer
    and air is its own; how far they reach is in the plant file.

    Raises:
        ValueError: the table is missing or names what does not exist; where, what, what is allowed.
    """
    reactor = plant.settings.reactor[name]
    table, where = reactor.economy, f"reactor.{name}.economy"
    if table is None:
        raise ValueError(f"{where}: missing; an optimiser needs it")
    for key, value, known in (
        ("organism", table.organism, ORGANISMS),
        ("vessel", table.vessel, VESSELS),
    ):
        if value not in known:
            raise ValueError(f"{where}.{key}: {value} is not allowed; {', '.join(known)} are")
    model = ControlModel(ORGANISMS[table.organism](), VESSELS[table.vessel])
    led = {o.loop for s in reactor.loop.values() for o in s.outputs}
    own = {n: loop for n, loop in LED.items() if n in ALWAYS or loop in led}
    inputs = {v.name for v in model.inputs} - set(own)
    for loop in (*table.move, *table.price.feed_per_l):
        if loop not in inputs or loop not in reactor.loop:
            known = ", ".join(sorted(inputs & set(reactor.loop)))
            raise ValueError(f"{where}: {loop} is not allowed; one of the loops {known}")
    moves: dict[str, Range] = {}
    for loop, move in table.move.items():
        s, per = reactor.loop[loop], unit_of(loop, reactor, plant)
        low = s.setpoint_low if move.low is None else move.low
        high = s.setpoint_high if move.high is None else move.high
        if not low < high:
            raise ValueError(f"{where}.move.{loop}: low {low:g} must be below high {high:g}")
        moves[loop] = Range(low * per, high * per, move.per_h * per)
    for parameter in table.learned:
        if parameter not in {v.name for v in model.parameters}:
            raise ValueError(f"{where}.learned: {parameter} is no parameter of {model.name}")
    if table.cooling is not None:
        for key, tag, unit in (
            ("jacket", table.cooling.jacket, "Cel"),
            ("valve", table.cooling.valve, "%"),
        ):
            if tag not in plant.tags or plant.tags[tag].unit != unit:
                raise ValueError(f"{where}.cooling.{key}: {tag} is not allowed; a tag in {unit} is")
        if "temperature" not in reactor.measured:
            raise ValueError(f"{where}.cooling: needs measured.temperature")
    price, sensor = table.price, reactor.model
    return EconomicSettings(
        organism=table.organism,
        vessel=table.vessel,
        moves=moves,
        aeration={n: _reach(n, loop, reactor, plant) for n, loop in own.items()},
        volume_max_l=reactor.volume_max_l,
        calibration_bar=reactor.do_calibration_bar,
        by_product_max_g_per_l=table.by_product_max_g_per_l,
        substrate_max_g_per_l=table.substrate_max_g_per_l,
        oxygen_share=table.oxygen_share,
        cooling_share=table.cooling_share,
        flooding_share=table.flooding_share,
        volume_share=table.volume_share,
        product_price=price.product_per_kg * GRAM,
        biomass_price=price.biomass_per_kg * GRAM,
        feed_prices=dict(price.feed_per_l),
        energy_price=price.energy_per_kwh,
        oxygen_price=price.oxygen_per_m3,
        time_price=price.per_h,
        tank_empty_kg=table.tank_empty_kg,
        track=table.track,
        horizon_h=table.horizon_h,
        stages=table.stages,
        iterations=table.iterations,
        learned=(*table.learned, *(CARRYING if table.cooling is not None else ())),
        derated=dict(table.derated),
        scenarios=table.scenarios,
        caution=table.caution,
        strain=sensor.strain if sensor and sensor.organism == table.organism else {},
    )


def _reach(name: str, loop: str, reactor: ReactorSettings, plant: Plant) -> tuple[float, float]:
    s, per = reactor.loop[loop], unit_of(name, reactor, plant)
    leads = (o for other in reactor.loop.values() for o in other.outputs if o.loop == loop)
    ends = next(((o.low, o.high) for o in leads), (None, None))
    low = s.setpoint_low if ends[0] is None else ends[0]
    high = s.setpoint_high if ends[1] is None else ends[1]
    return low * per, high * per


def unit_of(name: str, reactor: ReactorSettings, plant: Plant) -> float:
    """Return what one of a loop's unit is of the unit of the model's input of that name."""
    outputs = reactor.loop[LED.get(name, name)].outputs
    tag = plant.tags.get(outputs[0].actuator or "")
    if tag is None:
        return 1.0  # a loop that leads others: %, Cel
    if name in ("air", "oxygen"):
        return GAS_L_PER_MIN[tag.unit]
    return LIQUID_L_PER_H.get(tag.unit, 1.0)
