"""The loops of a plant file beside small made-up processes, so that each stage is seen alone."""

import math
from collections.abc import Callable
from pathlib import Path

from controller.loops.loops import PidLoop, Station
from controller.outputs import Outputs
from controller.plant import load_plant
from drivers.point import Quality, Sample
from historian.events import Event

PLANT = Path("sim/plants/ecoli_5l.toml")


class Bench:
    """The loops of a plant file with readings that a test sets.

    Args:
        folder: where the changed plant file goes.
        changes: pairs of old and new text.
    """

    def __init__(self, folder: Path, *changes: tuple[str, str]) -> None:
        text = PLANT.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = folder / "plant.toml"
        path.write_text(text, encoding="utf-8")
        self.plant = load_plant(path)
        self.events: list[Event] = []
        self.outputs = Outputs("R1", self.plant, self.events.append)
        self.values = {
            "temperature": 37.0,
            "jacket_temperature": 37.0,
            "ph": 7.0,
            "do": 40.0,
            "agitation": 300.0,
            "air_flow": 2.0,
            "weight": 3.0,
        }
        self.bad: set[str] = set()
        self.now = 0.0
        self.held: dict[str, float] = {}

    def samples(self) -> dict[str, Sample]:
        made: dict[str, Sample] = {}
        for key, value in self.values.items():
            tag = self.plant.quantity(f"R1.{key}")
            bad = key in self.bad
            quality = Quality.BAD if bad else Quality.GOOD
            made[tag.name] = Sample(tag, self.now, math.nan if bad else value, quality)
        return made

    def run(self, seconds: int, process: Callable[["Bench"], None] | None = None) -> None:
        for _ in range(seconds):
            self.now += 1.0
            samples = self.samples()
            self.outputs.guard.begin(self.now, samples)
            self.held = self.outputs._move(self.now, 1.0, samples)  # pyright: ignore[reportPrivateUsage]
            if process is not None:
                process(self)

    def pid(self, name: str) -> PidLoop:
        loop = self.outputs.loops[name]
        assert isinstance(loop, PidLoop)
        return loop

    def station(self, name: str) -> Station:
        loop = self.outputs.loops[name]
        assert isinstance(loop, Station)
        return loop
