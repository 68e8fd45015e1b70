"""Sterilisation in a closed loop: a tank of water is held hot until enough is dead, then cooled."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from controller.plant import load_plant
from controller.recipes.recipe import load_recipe
from drivers.point import Sample
from fermloop.commands.closed_loop import EPOCH, run_batch
from historian.events import Event
from historian.store import NullHistorian
from tests.sim.own_tanks import on_path

RECIPE = """
name = "sterilise"

[parameters]
hold_cel = { value = 121.5, unit = "Cel", low = 115.0, high = 126.0 }

[start]
loops = { level = "AUTO", temperature = "AUTO", outflow = "AUTO" }
setpoints = { level = 0.3, outflow = 0.0, temperature = 90.0 }

[[phase]]
name = "heat"
max_h = 1.0
setpoints = { temperature = "$hold_cel" }
until = { measured = "temperature", above = 115.0 }

[[phase]]
name = "sterilise"
max_h = 2.0
hold_if = { measured = "temperature", below = 105.0, for_s = 10 }
until = UNTIL

[[phase]]
name = "cool"
loops = { temperature = "OFF" }
until = { measured = "temperature", below = 110.0 }
"""


class Journal(NullHistorian):
    """Keeps the events, and what the probe showed by time, h since the start."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.shown: list[tuple[float, float]] = []

    def record(self, event: Event) -> None:
        self.events.append(event)

    def append(self, samples: Iterable[Sample]) -> None:
        found = [s for s in samples if s.tag.name == "R1.temperature"]
        self.shown += [((s.time - EPOCH) / 3600.0, s.value) for s in found]

    def begun(self, phase: str) -> float:
        (time,) = (e.time for e in self.events if f"phase {phase} (" in e.text)
        return (time - EPOCH) / 3600.0


@pytest.fixture(name="plant")
def _plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the README's tank as a pressure vessel."""
    for path in on_path(tmp_path, monkeypatch):
        tank = path.parent / "acme/tank.py"
        tank.write_text(tank.read_text().replace("15.0, 0.0, 100.0", "90.0, 0.0, 140.0"))
        hotter = {"high = 120,": "high = 150,", "setpoint_high = 90.0": "setpoint_high = 130.0"}
        text = path.read_text()
        for old, new in hotter.items():
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)
        yield path


def run(plant: Path, until: str) -> Journal:
    file, journal = plant.parent / "sterilise.toml", Journal()
    file.write_text(RECIPE.replace("UNTIL", until))
    run_batch(load_plant(plant), load_recipe(file), file, hours=1.0, seed=0, store=journal)
    assert any("complete after" in e.text for e in journal.events)
    return journal


def test_it_is_held_until_f0_is_reached(plant: Path) -> None:
    journal = run(plant, '{ measured = "temperature", f0_min = 15.0 }')
    begun, ended = journal.begun("sterilise"), journal.begun("cool")
    seen = [cel for hour, cel in journal.shown if begun <= hour < ended]
    assert max(seen) < 123.0
    killed = sum(10 ** ((cel - 121.1) / 10.0) for cel in seen) / 60.0  # min, once a second
    assert killed == pytest.approx(15.0, abs=0.05)


def test_or_for_a_time_at_temperature(plant: Path) -> None:
    journal = run(plant, '{ measured = "temperature", above = 121.0, for_s = 900 }')
    last = [cel for hour, cel in journal.shown if 0.0 <= journal.begun("cool") - hour <= 0.25]
    assert len(last) >= 900
    assert min(last) > 121.0
