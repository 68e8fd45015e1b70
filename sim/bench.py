"""What instruments show that only lag, wait, err and round: all of a vessel's at once, compiled.

It is what ``Instrument.show`` says of each, to the last bit: a test holds them together.
"""

import math
from array import array
from collections import deque
from collections.abc import Mapping, MutableSequence, Sequence
from functools import lru_cache
from typing import Any

from models.symbolic import ca, compiled
from sim.instruments import Instrument, Line, follow

Place = tuple[Sequence[float], int]  # an array, and which of its numbers
_CALIBRATION = ("gain", "offset", "drift", "noise", "share", "digit")
# which of the sources it looks at, and where; its place among all; has it a dead time, a share of
# the reading as noise, a last digit?
_Sort = tuple[int, int, int, bool, bool, bool]


class Bench:
    """Some of the instruments of a vessel, read together.

    Args:
        instruments: by their place among all of the vessel; plain ones.
        looks: of all, where what it looks at is.

    Attributes:
        readings: of all of the vessel, by their place; those of others are nothing to it.
    """

    def __init__(self, instruments: Mapping[int, Instrument], looks: Sequence[Place]) -> None:
        self._instruments = kept = tuple(instruments.values())
        sources = list({id(numbers): numbers for numbers, _ in looks}.values())
        at = {id(numbers): n for n, numbers in enumerate(sources)}
        sorts = tuple(
            (at[id(looks[k][0])], looks[k][1], k, i.delay_s != 0.0, i.share != 0.0, i.digit != 0.0)
            for k, i in instruments.items()
        )
        sizes = (*map(len, sources), len(looks))
        self._read = compiled([_function(sorts, sizes)])["fl_bench"]
        arguments: list[MutableSequence[float]] = list(self._read.arguments)
        seen, own = arguments[: len(sources)], arguments[len(sources) :]
        self._sources = list(zip(seen, sources, strict=True))
        self._normal, self._age, self._lagged, self._way, self._arrived, *calibration = own
        self.readings: MutableSequence[float] = self._read.results[0]
        self._after = self._read.results[1]
        for argument, name in zip(calibration, _CALIBRATION, strict=True):
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

    def show(self, normal: Sequence[float], age: float, dt: float) -> None:
        """Take the readings, as ``Instrument.show``; ``normal``: an array of numbers for all."""
        if dt != self._way_s:
            self._way_s = dt
            self._way[:] = array("d", [follow(i.lag_s, dt) for i in self._instruments])
        for j, line, _ in self._lines:
            while line and line[0][0] <= age:
                self._arrived[j] = line.popleft()[1]
        for seen, numbers in self._sources:
            seen[:] = numbers
        self._normal[:] = normal
        self._age[0] = age
        self._read.run()
        self._lagged[:] = after = self._after
        for j, line, delay_s in self._lines:
            line.append((age + delay_s, after[j]))


@lru_cache
def _function(sorts: Sequence[_Sort], sizes: Sequence[int]) -> Any:
    """Return the CasADi function of sources of these sizes, the last of them the noise."""
    n = len(sorts)
    sources, age = [ca.SX.sym(f"from{k}", size) for k, size in enumerate(sizes)], ca.SX.sym("age")
    of_each = [ca.SX.sym(name, n) for name in ("lagged", "way", "arrived", *_CALIBRATION)]
    after, shown = ca.SX(n, 1), ca.SX.zeros(sizes[-1], 1)
    for j, (source, where, k, waits, shares, rounds) in enumerate(sorts):
        lagged, way, arrived, gain, offset, drift, noise, share, digit = (v[j] for v in of_each)
        after[j] = lagged + way * (sources[source][where] - lagged)
        y = gain * (arrived if waits else after[j]) + offset + drift * age
        y += (noise + share * ca.fabs(y) if shares else noise) * sources[-1][k]
        if rounds:  # to the nearest digit, between two to the even one
            digits = y / digit
            y = (digits - ca.remainder(digits, 1.0)) * digit
        shown[k] = y
    return ca.Function("fl_bench", [*sources, age, *of_each], [shown, after])
