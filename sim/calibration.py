"""What one seed makes of drives, probes and the strain: how far each is from what it should be."""

import math
from typing import Final

import numpy as np

from models.bioreactor import State
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
    "broth": 0.12,
    "S_feed": 0.01,
    "c_base": 0.03,
    "UA": 0.10,
    "loss": 0.15,
    "T_coolant": 0.10,
    "T_room": 0.05,
}
BOTTLE_KG: Final = 2.5  # the feed bottle with its content at the start
DRIVES: Final = (  # in the order of the model's inputs
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
    """Calibrations of one seed, in a fixed order; seed 0 draws nothing."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 0])
        self._on = seed != 0

    def _normal(self) -> float:
        return min(2.5, max(-2.5, float(self._rng.standard_normal()))) if self._on else 0.0

    def factor(self, sigma: float) -> float:
        return math.exp(sigma * self._normal())

    def offset(self, sigma: float) -> float:
        return sigma * self._normal()

    def between(self, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high)) if self._on else 0.5 * (low + high)


def drives(draw: Draw) -> list[Drive]:
    """Return the drives in the order of ``DRIVES`` (PROCESS 2 and 3: pumps 1-5 %, flows 1 %)."""

    def pump(high: float, step: float) -> Drive:
        return Drive(high, lag_s=1.0, gain=draw.factor(0.03), step=step, least=step)

    return [
        Drive(1000.0, ramp=50.0, step=1.0),
        Drive(10.0, lag_s=1.0, gain=draw.factor(0.007)),
        Drive(5.0, lag_s=1.0, gain=draw.factor(0.007)),
        Drive(100.0, lag_s=3.0),
        Drive(100.0, lag_s=5.0),
        pump(5.0, 0.005),
        pump(5.0, 0.005),
        Drive(
            200.0,
            lag_s=1.0,
            gain=draw.factor(0.03),
            step=0.05,
            least=0.2,
            wear=abs(draw.offset(0.02)),
        ),
        pump(5.0, 0.005),
        pump(5.0, 0.005),
    ]


def probes(draw: Draw, start: State, moved: list[Drive]) -> list[Instrument]:
    """Return the probes in the order of ``PROBES``, settled at the start (PROCESS 3).

    A flow controller's reading is as wrong as its flow: it shows what it believes it gives.
    """
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
        Instrument(0.5, 0.5, digit=1.0, start=300.0),
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
        Instrument(0.5, 0.01, gain=1.0 / moved[1].gain, start=1.0),
        Instrument(0.5, 0.01, gain=1.0 / moved[2].gain),
        Instrument(2.0, 0.001, offset=draw.offset(0.002), digit=1e-4, start=start.M),
        Instrument(2.0, 0.0005, digit=1e-4, start=BOTTLE_KG),
    ]
