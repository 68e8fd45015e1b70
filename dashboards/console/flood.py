"""How often one address may try to log in: a bucket each, so that a flood is refused unread."""

import math
from collections import OrderedDict
from collections.abc import Callable

from drivers.clock import monotonic

BURST = 30  # tries at once
PER_S = 2.0  # tries a second after that
KEPT = 1000  # addresses remembered


class Flood:
    """Counts the tries of each address.

    Args:
        timer: monotonic wall s.
    """

    def __init__(self, timer: Callable[[], float] = monotonic) -> None:
        self._timer = timer
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._left)

    def wait_s(self, address: str) -> int:
        """Take one try of an address; return 0, or the whole s until it has the next one."""
        now = self._timer()
        left, then = self._left.pop(address, (float(BURST), now))
        left = min(float(BURST), left + (now - then) * PER_S)
        granted = left >= 1.0
        self._left[address] = (left - granted, now)
        if len(self._left) > KEPT:
            self._left.popitem(last=False)
        return 0 if granted else math.ceil((1.0 - left) / PER_S)
