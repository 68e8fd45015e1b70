"""The closed loop on virtual time in one process: the drivers' code, the vessel behind links."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.advisor import AdvisorMode
from controller.controller import Controller
from controller.devices import Device, build
from controller.planning import InProcessPlanner
from controller.plant import Plant
from controller.recipe import Recipe
from fermloop.commands.simulated import vessels
from historian.store import Historian, NullHistorian
from sim.clock import SimClock, run_virtual
from sim.links import vessel_link
from sim.truth import Truth

PROGRESS_H = 1.0 / 6.0
EPOCH = 1_767_225_600.0  # 2026-01-01 00:00 UTC: every virtual batch begins here


@dataclass(slots=True)
class Outcome:
    """What came of a batch.

    Attributes:
        truth: the simulated plant's own figures, by reactor.
        control: what the controller knows, as ``Controller.report``.
    """

    truth: dict[str, dict[str, Any]]
    control: dict[str, Any]


def run_batch(
    plant: Plant,
    recipe: Recipe,
    recipe_path: Path | str,
    *,
    hours: float,
    seed: int,
    optimiser: AdvisorMode = "off",
    store: Historian | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> Outcome:
    """Run one batch of ``hours`` on virtual time and return what came of it.

    Args:
        plant: the checked plant file; its first reactor runs the recipe.
        recipe: what to run.
        recipe_path: where it came from.
        hours: plant hours.
        seed: draws the simulated plant; the controller never sees it.
        optimiser: off, shadow or on.
        store: where samples go; nowhere if not given.
        progress: called with the hours done, every ten plant minutes.
    """
    plants = vessels(plant, seed, EPOCH)

    async def batch() -> Outcome:
        clock = SimClock(EPOCH)
        devices = [
            Device(
                name,
                s,
                build(name, s, vessel_link(s, plants, clock), clock),
                plant.settings.scan_s,
                immediate=True,
                timer=clock.now,
            )
            for name, s in plant.settings.device.items()
        ]
        planner = None
        if optimiser != "off":
            from controller.assemble import optimiser_settings

            planner = InProcessPlanner(optimiser_settings(plant), clock, latency_s=0.0)
            await planner.start()
        keeper = store or NullHistorian()
        controller = Controller(
            plant, devices, clock, keeper, planner, lock_step=True, beat=lambda: follow(controller)
        )
        await controller.connect()
        controller.begin(recipe, str(recipe_path), optimiser, next(iter(controller.reactors)))
        begun, done = clock.now(), 0.0
        while done < hours:
            done = min(done + PROGRESS_H, hours)
            await controller.run(begun + done * 3600.0)
            progress(done)
        report = controller.report()
        await controller.shut(safe=False)
        return Outcome({n: truth.as_report() for n, truth in truths.items()}, report)

    limits = plant.settings.reactor
    truths = {n: Truth.of(v, limits[n].volume_max_l) for n, v in plants.items()}

    def follow(controller: Controller) -> None:
        """Tell the true record which setpoints hold, once a scan."""
        for name, truth in truths.items():
            loops = controller.reactors[name].loops
            truth.setpoints = (
                loops["temperature"].setpoint,
                loops["ph"].setpoint,
                loops["do"].setpoint,
            )

    return run_virtual(batch())
