"""What is wanted of the actuators of one simulated plant, and what is safe for each."""

import math
from collections.abc import Callable, Mapping
from functools import partial


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

    def set_safe(self, safe: Mapping[str, float]) -> None:
        """Set what ``to_safe`` moves actuators to, by tag.

        Raises:
            ValueError: there is no such actuator.
        """
        for tag, value in safe.items():
            self._safe[self._place(tag)] = value

    def want(self, tag: str, value: float) -> None:
        """Want ``value`` from now on.

        Raises:
            ValueError: it is no number, or there is no such actuator.
        """
        if not math.isfinite(value):
            raise ValueError(f"{tag}: {value} is no number")
        self.wanted[self._place(tag)] = value

    def actual(self, tag: str) -> float:
        """Return what is wanted of an actuator, as its device reads it back.

        Raises:
            ValueError: there is no such actuator.
        """
        return self.wanted[self._place(tag)]

    def reader(self, tag: str) -> Callable[[], float]:
        """Return what says what is wanted of an actuator, again and again.

        Raises:
            ValueError: there is no such actuator.
        """
        return partial(self.wanted.__getitem__, self._place(tag))

    def to_safe(self) -> None:
        """Want the safe value of every actuator."""
        self.wanted[:] = self._safe

    def _place(self, tag: str) -> int:
        k = self._where.get(tag)
        if k is None:
            there = ", ".join(self._where) or "none"
            raise ValueError(f"{tag}: no actuator of this vessel; it has {there}")
        return k
