"""What each plan foresees, as an event: the forwarder makes points in the future of it."""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from controller.loops.loops import Loop
from controller.planning.plan import FLOWS, Plan
from controller.plant_file.units import ML_PER_H
from controller.sensing.estimate import reported
from historian.events import Event, Kind

GRID_S: Final = 600.0  # plans tell of the same moments, so the newest of them holds
AHEAD_H: Final = 12.0
EARLY_S: Final = 3600.0  # what was foreseen so long before is kept beside what came
_GAS: Final = {"our_mmol_per_l_h": "our", "cer_mmol_per_l_h": "cer"}

Row = tuple[float, ...]


class PlanRecord:
    """Tells of every plan once, under the names and in the units of what is stored.

    Setpoints have the names of their loops' (``feed.sp``), what is predicted those of the soft
    sensor (``est.biomass``); ``_low`` and ``_high`` are its 90 % interval.

    Args:
        reactor: ``R1``.
        seats: the loops that a plan leads, by its names of their setpoints.
        organism: of the model.
        tell: takes each event.
    """

    def __init__(
        self, reactor: str, seats: Mapping[str, Loop], organism: str, tell: Callable[[Event], None]
    ) -> None:
        self._reactor, self._tell = reactor, tell
        self._setpoints: dict[str, tuple[str, float]] = {}
        for name, loop in seats.items():
            per = ML_PER_H.get(loop.unit, 1.0) if name.endswith(FLOWS) else 1.0
            self._setpoints[name] = (f"{loop.name.partition('.')[2]}.sp", per)
        self._predicted = {
            name: f"est.{suffix}" for name, (suffix, _) in reported(organism).items()
        }
        self._predicted |= _GAS
        self._known: Plan | None = None

    def look(self, now: float, plan: Plan | None) -> None:
        """Tell of ``plan`` if it is another one; ``now`` is s since 1970 UTC."""
        if plan is self._known:
            return
        self._known = plan
        if plan is None or not plan.good:
            return
        end = min(plan.times[-1], now + AHEAD_H * 3600.0)
        first = math.ceil(now / GRID_S) * GRID_S
        times = [first + GRID_S * k for k in range(math.floor((end - first) / GRID_S) + 1)]
        if not times:
            return
        columns = {name: _drawn(plan.times, row, times) for name, row in self._rows(plan)}
        hours = (plan.times[-1] - now) / 3600.0
        text = f"{self._reactor}: a plan for {hours:.2f} h, objective {plan.objective:g}"
        data = {"made": plan.made, "times": times, "early_s": EARLY_S, "foreseen": columns}
        self._tell(Event(now, "optimiser", Kind.PLAN, self._reactor, text, data))

    def _rows(self, plan: Plan) -> Iterator[tuple[str, Row]]:
        for k, name in enumerate(plan.names):
            field, per = self._setpoints.get(name, (f"plan.{name}", 1.0))
            yield field, tuple(row[k] / per for row in plan.setpoints)
        found = dict(plan.predicted)
        spread = dict(plan.spread)
        if {"product_g", "volume_l"} <= found.keys() and "product_g_per_l" not in found:
            for rows in (found, spread):
                if grams := rows.get("product_g"):
                    pairs = zip(grams, plan.predicted["volume_l"], strict=True)
                    rows["product_g_per_l"] = tuple(g / v for g, v in pairs)
        for name, row in found.items():
            if (field := self._predicted.get(name)) is None:
                continue
            yield field, row
            if (half := spread.get(name)) is not None:
                yield f"{field}_low", tuple(v - h for v, h in zip(row, half, strict=True))
                yield f"{field}_high", tuple(v + h for v, h in zip(row, half, strict=True))


def _drawn(times: Sequence[float], row: Row, wanted: Sequence[float]) -> list[float]:
    """Return a trajectory at other times, to six digits; linear, and level outside."""
    found: list[float] = []
    for time in wanted:
        right = min(max(bisect_right(times, time), 1), len(times) - 1)
        t0, t1 = times[right - 1], times[right]
        share = min(max((time - t0) / (t1 - t0), 0.0), 1.0)
        found.append(float(f"{row[right - 1] + (row[right] - row[right - 1]) * share:.6g}"))
    return found
