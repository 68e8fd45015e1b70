"""An on-off loop: a pulse while the measurement is above its setpoint, then a pause to work in."""

import math
from collections.abc import Mapping

from controller.loops.loop import AUTO, MANUAL, OFF, ON_ITS_WAY, Loop
from controller.plant_file.loop_settings import LoopSettings, PulseSettings
from controller.protection.guard import NO, Checked
from drivers.point import BAD, Sample, Tag


class OnOffLoop(Loop):
    """Antifoam and the like: more of it does not work faster, and too much of it harms.

    Args:
        name: ``R1.antifoam``.
        settings: its table of the plant file, with ``pulse``.
        measured: the measurement's tag.
        tag: its actuator, which doses.
    """

    def __init__(self, name: str, settings: LoopSettings, measured: Tag, tag: Tag) -> None:
        super().__init__(name, settings, measured.unit, [OFF, MANUAL, AUTO], tag.low, tag.high)
        if settings.pulse is None:
            raise ValueError(f"{name}: pulse is required")
        self.measured = measured
        self.tag = tag
        self.pulse: PulseSettings = settings.pulse
        self.passed: Checked | None = None  # what became of its value last
        self._since_s = math.inf  # s since the last pulse began

    def listens(self) -> bool:
        return False

    @property
    def position(self) -> float:
        return self.setpoint

    @property
    def tags(self) -> frozenset[str]:
        return frozenset({self.tag.name})

    def step(self, samples: Mapping[str, Sample], dt: float) -> float:
        """Return the wanted value of the actuator, in its unit; ``dt`` in s."""
        self._since_s += dt
        self.setpoint = self.local
        sample = samples.get(self.measured.name)
        if self.target is MANUAL:
            self.actual, self.reason = MANUAL, ""
            return self.output if self.hand is None else self.hand
        if self.target is OFF:
            self.actual, self.reason = OFF, ""
            return self.tag.safe or 0.0
        if sample is None or sample.quality is BAD:
            self.actual, self.reason = MANUAL, f"{self.measured.name} is BAD"
            return self.tag.safe or 0.0
        self.actual, self.reason = AUTO, ""
        p = self.pulse
        over = sample.value > self.setpoint
        if self._since_s >= p.on_s + p.pause_s and over:
            self._since_s = 0.0
        if self._since_s < p.on_s:
            return p.flow
        if over:
            left = p.on_s + p.pause_s - self._since_s
            self.reason = f"waits {left:.0f} s for the last pulse to work"
        return self.tag.safe or 0.0

    def applied(self, passed: Checked) -> None:
        """Take over what the Guard let through, or what the device goes on holding."""
        self.output, reason, limited = passed
        if limited is NO:
            return
        if limited not in ON_ITS_WAY:
            self._overruled(limited)
        if self.actual is not OFF:
            self.reason = reason

    def take_over(self, held: Mapping[str, float], *, by_itself: bool = True) -> None:
        self.output = held.get(self.tag.name, self.output)
        if by_itself and self.actual is not OFF:
            self.hand = None
