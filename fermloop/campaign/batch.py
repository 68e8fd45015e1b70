"""One batch of a campaign, wherever it runs: a job in, a row out, never an exception."""

import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drivers.clock import monotonic
from fermloop.campaign.files import Files, placed, unpack
from fermloop.campaign.results import Row
from fermloop.campaign.software import own_code, software
from fermloop.failure import FailureError, explained

if TYPE_CHECKING:
    from controller.planning.advisor import AdvisorMode

_alone = threading.Lock()  # tracing a model patches CasADi, and threads would share one core


@dataclass(frozen=True, slots=True)
class Job:
    """One batch to run.

    Attributes:
        files: the text of every file that is needed.
        plant_file: as it was given.
        recipe_file: as it was given.
        plant: the plant file's absolute path, a key of ``files``.
        recipe: the recipe's absolute path, a key of ``files``.
        seed: draws the simulated plant; the same for every recipe.
        hours: plant hours.
        optimiser: off, shadow or on.
        software: what must run it, as ``software()``.
        own: the code of the classes that the plant file simulates, as ``own_code``.
    """

    files: Files
    plant_file: str
    recipe_file: str
    plant: str
    recipe: str
    seed: int
    hours: float
    optimiser: "AdvisorMode"
    software: str
    own: str = ""

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from the others of its campaign."""
        return Path(self.recipe_file).stem, self.seed

    def failed(self, error: str, took_s: float = 0.0) -> Row:
        """Return the row of a batch that came to nothing."""
        return {
            "hours": self.hours,
            "seed": self.seed,
            "optimiser": self.optimiser,
            "recipe_file": self.recipe_file,
            "plant_file": self.plant_file,
            "state": "failed",
            "error": error,
            "took_s": round(took_s, 3),
        }


def key_of(row: Row) -> tuple[str, int]:
    """Return the key of the job that a row came from."""
    return Path(row["recipe_file"]).stem, row["seed"]


def run(job: Job) -> Row:
    """Run the batch and return its row: the report's keys and those of ``Job.failed``.

    ``trajectory`` holds true values over the batch's age, by name; it is taken out of the row
    before that is stored. Whatever goes wrong ends this batch alone and stands in ``error``.
    """
    with _alone:
        began = monotonic()
        try:
            if software() != job.software:
                raise FailureError(
                    f"this worker runs fermloop {software()}, the campaign was begun with "
                    f"{job.software}"
                )
            if own_code(job.files[job.plant]) != job.own:
                raise FailureError(
                    f"the model that {job.plant_file} names is another one here than where the "
                    "campaign was begun"
                )
            report = _report(job)
        except Exception as error:  # noqa: BLE001 (a user's model may raise anything)
            known = explained(error)
            why = f"{type(error).__name__}: {error}" if known is None else "; ".join(known.lines)
            return job.failed(why, monotonic() - began)
        return report | job.failed("", monotonic() - began) | {"state": "done", "error": None}


def _report(job: Job) -> Row:
    from controller.plant import load_plant
    from fermloop.commands import report
    from fermloop.commands.check import recipe_for
    from fermloop.commands.closed_loop import run_batch

    with tempfile.TemporaryDirectory(prefix="fermloop-") as folder:
        unpack(job.files, Path(folder))
        plant = load_plant(placed(job.plant, Path(folder)))
        recipe = recipe_for(plant, placed(job.recipe, Path(folder)))
        outcome = run_batch(
            plant,
            recipe,
            job.recipe_file,
            hours=job.hours,
            seed=job.seed,
            optimiser=job.optimiser,
        )
    reactor = next(iter(plant.settings.reactor))
    truth: dict[str, Any] = outcome.truth.get(reactor, {})
    row = report.assemble(
        truth,
        outcome.control,
        reactor=reactor,
        hours=job.hours,
        seed=job.seed,
        optimiser=job.optimiser,
    )
    return row | {"trajectory": outcome.trajectory.get(reactor)}
