"""Processes that are stepped scan by scan, so that an experiment can be run on them."""

import numpy as np

from controller.tuning.experiment import Experiment
from controller.tuning.process import Plant, Process


def run(
    experiment: Experiment,
    process: Process,
    *,
    dt: float = 1.0,
    noise: float = 0.0,
    load: float = 0.0,
    seed: int = 1,
    scans: int = 40_000,
) -> Experiment:
    """Run an experiment on a process from rest at y = 10; ``load`` (u) comes with the first move.

    Args:
        experiment: fresh.
        process: the true one.
        dt: s.
        noise: standard deviation of the measurement's noise, y.
        load: u.
        seed: of the noise.
        scans: when to give up.
    """
    plant, y = Plant(process.sampled(dt)), 0.0
    random = np.random.default_rng(seed)
    for k in range(scans):
        u = experiment.step(k * dt, 10.0 + y + noise * float(random.standard_normal()))
        if experiment.over:
            return experiment
        y = plant.step(u - experiment.start + (load if experiment.state == "running" else 0.0))
    raise AssertionError(f"not over after {scans} scans: {experiment.text}")
