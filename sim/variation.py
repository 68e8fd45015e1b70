"""How one batch differs from another: how far each quantity is from what it should be, by a seed.

The standard deviations are those of the process notes (6.1: respiration and oxygen transfer 12 %,
yield 6 %, inoculum and product 15 %; 1c: kLa 85 +- 10 and the feed strengths of the industrial
record), the others and all correlations are ours: signs are of life, sizes a guess.
"""

import hashlib
import math
from collections.abc import Iterable
from functools import lru_cache
from statistics import NormalDist
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models.model import Variable

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
    "muP": 0.12,
    "kv": 0.15,
    "broth": 0.12,
    "S_feed": 0.01,
    "c_base": 0.03,
    "c_paa": 0.04,
    "c_oil": 0.01,
    "c_paa_n": 0.04,
    "c_n": 0.02,
    "c_n_ions": 0.02,
    "UA": 0.10,
    "loss": 0.15,
    "T_coolant": 0.10,
    "T_room": 0.05,
    "foaming": 0.2,
}
INOCULUM: Final = 0.15  # likewise of the cells that go in
# likewise of what only a correlated batch has
SUBSTRATE: Final = 0.02  # sugar at the start, weighed in the kitchen
SALTS: Final = 0.03  # ammonia and phosphate at the start
SUPPLY: Final = 0.04  # pressure of the compressed air, and so the most that a valve gives
MOISTURE: Final = 0.4  # water in the air
SWING: Final = 0.3  # how far utilities follow the hour of the day
APART: Final = {"foaming", "air_o2"}  # came later: drawn by name, so that older draws stay
SAME: Final = {"c_paa_n": "c_paa", "c_n_ions": "c_n"}  # one salt in one bottle
CUT: Final = 2.5  # standard deviations

PUMPS: Final = ("feed", "acid", "base", "antifoam", "inducer", "oil", "paa", "nitrogen", "water")
GROUPS: Final[tuple[tuple[tuple[str, ...], float], ...]] = (  # each with each
    (("S_feed", "substrate", "salts", "c_paa", "c_n"), 0.5),  # one day of one kitchen
    (tuple(f"{name}.pump" for name in PUMPS), 0.5),  # one cylinder, one technician
    (("air.pump", "oxygen.pump"), 0.5),  # one reference for both flow controllers
    (("temperature.offset", "ph.offset", "do.gain", "capacitance.gain", "turbidity.gain"), 0.4),
    (("offgas_o2.offset", "offgas_co2.offset"), 0.5),  # one bottle of calibration gas
)
PAIRS: Final[dict[tuple[str, str], float]] = {
    ("qOmax", "qSmax"): 0.6,  # a fit strain is fit in both, and so grows faster
    ("qOmax", "qAmax"): 0.4,
    ("qSmax", "qAmax"): 0.3,
    ("qOmax", "qEmax"): 0.4,
    ("qSmax", "qEmax"): 0.3,
    ("Yem", "qm"): -0.4,  # what maintenance burns is missing in the yield
    ("Y", "m"): -0.4,
    ("Yox", "YE"): 0.5,
    ("qPm", "Yem"): -0.3,  # a good producer pays for it
    ("qPm", "Y"): -0.3,
    ("mux", "mup"): 0.3,
    ("muP", "Y"): -0.3,
    ("a", "kd"): 0.4,  # cells that degenerate early forget early
    ("keta", "broth"): -0.3,  # hyphae that thicken also let bubbles merge
    ("foaming", "broth"): -0.3,
    ("inoculum", "lag"): -0.5,  # an old inoculum is thin and slow
    ("T_coolant", "T_room"): 0.7,  # the season
    ("T_room", "moisture"): 0.6,
    ("T_coolant", "moisture"): 0.4,
    ("T_room", "supply"): -0.5,  # compressors give less on hot days
    ("T_coolant", "supply"): -0.35,
    ("moisture", "supply"): -0.3,
    ("T_room", "swing"): 0.3,
    ("T_coolant", "swing"): 0.2,
}
_NORMAL: Final = NormalDist()


class Correlation(NamedTuple):
    """The matrix between the quantities that have one.

    Attributes:
        names: of rows and columns.
        matrix: ones on the diagonal.
        root: lower triangular, times its transpose the matrix.
    """

    names: tuple[str, ...]
    matrix: NDArray[np.float64]
    root: NDArray[np.float64]


@lru_cache
def correlation() -> Correlation:
    """Return the correlations of ``GROUPS`` and ``PAIRS``; those not named are 0.

    Raises:
        LinAlgError: they contradict each other: the matrix is not positive definite.
    """
    pairs = {(a, b): rho for names, rho in GROUPS for a in names for b in names if a != b} | PAIRS
    names = tuple(dict.fromkeys(name for pair in pairs for name in pair))
    matrix: NDArray[np.float64] = np.eye(len(names))
    for (a, b), rho in pairs.items():
        i, j = names.index(a), names.index(b)
        matrix[i, j] = matrix[j, i] = rho
    return Correlation(names, matrix, np.asarray(np.linalg.cholesky(matrix), np.float64))


class Draw(Protocol):
    """What a seed makes of each named quantity.

    Attributes:
        on: False for seed 0, which leaves everything as it should be.
    """

    @property
    def on(self) -> bool: ...

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
        self.on = seed != 0

    def factor(self, name: str, sigma: float) -> float:
        return math.exp(self.offset(name, sigma))

    def offset(self, name: str, sigma: float) -> float:
        return sigma * _cut(float(self._rng.standard_normal())) if self.on else 0.0

    def between(self, name: str, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high)) if self.on else 0.5 * (low + high)


class ByName:
    """Correlated draws, each from the seed and its own name: a new quantity moves no other's."""

    def __init__(self, seed: int) -> None:
        self.on = seed != 0
        self._seed = seed
        self._joint: dict[str, float] = {}

    def factor(self, name: str, sigma: float) -> float:
        return math.exp(self.offset(name, sigma))

    def offset(self, name: str, sigma: float) -> float:
        return sigma * _cut(self._normal(SAME.get(name, name))) if sigma else 0.0

    def between(self, name: str, low: float, high: float) -> float:
        return low + _NORMAL.cdf(self._normal(name)) * (high - low)

    def _normal(self, name: str) -> float:
        if not self.on:
            return 0.0
        known = correlation()
        if not self._joint:
            apart = np.array([self._alone(n) for n in known.names])
            self._joint = dict(zip(known.names, (known.root @ apart).tolist(), strict=True))
        normal = self._joint.get(name)
        return self._alone(name) if normal is None else normal

    def _alone(self, name: str) -> float:
        digest = hashlib.blake2b(f"{self._seed} {name}".encode(), digest_size=7).digest()
        return _NORMAL.inv_cdf((int.from_bytes(digest) + 0.5) / 2.0**56)


def _cut(normal: float) -> float:
    return min(CUT, max(-CUT, normal))


Variation = Literal["independent", "correlated"]
INDEPENDENT: Final = {("ecoli", "5l")}  # unless told otherwise: published figures rest on it


class Draws(NamedTuple):
    """What draws what of a batch.

    Attributes:
        old: what has been drawn from the first day.
        new: what came later.
        more: what only a correlated batch has.
    """

    old: Draw
    new: Draw
    more: Draw


def draws(seed: int, variation: Variation) -> Draws:
    """Return the draws of a seed."""
    by_name = ByName(seed)
    if variation == "correlated":
        return Draws(by_name, by_name, by_name)
    return Draws(InOrder(seed), by_name, ByName(0))


def drawn(parameters: Iterable[Variable], draw: Draws) -> dict[str, float]:
    """Return a model's parameters by name, in their order: those of one strain, medium, vessel."""
    return {
        v.name: v.default
        * (draw.new if v.name in APART else draw.old).factor(v.name, SPREAD.get(v.name, 0.0))
        for v in parameters
    }
