"""The alarms of the shipped plants: few, with priorities, and quiet in a normal batch."""

from collections import Counter
from pathlib import Path

import pytest

from controller.alarms.alarm import Priority
from controller.alarms.table import definitions
from controller.plant import load_plant
from controller.recipes.recipe import load_recipe
from fermloop.commands.closed_loop import run_batch
from historian.events import Event, Kind
from historian.store import NullHistorian

BATCHES = [
    ("ecoli_5l", "ecoli", 15.0),
    ("yeast_300l", "yeast", 12.0),
    ("ecoli_100m3", "ecoli_100m3", 14.0),
    ("penicillin_100m3", "penicillin", 12.0),
]


class Record(NullHistorian):
    """Keeps the alarms only."""

    def __init__(self) -> None:
        self.alarms: list[Event] = []

    def record(self, event: Event) -> None:
        if event.kind is Kind.ALARM:
            self.alarms.append(event)


@pytest.mark.parametrize("plant", [plant for plant, _, _ in BATCHES])
def test_most_alarms_are_low_and_few_are_high(plant: str) -> None:
    found = Counter(d.priority for d in definitions(load_plant(f"sim/plants/{plant}.toml")))
    assert found.total() <= 80
    share = {priority: 100 * found[priority] / found.total() for priority in Priority}
    assert share[Priority.LOW] == pytest.approx(80, abs=8)
    assert share[Priority.MEDIUM] == pytest.approx(15, abs=5)
    assert share[Priority.HIGH] + share[Priority.CRITICAL] == pytest.approx(5, abs=3)


@pytest.mark.long
@pytest.mark.parametrize(("plant", "recipe", "hours"), BATCHES)
def test_a_normal_batch_has_no_alarm(plant: str, recipe: str, hours: float, tmp_path: Path) -> None:
    path, record = Path(f"sim/recipes/{recipe}.toml"), Record()
    checked = load_plant(f"sim/plants/{plant}.toml", data_dir=tmp_path)
    run_batch(checked, load_recipe(path), path, hours=hours, seed=1, store=record)
    assert [e.text for e in record.alarms] == []
