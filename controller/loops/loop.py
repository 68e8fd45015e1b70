"""What a PID and a station share: modes, a setpoint with its limits, and the reason shown."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

from controller.plant_file.loop_settings import LoopSettings
from controller.protection.guard import NO, RATE, UNREACHABLE, Limited
from controller.texts.said import said, word
from drivers.point import BAD, RangeError, Sample


class Mode(IntEnum):
    """Who decides: nobody, a person, the loop, another loop or the recipe, the optimiser.

    IMAN and LO are only ever actual: nothing that it leads listens, so it follows what these do;
    an interlock or a limit of the Guard decides in its place.
    """

    OFF = 0
    MANUAL = 1
    AUTO = 2
    CASCADE = 3
    OPTIMISER = 4
    IMAN = 5
    LO = 6


OFF, MANUAL, AUTO, CASCADE, OPTIMISER, IMAN, LO = Mode  # by name, as in ``drivers.point``
WORKING = frozenset({AUTO, CASCADE, OPTIMISER})  # the loop itself moves its output
ON_ITS_WAY = frozenset({NO, RATE})  # an actuator gets what was asked for, or goes there


class RefusedError(ValueError):
    """A person's request that the plant's state does not allow; nothing has changed."""


class Loop(ABC):
    """What every loop has: modes, a setpoint with its limits and its ramp, the reason shown.

    A loop that leads others sets their ``remote`` and asks for their ``position``.

    Attributes:
        target: the mode that a person or the recipe wants.
        actual: the mode that it is in; ``reason`` says why where they differ.
        local: the setpoint of AUTO.
        setpoint: what it works to now.
        remote: the setpoint of whoever leads it; ``None``: nobody.
        leader: the mode that ``remote`` makes: CASCADE or OPTIMISER.
        blocked: 1 or -1 where it cannot bring its measurement (or its actuator) further up or
            down, else 0.
    """

    # Apart from what a kind of loop has beside: attributes of an object with more than thirty in
    # its dictionary take longer to find.
    __slots__ = (
        "_ramp_per_s",
        "_setpoint_high",
        "_setpoint_low",
        "actual",
        "blocked",
        "hand",
        "leader",
        "local",
        "modes",
        "name",
        "output",
        "output_high",
        "output_low",
        "reason",
        "remote",
        "setpoint",
        "settings",
        "target",
        "unit",
        "why",
    )

    def __init__(
        self,
        name: str,
        settings: LoopSettings,
        unit: str,
        modes: Sequence[Mode],
        low: float,
        high: float,
    ) -> None:
        self.name = name
        self.settings = settings
        self.unit = unit
        self.modes = tuple(modes)
        self.target = OFF
        self.actual = OFF
        self.reason = ""
        self.local: float = settings.setpoint  # what a person or the recipe set for AUTO
        self.setpoint: float = settings.setpoint  # what it works to now
        self.remote: float | None = None  # the setpoint of a master, the recipe or the optimiser
        self.leader = CASCADE  # who sets ``remote``
        self.why = ""  # why the optimiser does not lead, where it should
        self.blocked = 0
        self.output = 0.0
        self.hand: float | None = None  # what a person set in MANUAL; ``None``: stay where it is
        self.output_low = low
        self.output_high = high
        # what each scan looks at, as plain numbers: a settings model is ten times as slow to read
        self._setpoint_low, self._setpoint_high = settings.setpoint_low, settings.setpoint_high
        self._ramp_per_s = settings.setpoint_rate_per_s

    def set_mode(self, mode: Mode) -> None:
        """Ask for a mode; the next step takes it without a bump.

        Raises:
            RefusedError: this loop has no such mode.
        """
        if mode not in self.modes:
            allowed = [word(m.name) for m in self.modes]
            raise RefusedError(
                said("no_mode", loop=self.name, mode=word(mode.name), allowed=allowed)
            )
        if mode is MANUAL and self.target is not MANUAL:
            self.reason, self.hand = "", None
        self.target = mode

    def set_setpoint(self, value: float) -> None:
        """Set the local setpoint.

        Raises:
            RangeError: outside the loop's setpoint limits; refused, never clipped.
        """
        low, high = self._setpoint_low, self._setpoint_high
        if not low <= value <= high:
            limits = {"low": low, "high": high, "unit": self.unit}
            raise RangeError(said("setpoint_range", loop=self.name, value=value, **limits))
        self.local = value

    def set_output(self, value: float) -> None:
        """Set the output by hand.

        Raises:
            RefusedError: the loop is not in MANUAL.
            RangeError: outside the output's range.
        """
        if self.target is not MANUAL:
            raise RefusedError(said("output_by_hand", loop=self.name, mode=word(self.target.name)))
        if not self.output_low <= value <= self.output_high:
            low, high = self.output_low, self.output_high
            raise RangeError(said("output_range", loop=self.name, value=value, low=low, high=high))
        self.hand = value

    @abstractmethod
    def listens(self) -> bool:
        """Whether a loop that leads it moves anything."""

    @property
    @abstractmethod
    def position(self) -> float:
        """Where it is, in the unit of its setpoint; a leader that is not heard follows this."""

    @property
    @abstractmethod
    def tags(self) -> frozenset[str]:
        """Every actuator that it moves, by itself or through the loops below it."""

    @abstractmethod
    def take_over(self, held: Mapping[str, float], *, by_itself: bool = True) -> None:
        """Continue from what the devices hold.

        Args:
            held: by actuator.
            by_itself: a device has changed it; else it only did not take what was written.
        """

    def _overruled(self, by: Limited) -> None:
        """Take the mode that somebody else's decision makes of it; BAD and OFF are said first."""
        self.hand = None  # what was forced stays when the force ends
        if self.actual in WORKING or self.target is MANUAL:
            self.actual = IMAN if by is UNREACHABLE else LO

    def _ramped(self, wanted: float, start: float, rate: float, dt: float) -> float:
        """Return the setpoint a step nearer to ``wanted``, by a ramp that begins at ``start``."""
        last = self._settable(self.setpoint if self.actual in WORKING else start)
        return min(max(wanted, last - rate * dt), last + rate * dt)

    def _settable(self, value: float) -> float:
        """Return the setpoint nearest to ``value``."""
        low, high = self._setpoint_low, self._setpoint_high
        return low if value < low else high if value > high else value

    def as_state(self) -> dict[str, Any]:
        """Return what a restart needs, as JSON."""
        return {"mode": self.target.name, "setpoint": self.local, "output": self.output}


def first_bad(names: Sequence[str], samples: Mapping[str, Sample]) -> str:
    """Return the first of the tags that is BAD or missing, or an empty string."""
    for name in names:
        sample = samples.get(name)
        if sample is None or sample.quality is BAD:
            return name
    return ""
