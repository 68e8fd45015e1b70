"""What of a batch does not stay as drawn: kLa, utilities with the hour, cells that wake up."""

import math
from collections.abc import Mapping, MutableSequence
from typing import Final, NamedTuple

import numpy as np

from models.bioreactor import Bioreactor
from models.oxygen import AIR_O2
from sim.variation import MOISTURE, SWING, Draw

BROTH_DRIFT: Final = (0.04, 3.0 * 3600.0)  # kLa: standard deviation, time constant in s
HOTTEST_H: Final = 15.0  # hour of the day, plant time
ASLEEP: Final = 0.8  # share of uptake that cells lack at first after a bad inoculum
LAG_H: Final = {  # one standard deviation; positive only
    **{"ecoli": 0.5, "ecoli_twin": 0.5, "yeast": 0.7, "yeast_twin": 0.7},
    **{"penicillin": 3.0, "penicillin_structured": 3.0, "pensim": 5.0},
}
UPTAKE: Final = ("qSmax", "qOmax", "qAmax", "mux", "mub")  # what lags, of what an organism has
SWINGS: Final = {  # K that coolant and room follow the day
    "5l": {"T_coolant": 0.5, "T_room": 1.5},
    "300l": {"T_coolant": 1.0, "T_room": 2.0},
    "100m3": {"T_coolant": 1.5, "T_room": 4.0},
}
MOIST: Final = {"5l": 0.001, "300l": 0.004, "100m3": 0.007}  # of the air, volume: its dew point


class Day(NamedTuple):
    """What one batch finds: how long its cells lag, h, and how far utilities swing, K."""

    lag_h: float
    swings: Mapping[str, float]


def day(draw: Draw, reactor: Bioreactor) -> Day:
    """Return the day of a batch, steady with seed 0."""
    lag = max(0.0, draw.offset("lag", LAG_H.get(reactor.organism.name, 0.0)))
    swing = draw.factor("swing", SWING) if draw.on else 0.0
    return Day(lag, {name: swing * k for name, k in SWINGS[reactor.vessel.name].items()})


def air_o2(draw: Draw, vessel: str) -> float:
    """Return oxygen in the air that a compressor and its dryer deliver, mol/mol."""
    moist = MOIST[vessel] * draw.factor("moisture", MOISTURE) if draw.on else 0.0
    return AIR_O2 * (1.0 - moist)


class Wandering:
    """Moves some parameters of a vessel around what they are meant to be, once a minute.

    Args:
        reactor: whose parameters they are.
        meant: the parameters by name; may be changed while the batch runs.
        now: the parameters as they are, in the model's order.
        day: of the batch.
        seed: draws how kLa wanders; with 0 nothing moves.
    """

    def __init__(
        self,
        reactor: Bioreactor,
        meant: Mapping[str, float],
        now: MutableSequence[float],
        day: Day,
        seed: int,
    ) -> None:
        self._at = {v.name: k for k, v in enumerate(reactor.parameters)}
        self._meant = meant
        self._now = now
        self._day = day
        self._rng = np.random.default_rng([seed, 2])  # the same path for any steps
        self._broth = 0.0
        self._factors: dict[str, float] = {}
        self._shifts: dict[str, float] = {}
        self._uptake = [name for name in UPTAKE if name in self._at] if day.lag_h else []
        self.on = seed != 0

    def begin(self, time: float) -> None:
        """Put the parameters where they are at the start; ``time`` is plant time, s."""
        if self.on:
            self._shift(0.0, time)

    def move(self, age: float, dt: float, time: float) -> None:
        """Move on by ``dt`` s, ``age`` s after the start."""
        if int(age / 60.0) == int((age + dt) / 60.0):
            return
        keep = math.exp(-60.0 / BROTH_DRIFT[1])
        normal = float(self._rng.standard_normal())
        self._broth = keep * self._broth + BROTH_DRIFT[0] * math.sqrt(1.0 - keep * keep) * normal
        self._factors["broth"] = math.exp(self._broth)
        self.put("broth")
        self._shift(age + dt, time + dt)

    def put(self, name: str) -> None:
        """Let a parameter be what it is meant to be, as far as it wanders now."""
        meant = self._meant[name]
        if name in self._factors:
            meant *= self._factors[name]
        self._now[self._at[name]] = meant + self._shifts.get(name, 0.0)

    def _shift(self, age: float, time: float) -> None:
        warm = math.cos(2.0 * math.pi * (time / 3600.0 - HOTTEST_H) / 24.0)
        for name, kelvin in self._day.swings.items():
            if kelvin:
                self._shifts[name] = kelvin * warm
                self.put(name)
        if self._uptake:
            left = math.exp(-age / 3600.0 / self._day.lag_h)
            for name in self._uptake:
                self._factors[name] = 1.0 - ASLEEP * left
                self.put(name)
            if left < 1e-4:
                self._uptake = []
