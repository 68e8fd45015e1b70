"""Feed profiles: flow against time since their start. Pure, open-loop, bounded and always finite.

A profile knows nothing of the vessel after it has begun; what it starts from is taken once.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Protocol

HOUR_S = 3600.0
ML_PER_L = 1000.0
LEAST = 1e-9  # mL/h; less is nothing, and would overflow before it grew to a cap


class Profile(Protocol):
    """What a feed pump should do on its own."""

    def flow(self, t_s: float) -> float:
        """Return the feed in mL/h at ``t_s`` s since its start; before the start, that of 0 s."""
        ...

    def volume(self, t_s: float) -> float:
        """Return what was fed from the start to ``t_s`` s, in mL."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """The same flow all the time: also a feed at rest, and one that holds what it was.

    Attributes:
        ml_per_h: the flow, >= 0.
    """

    ml_per_h: float = 0.0

    def __post_init__(self) -> None:
        _require("ml_per_h (mL/h)", self.ml_per_h)

    def flow(self, t_s: float) -> float:
        return self.ml_per_h

    def volume(self, t_s: float) -> float:
        return self.ml_per_h * max(0.0, t_s) / HOUR_S


@dataclass(frozen=True, slots=True)
class Table:
    """Straight lines between given points; the first and the last flow go on outside them.

    Attributes:
        hours: since the start, h, rising.
        ml_per_h: the flow at each, >= 0, as many.
    """

    hours: tuple[float, ...]
    ml_per_h: tuple[float, ...]
    _volumes: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.hours or len(self.hours) != len(self.ml_per_h):
            raise ValueError(
                f"hours and ml_per_h: {len(self.hours)} and {len(self.ml_per_h)} numbers are not "
                "allowed; as many of both, at least one"
            )
        for hour in self.hours:
            _require("hours (h)", hour)
        for flow in self.ml_per_h:
            _require("ml_per_h (mL/h)", flow)
        if any(b <= a for a, b in pairwise(self.hours)):
            raise ValueError(f"hours: {self.hours} is not allowed; hours (h) must rise")
        volumes = [self.hours[0] * self.ml_per_h[0]]
        points = zip(self.hours, self.ml_per_h, strict=True)
        for (t0, f0), (t1, f1) in pairwise(points):
            volumes.append(volumes[-1] + (t1 - t0) * (f0 + f1) / 2)
        object.__setattr__(self, "_volumes", tuple(volumes))

    def flow(self, t_s: float) -> float:
        hour = t_s / HOUR_S
        i = bisect_right(self.hours, hour)
        if i == 0:
            return self.ml_per_h[0]
        if i == len(self.hours):
            return self.ml_per_h[-1]
        t0, t1 = self.hours[i - 1], self.hours[i]
        f0, f1 = self.ml_per_h[i - 1], self.ml_per_h[i]
        return f0 + (f1 - f0) * (hour - t0) / (t1 - t0)

    def volume(self, t_s: float) -> float:
        hour = max(0.0, t_s / HOUR_S)
        i = bisect_right(self.hours, hour)
        if i == 0:
            return hour * self.ml_per_h[0]
        since = hour - self.hours[i - 1]
        return self._volumes[i - 1] + since * (self.ml_per_h[i - 1] + self.flow(t_s)) / 2


@dataclass(frozen=True, slots=True)
class Exponential:
    """A feed that keeps a wanted growth rate while its yield holds, up to a cap.

    ``F(t) = (mu / Y_xs + q_m) X0 V0 exp(mu t) / (S_f - S)``. Open-loop: an error of X0 stays as a
    share, an error of mu grows as ``exp(dmu t)``; the cap bounds both.

    Attributes:
        mu_per_h: wanted specific growth rate, 1/h, 0 to 2.
        biomass_g_per_l: X0, biomass at the start, g/L, > 0.
        volume_l: V0, volume at the start, L, > 0.
        cap_ml_per_h: never more than this, mL/h.
        feed_substrate_g_per_l: S_f, substrate in the feed, g/L.
        yield_g_per_g: Y_xs, biomass formed per substrate eaten.
        maintenance_g_per_g_h: q_m, substrate burnt without growth, g/g/h.
        substrate_g_per_l: S, what is left in the vessel, g/L; nearly 0 in a limited fed-batch.

    Source: PROCESS §4; textbook mass balance of a substrate-limited fed-batch at constant S.
    """

    mu_per_h: float
    biomass_g_per_l: float
    volume_l: float
    cap_ml_per_h: float
    feed_substrate_g_per_l: float = 500.0
    yield_g_per_g: float = 0.51
    maintenance_g_per_g_h: float = 0.04
    substrate_g_per_l: float = 0.0
    _start: float = field(init=False, repr=False, compare=False)  # mL/h at t = 0, below the cap
    _capped_h: float = field(init=False, repr=False, compare=False)  # when the cap is reached

    def __post_init__(self) -> None:
        _require("mu_per_h (1/h)", self.mu_per_h, most=2.0)
        _require("biomass_g_per_l (g/L)", self.biomass_g_per_l, most=500.0)
        _require("volume_l (L)", self.volume_l)
        _require("cap_ml_per_h (mL/h)", self.cap_ml_per_h)
        _require("maintenance_g_per_g_h (g/g/h)", self.maintenance_g_per_g_h, most=1.0)
        _require("substrate_g_per_l (g/L)", self.substrate_g_per_l)
        _require("feed_substrate_g_per_l (g/L)", self.feed_substrate_g_per_l)
        if not self.feed_substrate_g_per_l > self.substrate_g_per_l:
            raise ValueError(
                f"feed_substrate_g_per_l: {self.feed_substrate_g_per_l:g} is not allowed; it must "
                f"be above what is left in the vessel, {self.substrate_g_per_l:g} g/L"
            )
        if not 0.01 <= self.yield_g_per_g <= 2.0:
            raise ValueError(f"yield_g_per_g: {self.yield_g_per_g:g} is not allowed; 0.01 to 2 g/g")
        uptake = self.mu_per_h / self.yield_g_per_g + self.maintenance_g_per_g_h  # g/g/h
        grams = uptake * self.biomass_g_per_l * self.volume_l  # g/h
        flow = grams / (self.feed_substrate_g_per_l - self.substrate_g_per_l) * ML_PER_L
        start = min(flow, self.cap_ml_per_h) if flow > LEAST else 0.0
        capped = math.inf
        if start >= self.cap_ml_per_h:
            capped = 0.0
        elif self.mu_per_h > 0.0 and start > 0.0:
            capped = math.log(self.cap_ml_per_h / start) / self.mu_per_h
        object.__setattr__(self, "_start", start)
        object.__setattr__(self, "_capped_h", capped)

    def flow(self, t_s: float) -> float:
        hour = t_s / HOUR_S
        if hour >= self._capped_h:
            return self.cap_ml_per_h
        if hour <= 0.0 or self._start == 0.0:
            return self._start
        return min(self._start * math.exp(self.mu_per_h * hour), self.cap_ml_per_h)

    def volume(self, t_s: float) -> float:
        hour = max(0.0, t_s / HOUR_S)
        growing = min(hour, self._capped_h)
        growth = self.mu_per_h * growing
        # expm1(x) / x is 1 long before x becomes too small to be divided by
        mean = math.expm1(growth) / growth if self._start > 0.0 and growth > 1e-12 else 1.0
        fed = self._start * growing * mean
        return fed + self.cap_ml_per_h * (hour - growing)


KINDS: Mapping[str, type[Constant | Table | Exponential]] = {
    "constant": Constant,
    "table": Table,
    "exponential": Exponential,
}


def substrate_g(profile: Profile, t_s: float, feed_substrate_g_per_l: float) -> float:
    """Return the substrate fed from the start to ``t_s`` s, in g."""
    return profile.volume(t_s) / ML_PER_L * feed_substrate_g_per_l


def as_state(profile: Constant | Table | Exponential) -> dict[str, Any]:
    """Return a profile as JSON, for a restart."""
    kind = next(name for name, cls in KINDS.items() if type(profile) is cls)
    numbers = {k: v for k, v in asdict(profile).items() if not k.startswith("_")}
    return {"kind": kind, **numbers}


def from_state(state: Mapping[str, Any]) -> Constant | Table | Exponential:
    """Return the profile that ``as_state`` described.

    Raises:
        ValueError: the state is damaged.
    """
    numbers: dict[str, Any] = {k: v for k, v in state.items() if k != "kind"}
    try:
        if state["kind"] == "table":
            return Table(tuple(numbers["hours"]), tuple(numbers["ml_per_h"]))
        return KINDS[state["kind"]](**numbers)
    except (KeyError, TypeError) as error:
        raise ValueError(f"feed profile: damaged state: {error!r}") from None


def _require(what: str, value: float, most: float = 1e8) -> None:
    """Refuse what is not finite, negative or absurd; ``what`` is the key and its unit."""
    if not 0.0 <= value <= most:
        key = what.partition(" ")[0]
        raise ValueError(f"{key}: {value:g} is not allowed; {what} must be 0 to {most:g}")
