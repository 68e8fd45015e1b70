"""A loop without a PID: its setpoint is its output, ramped, limited, with a fall-back."""

from collections.abc import Mapping

from controller.loops.cut import Cut
from controller.loops.loop import (
    AUTO,
    CASCADE,
    MANUAL,
    OFF,
    ON_ITS_WAY,
    OPTIMISER,
    Loop,
    Mode,
    first_bad,
)
from controller.plant_file.curve import Curve
from controller.plant_file.loop_settings import LoopSettings
from controller.protection.guard import NO, Checked
from controller.texts.said import said, word
from drivers.point import BAD, Sample, Tag


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
        modes = [OFF, MANUAL, AUTO]
        modes += [CASCADE] * master + [OPTIMISER] * planned
        super().__init__(name, settings, tag.unit, modes, tag.low, tag.high)
        if tag.safe is None:
            raise ValueError(f"{name}: {tag.name} is no actuator")
        self.tag = tag
        self.safe = tag.safe
        self.output = tag.safe
        self.passed: Checked | None = None  # what became of its value last
        self.hold = ""  # a reason from outside to run on the fall-back: the recipe is held
        self.forced = False  # an interlock or a device that cannot be reached decides
        self.cut: Cut | None = None  # what cuts it when another loop can do no more
        self._rate_per_s, self._reduced = settings.rate_per_s, settings.fallback
        self._needs, self._zero_without = settings.needs, settings.zero_without
        high = settings.high
        self._high = None if high is None else (high.tag, Curve(high.table))
        self._most = settings.setpoint_high  # of its setpoint now
        # All that its answer follows from, and the answer: while that is so, it is the same. For
        # one that looks at samples or ramps its setpoint there is no such thing.
        self._standing: tuple[object, ...] | None = None
        looks = settings.high or settings.zero_without or settings.fallback is not None
        self._steady = not looks and settings.setpoint_rate_per_s is None and settings.cut is None

    def listens(self) -> bool:
        return self.target is CASCADE and not self.forced

    @property
    def position(self) -> float:
        return self.output

    @property
    def tags(self) -> frozenset[str]:
        return frozenset({self.tag.name})

    def step(self, samples: Mapping[str, Sample], dt: float) -> float:
        """Return the wanted value of the actuator, in its unit; ``dt`` in s."""
        target, output = self.target, self.output
        if self._steady and self._standing == (
            target, self.actual, self.local, self.remote, self.leader,
            output, self.why, self.reason,
        ):  # fmt: skip
            return output  # nobody wants anything else, and it is there
        if self._high is not None:
            self._limit_from_above(samples, *self._high)
        if target is OFF:
            return self._at_once(OFF, self.safe, "")
        if self._zero_without and (lost := first_bad(self._zero_without, samples)):
            return self._at_once(MANUAL, self.safe, f"{lost} is BAD")
        if target is MANUAL:
            self.actual, self.reason = MANUAL, ""
            self.local = self.setpoint = self._settable(self.output)  # AUTO goes on from here
            return self.output if self.hand is None else self.hand
        reduced, rate = self._reduced, self._rate_per_s
        fallback = None if reduced is None else self._fallback(samples, reduced)
        if fallback is not None and fallback <= self.output:
            return fallback  # less at once, more by the ramp
        wanted = self._wanted(dt) if fallback is None else fallback
        if self._steady:
            self._standing = (
                target, self.actual, self.local, self.remote, self.leader,
                wanted, self.why, self.reason,
            )  # fmt: skip
        if self.cut is not None:
            wanted = self._after_cut(wanted, self.cut, samples, dt)
        if rate is None:
            return wanted
        step = rate * dt
        least, most = self.output - step, self.output + step
        return least if wanted < least else most if wanted > most else wanted

    def _limit_from_above(self, samples: Mapping[str, Sample], tag: str, curve: Curve) -> None:
        """Take what limits its setpoint now; the last good limit stays while its tag is BAD."""
        sample = samples.get(tag)
        if sample is not None and sample.quality is not BAD:
            self._most = self._settable(curve(sample.value))

    def _after_cut(
        self, wanted: float, cut: Cut, samples: Mapping[str, Sample], dt: float
    ) -> float:
        """Return what the loop that can do no more leaves of ``wanted``."""
        if self.target is AUTO:  # a person's word is above it
            return wanted
        allowed = cut.step(wanted, self.output, samples, dt)
        if allowed < wanted:
            self.reason = cut.why
        return allowed

    def _fallback(self, samples: Mapping[str, Sample], reduced: float) -> float | None:
        """Return its reduced value if something that it needs is missing, else ``None``."""
        lost = first_bad(self._needs, samples)
        hold = self.hold if self.target is not AUTO else ""  # a person's word is above it
        if not (lost or hold):
            return None
        self.actual = AUTO
        self.reason = said("fallback", why=said("is_bad", tag=lost) if lost else hold)
        asked = self.local if self.target is AUTO or self.remote is None else self.remote
        self.setpoint = min(reduced, max(asked, 0.0))
        return self.setpoint

    def _wanted(self, dt: float) -> float:
        """Return where the actuator should go, before its ramp."""
        target, actual, setpoint, reason = self.target, AUTO, self.local, ""
        if target is not AUTO:
            if self.remote is None:  # the master is gone: stay at the last good setpoint
                reason = said("no_leader", mode=word(target.name))
            else:
                self.local = setpoint = self._settable(self.remote)
                actual = self.leader
                reason = self.why if actual is not target else ""
        if (rate := self._ramp_per_s) is not None:
            setpoint = self._ramped(setpoint, self.output, rate, dt)
        self.actual, self.setpoint, self.reason = actual, setpoint, reason
        most = self._most
        self.blocked = 1 if setpoint >= most else -(setpoint <= self._setpoint_low)
        if setpoint > most and self._high is not None:
            self.reason = said("at_most", most=most, unit=self.unit, tag=self._high[0])
            return most
        return setpoint

    def _at_once(self, mode: Mode, value: float, reason: str) -> float:
        self.actual, self.reason, self.hand = mode, reason, None
        return value

    def applied(self, passed: Checked) -> None:
        """Take over what the Guard let through, or what the device goes on holding."""
        self.output, reason, limited = passed
        self.forced = False
        if limited is NO:
            return
        if limited not in ON_ITS_WAY:
            self.forced = True
            if self.cut is not None:
                self.cut.overruled(self.output)
            self._overruled(limited)
        if self.actual is not OFF:
            self.reason = reason

    def take_over(self, held: Mapping[str, float], *, by_itself: bool = True) -> None:
        self.output = held.get(self.tag.name, self.output)
        if by_itself and self.actual is not OFF:  # then no hand has moved it yet
            self.hand = None
