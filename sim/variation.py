"""How one batch differs from another: how far each quantity is from the model's, from one seed."""

import math
import zlib
from typing import Final, Protocol

import numpy as np

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
    "pAmax": 0.15,
    "Kap": 0.10,
    "kR": 0.20,
    "kM": 0.20,
    "Pc": 0.15,
    "qGmax": 0.20,
    "Gmax": 0.15,
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
APART: Final = {"foaming"}  # came later: drawn by name, so that the older draws stay
INOCULUM: Final = 0.15  # likewise of the cells that go in
CUT: Final = 2.5  # standard deviations


class Draw(Protocol):
    """What a seed makes of each named quantity; seed 0 makes nothing of any."""

    def factor(self, name: str, sigma: float) -> float:
        """Return how many times what it should be a quantity is; ``sigma`` as a share."""
        ...

    def offset(self, name: str, sigma: float) -> float:
        """Return how far a quantity is from what it should be."""
        ...

    def between(self, name: str, low: float, high: float) -> float:
        """Return one of a range, each as likely."""
        ...


class InOrder:
    """Independent draws in a fixed order: each depends on how many were made before it."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 0])
        self._on = seed != 0

    def factor(self, name: str, sigma: float) -> float:
        return math.exp(self.offset(name, sigma))

    def offset(self, name: str, sigma: float) -> float:
        return sigma * _cut(float(self._rng.standard_normal())) if self._on else 0.0

    def between(self, name: str, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high)) if self._on else 0.5 * (low + high)


class ByName:
    """Draws that depend on the seed and the quantity's name, and on no other draw."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def factor(self, name: str, sigma: float) -> float:
        return math.exp(self.offset(name, sigma))

    def offset(self, name: str, sigma: float) -> float:
        return sigma * _cut(self._normal(name))

    def between(self, name: str, low: float, high: float) -> float:
        share = 0.5 * (1.0 + math.erf(self._normal(name) / math.sqrt(2.0)))
        return low + share * (high - low)

    def _normal(self, name: str) -> float:
        if not self._seed:
            return 0.0
        own = np.random.default_rng([self._seed, 3, zlib.crc32(name.encode())])
        return float(own.standard_normal())


def _cut(normal: float) -> float:
    return min(CUT, max(-CUT, normal))
