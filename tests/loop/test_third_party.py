"""A hostile driver beside an honest one: what it does is told, and hurts nobody else."""

import asyncio
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.controller import Controller
from controller.devices.devices import Device, build, wire
from controller.plant import Plant, load_plant
from controller.recipes.file import load_recipe
from drivers.clock import SystemClock, monotonic
from drivers.driver import Driver, Setup
from drivers.point import Quality, Sample
from fermloop.commands.closed_loop import run_batch
from historian.events import Event, Kind
from historian.store import NullHistorian
from tests.drivers.examples import FakeFeeder, example

PLANT = """\
site = "yard"
scan_s = {scan_s}

[device.R1-feeder]
driver = "{module}:{driver}"
address = "{address}"
tags = [
  {{ name = "R1.weight", unit = "kg", low = 0, high = 10,  options = {{ letter = "W" }} }},
  {{ name = "R1.pump", unit = "%", low = 0, high = 100, options = {{ letter = "P" }}, safe = 0 }},
]
{more}
[reactor.R1]
volume_max_l = 10.0

[reactor.R1.loop.weight]
measured = "R1.weight"
outputs = [{{ actuator = "R1.pump" }}]
setpoint = 5.0
setpoint_low = 0.0
setpoint_high = 9.0
kp = 60.0
ti_s = 600.0
"""
HOSTILE = """
[device.R1-hostile]
driver = "{module}:Hostile"
address = "next door"
options = {{ how = "{how}" }}
tags = [
  {{ name = "R1.ph", unit = "[pH]", low = 0, high = 14 }},
  {{ name = "R1.do", unit = "%", low = 0, high = 100 }},
]
"""
RECIPE = """\
name = "level"
organism = "water"

[start]
loops = { weight = "AUTO" }
setpoints = { weight = 5.0 }

[[phase]]
name = "hold"
until = { batch_h = 10.0 }
"""
Feeder, Tank = example("Feeder"), example("Tank")
BOOM_S = 60.0  # after that long it shows its true face


class Hostile(Driver):
    """Behaves for a minute."""

    virtual_time = True

    def __init__(self, setup: Setup) -> None:
        self.name, self.address, self.tags = setup.name, setup.address, setup.tags
        self._clock, self._until = setup.clock, setup.clock.now() + BOOM_S
        self._how: Callable[[], Any] = getattr(self, setup.options["how"])

    async def read(self) -> dict[str, Sample]:
        now = self._clock.now()
        if now >= self._until:
            return await self._how()
        return {t.name: Sample(t, now, 7.0, Quality.GOOD) for t in self.tags}

    async def write(self, values: dict[str, float]) -> dict[str, Sample]:
        return {}

    async def close(self) -> None:
        await self._how()

    async def hangs(self) -> Any:
        await asyncio.Event().wait()

    async def is_stubborn(self) -> Any:
        for _ in range(3):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    async def raises(self) -> Any:
        raise ZeroDivisionError("of course")

    async def leaves(self) -> Any:
        sys.exit("enough")

    async def cancels(self) -> Any:
        raise asyncio.CancelledError

    async def gives_nothing(self) -> Any:
        return None

    async def gives_rubbish(self) -> Any:
        return {"R1.ph": "7", "R1.do": 3.0, 7: None, "R2.x": 1}

    async def gives_nan(self) -> Any:
        now = self._clock.now()
        return {t.name: Sample(t, now, math.nan, Quality.GOOD) for t in self.tags}

    async def lives_in_the_future(self) -> Any:
        now = self._clock.now() + 86_400.0
        return {t.name: Sample(t, now, 7.0, Quality.GOOD) for t in self.tags}

    async def repeats_itself(self) -> Any:
        return {t.name: Sample(t, self._until, 7.0, Quality.GOOD) for t in self.tags}


class Record(NullHistorian):
    """Keeps what a run leaves behind."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Sample]] = []
        self.events: list[Event] = []

    def append(self, samples: Any) -> None:
        self.rows.append({s.tag.name: s for s in samples})

    def record(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture(name="module")
def _module() -> Iterator[str]:
    """Give the name of a module that has the drivers, as a plant file names it."""
    here = sys.modules[__name__]
    sys.modules["drivers_of_others"] = here
    yield "drivers_of_others"
    del sys.modules["drivers_of_others"]


def plant(folder: Path, **words: object) -> Plant:
    file = folder / "plant.toml"
    known = {"scan_s": 1.0, "address": "-", "driver": "Tank", "more": ""}
    file.write_text(PLANT.format(**(known | words)))
    (folder / "recipe.toml").write_text(RECIPE)
    return load_plant(file, data_dir=folder / "data")


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("hangs", "read did not end within 0.5 s"),
        ("is_stubborn", "read did not end within 0.5 s"),
        ("raises", "read raised ZeroDivisionError: of course"),
        ("leaves", "read raised RuntimeError: SystemExit: enough"),
        ("cancels", "read cancelled itself"),
        ("gives_nothing", "read gave no dict"),
        ("gives_rubbish", ""),
        ("gives_nan", ""),
        ("lives_in_the_future", ""),
        ("repeats_itself", ""),
    ],
)
def test_a_hostile_driver_hurts_nobody_else(
    tmp_path: Path, module: str, how: str, says: str
) -> None:
    more = HOSTILE.format(module=module, how=how)
    checked = plant(tmp_path, module=module, more=more)
    record = Record()
    path = tmp_path / "recipe.toml"
    outcome = run_batch(checked, load_recipe(path), path, hours=0.2, seed=1, store=record)

    assert (outcome.control["scans"], outcome.control["scans_missed"]) == (721, 0)
    first, last = record.rows[30], record.rows[-1]
    assert first["R1.ph"].quality is Quality.GOOD
    for name in ("R1.ph", "R1.do"):  # nothing that it gives is taken for good
        assert last[name].quality is Quality.BAD
        assert math.isnan(last[name].value)
    weights = [row["R1.weight"] for row in record.rows]
    assert all(s.quality is Quality.GOOD for s in weights)  # and its neighbour is as ever
    assert weights[-1].value > weights[0].value + 1.0
    alarms = [e.text for e in record.events if e.kind is Kind.ALARM]
    if says:
        assert any(f"R1-hostile at next door: {says}" in text for text in alarms), alarms


@pytest.mark.real_time
async def test_the_feeder_of_the_readme_is_controlled_on_a_real_socket(
    tmp_path: Path, module: str
) -> None:
    async with FakeFeeder() as device:
        words = {"module": module, "driver": "Feeder", "address": device.address, "scan_s": 0.1}
        checked = plant(tmp_path, **words)
        clock, record = SystemClock(), Record()
        devices = [
            Device(n, s, build(n, s, wire(s), clock), checked.settings.scan_s)
            for n, s in checked.settings.device.items()
        ]
        controller = Controller(checked, devices, clock, record, None)
        path = tmp_path / "recipe.toml"
        await controller.connect()
        controller.begin(load_recipe(path), str(path), "off")
        await controller.run(clock.now() + 0.5)
        assert controller.scan.samples["R1.weight"].value == 3.214
        assert device.pump > 0.0

        device.weight = None  # its cell breaks: the loop goes out of automatic
        await controller.run(clock.now() + 0.3)
        assert controller.scan.samples["R1.weight"].quality is Quality.BAD

        await device.cut()
        await controller.run(clock.now() + 0.3)
        alarm = controller.alarms.active["R1-feeder.device"]
        assert f"R1-feeder at {device.address}: " in alarm.text

        device.weight = 5.1
        await device.mend()
        back = monotonic()
        while controller.scan.samples["R1.weight"].value != 5.1:
            await controller.run(clock.now() + 0.1)
            assert monotonic() - back < 2.0
        await controller.shut(safe=True)
        assert device.pump == 0.0
