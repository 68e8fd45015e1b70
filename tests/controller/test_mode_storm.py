"""A storm of modes, hands, setpoints, lost readings and interlocks on a plant with every stage.

Whatever people and the world do in whatever order: no transfer moves an output, no limit and no
interlock is ever passed, nothing that is not a number leaves. ``make test-long`` makes 10^5
transitions; the normal run a few hundred.
"""

import math
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as storm

from controller.loops.loops import Mode, PidLoop
from controller.loops.on_off import OnOffLoop
from controller.outputs import Outputs
from controller.plant import load_plant
from drivers.point import Quality, RangeError, Sample
from historian.events import Event

PLANT = load_plant(Path("sim/plants/yeast_300l.toml"))
LOOPS = tuple(PLANT.settings.reactor["R1"].loop)
MEASURED = tuple(
    t.name for t in (*PLANT.tags.values(), *PLANT.calculated.values()) if t.safe is None
)
CALM = {  # what shows where no loop says otherwise: inside every interlock's window
    "R1.weight": 150.0,
    "R1.agitation": 250.0,
    "R1.head_pressure": 1.8,
    "R1.air_flow": 120.0,
    "R1.foam": 20.0,
    "R1.ethanol": 0.2,
    "R1.do": 40.0,
    "R1.our": 50.0,
}
MODES = ("OFF", "MANUAL", "AUTO", "CASCADE")
SETTLED = 60  # scans without a move: the filters of the measurements have come to rest
STEP = 1e-3  # of an actuator's span: what a transfer may move
RATES = {
    s.outputs[0].actuator: s.rate_per_s
    for s in PLANT.settings.reactor["R1"].loop.values()
    if s.rate_per_s is not None
}
SAFE = {t.name: t.safe for t in PLANT.tags.values() if t.safe is not None}


class Storm(RuleBasedStateMachine):
    """The outputs of a reactor, scan by scan, with no process behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.outputs = Outputs("R1", PLANT, self.events.append)
        self.loops = self.outputs.loops
        self.now = 0.0
        self.shown = {n: CALM.get(n, 0.5 * (t.low + t.high)) for n in MEASURED for t in [_tag(n)]}
        self.bad: set[str] = set()
        self.values: dict[str, float] = dict(SAFE)
        self.before: dict[str, float] = dict(SAFE)
        self.calm()

    # -- the world -----------------------------------------------------------------------------

    def scan(self) -> None:
        """Do one scan of 1 s."""
        self.now += 1.0
        samples = {
            name: Sample(
                _tag(name),
                self.now,
                math.nan if name in self.bad else value,
                Quality.BAD if name in self.bad else Quality.GOOD,
            )
            for name, value in self.shown.items()
        }
        self.before = self.values
        self.outputs._interlocks(self.now, samples)  # pyright: ignore[reportPrivateUsage]
        self.values = self.outputs._move(self.now, 1.0, samples)  # pyright: ignore[reportPrivateUsage]

    def calm(self) -> None:
        """Show every loop its setpoint, and nothing wrong, until nothing moves."""
        self.bad.clear()
        self.outputs.unreachable = {}
        for name, value in CALM.items():
            self.shown[name] = value
        still = 0
        for _ in range(600):
            for loop in self.loops.values():
                if isinstance(loop, PidLoop):
                    self.shown[loop.measured.name] = loop.local
            self.scan()
            still = still + 1 if self.values == self.before else 0
            if still > SETTLED:
                return

    @property
    def tripped(self) -> bool:
        return bool(self.outputs.guard.interlocks.tripped)

    # -- what people do ------------------------------------------------------------------------

    @rule(name=st.sampled_from(LOOPS), mode=st.sampled_from(MODES))
    def transfer_in_calm(self, name: str, mode: str) -> None:
        """From calm, a transfer moves no output; to and from OFF it goes to and from safe."""
        loop = self.loops[name]
        if Mode[mode] not in loop.modes:
            return
        self.calm()
        old = loop.target
        loop.set_mode(Mode[mode])
        self.scan()
        if Mode.OFF in (old, Mode[mode]) or self.tripped or isinstance(loop, OnOffLoop):
            return  # on-off is on or off
        for tag in loop.tags:
            span = _tag(tag).high - _tag(tag).low
            moved = abs(self.values[tag] - self.before[tag])
            ramp = RATES.get(tag, 0.0)  # of a station that joins a split range at another place
            text = f"{name} {old.name} to {mode}: {tag} by {moved / span:.2%}"
            assert moved <= STEP * span + ramp, text

    @rule(name=st.sampled_from(LOOPS), mode=st.sampled_from(MODES), scans=st.integers(1, 5))
    def set_mode(self, name: str, mode: str, scans: int) -> None:
        if Mode[mode] in self.loops[name].modes:
            self.loops[name].set_mode(Mode[mode])
        for _ in range(scans):
            self.scan()

    @rule(name=st.sampled_from(LOOPS), share=st.floats(-0.2, 1.2), scans=st.integers(1, 5))
    def set_setpoint(self, name: str, share: float, scans: int) -> None:
        s = self.loops[name].settings
        value = s.setpoint_low + share * (s.setpoint_high - s.setpoint_low)
        if s.setpoint_low <= value <= s.setpoint_high:
            self.loops[name].set_setpoint(value)
        else:
            with pytest.raises(RangeError):
                self.loops[name].set_setpoint(value)
        for _ in range(scans):
            self.scan()

    @rule(name=st.sampled_from(LOOPS), share=st.floats(0, 1), scans=st.integers(1, 5))
    def by_hand(self, name: str, share: float, scans: int) -> None:
        loop = self.loops[name]
        loop.set_mode(Mode.MANUAL)
        self.scan()
        low, high = loop.output_low, loop.output_high
        loop.set_output(min(max(low + share * (high - low), low), high))
        for _ in range(scans):
            self.scan()

    # -- what happens --------------------------------------------------------------------------

    @rule(name=st.sampled_from(MEASURED), share=st.floats(0, 1), scans=st.integers(1, 40))
    def show(self, name: str, share: float, scans: int) -> None:
        tag = _tag(name)
        self.shown[name] = tag.low + share * (tag.high - tag.low)
        for _ in range(scans):
            self.scan()

    @rule(name=st.sampled_from(MEASURED), scans=st.integers(1, 60))
    def lose(self, name: str, scans: int) -> None:
        self.bad.add(name)
        for _ in range(scans):
            self.scan()

    @rule(device=st.sampled_from(tuple(PLANT.settings.device)), scans=st.integers(1, 5))
    def cut(self, device: str, scans: int) -> None:
        mine = [n for n in SAFE if PLANT.device_of[n] == device]
        self.outputs.unreachable = dict.fromkeys(mine, f"{device} does not answer")
        for _ in range(scans):
            self.scan()
        self.outputs.unreachable = {}

    # -- what always holds ---------------------------------------------------------------------

    @invariant()
    def every_value_is_a_number_in_its_range(self) -> None:
        for name, value in self.values.items():
            assert math.isfinite(value), name
            assert _tag(name).low <= value <= _tag(name).high, name

    @invariant()
    @precondition(lambda self: not self.outputs.unreachable)
    def what_an_interlock_forces_is_forced(self) -> None:
        self.scan()
        locks = {lock.name: lock for lock in self.outputs.guard.interlocks.locks}
        tripped = self.outputs.guard.interlocks.tripped
        for actuator in {a for name in tripped for a in locks[name].force}:
            allowed = [f[actuator] for name in tripped if actuator in (f := locks[name].force)]
            assert self.values[actuator] in allowed, actuator

    @invariant()
    def acid_and_base_never_run_together(self) -> None:
        assert not (self.values["R1.acid"] > 0 and self.values["R1.base"] > 0) or (
            self.loops["ph"].target is Mode.MANUAL
        )


def _tag(name: str):
    return PLANT.quantity(name)


def run(examples: int, steps: int) -> None:
    profile = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=os.environ.get("HYPOTHESIS_PROFILE", "same") == "same",
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    storm(Storm, settings=profile)


def test_no_storm_of_modes_moves_or_passes_anything() -> None:
    run(6, 40)


@pytest.mark.long
def test_no_storm_of_a_hundred_thousand_transitions_does_either() -> None:
    run(1000, 100)
