"""What is wanted of the actuators of one simulated plant, and what is safe for each.

Each has a local/remote switch (就地/远程), served as ``R1.stirrer_remote`` where a plant file names
that: 1 while it listens, 0 while a hand at its panel decides and nobody else is heard.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

SWITCH: Final = "_remote"  # an actuator's name and this: its local/remote switch


class Actuators:
    """What is wanted of each actuator, by tag and in its unit.

    Args:
        prefix: of the tags.
        safe: where each goes when nobody leads it, by name.

    Attributes:
        wanted: in the order of ``safe``; it changes in place.
    """

    def __init__(self, prefix: str, safe: Mapping[str, float]) -> None:
        self.wanted = list(safe.values())
        self._safe = list(safe.values())
        self._where = {f"{prefix}.{name}": k for k, name in enumerate(safe)}
        self._local: set[int] = set()

    def set_safe(self, safe: Mapping[str, float]) -> None:
        """Set what ``to_safe`` moves actuators to, by tag.

        Raises:
            ValueError: there is no such actuator.
        """
        for tag, value in safe.items():
            self._safe[self._place(tag)] = value

    def writer(self, tag: str) -> Callable[[float], None]:
        """Return what wants a value of an actuator from now on, again and again.

        Raises:
            ValueError: there is no such actuator; of what is returned, a value is no number.
        """
        place, wanted, local = self._place(tag), self.wanted, self._local

        def want(value: float) -> None:
            if not math.isfinite(value):
                raise ValueError(f"{tag}: {value} is no number")
            if place not in local:
                wanted[place] = value

        return want

    def by_hand(self, tag: str, value: float) -> Callable[[], None]:
        """Switch to local with ``value`` set at the panel; return what switches back to remote.

        Raises:
            ValueError: there is no such actuator.
        """
        place = self._place(tag)
        self._local.add(place)
        self.wanted[place] = value
        return lambda: self._local.discard(place)

    def actual(self, tag: str) -> float:
        """Return what is wanted of an actuator, as its device reads it back, or of its switch.

        Raises:
            ValueError: there is no such actuator.
        """
        if tag.endswith(SWITCH):
            return float(self._place(tag.removesuffix(SWITCH)) not in self._local)
        return self.wanted[self._place(tag)]

    def reader(self, tag: str) -> Callable[[], float]:
        """Return what says what is wanted of an actuator, or of its switch, again and again.

        Raises:
            ValueError: there is no such actuator.
        """
        if tag.endswith(SWITCH):
            return partial(self.actual, tag)
        return partial(self.wanted.__getitem__, self._place(tag))

    def to_safe(self) -> None:
        """Want the safe value of every actuator that is not local."""
        for k, value in enumerate(self._safe):
            if k not in self._local:
                self.wanted[k] = value

    def _place(self, tag: str) -> int:
        k = self._where.get(tag)
        if k is None:
            there = ", ".join(self._where) or "none"
            raise ValueError(f"{tag}: no actuator of this vessel; it has {there}")
        return k
