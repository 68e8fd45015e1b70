"""What one seed makes of drives, probes and the strain: how far each is from what it should be."""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from models.vessel_variables import State
from models.vessels import Actuator
from sim.instruments import Drive, Instrument

# one standard deviation of each parameter around the model's, as a share of it; cut at 2.5
SPREAD: Final = {
    "qOmax": 0.12,
    "qSmax": 0.05,
    "KS": 0.20,
    "Yem": 0.06,
    "qAmax": 0.15,
    "KiS": 0.15,
    "KiO": 0.15,
    "qm": 0.10,
    "KO": 0.20,
    "qPm": 0.15,
    "Kmu": 0.10,
    "Kimu": 0.10,
    "kE": 0.10,
    "qEmax": 0.10,
    "YE": 0.03,
    "Yox": 0.03,
    "Y": 0.04,
    "m": 0.10,
    "a": 0.15,
    "kd": 0.15,
    "keta": 0.10,
    "mux": 0.06,
    "mup": 0.06,
    "broth": 0.12,
    "S_feed": 0.01,
    "c_base": 0.03,
    "c_paa": 0.04,
    "c_oil": 0.01,
    "c_n": 0.02,
    "UA": 0.10,
    "loss": 0.15,
    "T_coolant": 0.10,
    "T_room": 0.05,
    "foaming": 0.2,
}
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
PROBES: Final = (
    "temperature",
    "jacket_temperature",
    "ph",
    "do",
    "agitation",
    "offgas_o2",
    "offgas_co2",
    "air_flow",
    "oxygen_flow",
    "weight",
    "feed_weight",
)


class Draw:
    """Calibrations of one seed, in a fixed order; seed 0 draws nothing.

    Args:
        seed: at least 0.
        stream: what is drawn from another one moves no draw of this one.
    """

    def __init__(self, seed: int, stream: int = 0) -> None:
        self._rng = np.random.default_rng([seed, stream])
        self._on = seed != 0

    def _normal(self) -> float:
        return min(2.5, max(-2.5, float(self._rng.standard_normal()))) if self._on else 0.0

    def factor(self, sigma: float) -> float:
        return math.exp(sigma * self._normal())

    def offset(self, sigma: float) -> float:
        return sigma * self._normal()

    def between(self, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high)) if self._on else 0.5 * (low + high)


def drives(draw: Draw, actuators: Mapping[str, Actuator]) -> dict[str, Drive]:
    """Return the drives by name, in the order of ``actuators``; drawn in that of ``DRIVES``."""
    drawn = sorted(actuators, key=lambda name: DRIVES.index(name) if name in DRIVES else 99)
    made: dict[str, Drive] = {}
    for name in drawn:
        a = actuators[name]
        made[name] = Drive(
            a.high,
            low=a.low,
            lag_s=a.lag_s,
            ramp=a.ramp,
            gain=draw.factor(a.gain) if a.gain else 1.0,
            step=a.step,
            least=a.least,
            dead=a.dead,
            wear=abs(draw.offset(a.wear)) if a.wear else 0.0,
        )
    return {name: made[name] for name in actuators}


def probes(
    draw: Draw,
    start: State,
    actuators: Mapping[str, Actuator],
    moved: Mapping[str, Drive],
    bottle_kg: float,
) -> list[Instrument]:
    """Return the probes in the order of ``PROBES``, settled at the start (PROCESS 3).

    A flow controller's reading is as wrong as its flow: it shows what it believes it gives.
    Balances are as coarse as what they carry is heavy.
    """
    size = bottle_kg / 2.5  # 1 at the bench
    hiss = 0.001 * actuators["air"].high
    delay = draw.between(30.0, 60.0)
    return [
        Instrument(10.0, 0.02, offset=draw.offset(0.05), digit=0.01, start=start.T),
        Instrument(5.0, 0.03, offset=draw.offset(0.1), digit=0.01, start=start.Tj),
        Instrument(8.0, 0.005, offset=draw.offset(0.01), drift=draw.offset(0.003), start=start.pH),
        Instrument(
            draw.between(20.0, 40.0),
            0.3,
            gain=draw.factor(0.015),
            offset=draw.offset(0.3),
            drift=draw.offset(0.2),
            start=100.0,
        ),
        Instrument(0.5, 0.5, digit=1.0, start=actuators["stirrer"].safe),
        Instrument(
            10.0,
            0.01,
            offset=draw.offset(0.02),
            drift=draw.offset(0.03),
            delay_s=delay,
            start=100.0 * start.yO2,
        ),
        Instrument(
            10.0,
            0.008,
            offset=draw.offset(0.01),
            drift=draw.offset(0.01),
            delay_s=delay,
            start=100.0 * start.yCO2,
        ),
        Instrument(0.5, hiss, gain=1.0 / moved["air"].gain, start=actuators["air"].safe),
        Instrument(0.5, hiss, gain=1.0 / moved["oxygen"].gain),
        Instrument(
            2.0, 0.001 * size, offset=size * draw.offset(0.002), digit=1e-4 * size, start=start.M
        ),
        Instrument(2.0, 0.0005 * size, digit=1e-4 * size, start=bottle_kg),
    ]
