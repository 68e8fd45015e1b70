"""Loops with a PID: on a measurement, moving actuators (split range) or other loops (cascade).

Every loop has a target mode (what a person or the recipe wants) and an actual mode (what it can do
now, with the reason where they differ). A loop never writes: it proposes, the Guard disposes, and
what was really applied comes back through every stage (external reset), so that no integrator
winds up and no transfer bumps.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from controller.loops.feedforward import Feedforward
from controller.loops.gain import GainSchedule
from controller.loops.loop import (
    AUTO,
    CASCADE,
    IMAN,
    MANUAL,
    OFF,
    ON_ITS_WAY,
    OPTIMISER,
    WORKING,
    Loop,
    Mode,
    RefusedError,
)
from controller.loops.pid import Pid, Tuning
from controller.loops.pulses import Pulses
from controller.loops.split import Output
from controller.loops.station import Station
from controller.plant_file.loop_settings import LoopSettings
from controller.protection.guard import NO, Checked
from controller.texts.said import said, word
from drivers.point import BAD, Sample, Tag

__all__ = ["WORKING", "Loop", "Mode", "Output", "PidLoop", "RefusedError", "Station"]


class Trial(Protocol):
    """An experiment that moves a loop's output in place of its PID, see ``controller.tuner``."""

    text: str

    @property
    def over(self) -> bool:
        """Whether it decides nothing any more."""
        ...

    def step(self, now: float, measured: float) -> float | None:
        """Return the output of this scan; ``None``: where it is."""
        ...

    def abort(self, reason: str) -> None:
        """End it: somebody else decides."""
        ...


class Doubt(Protocol):
    """A second value beside a measurement."""

    @property
    def doubt(self) -> float:
        """How far the measurement is not to be relied on, 0 to 1."""
        ...


MARGIN_S = 300.0  # in which the whole margin of a disputed measurement is put on or taken off
TOLD = 0.05  # share of a margin from which on people are told
AT_REST = 0.01  # % of a loop's output: nearer to the beginning of a stretch is at it


class PidLoop(Loop):
    """A PID on a measurement, moving actuators (split range) or other loops (cascade).

    Args:
        name: ``R1.do``.
        settings: its table of the plant file.
        measured: the measurement's tag.
        actuators: its own actuators with their stretch of the output.
        slaves: the loops that it leads, with their stretch.
        led: another loop may set its setpoint (CASCADE).
        planned: the optimiser may set its setpoint.
    """

    def __init__(
        self,
        name: str,
        settings: LoopSettings,
        measured: Tag,
        actuators: Sequence[tuple[Output, Tag]],
        slaves: Sequence[tuple[Output, Loop]],
        *,
        led: bool = False,
        planned: bool = False,
    ) -> None:
        outs = [o for o, _ in actuators] + [o for o, _ in slaves]
        low, high = min(o.least for o in outs), max(o.most for o in outs)
        modes = [OFF, MANUAL, AUTO]
        modes += [CASCADE] * led + [OPTIMISER] * planned
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
            derivative_filter_s=settings.derivative_filter_s,
        )
        self._planned = self.pid.tuning  # what the plant file says
        self.trial: Trial | None = None
        self._gain = GainSchedule(settings.gain) if settings.gain else None
        self._ahead = [Feedforward(s) for s in settings.feedforward]
        self._feedforward = 0.0  # % of output, beside the PID's
        pulses = [
            Pulses(s.least, s.pulse_s) if s.least is not None else None
            for s in settings.outputs
            if s.actuator is not None
        ]
        self._own = [
            (out, tag, tag.safe or 0.0, p)
            for (out, tag), p in zip(self.actuators, pulses, strict=True)
        ]
        self._asked: list[tuple[Tag, float]] = []  # of each own actuator in this scan
        self._changeover_s = settings.changeover_s
        self._pv = math.nan  # the last usable measurement
        self._dt = 0.0
        self.seconds: list[Doubt] = []  # what second values say of its measurement
        self._most_margin = settings.disputed_margin or 0.0
        self._margin = 0.0  # by which the setpoint is higher for that, in the measured unit
        self._bad_since = math.nan
        self._fallen = False  # the actuators are asked for their safe values
        self._resting = max(low, min(0.0, high))  # % of output at rest
        self._side = 0  # the side of rest on which the output was last
        self._side_s = math.inf  # s since then

    def listens(self) -> bool:
        return self.target is CASCADE and math.isnan(self._bad_since)

    @property
    def position(self) -> float:
        return self.setpoint if self.listens() or self._pv != self._pv else self._pv

    # -- one scan ------------------------------------------------------------------------------

    def step(self, samples: Mapping[str, Sample], dt: float, now: float) -> None:
        """Update the output from the measurement; ``dt`` and ``now`` in s."""
        self._dt, self.blocked = dt, 0
        sample = samples.get(self.measured.name)
        if sample is None or sample.quality is BAD:
            self._without_measurement(now)
            return
        if self._bad_since == self._bad_since and self.actual is not OFF:  # NaN: it was not
            self._bad_since, self._fallen = math.nan, False
        pv = self._pv = sample.value
        if self._gain is not None:
            self.pid.scale(self._gain.step(samples, dt))
        if self._ahead:
            self._feedforward = sum(term.step(samples, dt) for term in self._ahead)
        if self.trial is not None and self._try(self.trial, pv, now):
            return
        if self.target is OFF or self.target is MANUAL:
            self._rest_or_by_hand(pv)
        else:
            self._regulate(pv, dt)

    def _try(self, trial: Trial, pv: float, now: float) -> bool:
        """Let an experiment move the output; return whether it goes on.

        To the PID it is a hand: afterwards it continues from where the output is.
        """
        output = trial.step(now, pv)
        self.pid.pause()
        self.actual, self.reason = MANUAL, trial.text
        if output is not None:
            self.output = output
        if self.slaves and not trial.over and not self._lead():
            trial.abort("nothing that it leads listens")
        if trial.over:
            self.trial = None
        return not trial.over

    def _rest_or_by_hand(self, pv: float) -> None:
        self.actual, self.reason, self._fallen = self.target, "", self.target is OFF
        self.pid.pause()
        if self.settings.setpoint_tracks:
            self.local = self.setpoint = self._settable(pv)
        if self._fallen:
            self.output = self._resting
            self._let_go()
        elif not self._by_hand():
            self._follow(pv)

    def _regulate(self, pv: float, dt: float) -> None:
        """Let the PID move the output towards the setpoint of whoever leads."""
        mode, setpoint = (AUTO, self.local) if self.target is AUTO else self._led()
        if self._most_margin and self.seconds:
            worst = 0.0
            for second in self.seconds:
                doubt = second.doubt
                worst = doubt if doubt > worst else worst
            setpoint = self._on_the_safe_side(setpoint, worst, dt)
        if (rate := self._ramp_per_s) is not None:
            setpoint = self._ramped(setpoint, pv, rate, dt)
        self.setpoint = setpoint
        if self.actual is not mode:  # whoever leads now continues from where the output is
            self.actual, self._fallen = mode, False
            self.pid.track(setpoint, pv, self.output - self._feedforward)
        late = self.target is not mode
        self.reason = (self.why or said("no_leader", mode=word(self.target.name))) if late else ""
        if self._margin > TOLD * self._most_margin and not late:
            by, unit = self._most_margin, self.unit
            self.reason = said("margin", tag=self.measured.name, by=by, unit=unit)
        wanted = self.pid.update(setpoint, pv, dt) + self._feedforward
        low, high = self.output_low, self.output_high
        if self.slaves or self._changeover_s:
            low, high = self._reach(dt)
        output = low if wanted < low else high if wanted > high else wanted
        if output != wanted:
            self.pid.limit(output - self._feedforward)
            self.blocked = 1 if wanted > output else -1
        self.output = output
        if self.slaves and not self._lead():
            self._follow(pv)

    def _on_the_safe_side(self, setpoint: float, doubt: float, dt: float) -> float:
        """Return the setpoint higher by what its measurement may read too much."""
        step = self._most_margin * dt / MARGIN_S
        off = doubt * self._most_margin - self._margin
        self._margin += -step if off < -step else step if off > step else off
        return self._settable(setpoint + self._margin)

    def _led(self) -> tuple[Mode, float]:
        """Return who sets the setpoint now, and to what."""
        if self.remote is None:
            return AUTO, self.local
        wanted = self._settable(self.remote)
        if self.target is OPTIMISER:
            return OPTIMISER, wanted
        self.local = wanted  # where it stays when nothing leads it any more
        return self.leader, wanted

    def _without_measurement(self, now: float) -> None:
        """Leave AUTO at once; dosing stops in this scan, the rest holds for a while."""
        self.pid.pause()
        if self.trial is not None:
            self.trial.abort(said("is_bad", tag=self.measured.name))
            self.trial = None
        if math.isnan(self._bad_since):
            self._bad_since = now
        self.actual = OFF if self.target is OFF else MANUAL
        self.reason = said("is_bad", tag=self.measured.name) if self.target > MANUAL else ""
        hold = self.settings.on_bad_hold_s
        late = hold is not None and now - self._bad_since > hold
        if self.target is not MANUAL and (self.settings.dosing or late):
            self._fallen = True
            self.output = self._resting
        elif self.target is OFF:
            self._fallen = True
        if self.target is MANUAL:
            self._by_hand()
        else:
            self._let_go()

    def _by_hand(self) -> bool:
        """Take the output that a person set; return whether it moves anything."""
        if self.hand is not None:
            self.output = self.hand
        return not self.slaves or self._lead()

    # -- the loops below it --------------------------------------------------------------------

    def _lead(self) -> bool:
        """Set the setpoints of the slaves; return whether one listens."""
        heard = False
        for out, slave in self.slaves:
            slave.remote = out.value(self.output)
            heard = heard or slave.listens()
        return heard

    def _let_go(self) -> None:
        """Leave the slaves at their last setpoints, and be where they are."""
        for _, slave in self.slaves:
            slave.remote = None
        if self.slaves:
            self.output = self._position({})

    def _reach(self, dt: float) -> tuple[float, float]:
        """Return the least and the greatest output that moves something.

        Nothing winds up behind a slave that does not listen; what doses on one side of rest does
        not on the other until the broth has had time to mix.
        """
        if self._changeover_s:
            return self._one_side(dt)
        low, high = self.output_high, self.output_low
        for out, _ in self.actuators:
            low, high = min(low, out.least), max(high, out.most)
        for out, slave in self.slaves:
            if slave.listens():
                least, most = out.least, out.most
            else:
                least = most = out.inverse(slave.position)
            low, high = least if least < low else low, most if most > high else high
        return low, high

    def _one_side(self, dt: float) -> tuple[float, float]:
        """Return the range of the output while the other side of rest still works in the broth."""
        off = self.output - self._resting
        if abs(off) > AT_REST:
            self._side, self._side_s = (1 if off > 0 else -1), 0.0
        else:
            self._side_s += dt
        low, high = self.output_low, self.output_high
        if self._side_s < self._changeover_s:
            low = self._resting if self._side > 0 else low
            high = self._resting if self._side < 0 else high
        return low, high

    def _follow(self, pv: float) -> None:
        """Be where the slaves are, for none listens."""
        out, slave = next(
            (pair for pair in self.slaves if pair[0].inside(self.output)), self.slaves[0]
        )
        self.output, self.hand = out.inverse(slave.position), None
        self.pid.track(self.setpoint, pv, self.output - self._feedforward)
        if self.actual in WORKING:
            self.actual = IMAN
        self.reason = said("tracking", slave=slave.name, why=_why(slave))

    def settle(self) -> None:
        """Take what the slaves made of the output in this scan: no integral runs ahead of them."""
        if self.actual not in WORKING:
            return
        wanted = 1 if self.setpoint > self._pv else -1
        free = False
        for out, slave in self.slaves:
            if not slave.listens():
                continue
            if slave.blocked != wanted * out.rising and out.beyond(self.output, wanted):
                free = True
            if out.inside(self.output):
                at = out.inverse(slave.position)
                if (self.output - at) * wanted > AT_REST:  # it is still on its way there
                    self.pid.limit(at - self._feedforward)
        if not free:
            self.pid.block(wanted)
            self.blocked = wanted

    # -- what became of it ---------------------------------------------------------------------

    def wanted(self) -> list[tuple[Tag, float]]:
        """Return each own actuator with the value asked for."""
        wanted: list[tuple[Tag, float]] = []
        fallen, output = self._fallen, self.output
        for out, tag, safe, pulses in self._own:
            asked = safe if fallen else out.value(output)
            wanted.append((tag, asked if pulses is None else pulses.step(asked, self._dt)))
        self._asked = wanted
        return wanted

    def applied(self, passed: Sequence[Checked]) -> None:
        """Continue from what was really applied; called only when it is not what was asked for.

        Args:
            passed: what became of each own actuator's value, in the order of ``wanted``.
        """
        for (out, _), value, (tag, asked) in zip(self.actuators, passed, self._asked, strict=True):
            off = abs(value.value - asked) > 1e-6 * (tag.high - tag.low)
            if off and out.inside(self.output):
                self.output = out.inverse(value.value)
                break
        self.reason = next(p.reason for p in passed if p.limited is not NO)
        if self.actual in WORKING:
            self.blocked = 1 if self.setpoint > self._pv else -1
            self.pid.track(self.setpoint, self._pv, self.output - self._feedforward)
        by = next((p.limited for p in passed if p.limited not in ON_ITS_WAY), None)
        if by is not None:
            if self.trial is not None:
                self.trial.abort(self.reason)
            self._overruled(by)

    def take_over(self, held: Mapping[str, float], *, by_itself: bool = True) -> None:
        self.output = self._position(held)
        if by_itself and self.actual is not OFF:
            self.hand = None
        if self.actual is not OFF:
            self.actual = MANUAL  # so that the next step continues from here

    # -- tuning --------------------------------------------------------------------------------

    @property
    def room(self) -> tuple[float, float]:
        """The least and the greatest output of an experiment; it doses on one side of rest only."""
        if not self.settings.dosing and not self.settings.changeover_s:
            return self.output_low, self.output_high
        if self.output > self._resting:
            return self._resting, self.output_high
        return self.output_low, self._resting

    def stretches(self, output: float, size: float) -> int:
        """Return how many actuators or loops an output within ``size`` of ``output`` moves."""
        outs = [out for out, _ in self.actuators] + [out for out, _ in self.slaves]
        spans = [(out.least, out.most) for out in outs]
        return sum(low < output + size and output - size < high for low, high in spans)

    def retune(self, tuning: Tuning) -> None:
        """Change the tuning without a bump; restarts keep it until the plant file has another."""
        t = tuning
        self.pid.retune(t.kp, t.ti_s, t.td_s, t.deadband, t.filter_s, t.derivative_filter_s)

    def as_state(self) -> dict[str, Any]:
        state, tuning = super().as_state(), self.pid.tuning
        if tuning != self._planned:
            state["tuning"] = tuning.as_json()
            state["in_place_of"] = self._planned.as_json()
        return state

    def keep_tuning(self, tuning: Tuning, before: Tuning) -> str:
        """Take up a tuning made in place of ``before``, and return a line about it.

        The plant file wins where it is no longer what it was then.
        """
        told = f"kp {tuning.kp:.4g}, ti_s {tuning.ti_s:.4g}"
        if before != self._planned:
            return f"{self.name} has the plant file's new tuning, not {told}"
        self.retune(tuning)
        return f"{self.name} keeps {told}; put it into the plant file"

    @property
    def tags(self) -> frozenset[str]:
        """Every actuator that it moves, by itself or through the loops below it."""
        return frozenset({tag.name for _, tag in self.actuators}).union(
            *(slave.tags for _, slave in self.slaves)
        )

    def _position(self, held: Mapping[str, float]) -> float:
        """Return the output that fits what the actuators hold and what the slaves have.

        The one farthest from rest says it; one at the beginning of its stretch says nothing.
        """
        ends = [(out, held.get(tag.name, out.low)) for out, tag in self.actuators]
        ends += [(out, slave.position) for out, slave in self.slaves]
        found = self._resting
        for out, value in ends:
            at = out.inverse(value)
            moved = abs(at - out.start) > AT_REST
            if moved and abs(at - self._resting) > abs(found - self._resting):
                found = at
        return found


def kept_tuning(state: Mapping[str, Any]) -> tuple[Tuning, Tuning] | None:
    """Return the tuning in a loop's ``as_state`` and what it replaced, ``None``: there is none."""
    if "tuning" not in state:
        return None
    return Tuning.of_json(state["tuning"]), Tuning.of_json(state["in_place_of"])


def _why(slave: Loop) -> str:
    """Return why a slave does not listen."""
    if slave.target is not CASCADE:
        return said("is_in", mode=word(slave.target.name))
    return slave.reason
