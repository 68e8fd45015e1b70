"""The rival: what a simple-pid with fixed gains makes of the same plants, recipes and instruments.

Temperature, pH and DO have one simple-pid each, straight on valves, drives and gases: no cascade to
the jacket, no feed-forward, no gain schedule, no deadband, no external reset. What simple-pid
has against wind-up is on: its output limits hold its integral too. Split ranges, filters of the
measurement, ramps of the actuators, Guard and interlocks are the shipped ones.

``python tests/bench/rival.py`` tunes it: a step test of each loop in the middle of a batch of seed
100, SIMC with the fastest closed loop whose Ms is at most 1.7, and 2 and 4 times as slow; of
these batches of seed 100 decide, by the IAE (penicillin: its first 40 h). What came out is in
``rival.json``.
"""

import argparse
import json
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller import assemble
from controller.acting.tuner import Wish
from controller.loops.loops import PidLoop
from controller.loops.pid import Pid
from controller.plant import Plant, load_plant
from controller.plant_file.loop_settings import LoopSettings
from controller.recipes.recipe import Recipe, load_recipe
from controller.tuning.proposal import advise
from fermloop.commands.tune import virtual_experiment
from fermloop.commands.tune_study import study
from fermloop.failure import FailureError

LOOPS = ("temperature", "ph", "do")
SEED = 100
LONGEST_H = 40.0  # of a batch that decides
SLOWER = (1.0, 2.0, 4.0)  # times the fastest closed loop that is robust
TUNED = Path(__file__).with_name("rival.json")
# where a step test is done: h of the batch, and by loop its size (% of output) and how far the
# measurement may go
WHERE: Mapping[str, tuple[float, Mapping[str, tuple[float, float]]]] = {
    "ecoli_5l": (8.0, {"temperature": (10, 0.6), "ph": (8, 0.3), "do": (6, 20)}),
    "yeast_300l": (8.0, {"temperature": (6, 1.0), "ph": (3, 0.4), "do": (10, 30)}),
    "ecoli_100m3": (15.0, {"temperature": (10, 1.0), "ph": (15, 0.3), "do": (6, 20)}),
    "penicillin_100m3": (30.0, {"temperature": (-10, 1.0), "ph": (20, 0.4), "do": (6, 20)}),
}
Tunings = Mapping[str, tuple[float, float]]  # kp and ti_s by loop


class Plain(Pid):
    """simple-pid as it comes: its own clamp of output and integral, and told nothing further."""

    __slots__ = ()

    def __init__(self, settings: LoopSettings, low: float, high: float) -> None:
        super().__init__(settings.kp or 1.0, settings.ti_s or 1.0, filter_s=settings.filter_s)
        self._pid.output_limits = (low, high)

    def limit(self, applied: float) -> None:
        """A limit behind it is not known to it."""

    def block(self, direction: int) -> None:
        """Nor what its actuators can still do."""

    def track(self, setpoint: float, measured: float, applied: float) -> None:
        """Begin at ``applied``; later it is not told what others decided."""
        if not self._seen:
            super().track(setpoint, measured, applied)


class PlainLoop(PidLoop):
    """A loop whose PID is the rival's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pid = Plain(self.settings, self.output_low, self.output_high)


@contextmanager
def plain() -> Generator[None]:
    """Build every PID in this process as the rival's."""
    assemble.PidLoop = PlainLoop
    try:
        yield
    finally:
        assemble.PidLoop = PidLoop


def single_loops(plant: Plant, tunings: Tunings) -> Plant:
    """Return the plant with one plain loop for each of temperature, pH and DO."""
    reactor = plant.settings.reactor["R1"]
    loops = dict(reactor.loop)
    for name in LOOPS:
        s = loops[name]
        outputs = s.outputs
        slave = loops.get(outputs[0].loop or "")
        if slave is not None and slave.measured is not None:  # the jacket: straight on its valves
            outputs = slave.outputs
            del loops[s.outputs[0].loop or ""]
        kp, ti_s = tunings.get(name, (s.kp, s.ti_s))
        loops[name] = s.model_copy(
            update={
                "outputs": outputs,
                "feedforward": (),
                "gain": (),
                "deadband": 0.0,
                "changeover_s": 0.0,
                "kp": kp,
                "ti_s": ti_s,
            }
        )
    reactor = reactor.model_copy(update={"loop": loops})
    settings = plant.settings.model_copy(update={"reactor": {"R1": reactor}})
    return Plant(plant.path, settings, plant.data_dir)


def for_single_loops(recipe: Recipe, plant: Plant) -> Recipe:
    """Return the recipe without modes of loops that the plant does not have."""
    has = plant.settings.reactor["R1"].loop
    modes = {name: mode for name, mode in recipe.start.loops.items() if name in has}
    return recipe.model_copy(update={"start": recipe.start.model_copy(update={"loops": modes})})


def tuned() -> dict[str, dict[str, tuple[float, float]]]:
    """Return what the rival is tuned to, by plant and loop."""
    found: dict[str, dict[str, Any]] = json.loads(TUNED.read_text(encoding="utf-8"))
    return {
        plant: {name: (t["kp"], t["ti_s"]) for name, t in loops.items()}
        for plant, loops in found.items()
    }


def proposals(name: str, recipe: Recipe, plant: Plant) -> dict[str, list[tuple[float, float]]]:
    """Return kp and ti_s of each loop by SIMC from a step test, the fastest first."""
    found: dict[str, list[tuple[float, float]]] = {}
    at_h, sizes = WHERE[name]
    for loop in LOOPS:
        size, deviation = sizes[loop]
        wish = Wish("step", float(size), float(deviation))
        report = virtual_experiment(plant, recipe, f"R1.{loop}", wish, at_h, SEED)
        try:
            s = study(report, "simc", None)
        except FailureError as error:
            print(f"{name} {loop}: {error}", flush=True)
            continue
        fast = s.advice.tau_c_s
        taus = [fast * slower for slower in SLOWER]
        advice = [advise(s.fit.process, s.advice.now.tuning, 1.0, tau_c_s=t) for t in taus]
        found[loop] = [(a.proposed.tuning.kp, a.proposed.tuning.ti_s) for a in advice]
        print(f"{name} {loop}: {s.fit.process}, {s.fit.explained:.0%}, {found[loop]}", flush=True)
    return found


def main() -> None:
    """Tune the rival on the plants that are named, and keep it."""
    from tests.bench.bench_loops import BATCHES, RIVAL, batch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plants", nargs="+", default=list(BATCHES), choices=list(BATCHES))
    given = parser.parse_args()
    os.nice(10)
    kept: dict[str, Any] = json.loads(TUNED.read_text("utf-8")) if TUNED.exists() else {}
    for name in given.plants:
        shipped = load_plant(f"sim/plants/{name}.toml")
        plant = single_loops(shipped, {})
        recipe = for_single_loops(load_recipe(f"sim/recipes/{BATCHES[name][0]}.toml"), plant)
        found = proposals(name, recipe, plant)
        best: dict[str, dict[str, float]] = {}
        for i, slower in enumerate(SLOWER):
            tunings = {loop: choices[i] for loop, choices in found.items()}
            hours = min(BATCHES[name][1], LONGEST_H)
            held = batch(name, SEED, RIVAL, tunings=tunings, hours=hours)["loops"]
            for loop, (kp, ti_s) in tunings.items():
                iae = held[loop]["iae_per_h"]
                print(f"{name} {loop}: {slower:g} x slower: IAE {iae:.4g}", flush=True)
                if loop not in best or iae < best[loop]["iae"]:
                    best[loop] = {"kp": kp, "ti_s": ti_s, "slower": slower, "iae": iae}
        kept[name] = best
        TUNED.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
