"""Loops: a PID that moves actuators or other loops, and a station whose setpoint is its output.

Every loop has a target mode (what a person or the recipe wants) and an actual mode (what it can do
now, with the reason where they differ). A loop never writes: it proposes, the Guard disposes, and
what was really applied comes back so that no integrator winds up and no transfer bumps.
"""

import math
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

from controller.pid import Pid
from controller.settings import LoopSettings, OutputSettings
from drivers.point import Quality, RangeError, Sample, Tag


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
            self.reason = ""
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
        self.output = value

    def as_state(self) -> dict[str, Any]:
        """Return what a restart needs, as JSON."""
        return {"mode": self.target.name, "setpoint": self.local, "output": self.output}


class Output:
    """Maps a stretch of a loop's output (%) onto an actuator's or another loop's range."""

    def __init__(self, settings: OutputSettings, low: float, high: float) -> None:
        self.start, self.end = settings.start, settings.end
        self.low, self.high = low, high
        # Equal percentage: each % of output changes the value by the same share, so that a loop
        # whose process gain falls as 1 / value (kLa against stirrer speed) sees a constant gain.
        self._ratio = (
            math.log(high / low) if settings.characteristic == "equal_percentage" else None
        )

    def value(self, output: float) -> float:
        """Return the value at ``output``, at an end of the range outside the stretch."""
        share = (output - self.start) / (self.end - self.start)
        if share <= 0.0:
            return self.low
        if share >= 1.0:
            return self.high
        if self._ratio is not None:
            return self.low * math.exp(self._ratio * share)
        return self.low + share * (self.high - self.low)

    def inverse(self, value: float) -> float:
        """Return the output that gives ``value``."""
        value = min(max(value, self.low), self.high)
        if self._ratio is not None:
            share = math.log(value / self.low) / self._ratio
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def inside(self, output: float) -> bool:
        """Whether this stretch is the one that moves at ``output``."""
        low, high = min(self.start, self.end), max(self.start, self.end)
        return low <= output <= high


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

    def step(self, samples: Mapping[str, Sample], dt: float) -> float:
        """Return the wanted value of the actuator, in its unit; ``dt`` in s."""
        target = self.target
        if target is Mode.OFF:
            return self._at_once(Mode.OFF, self.safe, "")
        if lost := _first_bad(self.settings.zero_without, samples):
            return self._at_once(Mode.MANUAL, self.safe, f"{lost} is BAD")
        if target is Mode.MANUAL:
            self.actual, self.reason = Mode.MANUAL, ""
            return self.output
        wanted = self._wanted(samples)
        rate = self.settings.rate_per_s
        if rate is None:
            return wanted
        step = rate * dt
        return min(max(wanted, self.output - step), self.output + step)

    def _wanted(self, samples: Mapping[str, Sample]) -> float:
        """Return where the actuator should go, before its ramp."""
        lost = _first_bad(self.settings.needs, samples)
        if (lost or self.hold) and self.settings.fallback is not None:
            self.actual = Mode.AUTO
            self.reason = f"fall-back: {lost} is BAD" if lost else f"fall-back: {self.hold}"
            wanted = self.local if self.remote is None else self.remote
            self.setpoint = min(self.settings.fallback, max(wanted, 0.0))
            return self.setpoint
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
        self.actual, self.reason = mode, reason
        return value

    def applied(self, value: float, limit: str) -> None:
        """Take over what the Guard let through, or what the device really holds."""
        self.output = value
        if limit and self.actual is not Mode.OFF:
            self.reason = limit


class PidLoop(Loop):
    """A PID on a measurement, moving actuators (split range) or other loops (cascade).

    Args:
        name: ``R1.do``.
        settings: its table of the plant file.
        measured: the measurement's tag.
        actuators: its own actuators with their stretch of the output.
        slaves: the stations it leads, with their stretch.
        planned: the optimiser may set its setpoint.
    """

    def __init__(
        self,
        name: str,
        settings: LoopSettings,
        measured: Tag,
        actuators: Sequence[tuple[Output, Tag]],
        slaves: Sequence[tuple[Output, Station]],
        *,
        planned: bool,
    ) -> None:
        outs = [o for o, _ in actuators] + [o for o, _ in slaves]
        low = min(min(o.start, o.end) for o in outs)
        high = max(max(o.start, o.end) for o in outs)
        modes = [Mode.OFF, Mode.MANUAL, Mode.AUTO] + [Mode.OPTIMISER] * planned
        super().__init__(name, settings, measured.unit, modes, low, high)
        if settings.kp is None or settings.ti_s is None:
            raise ValueError(f"{name}: kp and ti_s are required with measured")
        self.measured = measured
        self.actuators = tuple(actuators)
        self.slaves = tuple(slaves)
        self.pid = Pid(
            settings.kp,
            settings.ti_s,
            td_s=settings.td_s,
            deadband=settings.deadband,
            filter_s=settings.filter_s,
        )
        self._bad_since = math.nan
        self._fallen = False  # the actuators are asked for their safe values
        self._resting = max(low, min(0.0, high))  # % of output at rest

    def step(self, samples: Mapping[str, Sample], dt: float, now: float) -> None:
        """Update the output from the measurement; ``dt`` and ``now`` in s."""
        sample = samples.get(self.measured.name)
        if sample is None or sample.quality is Quality.BAD:
            self._without_measurement(now)
            return
        if self.actual is not Mode.OFF and not math.isnan(self._bad_since):
            self._bad_since, self._fallen = math.nan, False
        pv = sample.value
        if self.target is Mode.OFF or self.target is Mode.MANUAL:
            self.actual, self.reason, self._fallen = self.target, "", self.target is Mode.OFF
            if self._fallen:
                self.output = self._resting
            return
        self.setpoint, led = self.local, self.target is Mode.OPTIMISER and self.remote is not None
        if led and self.remote is not None:
            s = self.settings
            self.setpoint = min(max(self.remote, s.setpoint_low), s.setpoint_high)
        if self.actual < Mode.AUTO:  # the first automatic scan continues from where the output is
            self._fallen = False
            self.pid.track(self.setpoint, pv, self.output)
        self.actual = Mode.OPTIMISER if led else Mode.AUTO
        self.reason = self.why if self.target is Mode.OPTIMISER and not led else ""
        wanted = self.pid.update(self.setpoint, pv, dt)
        output = min(max(wanted, self.output_low), self.output_high)
        if output != wanted:
            self.pid.limit(output)
        self.output = output
        self._lead(pv)

    def _without_measurement(self, now: float) -> None:
        """Leave AUTO at once; dosing stops in this scan, the rest holds for a while."""
        if math.isnan(self._bad_since):
            self._bad_since = now
        self.actual = Mode.OFF if self.target is Mode.OFF else Mode.MANUAL
        self.reason = f"{self.measured.name} is BAD" if self.target > Mode.MANUAL else ""
        hold = self.settings.on_bad_hold_s
        late = hold is not None and now - self._bad_since > hold
        if self.target is not Mode.MANUAL and (self.settings.dosing or late):
            self._fallen = True
            self.output = self._resting
        elif self.target is Mode.OFF:
            self._fallen = True
        for _, station in self.slaves:
            station.remote = None

    def _lead(self, pv: float) -> None:
        """Set the setpoints of the slaves, or follow them when none listens."""
        if not self.slaves:
            return
        led = False
        for out, station in self.slaves:
            station.remote = out.value(self.output)
            led = led or station.target is Mode.CASCADE
        if not led:
            out, station = next(
                (pair for pair in self.slaves if pair[0].inside(self.output)), self.slaves[0]
            )
            self.output = out.inverse(station.output)
            self.pid.track(self.setpoint, pv, self.output)
            self.reason = f"tracking: {station.name} is in {station.target.name}"

    def wanted(self) -> list[tuple[Tag, float]]:
        """Return each own actuator with the value asked for."""
        if self._fallen:
            return [(tag, tag.safe or 0.0) for _, tag in self.actuators]
        return [(tag, out.value(self.output)) for out, tag in self.actuators]

    def applied(
        self, values: Mapping[str, float], samples: Mapping[str, Sample], limit: str
    ) -> None:
        """Continue from what was really applied; called only when it is not what was asked for.

        Args:
            values: each own actuator's applied value, by tag name.
            samples: this scan's samples.
            limit: who limited it, shown as the reason.
        """
        for out, tag in self.actuators:
            value = values[tag.name]
            asked = out.value(self.output)
            if abs(value - asked) > 1e-6 * (tag.high - tag.low) and out.inside(self.output):
                self.output = out.inverse(value)
                break
        self.reason = limit
        sample = samples.get(self.measured.name)
        if self.actual >= Mode.AUTO and sample is not None and sample.quality is not Quality.BAD:
            self.pid.track(self.setpoint, sample.value, self.output)

    def take_over(self, values: Mapping[str, float]) -> None:
        """Start from what the device holds: the output that gives the largest of its actuators."""
        self.output = self._resting
        reach = 0.0
        for out, tag in self.actuators:
            op = out.inverse(values[tag.name])
            if abs(op - self._resting) > reach:
                reach, self.output = abs(op - self._resting), op
        for out, station in self.slaves:
            op = out.inverse(station.output)
            if abs(op - self._resting) > reach:
                reach, self.output = abs(op - self._resting), op
        self.actual = Mode.MANUAL if self.actual > Mode.MANUAL else self.actual


def _first_bad(names: Sequence[str], samples: Mapping[str, Sample]) -> str:
    """Return the first of the tags that is BAD or missing, or an empty string."""
    for name in names:
        sample = samples.get(name)
        if sample is None or sample.quality is Quality.BAD:
            return name
    return ""
