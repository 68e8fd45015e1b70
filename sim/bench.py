"""What instruments show that only lag, wait, err and round: all of a vessel's at once, compiled.

It is what ``Instrument.show`` says of each, to the last bit: a test holds them together.
"""

import math
from array import array
from collections import deque
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from models.symbolic import ca, compiled
from sim.instruments import Instrument, Line, follow

_CALIBRATION = ("gain", "offset", "drift", "noise", "share", "digit")
_Sort = tuple[int, bool, bool, bool]  # its place among all; has it a dead time, a share, a digit


class Bench:
    """Some of the instruments of a vessel, read together.

    Args:
        instruments: by their place among all of the vessel; plain ones.
        count: of all.
    """

    def __init__(self, instruments: Mapping[int, Instrument], count: int) -> None:
        self._instruments = kept = tuple(instruments.values())
        sorts = tuple(
            (k, i.delay_s != 0.0, i.share != 0.0, i.digit != 0.0) for k, i in instruments.items()
        )
        self._read = compiled([_function(sorts, count)])["fl_bench"]
        arguments = self._read.arguments
        self._truth, self._normal, self._age, self._lagged, self._way, self._arrived, *_ = arguments
        self._shown, self._after = self._read.results
        for argument, name in zip(arguments[6:], _CALIBRATION, strict=True):
            argument[:] = array("d", [getattr(i, name) for i in kept])
        self._way_s = math.nan  # the step that ``_way`` is for
        lines: dict[int, Line] = {j: deque() for j, i in enumerate(kept) if i.delay_s}
        self._lines = [(j, line, kept[j].delay_s) for j, line in lines.items()]
        for j in range(len(kept)):
            self.take(j)

    def take(self, j: int) -> None:
        """Read one from now on, from where it is."""
        instrument = self._instruments[j]
        self._lagged[j], self._arrived[j] = instrument.lagged, instrument.arrived
        for k, line, _ in self._lines:
            if k == j:
                line.clear()
                line.extend(instrument.line)

    def give(self, j: int) -> None:
        """Let one be read by itself from now on, from where it is."""
        instrument = self._instruments[j]
        instrument.lagged, instrument.arrived = self._lagged[j], self._arrived[j]
        for k, line, _ in self._lines:
            if k == j:
                instrument.line = line.copy()

    def show(
        self, truth: Sequence[float], normal: Sequence[float], age: float, dt: float
    ) -> Sequence[float]:
        """Return the readings, as ``Instrument.show``; ``truth`` and ``normal`` are of all."""
        if dt != self._way_s:
            self._way_s = dt
            self._way[:] = array("d", [follow(i.lag_s, dt) for i in self._instruments])
        for j, line, _ in self._lines:
            while line and line[0][0] <= age:
                self._arrived[j] = line.popleft()[1]
        self._truth[:], self._normal[:] = array("d", truth), array("d", normal)
        self._age[0] = age
        self._read()
        self._lagged[:] = after = self._after
        for j, line, delay_s in self._lines:
            line.append((age + delay_s, after[j]))
        return self._shown


@lru_cache
def _function(sorts: Sequence[_Sort], count: int) -> Any:
    """Return the CasADi function of ``count`` instruments, of which these are read."""
    n = len(sorts)
    truth, normal, age = ca.SX.sym("truth", count), ca.SX.sym("normal", count), ca.SX.sym("age")
    of_each = [ca.SX.sym(name, n) for name in ("lagged", "way", "arrived", *_CALIBRATION)]
    after, shown = ca.SX(n, 1), ca.SX(n, 1)
    for j, (k, waits, shares, rounds) in enumerate(sorts):
        lagged, way, arrived, gain, offset, drift, noise, share, digit = (v[j] for v in of_each)
        after[j] = lagged + way * (truth[k] - lagged)
        y = gain * (arrived if waits else after[j]) + offset + drift * age
        y += (noise + share * ca.fabs(y) if shares else noise) * normal[k]
        if rounds:  # to the nearest digit, between two to the even one
            digits = y / digit
            y = (digits - ca.remainder(digits, 1.0)) * digit
        shown[j] = y
    return ca.Function("fl_bench", [truth, normal, age, *of_each], [shown, after])
