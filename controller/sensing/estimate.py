"""What is believed of a vessel at one time, and where everything in it stands."""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Final, NamedTuple

from models.ecoli import EColi
from models.organisms import WATCHED
from models.soft_sensor import GAS, KLA, offset

UNITS: Final = {"_g_per_l": "g/L", "_l": "L", "_percent": "%", "_factor": "1"}  # by ending
DO: Final = "do_percent"  # as OUR and kLa have it
WANDER: Final = (
    0.035  # share of kLa by which a broth is off its mean of some hours, by itself (ours)
)
NINETY: Final = 1.6449  # standard deviations to each side that hold 90 %


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the filter of an organism keeps what.

    Attributes:
        states: their names, in the order of ``Estimate.mean``.
        names: of what is reported, with the unit.
        places: for each of these the states that it is the sum of.
        logarithms: which of ``names`` are kept as logarithms: the factors.
        assays: for each analyte of the laboratory the states that it is the sum of.
        tracked: how many of the states are species; the volume comes next.
        doubt: of ``names``, what no filter knows of its own equations, as a share.
    """

    states: tuple[str, ...]
    names: tuple[str, ...]
    places: Mapping[str, tuple[int, ...]]
    logarithms: frozenset[str]
    assays: Mapping[str, tuple[int, ...]]
    tracked: int
    doubt: Mapping[str, float]

    @property
    def size(self) -> int:
        """How many states there are."""
        return len(self.states)


@lru_cache
def layout(organism: str) -> Layout:
    """Return the layout of one of ``models.organisms.WATCHED``.

    Raises:
        KeyError: it is none.
    """
    watched = WATCHED[organism]().watched
    factors = (*(f.name for f in watched.learned), KLA)
    species = tuple(t.name for t in watched.tracked)
    own = (*(v.name for v in GAS), *map(offset, watched.offsets))
    states = (*species, "V", *(f"log_{n}" for n in factors), *own)
    at = {name: k for k, name in enumerate(states)}
    places = {n: tuple(at[s] for s in of) for n, of in watched.quantities.items()}
    places["volume_l"] = (at["V"],)
    logs = {f"{n}_factor": (at[f"log_{n}"],) for n in factors}
    places |= logs | {DO: (at[f"log_{KLA}"],)}
    assays = {n: tuple(at[s] for s in of) for n, of in watched.assays.items()}
    return Layout(
        states, tuple(places), places, frozenset(logs), assays, len(species), watched.doubt
    )


def reported(organism: str) -> dict[str, tuple[str, str]]:
    """Return what is shown of an estimate: the tag's suffix and unit by name."""
    found: dict[str, tuple[str, str]] = {}
    for name in layout(organism).names:
        for ending, unit in UNITS.items():
            if name.endswith(ending) and name not in found:
                found[name] = (name if unit == "1" else name.removesuffix(ending), unit)
    return found


class Believed(NamedTuple):
    """One quantity of an estimate, in the unit of its name.

    Attributes:
        value: the mean.
        sd: standard deviation.
        low: it is above this with 95 %.
        high: it is below this with 95 %.
        shown: how well what is measured shows it, 0 to 1, see ``controller.excitation``.
    """

    value: float
    sd: float
    low: float
    high: float
    shown: float


NAMES = layout(EColi.name).names
N_STATES = layout(EColi.name).size


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is believed of the vessel at one time.

    Attributes:
        time: s since 1970 UTC.
        mean: of every state, see ``Layout.states``; factors as logarithms.
        cov: their whole covariance, row by row.
        stale_s: s since a reading of oxygen was last taken in; 0 while they are.
        our_mmol_per_l_h: oxygen uptake, from the model at ``mean``.
        cer_mmol_per_l_h: CO2 evolution likewise.
        mu_per_h: specific growth rate likewise.
        feed_factor: true feed over the pump's own figure, by the bottle's balance.
        base_ml_per_g: base per gram of biomass formed, as seen so far.
        rejected: readings refused by the gate in this update, with the reason.
        meter: sums that a restart must not lose: the feed meter's state, mass, base, growth.
        neutralised_mmol: by base, less by acid, of what is in the vessel; ``None``: nobody knows.
        feed_left_kg: what the feed's balance shows; NaN where nothing weighs it.
        organism: key of ``models.organisms.WATCHED``.
        seen: how well what is measured shows each of ``names``, 0 (not at all) to 1.
        frozen: factors that stay where they are, for nothing that is measured shows them.
        suspects: instruments that keep disagreeing with all the others.
        do_percent: what the DO probe showed last.
        do_offset_percent: what it shows too much by OUR and kLa, see ``probe_watch``.
        do_force_percent: oxygen in equilibrium with the gas over that, % of air saturation.
    """

    time: float
    mean: tuple[float, ...]
    cov: tuple[float, ...]
    stale_s: float = 0.0
    our_mmol_per_l_h: float = 0.0
    cer_mmol_per_l_h: float = 0.0
    mu_per_h: float = 0.0
    feed_factor: float = 1.0
    base_ml_per_g: float = 2.0
    rejected: tuple[str, ...] = ()
    meter: tuple[float, ...] = ()
    neutralised_mmol: float | None = None
    feed_left_kg: float = math.nan
    organism: str = EColi.name
    seen: tuple[float, ...] = ()
    frozen: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()
    do_percent: float = 0.0
    do_offset_percent: float = 0.0
    do_force_percent: float = 0.0

    @property
    def names(self) -> Sequence[str]:
        """Names of what ``value`` and ``sd`` know."""
        return layout(self.organism).names

    @property
    def states(self) -> Sequence[str]:
        """Names of the states, in the order of ``mean`` and ``cov``."""
        return layout(self.organism).states

    def value(self, name: str) -> float:
        """Return the mean of ``name``, in the unit that its name ends with; a factor has none."""
        return self._value(layout(self.organism), name)

    def sd(self, name: str) -> float:
        """Return the standard deviation of ``name``, in the unit of ``value``."""
        of = layout(self.organism)
        return self._sd(of, name, self._value(of, name), self._spread(of, name))

    def interval(self, name: str) -> tuple[float, float]:
        """Return the ends of the interval that holds ``name`` with 90 %; none is negative.

        That of what cannot be negative is one of its logarithm: it is longer upwards. It holds
        the doubt in the equations too, and may be wider than ``sd`` says.
        """
        of = layout(self.organism)
        return self._interval(of, name, self._value(of, name), self._spread(of, name))

    def believed(self, names: Iterable[str]) -> dict[str, Believed]:
        """Return everything about each of ``names``."""
        of = layout(self.organism)
        shown = dict(zip(of.names, self.seen, strict=False))
        found: dict[str, Believed] = {}
        for name in names:
            value, spread = self._value(of, name), self._spread(of, name)
            low, high = self._interval(of, name, value, spread)
            sd = self._sd(of, name, value, spread)
            found[name] = Believed(value, sd, low, high, shown.get(name, 0.0))
        return found

    def shown(self, name: str) -> float:
        """Return how well what is measured shows ``name``: 0 not at all, 1 from hour to hour."""
        return self.seen[self.names.index(name)] if self.seen else 0.0

    def joint(self, names: Sequence[str]) -> tuple[list[float], list[list[float]]]:
        """Return mean and covariance of some of ``names``; factors as logarithms."""
        of, n = layout(self.organism), len(self.mean)
        places = [of.places[name] for name in names]
        mean = [sum(self.mean[i] for i in at) for at in places]
        cov = [[sum(self.cov[i * n + j] for i in a for j in b) for b in places] for a in places]
        return mean, cov

    def samples(self, names: Sequence[str], count: int, seed: int = 0) -> list[dict[str, float]]:
        """Return draws of some of ``names`` together, as ``value`` has them; none is negative.

        Args:
            names: of what is drawn.
            count: how many draws.
            seed: equal seeds give equal draws.
        """
        of, rng = layout(self.organism), random.Random(seed)
        mean, cov = self.joint(names)
        root = _root(cov)
        found: list[dict[str, float]] = []
        for _ in range(count):
            normal = [rng.gauss(0.0, 1.0) for _ in names]
            draw: dict[str, float] = {}
            for i, name in enumerate(names):
                value = mean[i] + sum(root[i][k] * normal[k] for k in range(i + 1))
                draw[name] = math.exp(value) if name in of.logarithms else max(value, 0.0)
            found.append(draw)
        return found

    def _value(self, of: Layout, name: str) -> float:
        if name == DO:
            return self.do_percent - self.do_offset_percent
        value = sum([self.mean[i] for i in of.places[name]])
        return math.exp(value) if name in of.logarithms else value

    def _spread(self, of: Layout, name: str) -> float:
        """Return the standard deviation of what is kept of ``name``: a factor's logarithm."""
        places, n = of.places[name], len(self.mean)
        return math.sqrt(max(sum([self.cov[i * n + j] for i in places for j in places]), 0.0))

    def _sd(self, of: Layout, name: str, value: float, spread: float) -> float:
        if name == DO:
            return math.hypot(spread, WANDER) * abs(self.do_force_percent)
        return spread * value if name in of.logarithms else spread

    def _interval(self, of: Layout, name: str, value: float, own: float) -> tuple[float, float]:
        if name == DO:
            spread = self._sd(of, name, value, own)
            return value - NINETY * spread, value + NINETY * spread
        spread = math.hypot(own, of.doubt.get(name, 0.0) * value)
        if name not in of.logarithms:
            spread = math.sqrt(math.log1p((spread / value) ** 2)) if value > 2.0 * spread else -1.0
        if spread < 0.0:  # hardly there: it may be nothing at all
            return max(value - NINETY * own, 0.0), value + NINETY * own
        return value * math.exp(-NINETY * spread), value * math.exp(NINETY * spread)

    @property
    def finite(self) -> bool:
        """Whether every number in it is."""
        return all(map(math.isfinite, (self.time, *self.mean, *self.cov)))

    def as_state(self) -> dict[str, Any]:
        """Return it as JSON can carry it; nothing is copied, for each scan asks for it."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_state(cls, plain: Mapping[str, Any]) -> "Estimate":
        """Return the estimate that ``as_state`` wrote.

        Raises:
            ValueError: it is none, or a number in it is not finite.
        """
        try:
            known: dict[str, Any] = {f.name: plain[f.name] for f in fields(cls) if f.name in plain}
            for name in ("mean", "cov", "rejected", "meter", "seen", "frozen", "suspects"):
                known[name] = tuple(known.get(name, ()))
            estimate = cls(**known)
            size = layout(estimate.organism).size
            if not (len(estimate.mean) == size and len(estimate.cov) == size**2):
                raise ValueError(f"an estimate has {size} states, not {len(estimate.mean)}")
            if not estimate.finite:
                raise ValueError("an estimate's numbers must be finite")
        except (TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"not an estimate: {type(error).__name__} {error}") from error
        return estimate


def _root(cov: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return a lower triangle whose product with its transpose is ``cov``."""
    size = len(cov)
    root = [[0.0] * size for _ in range(size)]
    for j in range(size):
        left = cov[j][j] - sum(root[j][k] ** 2 for k in range(j))
        root[j][j] = math.sqrt(max(left, 0.0))
        if root[j][j] <= 1e-9 * math.sqrt(max(cov[j][j], 1e-300)):
            continue  # what is left follows from the others
        for i in range(j + 1, size):
            dot = sum(root[i][k] * root[j][k] for k in range(j))
            root[i][j] = (cov[i][j] - dot) / root[j][j]
    return root
