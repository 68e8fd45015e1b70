"""A loop without a PID: its setpoint is its output, ramped, with a fall-back."""

from collections.abc import Mapping

from controller.loop import Loop, Mode, first_bad
from controller.settings import LoopSettings
from drivers.point import Sample, Tag


class Station(Loop):
    """A loop without a PID: its setpoint goes to one actuator, ramped, with a fall-back.

    Args:
        name: ``R1.feed``.
        settings: its table of the plant file.
        tag: its actuator.
        master: something else may set its setpoint: another loop or the recipe (CASCADE).
        planned: the optimiser may set its setpoint.
    """

    def __init__(
        self, name: str, settings: LoopSettings, tag: Tag, *, master: bool, planned: bool
    ) -> None:
        modes = [Mode.OFF, Mode.MANUAL, Mode.AUTO]
        modes += [Mode.CASCADE] * master + [Mode.OPTIMISER] * planned
        super().__init__(name, settings, tag.unit, modes, tag.low, tag.high)
        if tag.safe is None:
            raise ValueError(f"{name}: {tag.name} is no actuator")
        self.tag = tag
        self.safe = tag.safe
        self.output = tag.safe
        self.hold = ""  # a reason from outside to run on the fall-back: the recipe is held
        self.forced = False  # an interlock or a device that cannot be reached decides

    @property
    def listens(self) -> bool:
        """Whether a master that leads it moves anything."""
        return self.target is Mode.CASCADE and not self.forced

    def step(self, samples: Mapping[str, Sample], dt: float) -> float:
        """Return the wanted value of the actuator, in its unit; ``dt`` in s."""
        target = self.target
        if target is Mode.OFF:
            return self._at_once(Mode.OFF, self.safe, "")
        if lost := first_bad(self.settings.zero_without, samples):
            return self._at_once(Mode.MANUAL, self.safe, f"{lost} is BAD")
        if target is Mode.MANUAL:
            self.actual, self.reason = Mode.MANUAL, ""
            return self.output if self.hand is None else self.hand
        fallback = self._fallback(samples)
        if fallback is not None and fallback <= self.output:
            return fallback  # less at once, more by the ramp
        wanted = self._wanted() if fallback is None else fallback
        rate = self.settings.rate_per_s
        if rate is None:
            return wanted
        step = rate * dt
        return min(max(wanted, self.output - step), self.output + step)

    def _fallback(self, samples: Mapping[str, Sample]) -> float | None:
        """Return its reduced value if something that it needs is missing, else ``None``."""
        if self.settings.fallback is None:
            return None
        lost = first_bad(self.settings.needs, samples)
        hold = self.hold if self.target is not Mode.AUTO else ""  # a person's word is above it
        if not (lost or hold):
            return None
        self.actual = Mode.AUTO
        self.reason = f"fall-back: {lost} is BAD" if lost else f"fall-back: {hold}"
        asked = self.local if self.target is Mode.AUTO or self.remote is None else self.remote
        self.setpoint = min(self.settings.fallback, max(asked, 0.0))
        return self.setpoint

    def _wanted(self) -> float:
        """Return where the actuator should go, before its ramp."""
        self.actual, self.reason = Mode.AUTO, ""
        if self.target is not Mode.AUTO:
            if self.remote is None:  # the master is gone: stay at the last good setpoint
                self.reason = f"nothing leads it in {self.target.name}"
            else:
                s = self.settings
                self.local = min(max(self.remote, s.setpoint_low), s.setpoint_high)
                self.actual = self.leader
                self.reason = self.why if self.leader is not self.target else ""
        self.setpoint = self.local
        return self.setpoint

    def _at_once(self, mode: Mode, value: float, reason: str) -> float:
        self.actual, self.reason, self.hand = mode, reason, None
        return value

    def applied(self, value: float, limit: str, *, ramping: bool = False) -> None:
        """Take over what the Guard let through, or what the device goes on holding.

        Args:
            value: in the actuator's unit.
            limit: who decided it, shown as the reason; empty if it is what was asked for.
            ramping: it is only on its way to what was asked for.
        """
        self.output = value
        self.forced = bool(limit) and not ramping
        if self.forced:
            self.hand = None  # what was forced stays when the force ends
        if limit and self.actual is not Mode.OFF:
            self.reason = limit

    def take_over(self, held: Mapping[str, float], *, by_itself: bool = True) -> None:
        """Continue from what the device holds.

        Args:
            held: by actuator.
            by_itself: the device has changed it; else it only did not take what was written.
        """
        self.output = held.get(self.tag.name, self.output)
        if by_itself and self.actual is not Mode.OFF:  # then no hand has moved it yet
            self.hand = None
