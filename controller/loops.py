"""Loops: a PID that moves actuators or other loops, and a station whose setpoint is its output.

Every loop has a target mode (what a person or the recipe wants) and an actual mode (what it can do
now, with the reason where they differ). A loop never writes: it proposes, the Guard disposes, and
what was really applied comes back so that no integrator winds up and no transfer bumps.
"""

import math
from collections.abc import Mapping, Sequence

from controller.loop import Loop, Mode, RefusedError
from controller.pid import Pid
from controller.settings import LoopSettings, OutputSettings
from controller.station import Station
from drivers.point import Quality, Sample, Tag

__all__ = ["Loop", "Mode", "Output", "PidLoop", "RefusedError", "Station"]

AT_REST = 0.01  # % of a loop's output: nearer to the beginning of a stretch is at it


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
            self.pid.pause()
            if self._fallen:
                self.output = self._resting
                self._let_go()
            elif not self._by_hand():
                self._follow(pv)
            return
        self.setpoint, led = self.local, self.target is Mode.OPTIMISER and self.remote is not None
        if led and self.remote is not None:
            s = self.settings
            self.setpoint = min(max(self.remote, s.setpoint_low), s.setpoint_high)
        mode = Mode.OPTIMISER if led else Mode.AUTO
        if self.actual is not mode:  # whoever leads now continues from where the output is
            self.actual, self._fallen = mode, False
            self.pid.track(self.setpoint, pv, self.output)
        self.reason = self.why if self.target is Mode.OPTIMISER and not led else ""
        wanted = self.pid.update(self.setpoint, pv, dt)
        low, high = self._reach() if self.slaves else (self.output_low, self.output_high)
        output = min(max(wanted, low), high)
        if output != wanted:
            self.pid.limit(output)
        self.output = output
        if self.slaves and not self._lead():
            self._follow(pv)

    def _without_measurement(self, now: float) -> None:
        """Leave AUTO at once; dosing stops in this scan, the rest holds for a while."""
        self.pid.pause()
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
        if self.target is Mode.MANUAL:
            self._by_hand()
        else:
            self._let_go()

    def _by_hand(self) -> bool:
        """Take the output that a person set; return whether it moves anything."""
        if self.hand is not None:
            self.output = self.hand
        return not self.slaves or self._lead()

    def _lead(self) -> bool:
        """Set the setpoints of the slaves; return whether one listens."""
        heard = False
        for out, station in self.slaves:
            station.remote = out.value(self.output)
            heard = heard or station.listens
        return heard

    def _let_go(self) -> None:
        """Leave the slaves at their last setpoints, and be where they are."""
        for _, station in self.slaves:
            station.remote = None
        if self.slaves:
            self.output = self._position({})

    def _reach(self) -> tuple[float, float]:
        """Return the least and the greatest output that moves a slave, or is where one stays.

        So nothing winds up behind a slave that does not listen.
        """
        low, high = self.output_high, self.output_low
        for out, station in self.slaves:
            if station.listens:
                low, high = min(low, out.start, out.end), max(high, out.start, out.end)
            else:
                at = out.inverse(station.output)
                low, high = min(low, at), max(high, at)
        return low, high

    def _follow(self, pv: float) -> None:
        """Be where the slaves are, for none listens."""
        out, station = next(
            (pair for pair in self.slaves if pair[0].inside(self.output)), self.slaves[0]
        )
        self.output, self.hand = out.inverse(station.output), None
        self.pid.track(self.setpoint, pv, self.output)
        why = station.reason if station.forced else f"is in {station.target.name}"
        self.reason = f"tracking: {station.name} {why}"

    def wanted(self) -> list[tuple[Tag, float]]:
        """Return each own actuator with the value asked for."""
        if self._fallen:
            return [(tag, tag.safe or 0.0) for _, tag in self.actuators]
        return [(tag, out.value(self.output)) for out, tag in self.actuators]

    def applied(
        self,
        values: Mapping[str, float],
        samples: Mapping[str, Sample],
        limit: str,
        *,
        ramping: bool = False,
    ) -> None:
        """Continue from what was really applied; called only when it is not what was asked for.

        Args:
            values: each own actuator's applied value, by tag name.
            samples: this scan's samples.
            limit: who limited it, shown as the reason.
            ramping: it is only on its way to what was asked for.
        """
        if not ramping:
            self.hand = None  # what was forced stays when the force ends
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

    def take_over(self, held: Mapping[str, float], *, by_itself: bool = True) -> None:
        """Continue from what the devices hold; arguments as ``Station.take_over``."""
        self.output = self._position(held)
        if by_itself and self.actual is not Mode.OFF:
            self.hand = None
        self.actual = min(self.actual, Mode.MANUAL)

    def _position(self, held: Mapping[str, float]) -> float:
        """Return the output that fits what the actuators hold and what the slaves have.

        The one farthest from rest says it; one at the beginning of its stretch says nothing.
        """
        ends = [(out, held.get(tag.name, out.low)) for out, tag in self.actuators]
        ends += [(out, station.output) for out, station in self.slaves]
        found = self._resting
        for out, value in ends:
            at = out.inverse(value)
            moved = abs(at - out.start) > AT_REST
            if moved and abs(at - self._resting) > abs(found - self._resting):
                found = at
        return found
