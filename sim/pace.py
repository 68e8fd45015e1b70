"""How plant time passes on real sockets: at a speed, not at all, or until a moment."""

import math
from collections.abc import Callable

from drivers.clock import monotonic


class Pace:
    """A clock that can be told to stand, to go on, and to go faster; a ``drivers.clock`` of sorts.

    Args:
        speed: plant seconds per wall second, > 0.
        start: plant time now, s since 1970 UTC.
        timer: wall seconds that never step back.
    """

    def __init__(self, speed: float, start: float, timer: Callable[[], float] = monotonic) -> None:
        self._timer = timer
        self._speed = speed
        self._zero = timer()
        self._at = start  # plant time at _zero
        self._lived = 0.0  # at _zero
        self._until = math.inf  # plant time at which it stands

    @property
    def speed(self) -> float:
        """Plant seconds per wall second while time passes."""
        return self._speed

    @property
    def standing(self) -> bool:
        """Whether plant time stands."""
        return self.now() >= self._until

    @property
    def endless(self) -> bool:
        """Whether plant time neither stands nor will at the end of a step."""
        return self._until == math.inf

    def now(self) -> float:
        """Return plant time."""
        return min(self._at + (self._timer() - self._zero) * self._speed, self._until)

    def lived(self) -> float:
        """Return the wall seconds in which plant time passed: a device that stands ages not."""
        return self._lived + (self.now() - self._at) / self._speed

    def pause(self) -> None:
        """Stand from now on."""
        self._anchor()
        self._until = self._at

    def resume(self) -> None:
        """Go on from where it stands."""
        self._anchor()
        self._until = math.inf

    def step(self, seconds: float) -> None:
        """Go on for so many plant seconds, and stand then."""
        self._anchor()
        self._until = self._at + seconds

    def change(self, speed: float) -> None:
        """Go at another speed; what stands stands on."""
        self._anchor()
        self._speed = speed

    def _anchor(self) -> None:
        """Let nothing that follows change what was."""
        self._at, self._lived, self._zero = self.now(), self.lived(), self._timer()
