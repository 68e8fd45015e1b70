"""The closed loop on virtual time in one process: the drivers' code, the vessel behind links."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from controller.consistency.devices import own
from controller.controller import Controller
from controller.devices.devices import Device, build
from controller.devices.third_party import make, require_virtual
from controller.loops.loop import Loop
from controller.planning.advisor import AdvisorMode
from controller.planning.planning import InProcessPlanner
from controller.plant import Plant
from controller.recipes.recipe import Recipe
from controller.sensing.laboratory import Entry
from drivers.driver import DeviceError
from fermloop.commands.simulated import laboratories, truths, vessels, wires
from historian.store import Historian, NullHistorian
from sim.clock import SimClock, run_virtual
from sim.links import vessel_link
from sim.motion import Simulated
from sim.truth import BANDS
from sim.vessel import Vessel

PROGRESS_H = 1.0 / 6.0
PATIENCE_S = 60.0  # plant s that a third-party driver may take for its first answer
ANSWERS_S = 300.0  # plant s after which an unattended run answers what its recipe asks
LABORATORY = "laboratory"  # who enters its results
EPOCH = 1_767_225_600.0  # 2026-01-01 00:00 UTC: every virtual batch begins here


@dataclass(slots=True)
class Outcome:
    """What came of a batch.

    Attributes:
        truth: the simulated plant's own figures, by reactor.
        control: what the controller knows, as ``Controller.report``.
        trajectory: true values by name every 10 plant minutes, by reactor, see ``sim.truth``.
        samples: the laboratory's results, by when they are entered, see ``sim.laboratory``: of
            every sample of the batch, some after its end; the controller gets each when it is
            entered. Empty without a laboratory.
    """

    truth: dict[str, dict[str, Any]]
    control: dict[str, Any]
    trajectory: dict[str, dict[str, list[float]]]
    samples: list[dict[str, Any]]


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

    Raises:
        ConfigError: something cannot be simulated, or not be used in virtual time.
        DeviceError: a third-party driver does not answer.
    """
    require_virtual(plant)
    first = next(iter(plant.settings.reactor))
    clean = {first} if recipe.inoculates is not None else set[str]()
    plants = vessels(plant, seed, EPOCH, clean)
    attendant = Attendant(first, plants.get(first))

    async def batch() -> Outcome:
        clock = SimClock(EPOCH)
        devices = virtual_devices(plant, plants, clock, seed)
        planner = None
        if optimiser != "off":
            from controller.assemble import optimiser_settings

            planner = InProcessPlanner(optimiser_settings(plant), clock, latency_s=0.0)
            await planner.start()
        keeper = store or NullHistorian()
        controller = Controller(
            plant, devices, clock, keeper, planner, lock_step=True, beat=lambda: follow(controller)
        )
        led.extend(
            (truth.setpoints, which, loop)
            for name, truth in records.items()
            for which, loop in controller.reactors[name].loops.items()
            if which in BANDS
        )
        await connect(controller)
        controller.begin(recipe, str(recipe_path), optimiser, first)
        begun, done = clock.now(), 0.0
        while done < hours:
            done = min(done + PROGRESS_H, hours)
            await controller.run(begun + done * 3600.0)
            progress(done)
        report = controller.report()
        await controller.shut(safe=False)
        return Outcome(
            {n: truth.as_report() for n, truth in records.items()},
            report,
            {n: truth.trajectory for n, truth in records.items()},
            sorted(
                (row for laboratory in sampled.values() for row in laboratory.records),
                key=lambda row: row["t_entered"],
            ),
        )

    records = truths(plant, plants)
    due: list[Mapping[str, Any]] = []  # results of the laboratory, to be entered now
    sampled = laboratories(plant, plants, lambda _, rows: due.extend(rows))
    led: list[tuple[dict[str, float], str, Loop]] = []  # the true record's setpoints, and whose

    def follow(controller: Controller) -> None:
        """Tell the true record which setpoints hold, and do what people do, once a scan."""
        for setpoints, which, loop in led:
            setpoints[which] = loop.setpoint
        attendant.look(controller)
        while due:
            enter(controller, due.pop(0))

    return run_virtual(batch())


class Attendant:
    """The person of a run that nobody attends: he does what he is asked for, and says yes.

    A vessel without a line from its seed tank he inoculates by hand.

    Args:
        reactor: whose recipe he answers.
        vessel: what is simulated of it.
    """

    def __init__(self, reactor: str, vessel: Simulated | None) -> None:
        self._reactor = reactor
        self._lines = vessel.lines if isinstance(vessel, Vessel) else None
        self._asked: tuple[str, str] = ("", "")
        self._since = 0.0

    def look(self, controller: Controller) -> None:
        """Answer what has been asked for ``ANSWERS_S``; called once a scan."""
        runner = controller.reactors[self._reactor].runner
        question = "" if runner is None else runner.question
        if runner is None or not question:
            return
        now, asked = controller.clock.now(), (runner.phase, question)
        if asked != self._asked:
            self._asked, self._since = asked, now
        if now - self._since < ANSWERS_S:
            return
        by_hand = self._lines is not None and not self._lines.leads("seed")
        if self._lines is not None and by_hand and runner.phase_index == runner.recipe.inoculates:
            self._lines.inoculate()
        controller.recipe(self._reactor, "confirm", "", "nobody attends this run", "attendant")


def enter(controller: Controller, row: Mapping[str, Any]) -> None:
    """Enter a result of the simulated laboratory, as its person does; a plant may refuse it."""
    entry = Entry(**{f.name: row[f.name] for f in fields(Entry) if f.name in row})
    try:
        controller.sample(row["reactor"], entry, "", LABORATORY)
    except (LookupError, ValueError) as error:
        controller.refused(row["reactor"], "sample", {"who": LABORATORY, **row}, str(error))


def virtual_devices(
    plant: Plant, plants: Mapping[str, Simulated], clock: SimClock, seed: int
) -> list[Device]:
    """Return every device of a plant in virtual time.

    Ours stand before the simulated vessels and never wait. Those of others are what they are, and
    are read by a task each, as on a real plant: what they sleep is virtual.

    Args:
        plant: the checked plant file.
        plants: the simulated vessels, by reactor.
        clock: virtual.
        seed: for the drivers of others.
    """
    found: list[Device] = []
    wired = wires(plants)
    for name, s in plant.settings.device.items():
        ours = own(s)
        if ours:
            driver = build(name, s, vessel_link(s, plants, clock, wired.get(name)), clock)
        else:
            driver = make(name, s, clock, seed)
        scan_s = plant.settings.scan_s
        found.append(Device(name, s, driver, scan_s, immediate=ours, timer=clock.now))
    return found


async def connect(controller: Controller) -> None:
    """Reach every device; a plant would be asked for ever, in virtual time that ends nowhere."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            await controller.connect()
    except TimeoutError:
        errors = [d.error for d in controller.devices if not d.answering]
        raise DeviceError("; ".join(errors)) from None
