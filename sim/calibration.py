"""What one seed makes of drives and probes: how far each is from what it should be."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from models.vessels import Actuator
from sim.fittings import BENCH, GAS, LINE_S, Range, Sheet
from sim.instruments import Drive, Instrument
from sim.variation import Draw, Draws

DRIVES: Final = (  # of every vessel, in the order of their draws
    "stirrer",
    "air",
    "oxygen",
    "heater",
    "cooling",
    "acid",
    "base",
    "feed",
    "antifoam",
    "inducer",
)
PROBES: Final = tuple(BENCH)[:11]  # of every vessel, likewise


def drives(draw: Draw, actuators: Mapping[str, Actuator], supply: float) -> dict[str, Drive]:
    """Return the drives by name, in the order of ``actuators``; drawn in that of ``DRIVES``.

    ``supply`` is the pressure of the gas over what it should be: a valve gives at most as much.
    """
    drawn = sorted(actuators, key=lambda name: DRIVES.index(name) if name in DRIVES else 99)
    made: dict[str, Drive] = {}
    for name in drawn:
        a = actuators[name]
        made[name] = Drive(
            a.high * (supply if name in GAS.values() else 1.0),
            low=a.low,
            lag_s=a.lag_s,
            ramp=a.ramp,
            gain=draw.factor(f"{name}.pump", a.gain) if a.gain else 1.0,
            step=a.step,
            least=a.least,
            dead=a.dead,
            wear=abs(draw.offset(f"{name}.wear", a.wear)) if a.wear else 0.0,
        )
    return {name: made[name] for name in actuators}


class Piece(NamedTuple):
    """What one instrument of a make turned out to be, see ``Sheet``."""

    lag_s: float
    gain: float
    offset: float
    drift: float


def pieces(draw: Draws, sheets: Mapping[str, Sheet], vessel: str) -> tuple[dict[str, Piece], float]:
    """Return what a seed makes of each instrument, and the delay of the gas analyser's line, s.

    Args:
        draw: the older one for ``PROBES``, in their order.
        sheets: what they are like.
        vessel: how long the line is.
    """
    line_s = draw.old.between("line", *LINE_S[vessel])
    found = {n: piece(draw.old if n in PROBES else draw.new, n, s) for n, s in sheets.items()}
    return found, line_s


def piece(draw: Draw, name: str, sheet: Sheet) -> Piece:
    """Return what a seed makes of one instrument."""
    return Piece(
        _between(draw, f"{name}.lag", sheet.lag_s),
        draw.factor(f"{name}.gain", sheet.gain) if sheet.gain else 1.0,
        draw.offset(f"{name}.offset", sheet.offset) if sheet.offset else 0.0,
        draw.offset(f"{name}.drift", sheet.drift) if sheet.drift else 0.0,
    )


def _between(draw: Draw, name: str, value: float | Range) -> float:
    return draw.between(name, *value) if isinstance(value, tuple) else value


def instrument(
    name: str, sheet: Sheet, piece: Piece, line_s: float, moved: Mapping[str, Drive], start: float
) -> Instrument:
    """Return an instrument settled at ``start``, or at what its sheet says that it saw before."""
    believed = moved[GAS[name]].gain if GAS.get(name) in moved else 1.0
    return Instrument(
        piece.lag_s,
        sheet.noise,
        gain=piece.gain * sheet.scale / believed,
        offset=piece.offset,
        drift=piece.drift,
        digit=sheet.digit,
        delay_s=sheet.delay_s + (line_s if sheet.line else 0.0),
        start=start if sheet.start is None else sheet.start,
        share=sheet.share,
        full=sheet.full,
        every_s=sheet.every_s,
    )
