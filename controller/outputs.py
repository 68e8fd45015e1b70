"""What a reactor's actuators hold, what its loops want of them, and what the Guard lets through."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from controller.assemble import build_guard, build_loops, build_switches
from controller.loops.loop import AUTO, CASCADE, MANUAL, OFF, OPTIMISER
from controller.loops.loops import WORKING, Loop, Mode, PidLoop, Station
from controller.loops.on_off import OnOffLoop
from controller.plant import Plant
from controller.protection.guard import DOSE, NO, UNREACHABLE, Checked
from controller.protection.interlock import InterlockEvent
from drivers.point import GOOD, Sample, Tag
from historian.events import Event, Kind


class Outputs:
    """The loops of a reactor and the actuators behind them.

    Args:
        name: ``R1``.
        plant: the checked plant file.
        tell: takes every event.

    Attributes:
        loops: by name inside the reactor.
        actuators: by tag name.
        held: what each actuator holds, as the device confirmed, by tag name.
        unreachable: actuators that cannot be moved now, and why, by tag name.
        switches: which of them a hand at the device has taken (local/remote).
        waiting: modes that loops come back to when a person resumes, by full name.
        capped: cut by a dose limit in this scan, and why, by tag name.
    """

    __slots__ = (  # as in ``Loop``: what a reactor has beside stays below thirty
        "_near",
        "_tell",
        "_unsure",
        "actuators",
        "capped",
        "guard",
        "held",
        "loops",
        "name",
        "pids",
        "singles",
        "switches",
        "unreachable",
        "waiting",
    )

    def __init__(self, name: str, plant: Plant, tell: Callable[[Event], None]) -> None:
        self.name = name
        self.loops: dict[str, Loop] = build_loops(name, plant)
        self.pids = masters_first(
            [loop for loop in self.loops.values() if isinstance(loop, PidLoop)]
        )
        self.singles = [  # loops that move one actuator each, after those that may lead them
            loop for loop in self.loops.values() if isinstance(loop, Station | OnOffLoop)
        ]
        self.actuators: dict[str, Tag] = {
            t.name: t for t in plant.tags.values() if t.reactor == name and t.safe is not None
        }
        self.guard = build_guard(name, plant)
        self.held: dict[str, float] = {}
        self.unreachable: Mapping[str, str] = {}
        self.switches = build_switches(name, plant)
        self.waiting: dict[str, Mode] = {}
        self._tell = tell
        self.capped: dict[str, str] = {}
        # how far a readback may be from what was written, in the actuator's unit
        self._near = {n: 1e-3 * (t.high - t.low) for n, t in self.actuators.items()}
        self._unsure: set[str] = set()  # actuators whose last write was not confirmed

    def _adopt(self, samples: Mapping[str, Sample]) -> None:
        """Start from what the devices really hold where it is not what was written."""
        for name, text in self.switches.see(samples):
            self._tell(Event(samples[name].time, "device", Kind.NOTE, name, text))
        if self.switches.local:
            self.unreachable = {**self.unreachable, **self.switches.local}
        unsure = self._unsure
        if not unsure and self.held == {n: samples[n].value for n in self._near if n in samples}:
            return  # as nearly always
        moved: dict[str, bool] = {}  # whether the device has changed it by itself
        for name, most in self._near.items():
            sample = samples.get(name)
            if sample is None or sample.quality is not GOOD:
                continue
            held = self.held.get(name)
            if sample.value == held and not unsure:
                continue
            near = held is not None and abs(sample.value - held) <= most
            if near and (not unsure or name not in unsure or name in self.unreachable):
                continue
            tag = self.actuators[name]
            moved[name] = not near
            self._unsure.discard(name)
            self.held[name] = sample.value
            self.guard.adopt(tag, sample.value)
            if held is not None and not near and name not in self.switches.local:
                text = f"{name} holds {sample.value:g} {tag.unit}, not {held:g}; continuing from it"
                self._tell(Event(sample.time, "device", Kind.NOTE, name, text))
        if moved:
            self._take_over(moved)

    def _interlocks(self, now: float, samples: Mapping[str, Sample]) -> Sequence[str]:
        """Evaluate the interlocks, tell of bypasses that ended and return those that tripped."""
        events = self.guard.begin(now, samples)
        if not events:
            return ()
        for event in events:
            if event.what == "bypass ended":  # what trips and clears is an alarm
                self._tell(_event(event))
        return [event.name for event in events if event.what == "tripped"]

    def reset_interlock(self, name: str, now: float) -> None:
        """Clear a latched interlock.

        Raises:
            ValueError: it is not tripped, or its reason lasts.
        """
        self.guard.interlocks.reset(name, now)

    def _take_over(self, moved: Mapping[str, bool]) -> None:
        """Let the loops of the actuators ``moved`` continue from what these hold."""
        for loop in (*self.singles, *reversed(self.pids)):  # masters look at what they lead
            own = [moved[name] for name in loop.tags if name in moved]
            if own:
                loop.take_over(self.held, by_itself=any(own))

    def _move(self, now: float, dt: float, samples: Mapping[str, Sample]) -> dict[str, float]:
        """Step every loop, pass each value through the Guard, tell the loops what came of it."""
        values: dict[str, float] = {}
        self.capped.clear()
        check, unreachable = self.guard.check, self.unreachable
        for pid in self.pids:
            pid.step(samples, dt, now)
            if not pid.actuators:
                continue
            passed: list[Checked] = []
            changed = False
            for tag, wanted in pid.wanted():
                one = check(tag, wanted, now)
                if unreachable or one[2] is not NO:
                    one = self._overrule(tag, one)
                    changed = changed or one.limited is not NO
                passed.append(one)
                values[tag.name] = one[0]
            if changed:
                pid.applied(passed)
        for loop in self.singles:
            tag = loop.tag
            one = check(tag, loop.step(samples, dt), now)
            if unreachable or one[2] is not NO:
                one = self._overrule(tag, one)
            values[tag.name] = one[0]
            if one is not loop.passed:  # else it is as it was
                loop.passed = one
                loop.applied(one)
        for pid in reversed(self.pids):
            if pid.slaves:
                pid.settle()
        return values

    def _overrule(self, tag: Tag, checked: Checked) -> Checked:
        """Return what an actuator gets, or goes on holding where it cannot be reached."""
        if why := self.unreachable.get(tag.name):
            held = self.held.get(tag.name, checked.value)
            self.guard.adopt(tag, held)
            return Checked(held, why, UNREACHABLE)
        if checked.limited is DOSE:
            self.capped[tag.name] = checked.reason
        return checked

    def confirmed(self, held: Mapping[str, Sample]) -> None:
        """Take what a device confirmed after a write."""
        for name, sample in held.items():
            if sample.quality is GOOD:
                self.held[name] = sample.value

    def unconfirmed(self, names: Iterable[str]) -> None:
        """Take note that a write failed: continue from what the device next says it holds."""
        self._unsure.update(names)

    def presume_safe(self, names: Iterable[str]) -> None:
        """Take the safe values as held: the device's own watchdog has seen to it."""
        for name in names:
            tag = self.actuators.get(name)
            if tag is not None and tag.safe is not None and name not in self.switches.local:
                self.held[name] = tag.safe

    def _restore_loop(self, loop: Loop, mode: Mode, setpoint: float, *, short: bool) -> None:
        s = loop.settings
        if s.setpoint_low <= setpoint <= s.setpoint_high:
            loop.local = setpoint
        if mode is OPTIMISER:
            mode = CASCADE if isinstance(loop, Station) else AUTO
        if mode not in loop.modes:
            mode = OFF  # the plant file has changed
        if isinstance(loop, Station) and (s.dosing or loop.safe == loop.tag.low):
            # What is safe when it stands still starts so, and never stays in a hand that is gone.
            loop.local = max(0.0, s.setpoint_low)
            loop.target = mode if mode is not MANUAL else AUTO
        elif short or mode not in WORKING:
            loop.target = mode
        else:
            self.waiting[loop.name] = mode
            loop.target = OFF if s.dosing else MANUAL


def _event(event: InterlockEvent) -> Event:
    """Return what the record keeps of the end of a bypass."""
    data = {"what": event.what, "tripped": event.order > 0, "order": event.order}
    return Event(event.time, "interlock", Kind.AUDIT, event.name, event.text, data)


def masters_first(loops: list[PidLoop]) -> list[PidLoop]:
    """Return loops so that each comes before those that it leads."""
    order: list[PidLoop] = []

    def add(loop: PidLoop) -> None:
        if loop in order:
            return
        for _, slave in loop.slaves:
            if isinstance(slave, PidLoop):
                add(slave)
        order.append(loop)

    for loop in reversed(loops):
        add(loop)
    return order[::-1]
