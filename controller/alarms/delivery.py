"""Does a pump give what it is told? The balance below its bottle knows.

What the bottle has lost over many minutes is compared with what the pump was told to give, both as
means of a minute, so that little of a balance's noise is left. An empty bottle, a blocked line, a
worn tube and a pump that runs away all show; a bottle that is exchanged begins anew.
"""

import math
from collections import deque
from collections.abc import Mapping

from controller.alarms.alarms import Alarms
from controller.alarms.rules import Limit
from drivers.point import Sample

BLOCK_S = 60.0  # of one mean
MOST = 3.0  # times what it was told: no pump gives more; somebody has moved the bottle


class Delivery:
    """The rule of one pump and the balance of its bottle.

    Args:
        alarms: told of what is so.
        rule: of the difference, % of what the pump was told.
        weight: name of the balance's tag, and kg for one of its unit.
        pump: name of the pump's tag, and kg/s for one of its unit.
        span_s: over which both are compared, s.
        least_kg: what the pump must have been told to give in that span to be judged, kg.
    """

    __slots__ = (
        "_alarms",
        "_blocks",
        "_count",
        "_kg",
        "_kg_per_s",
        "_least_kg",
        "_pump",
        "_rule",
        "_sums",
        "_time",
        "_told",
        "_until",
        "_weight",
    )

    def __init__(
        self,
        alarms: Alarms,
        rule: Limit,
        weight: tuple[str, float],
        pump: tuple[str, float],
        span_s: float,
        least_kg: float,
    ) -> None:
        self._alarms, self._rule = alarms, rule
        self._weight, self._kg = weight
        self._pump, self._kg_per_s = pump
        self._least_kg = least_kg
        count = max(round(span_s / BLOCK_S), 1) + 1
        self._blocks: deque[tuple[float, float]] = deque(maxlen=count)  # mean weight, mean told, kg
        self._begin(math.nan)

    def _begin(self, now: float) -> None:
        """Forget what was: nobody knows what was given before ``now``."""
        self._blocks.clear()
        self._time, self._told = now, 0.0
        self._block(now)

    def _block(self, now: float) -> None:
        self._until, self._count, self._sums = now + BLOCK_S, 0, (0.0, 0.0)

    def see(self, now: float, samples: Mapping[str, Sample]) -> None:
        """Count one scan, and judge once a minute."""
        weight, pump = samples.get(self._weight), samples.get(self._pump)
        if weight is None or pump is None or not weight.quality or not pump.quality:
            self._time = math.nan
            return
        if self._time != self._time:
            self._begin(now)
        self._told += pump.value * self._kg_per_s * (now - self._time)
        self._time = now
        kg, told = self._sums
        self._sums = kg + weight.value, told + self._told
        self._count += 1
        if now < self._until:
            return
        kg, told = self._sums
        self._judge(kg / self._count * self._kg, told / self._count, now)
        self._block(now)

    def _judge(self, kg: float, told: float, now: float) -> None:
        blocks = self._blocks
        if blocks:
            lost, given = blocks[-1][0] - kg, told - blocks[-1][1]
            if not -self._least_kg <= lost <= MOST * given + self._least_kg:  # another bottle
                self._begin(now)
                return
        blocks.append((kg, told))
        first_kg, first_told = blocks[0]
        asked = told - first_told
        if len(blocks) < (blocks.maxlen or 0) or asked < self._least_kg:
            return
        away = 100.0 * abs((first_kg - kg) / asked - 1.0)
        rule = self._rule
        self._alarms.judge(rule.alarm, rule.outside(away), now, away)
