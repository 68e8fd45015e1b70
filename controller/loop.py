"""What a PID and a station share: modes, a setpoint with its limits, and the reason shown."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

from controller.settings import LoopSettings
from drivers.point import Quality, RangeError, Sample


class Mode(IntEnum):
    """Who decides: nobody, a person, the loop, another loop or the recipe, the optimiser."""

    OFF = 0
    MANUAL = 1
    AUTO = 2
    CASCADE = 3
    OPTIMISER = 4


class RefusedError(ValueError):
    """A person's request that the plant's state does not allow; nothing has changed."""


class Loop:
    """What a PID and a station share: modes, a setpoint with its limits, and the reason shown."""

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
        self.target = Mode.OFF
        self.actual = Mode.OFF
        self.reason = ""
        self.local = settings.setpoint  # what a person or the recipe set for AUTO
        self.setpoint = settings.setpoint  # what it works to now
        self.remote: float | None = None  # the setpoint of a master, the recipe or the optimiser
        self.leader = Mode.CASCADE  # who sets ``remote``
        self.why = ""  # why the optimiser does not lead, where it should
        self.output = 0.0
        self.hand: float | None = None  # what a person set in MANUAL; ``None``: stay where it is
        self.output_low = low
        self.output_high = high

    def set_mode(self, mode: Mode) -> None:
        """Ask for a mode; the next step takes it without a bump.

        Raises:
            RefusedError: this loop has no such mode.
        """
        if mode not in self.modes:
            allowed = ", ".join(m.name for m in self.modes)
            raise RefusedError(f"{self.name}: mode {mode.name} is not allowed; {allowed}")
        if mode is Mode.MANUAL and self.target is not Mode.MANUAL:
            self.reason, self.hand = "", None
        self.target = mode

    def set_setpoint(self, value: float) -> None:
        """Set the local setpoint.

        Raises:
            RangeError: outside the loop's setpoint limits; refused, never clipped.
        """
        s = self.settings
        if not s.setpoint_low <= value <= s.setpoint_high:
            raise RangeError(
                f"{self.name}: setpoint {value:g} is outside "
                f"{s.setpoint_low:g} to {s.setpoint_high:g} {self.unit}"
            )
        self.local = value

    def set_output(self, value: float) -> None:
        """Set the output by hand.

        Raises:
            RefusedError: the loop is not in MANUAL.
            RangeError: outside the output's range.
        """
        if self.target is not Mode.MANUAL:
            raise RefusedError(
                f"{self.name}: its output is set in MANUAL, not in {self.target.name}"
            )
        if not self.output_low <= value <= self.output_high:
            raise RangeError(
                f"{self.name}: output {value:g} is outside "
                f"{self.output_low:g} to {self.output_high:g}"
            )
        self.hand = value

    def as_state(self) -> dict[str, Any]:
        """Return what a restart needs, as JSON."""
        return {"mode": self.target.name, "setpoint": self.local, "output": self.output}


def first_bad(names: Sequence[str], samples: Mapping[str, Sample]) -> str:
    """Return the first of the tags that is BAD or missing, or an empty string."""
    for name in names:
        sample = samples.get(name)
        if sample is None or sample.quality is Quality.BAD:
            return name
    return ""
