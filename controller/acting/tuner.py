"""Experiments on the loops of a running controller: who may begin one, what ends it, its record.

An experiment has a seat of its own: it decides the output of a loop in place of its PID, in the
scan, below the Guard and the interlocks. It is given up for anything else that wants the loop.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from controller.loops.loops import Loop, Mode, PidLoop, RefusedError
from controller.reactor import Reactor
from controller.texts.said import said
from controller.tuning.experiment import Experiment, Limits, Relay, StepTest

Method = Literal["relay", "step"]
METHODS = ("relay", "step")
SIZE = 5.0  # % of output, if nobody says
DEVIATION = 3.0  # bands that the measurement may go, if nobody says
BASELINE_S = 120.0
ALLOWED = (Mode.AUTO, Mode.MANUAL)

Alarmed = Callable[[str, frozenset[str]], str]  # first alarm of a reactor or of devices


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for.

    Attributes:
        method: relay or step.
        size: how far the output moves, % of output; ``None``: 5.
        deviation: how far the measurement may go, y; ``None``: three times the loop's band.
        longest_s: s until it is given up.
    """

    method: Method = "relay"
    size: float | None = None
    deviation: float | None = None
    longest_s: float = 3600.0


class Session:
    """One experiment on one loop.

    Args:
        reactor: whose.
        loop: which.
        experiment: what moves the output.
        who: who asked for it.
        alarmed: the first active alarm of a reactor or of devices, empty if there is none.
        devices: names of the devices whose alarms concern the reactor.
        ended: called once, when it is over.
    """

    def __init__(
        self,
        reactor: Reactor,
        loop: PidLoop,
        experiment: Experiment,
        who: str,
        alarmed: Alarmed,
        devices: frozenset[str],
        ended: Callable[["Session"], None],
    ) -> None:
        self.loop = loop
        self.experiment = experiment
        self.who = who
        self._reactor = reactor
        self._alarmed = alarmed
        self._devices = devices
        self._ended = ended
        self._asked = _asked(reactor, loop)
        self.text = experiment.text
        self._stopped = ""

    def of(self, reactor: Reactor) -> bool:
        """Whether it is on a loop of ``reactor``."""
        return self._reactor is reactor

    @property
    def over(self) -> bool:
        """Whether it decides nothing any more."""
        return self.experiment.over

    def abort(self, reason: str) -> None:
        """End it; the loop continues from where its output is."""
        if not self.over:
            self.experiment.abort(reason)
            self.text = self.experiment.text
            self._ended(self)

    @property
    def asked(self) -> str:
        """What it does, in words."""
        e = self.experiment
        size = f"± {abs(e.move):g}" if isinstance(e, Relay) else f"{e.move:+g}"
        return f"{e.kind}, {size} %, at most {e.limits.deviation:g} {self.loop.unit} away"

    def stop(self, reason: str) -> None:
        """End it in the next scan, with the output where it began."""
        self._stopped = reason

    def step(self, now: float, measured: float) -> float | None:
        """Return the output of this scan, % of output; ``None``: where it is."""
        if self.over:
            return None
        s = self.loop.settings
        changed = _difference(self._asked, _asked(self._reactor, self.loop))
        trouble = changed or self._stopped or troubles(self._reactor, self._alarmed, self._devices)
        if not trouble and not s.setpoint_low <= measured <= s.setpoint_high:
            trouble = f"the measurement is outside {s.setpoint_low:g} to {s.setpoint_high:g}"
        if trouble:
            self.abort(trouble)
            return None if changed else self.experiment.start
        output = self.experiment.step(now, measured)
        self.text = f"tuning, {self.experiment.state}: {self.experiment.text}"
        if self.over:
            self._ended(self)
        return output

    def report(self, *, whole: bool) -> dict[str, Any]:
        """Return how it stands, as JSON; ``whole``: with everything that was recorded."""
        experiment, loop = self.experiment, self.loop
        found: dict[str, Any] = {
            "loop": loop.name,
            "method": experiment.kind,
            "asked": self.asked,
            "state": experiment.state.value,
            "text": experiment.text,
            "reason": experiment.reason,
            "who": self.who,
            "unit": loop.unit,
            "elapsed_s": _elapsed(experiment),
            "longest_s": experiment.limits.longest_s,
            "move": experiment.move,
            "deviation": experiment.limits.deviation,
        }
        if not whole:
            return found
        tuning, record = loop.pid.tuning, experiment.record
        found |= {
            "begun": record.times[0] if record.times else None,
            "times": [t - record.times[0] for t in record.times],
            "measured": record.measured,
            "outputs": record.outputs,
            "tuning": tuning.as_json(),
            "gain": loop.pid.factor,
            "start": experiment.start,
            "output_low": loop.output_low,
            "output_high": loop.output_high,
            "band": loop.settings.band,
            "stretches": loop.stretches(experiment.start, abs(experiment.move)),
            "noise": experiment.noise if math.isfinite(experiment.noise) else None,
        }
        if isinstance(experiment, Relay):
            found["hysteresis"] = experiment.hysteresis
            found["cycles"] = [[c.up_s, c.down_s, c.amplitude] for c in experiment.equal_cycles]
        return found


class Tuner:
    """The experiments of a controller, the last one of each loop.

    Args:
        alarmed: the first active alarm of a reactor or of devices, empty if there is none.
        device_of: the device of each tag, by name.
        ended: called with each experiment that is over.
    """

    def __init__(
        self, alarmed: Alarmed, device_of: Mapping[str, str], ended: Callable[[Session], None]
    ) -> None:
        self._alarmed = alarmed
        self._ended = ended
        self._device_of = device_of
        self.sessions: dict[str, Session] = {}

    def begin(self, reactor: Reactor, loop: Loop, wish: Wish, who: str) -> Session:
        """Begin an experiment; the next scan makes its first move.

        Raises:
            RefusedError: the loop or the plant is in no state for it; the text says why.
        """
        if not isinstance(loop, PidLoop):
            raise RefusedError(said("no_pid", loop=loop.name))
        if loop.trial is not None:
            raise RefusedError(said("in_experiment", loop=loop.name))
        busy = [s.loop.name for s in self.sessions.values() if not s.over and s.of(reactor)]
        if busy:
            raise RefusedError(said("other_experiment", loop=loop.name, other=busy[0]))
        devices = frozenset(self._device_of[t] for t in (loop.measured.name, *loop.tags))
        why = _not_stationary(reactor, loop) or troubles(reactor, self._alarmed, devices)
        if why:
            raise RefusedError(said("not_now", loop=loop.name, why=why))
        experiment = _experiment(loop, wish)
        session = Session(reactor, loop, experiment, who, self._alarmed, devices, self._ended)
        self.sessions[loop.name] = session
        loop.trial = session
        return session


def troubles(reactor: Reactor, alarmed: Alarmed, devices: frozenset[str]) -> str:
    """Return the first reason in the plant not to experiment on a reactor, empty if none."""
    if tripped := reactor.guard.interlocks.tripped:
        return f"interlock {tripped[0]} is tripped"
    if text := alarmed(reactor.name, devices):
        return f"alarm: {text}"
    return ""


def _not_stationary(reactor: Reactor, loop: PidLoop) -> str:
    runner = reactor.runner
    if loop.target not in ALLOWED or loop.actual is not loop.target:
        why = f" ({loop.reason})" if loop.reason else ""
        return f"it is in {loop.actual.name}{why}; AUTO or MANUAL is required"
    if runner is not None and runner.ramping:
        return "the recipe ramps a setpoint"
    if abs(loop.setpoint - loop.local) > 1e-9 and loop.actual is Mode.AUTO:
        return "its setpoint is still on its way"
    return ""


def _experiment(loop: PidLoop, wish: Wish) -> Experiment:
    """Return the experiment that was asked for.

    Raises:
        RefusedError: its size or its limits are not possible here.
    """
    deviation = wish.deviation
    if deviation is None:
        if loop.settings.band is None:
            raise RefusedError(said("no_band", loop=loop.name))
        deviation = DEVIATION * loop.settings.band
    size = SIZE if wish.size is None else wish.size
    low, high = loop.room
    try:
        limits = Limits(low, high, deviation, wish.longest_s, BASELINE_S)
        if wish.method == "relay":
            return Relay(loop.output, abs(size), limits)
        return StepTest(loop.output, size, limits)
    except ValueError as error:
        raise RefusedError(said("experiment_range", loop=loop.name, error=error)) from None


def _asked(reactor: Reactor, loop: PidLoop) -> dict[str, object]:
    """Return everything that, when it changes, ends an experiment."""
    runner = reactor.runner
    return {
        "mode": loop.target.name,
        "setpoint": loop.local,
        "output by hand": loop.hand,
        "recipe": None if runner is None else f"{runner.state}, phase {runner.phase}",
        "tuning": loop.pid.tuning,
    }


def _difference(before: dict[str, object], now: dict[str, object]) -> str:
    changed = [name for name, value in now.items() if value != before[name]]
    return f"{changed[0]} was changed to {now[changed[0]]}" if changed else ""


def _elapsed(experiment: Experiment) -> float:
    times = experiment.record.times
    return times[-1] - times[0] if times else 0.0
