"""The volume that went through a pump within the last hour, exactly, and over restarts."""

import math
from collections import deque
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

HOUR_S = 3600.0
ML_PER_S = {"mL/s": 1.0, "mL/min": 1 / 60, "mL/h": 1 / 3600, "L/min": 1000 / 60, "L/h": 1 / 3.6}
GRAIN_S = 60.0  # how finely doses are remembered over a restart


class Dose:
    """What went through one pump within the hour: points (s, mL since the first), linear between.

    Exact: a new point is kept wherever the flow changes, and nothing is rounded until a restart.
    """

    __slots__ = ("_bend", "_points", "flow", "ml_per_s", "most", "time", "volume")

    def __init__(self, most: float, ml_per_s: float) -> None:
        self.most = most  # mL in any hour
        self.ml_per_s = ml_per_s  # of one of the tag's units
        self.flow = 0.0  # mL/s since `time`
        self.time = math.nan  # up to when it has been counted; NaN: not begun
        self.volume = 0.0  # mL at `time`
        self._bend = -1.0  # mL/s between the last two points
        self._points: deque[tuple[float, float]] = deque()

    def count(self, now: float) -> None:
        """Add what went through since the last count."""
        dt = now - self.time
        if dt <= 0.0:
            return
        points = self._points
        if dt != dt:  # the first time
            points.append((now, self.volume))
        else:
            self.volume += self.flow * dt
            if self.flow == self._bend:
                points[-1] = (now, self.volume)
            else:
                points.append((now, self.volume))
                self._bend = self.flow
        self.time = now
        old = now - HOUR_S
        while len(points) > 2 and points[1][0] <= old:
            points.popleft()

    def since(self, time: float) -> float:
        """Return what went through since ``time``, in mL, up to the last count."""
        points = self._points
        if not points or time <= points[0][0]:
            return self.volume - (points[0][1] if points else self.volume)
        if time >= self.time:
            return 0.0
        i = 1
        while points[i][0] < time:
            i += 1
        (t0, v0), (t1, v1) = points[i - 1], points[i]
        return self.volume - v0 - (v1 - v0) * (time - t0) / (t1 - t0)

    def allowed(self, flow: float, now: float, ahead: float) -> float:
        """Return ``flow`` or as much of it (mL/s) as the hour ``ahead`` s from now can take."""
        wanted = flow * ahead
        # Since the oldest point is longer than an hour: if that leaves enough, it is enough.
        if self.volume - self._points[0][1] + wanted <= self.most:
            return flow
        left = self.most - self.since(now + ahead - HOUR_S)
        # a constant flow of exactly the limit is not cut by rounding
        return flow if wanted <= left + 1e-9 * wanted else max(0.0, left) / ahead

    def as_state(self) -> dict[str, Any]:
        """Return it as JSON; points closer than `GRAIN_S` are joined, their volume is kept."""
        points = list(self._points)
        kept = points[:1]
        for point, after in pairwise(points[1:]):
            if after[0] - kept[-1][0] >= GRAIN_S:
                kept.append(point)
        kept += points[-1:] if len(points) > 1 else []
        return {"ml_per_s": self.flow, "points": [[t, v - points[0][1]] for t, v in kept]}

    def restore(self, state: Mapping[str, Any], now: float, ran_on_s: float) -> None:
        """Continue from ``as_state``; see `Guard.from_state`."""
        points = [(float(t), float(v)) for t, v in state["points"]]
        flow = float(state["ml_per_s"])
        if not all(math.isfinite(n) for point in [*points, (flow, 0.0)] for n in point):
            raise ValueError("not finite")
        rises = all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(points))
        if flow < 0 or not rises:
            raise ValueError("not rising")
        if not points:
            return
        late = max(0.0, points[-1][0] - now)  # a clock that was set back: no outage, same doses
        self._points = deque((t - late, v) for t, v in points)
        self.time, self.volume = self._points[-1]
        self.flow = flow
        self.count(min(now, self.time + ran_on_s))
        self.flow = 0.0
        self.count(now)
