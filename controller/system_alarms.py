"""What is wrong with the plant's machinery: devices, writes, interlocks, doses, recipe, scan."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from controller.alarms.alarms import Alarms
from controller.alarms.table import SCAN_SPAN_S
from controller.devices.devices import Device
from controller.protection.interlock import Interlock, Status
from controller.protection.interlocks import Interlocks
from controller.reactor import Reactor
from controller.recipes.progress import HELD
from controller.texts.said import said
from drivers.point import Sample
from historian.events import Event, Kind

MISSED = 3  # scans missed within the span are an alarm: now and then one is not


class SystemAlarms:
    """Tells the alarms each scan what devices, reactors and the scan itself say.

    Args:
        alarms: of the plant.
        devices: every device.
        reactors: every reactor.
        tell: takes what is no alarm.
    """

    def __init__(
        self,
        alarms: Alarms,
        devices: Sequence[Device],
        reactors: Sequence[Reactor],
        tell: Callable[[Event], None],
    ) -> None:
        self._alarms = alarms
        self._tell = tell
        self._device = {d: alarms[f"{d.name}.device"] for d in devices}
        names = {d: f"{d.name}.watchdog" for d in devices}
        self._watchdog = {d: alarms[name] for d, name in names.items() if name in alarms}
        names = {d: f"{d.name}.write" for d in devices}
        self._write = {d: alarms[name] for d, name in names.items() if name in alarms}
        self._recipe = {r.name: alarms[f"{r.name}.recipe"] for r in reactors}
        self._doses = {
            r.name: [(tag, alarms[f"{tag}.dose"]) for tag in r.settings.dose] for r in reactors
        }
        self._answers = {tag: d for d in devices for tag in (t.name for t in d.driver.tags)}
        self._locks = {
            lock.name: alarms[name]
            for r in reactors
            for lock in r.guard.interlocks.locks
            if (name := f"{lock.name}.interlock") in alarms
        }
        self._tripped: dict[str, tuple[str, ...]] = {}  # when last looked at, by reactor
        self._blind: set[str] = set()  # interlocks whose trip is in the record and no alarm
        self._scan = alarms["scan"]
        self._missed: dict[object, int] = {}  # scans so far, by who missed them
        self._late: dict[object, deque[tuple[float, int]]] = {}  # when, and how many

    def device(self, device: Device, now: float) -> None:
        """Say whether a device answers; one that does not is asked for nothing else."""
        alarm, down = self._device[device], not device.answering
        if down is not alarm.active:
            self._alarms.judge(alarm, down, now, math.nan, {"error": device.error})
        if down:
            self.watchdog(device, False, now)

    def watchdog(self, device: Device, on: bool, now: float) -> None:
        """Say whether the watchdog of a device that answers is not armed."""
        alarm = self._watchdog.get(device)
        if alarm is not None and on is not alarm.active:
            self._alarms.judge(alarm, on, now)

    def write(self, device: Device, on: bool, now: float, error: str = "") -> None:
        """Say whether a write was not confirmed."""
        alarm = self._write[device]
        if on is not alarm.active or alarm.differs is not None:
            self._alarms.judge(alarm, on, now, math.nan, {"error": error})

    def safe(self, device: Device, now: float, error: str) -> None:
        """Say that safe values were not confirmed at the end."""
        self._alarms.set(f"{device.name}.safe", True, now, error=error)

    def recipe(self, event: Event) -> bool:
        """Take what a recipe is alarmed about; return whether its alarm begins with it.

        It lasts while the recipe is HELD, else it is over at once and waits to be acknowledged.
        """
        alarm = self._recipe[event.subject]
        if alarm.active:
            return False
        params = {"why": event.text, **event.data}
        self._alarms.judge(alarm, True, event.time, math.nan, params)
        return True

    def begin(self, now: float) -> None:
        """End what only the controller before this one knew of: its writes, its store."""
        for name, alarm in self._alarms.active.items():
            if alarm.definition.code in ("write", "safe", "store"):
                self._alarms.set(name, False, now)

    def step(self, now: float, reactors: Iterable[Reactor], samples: Mapping[str, Sample]) -> None:
        """Look at interlocks, doses and recipes.

        Args:
            now: s since 1970 UTC.
            reactors: whose scan this is.
            samples: of their devices, by tag.
        """
        judge = self._alarms.judge
        for reactor in reactors:
            locks = reactor.guard.interlocks
            if (tripped := locks.tripped) or self._tripped.get(reactor.name) != tripped:
                self._tripped[reactor.name] = tripped
                self._interlocks(locks, now, samples)
            plausible = reactor.plausible
            if plausible.changed:
                plausible.changed = False
                for tag in plausible.tags:
                    self._alarms.set(f"{tag}.stuck", tag in plausible.stuck, now)
            recipe = self._recipe[reactor.name]
            if recipe.active and (reactor.runner is None or reactor.runner.state is not HELD):
                judge(recipe, False, now)
            for tag, alarm in self._doses[reactor.name]:
                on = tag in reactor.capped
                if on is not alarm.active or alarm.differs is not None:
                    judge(alarm, on, now, math.nan, {"why": reactor.capped.get(tag, "")})

    def missed(self, who: object, now: float, missed: int) -> None:
        """Say how many scans a group has missed so far; the worst of all counts."""
        before = self._missed.get(who, 0)
        if missed > before:
            self._missed[who] = missed
            self._late.setdefault(who, deque()).append((now, missed - before))
        elif not self._scan.active:
            return
        counts = [0]
        for late in self._late.values():
            while late and late[0][0] < now - SCAN_SPAN_S:
                late.popleft()
            counts.append(sum(n for _, n in late))
        count = max(counts)
        on = count >= MISSED if not self._scan.active else count > 0
        self._alarms.set("scan", on, now, missed=count)

    def _interlocks(self, locks: Interlocks, now: float, samples: Mapping[str, Sample]) -> None:
        """Say which are tripped, the first out first.

        One that tripped because its device was lost is told in the record only, until its
        measurement is back and outside: the alarm of the device says why.
        """
        status = locks.status()
        for lock in sorted(locks.locks, key=lambda lock: status[lock.name].order or math.inf):
            name, now_so = lock.name, status[lock.name]
            alarm, on, blind = self._locks.get(name), now_so.tripped, name in self._blind
            if alarm is None:  # it only lets something not start
                if on is not blind:
                    (self._blind.add if on else self._blind.discard)(name)
                    self._note(name, "tripped" if on else "cleared", now_so, now)
                continue
            if not on:
                self._blind.discard(name)
            elif blind or (self._lost(lock) and not alarm.active):
                on = bool(lock.condition.holds(samples)[0])
                if on:
                    self._blind.discard(name)
                elif not blind:
                    self._blind.add(name)
                    self._note(name, "tripped", now_so, now)
            why = now_so.text if now_so.bypass is None else said("not_done", why=now_so.text)
            params = {"why": why, "order": now_so.order}
            self._alarms.judge(alarm, on, now, math.nan, params)

    def _note(self, name: str, what: str, status: Status, now: float) -> None:
        text = said(f"interlock_{what}", text=status.text)
        self._tell(Event(now, "interlock", Kind.NOTE, name, text, {"order": status.order}))

    def _lost(self, lock: Interlock) -> bool:
        """Whether something that it looks at comes from a device that does not answer."""
        devices = (self._answers.get(w.tag.name) for w in lock.condition.windows)
        return any(device is not None and not device.answering for device in devices)
