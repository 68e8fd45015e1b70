"""Reactors are scanned each at its own moment; what one of them suffers no other notices."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.controller import Controller
from controller.devices.devices import Device
from controller.plant import Plant
from controller.plant_file.device_settings import WatchdogSettings
from controller.scan import Scan, linked
from drivers.driver import Driver, Identity
from drivers.point import Quality, Sample
from historian.sqlite import SqliteStore
from sim.clock import SimClock, run_virtual
from tests.system.many_devices import write_plant

REACTORS = 4


class Far(Driver):
    """A device that answers after a while, whatever it is asked, and notes when it was."""

    def __init__(self, device: str, plant: Plant, clock: SimClock) -> None:
        self.name = self.address = device
        self.tags = [t.tag() for t in plant.settings.device[device].tags]
        self.clock = clock
        self.takes = self.takes_writes = self.takes_beats = 0.001
        self.reads: list[float] = []
        self.writes: list[float] = []

    async def identify(self) -> Identity:
        return Identity()

    async def read(self) -> dict[str, Sample]:
        self.reads.append(self.clock.now())
        await asyncio.sleep(self.takes)
        now = self.clock.now()
        return {t.name: Sample(t, now, now % 100.0, Quality.GOOD) for t in self.tags}

    async def write(self, values: dict[str, float]) -> dict[str, Sample]:
        self.writes.append(self.clock.now())
        await asyncio.sleep(self.takes_writes)
        now = self.clock.now()
        found = (t for t in self.tags if t.name in values)
        return {t.name: Sample(t, now, values[t.name], Quality.GOOD) for t in found}

    async def heartbeat(self, count: int) -> bool:
        await asyncio.sleep(self.takes_beats)
        return True

    async def close(self) -> None: ...


class Site:
    """A plant of four reactors, a device each."""

    def __init__(self, plant: Plant, store: SqliteStore, *, staggered: bool) -> None:
        self.clock = SimClock(1000.0)
        self.far = [Far(name, plant, self.clock) for name in plant.settings.device]
        dog = WatchdogSettings.model_validate({"holding": 100})
        settings = [s.model_copy(update={"watchdog": dog}) for s in plant.settings.device.values()]
        devices = [
            Device(f.name, s, f, plant.settings.scan_s, timer=self.clock.now)
            for f, s in zip(self.far, settings, strict=True)
        ]
        self.control = Controller(plant, devices, self.clock, store, None)
        around, reactors = self.control.scan.around, tuple(self.control.reactors.values())
        self.control.scan = Scan(around, devices, reactors, lambda: staggered)
        self.store = store

    async def scans(self, seconds: float, trouble: Callable[["Site"], None]) -> None:
        """Set every loop in motion, make trouble and scan."""
        await self.control.connect()
        trouble(self)
        for reactor in self.control.reactors:
            self.control.set_mode(f"{reactor}.one", "AUTO", "a test", "ana")
        for far in self.far:
            far.reads.clear()
            far.writes.clear()
        self.start = self.clock.now()
        await self.control.run(self.start + seconds - 0.001)

    def moments(self, k: int) -> list[float]:
        """Return when reactor ``k`` was scanned, s after its own moment in each scan."""
        return [t - self.start - k / REACTORS - i for i, t in enumerate(self.far[k].reads)]

    def stored(self, tag: str) -> list[float]:
        """Return what the store has of one of the controller's own tags."""
        self.store.flush()
        own = {t.name: t for r in self.control.reactors.values() for t in r.derived.tags}
        return [s.value for s in self.store.read(own[tag], 0.0, 1e10)]


Run = Callable[..., Site]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(
        trouble: Callable[[Site], None] = lambda _: None, *, staggered: bool = True, s: float = 10.0
    ) -> Site:
        plant = write_plant(tmp_path, range(5020, 5020 + REACTORS), per_reactor=1)

        async def scan() -> Site:
            site = Site(plant, store, staggered=staggered)
            await site.scans(s, trouble)
            return site

        store = SqliteStore(tmp_path / "store.sqlite")
        return run_virtual(scan())

    return run


def test_reactors_are_scanned_one_evenly_behind_the_other(run: Run) -> None:
    site = run()
    for k in range(REACTORS):
        assert site.moments(k) == pytest.approx([0.0] * 10, abs=1e-6)
        assert site.stored(f"R{k + 1}.scan.lateness") == pytest.approx([0.0] * 10, abs=1e-3)
        assert len(site.far[k].writes) == 10
    assert site.control.state()["scans"] == 10 * REACTORS


def test_in_lock_step_all_are_scanned_at_one_moment(run: Run) -> None:
    site = run(staggered=False)
    assert {tuple(f.reads) for f in site.far} == {tuple(site.start + i for i in range(10))}
    assert site.control.state()["scans"] == 10


def slow_reads(site: Site) -> None:
    site.far[0].takes = 0.45


def hanging_reads(site: Site) -> None:
    site.far[0].takes = 3.3


def slow_writes(site: Site) -> None:
    site.far[0].takes = site.far[0].takes_writes = 0.49


def overloaded(site: Site) -> None:
    """Reading, writing and feeding the watchdog of R1 together need more than a scan."""
    slow_writes(site)
    site.far[0].takes_beats = 0.49


@pytest.mark.parametrize("trouble", [slow_reads, hanging_reads, slow_writes, overloaded])
def test_a_slow_reactor_or_device_delays_no_other_and_misses_for_itself(
    run: Run, trouble: Callable[[Site], None]
) -> None:
    site = run(trouble, s=20.0)
    for k in range(1, REACTORS):
        name = f"R{k + 1}"
        assert site.moments(k) == pytest.approx([0.0] * 20, abs=1e-6)
        assert max(site.stored(f"{name}.scan.lateness")) < 0.001
        assert max(site.stored(f"{name}.scan.missed")) == 0
        # each decides and writes at once
        assert [w - r for r, w in zip(site.far[k].reads, site.far[k].writes, strict=True)] == (
            pytest.approx([0.001] * 20, abs=1e-6)
        )
    missed = site.stored("R1.scan.missed")
    assert (missed[-1] > 0) is (trouble is overloaded)
    state: Any = site.control.state()
    assert missed[-1] <= state["scans_missed"] <= missed[-1] + 1  # the last has no row after it
    late = [a["text"] for a in state["alarms"] if a["id"] == "scan"]
    assert bool(late) is (trouble is overloaded)


def test_reactors_that_share_a_device_stay_together() -> None:
    reactors, devices = ["R1", "R2", "R3", "R4"], [{"R4", "R2"}, {"R1"}, {"R3"}]
    assert linked([*({r} for r in reactors), *devices]) == [{"R1"}, {"R2", "R4"}, {"R3"}]
    assert linked([{"R1"}, {"R2"}, {"R3"}, {"R1", "R3"}, {"R3", "R2"}]) == [{"R1", "R2", "R3"}]
