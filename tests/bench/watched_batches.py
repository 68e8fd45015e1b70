"""Batches on other equations than the model's, written down as a soft sensor would have seen them.

The whole controller runs the plant's recipe in virtual time on the organism's twin; what its
instruments showed, what its pumps were told and what the laboratory found is kept, with the truth.
Filters can then be compared on the same batches in seconds.
"""

import gzip
import json
import math
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from controller.controller import Controller
from controller.plant import Plant, load_plant
from controller.plant_file.units import ML_PER_H
from controller.recipes.recipe import load_recipe
from drivers.point import Quality, Sample
from fermloop.commands.closed_loop import EPOCH, connect, virtual_devices
from fermloop.commands.simulated import laboratories, vessels
from historian.store import NullHistorian
from models.organisms import TWINS
from sim.clock import SimClock, run_virtual
from sim.fittings import CELLS
from sim.vessel import Vessel

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "data/soft_sensor"
POINT_S = 600.0  # between two looks at the truth
LABORATORY = "\n[simulation.R1.laboratory]\nevery_h = 4.0\nfirst_h = 0.5\n"


class Case(NamedTuple):
    """A plant and its recipe.

    Attributes:
        plant: name of the plant file.
        recipe: name of the recipe file.
        hours: of the batch.
        every_s: between two rows.
    """

    plant: str
    recipe: str
    hours: float
    every_s: float

    @property
    def path(self) -> Path:
        return ROOT / f"sim/plants/{self.plant}.toml"


CASES = {
    "ecoli_5l": Case("ecoli_5l", "ecoli", 24.0, 10.0),
    "ecoli_100m3": Case("ecoli_100m3", "ecoli_100m3", 24.0, 10.0),
    "yeast_300l": Case("yeast_300l", "yeast", 20.0, 10.0),
    "penicillin_100m3": Case("penicillin_100m3", "penicillin", 230.0, 60.0),
}


@dataclass(slots=True)
class Batch:
    """What was seen of a batch, and what was true.

    Attributes:
        times: of the rows, s since 1970 UTC.
        readings: a list of values by meaning, ``None`` where it was BAD.
        flows: likewise what each pump was told, mean since the row before, mL/h.
        phase: of the recipe, by its place.
        truth: by name every ten minutes.
        samples: of the laboratory, see ``sim.laboratory``.
    """

    times: list[float] = field(default_factory=list[float])
    readings: dict[str, list[float | None]] = field(default_factory=dict[str, list[float | None]])
    flows: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    phase: list[int] = field(default_factory=list[int])
    truth: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    samples: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


class Notebook(NullHistorian):
    """A store that keeps a row of some tags from time to time.

    Args:
        plant: the checked plant file.
        every_s: between rows.
    """

    def __init__(self, plant: Plant, every_s: float) -> None:
        self.batch = Batch()
        self._every = every_s
        self._due = EPOCH
        self._meanings = {tag: m for m, tag in plant.settings.reactor["R1"].measured.items()}
        self._pumps = {
            n: ML_PER_H[t.unit]
            for n, t in plant.tags.items()
            if t.safe is not None and t.unit in ML_PER_H
        }
        self._pumped = dict.fromkeys(self._pumps, 0.0)
        self._last = EPOCH

    def append(self, samples: Iterable[Sample]) -> None:
        """Count what pumps were told, and keep a row when it is due."""
        seen = {s.tag.name: s for s in samples}
        if "R1.phase" not in seen:
            return
        now = max(s.time for s in seen.values())
        for name in self._pumps:
            if name in seen and seen[name].quality is not Quality.BAD:
                self._pumped[name] += seen[name].value * self._pumps[name] * (now - self._last)
        begun, self._last = self._last, now
        if now < self._due - 1e-3:
            return
        span = max(now - self._due + self._every, now - begun, 1.0)
        self._due += self._every
        b = self.batch
        b.times.append(now)
        phase = seen["R1.phase"].value
        b.phase.append(-1 if math.isnan(phase) else int(phase))
        for tag, meaning in self._meanings.items():
            s = seen.get(tag)
            good = s is not None and s.quality is not Quality.BAD and s.value == s.value
            value = round(s.value, 5) if s is not None and good else None
            b.readings.setdefault(meaning, []).append(value)
        for name, amount in self._pumped.items():
            b.flows.setdefault(name.partition(".")[2], []).append(round(amount / span, 4))
        self._pumped = dict.fromkeys(self._pumps, 0.0)


def watched(case: Case, seed: int, twin: bool = True) -> Batch:
    """Return a batch as it was written down; it is run first if it has not been."""
    organism = tomllib.loads(case.path.read_text())["simulation"]["R1"]["organism"]
    kept = KEPT / f"{case.plant}{'' if twin else '_own'}_{seed}.json.gz"
    if not kept.exists():
        made = run(case, seed, TWINS.get(organism, organism) if twin else organism, organism)
        KEPT.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(".part")
        with gzip.open(part, "wt") as file:
            json.dump({name: getattr(made, name) for name in Batch.__slots__}, file)
        part.replace(kept)
    with gzip.open(kept, "rt") as file:
        return Batch(**json.load(file))


def run(case: Case, seed: int, organism: str, believed: str) -> Batch:
    """Run the plant's recipe with ``organism`` in its vessel."""
    head, _, tail = case.path.read_text().partition("[simulation.R1]")
    tail = tail.replace(f'organism = "{believed}"', f'organism = "{organism}"', 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / case.path.name
        path.write_text(f"{head}[simulation.R1]{tail}{LABORATORY}")
        plant = load_plant(path)
        plants = vessels(plant, seed, EPOCH)
        laboratory = laboratories(plant, plants, lambda _, rows: None)["R1"]
    vessel = plants["R1"]
    assert isinstance(vessel, Vessel)
    store = Notebook(plant, case.every_s)
    recipe = ROOT / f"sim/recipes/{case.recipe}.toml"

    async def whole() -> None:
        clock = SimClock(EPOCH)
        devices = virtual_devices(plant, plants, clock, seed)
        controller = Controller(plant, devices, clock, store, None, lock_step=True)
        await connect(controller)
        controller.begin(load_recipe(recipe), str(recipe), "off", "R1")
        _true(store.batch, vessel)
        for k in range(1, round(case.hours * 3600.0 / POINT_S) + 1):
            await controller.run(EPOCH + k * POINT_S)
            _true(store.batch, vessel)
        await controller.shut(safe=False)

    run_virtual(whole())
    store.batch.samples = sorted(laboratory.records, key=lambda row: row["t_entered"])
    return store.batch


def _true(made: Batch, vessel: Vessel) -> None:
    """Write down what is true now, in the words of the laboratory."""
    state, organism = vessel.state(), vessel.model.organism
    _, _, y = vessel.arrays()
    seen = {v.name: y[k] for k, v in enumerate(vessel.model.outputs)}
    row = {
        "time": vessel.time,
        **{word: state[name] for word, name in organism.called.items()},
        "dry_weight": state[organism.called["biomass"]]
        + sum(state[name] for name in CELLS.get(organism.name, ())),
        "volume": state["V"],
        **{name: seen[name] for name in ("DO", "OUR", "CER", "kLa", "mu")},
        **{name: state[name] for name in ("NH3", "yO2", "yCO2")},
    }
    for name, value in row.items():
        made.truth.setdefault(name, []).append(value)


if __name__ == "__main__":
    import sys

    for name, first, last in zip(sys.argv[1::3], sys.argv[2::3], sys.argv[3::3], strict=True):
        for seed in range(int(first), int(last) + 1):
            watched(CASES[name], seed)
            print(name, seed, flush=True)
