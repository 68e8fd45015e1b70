"""``fermloop campaign``: run what is missing of a campaign, then write its tables."""

import contextlib
import json
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

from fermloop.campaign import cluster, processes
from fermloop.campaign.batch import Job, key_of
from fermloop.campaign.plan import RESULTS, TRAJECTORIES, checked, enter
from fermloop.campaign.progress import Progress
from fermloop.campaign.results import Results, Row
from fermloop.campaign.tables import write_results, write_trajectory
from fermloop.failure import WORLD

if TYPE_CHECKING:
    from controller.advisor import AdvisorMode

LOG: Final = "workers.log"
INTERRUPTED: Final = 130  # what a shell expects of a program that Ctrl-C has ended


@dataclass(frozen=True, slots=True)
class Where:
    """Where batches run: in ``workers`` processes here, one a core, or on a Dask scheduler's."""

    workers: int | None = None
    scheduler: str | None = None

    def run(self, jobs: Sequence[Job], log: IO[Any]) -> Generator[Row]:
        """Yield the row of each job as it comes."""
        if self.scheduler is not None:
            return cluster.run(jobs, self.scheduler)
        return processes.run(jobs, self.workers or processes.cores(), log)


def run(
    plant_file: Path,
    recipe_files: Sequence[Path],
    seeds: tuple[int, ...],
    folder: Path,
    hours: float,
    optimiser: str,
    where: Where,
    fresh: bool,
    as_json: bool,
) -> None:
    """Run the batches that ``folder`` has no result of; end with 1 if one failed, 130 on Ctrl-C."""
    if where.scheduler is not None:
        cluster.require_extra()
    plan = checked(plant_file, recipe_files, seeds, hours, cast("AdvisorMode", str(optimiser)))
    jobs = plan.jobs()
    with Results(folder / RESULTS, key_of, fresh) as results:
        manifest = enter(folder, plan, used=bool(results.rows))
        try:
            _complete(jobs, results, where)
        except KeyboardInterrupt:
            done = len(jobs) - len(_missing(jobs, results))
            print(
                f"interrupted: {done} of {len(jobs)} batches are done; the same command goes on",
                file=sys.stderr,
            )
            raise SystemExit(INTERRUPTED) from None
        rows = [results.rows[job.key] for job in jobs]
    write_results(folder, manifest, rows)
    failed = [row for row in rows if row["state"] == "failed"]
    if as_json:
        print(json.dumps(_summary(folder, rows, failed), ensure_ascii=False))
    else:
        print(f"{len(rows) - len(failed)} of {len(rows)} batches done, {len(failed)} failed")
        print(f"results   {folder}")
    if failed:
        raise SystemExit(WORLD)


def _missing(jobs: Sequence[Job], results: Results) -> list[Job]:
    """Return what has no result; a batch that failed is tried again."""
    done = {key for key, row in results.rows.items() if row["state"] == "done"}
    return [job for job in jobs if job.key not in done]


def _complete(jobs: Sequence[Job], results: Results, where: Where) -> None:
    """Run what is missing and keep each result as it comes."""
    missing = _missing(jobs, results)
    folder = results.path.parent
    with (
        (folder / LOG).open("ab") as log,
        Progress(len(jobs), len(jobs) - len(missing)) as progress,
        contextlib.closing(where.run(missing, log)) as rows,
    ):
        for row in rows:
            trajectory = row.pop("trajectory", None)
            if trajectory:
                recipe, seed = key_of(row)
                write_trajectory(folder / TRAJECTORIES / f"{recipe}-{seed}.parquet", trajectory)
            results.append(row)
            progress.count(row)


def _summary(folder: Path, rows: Sequence[Row], failed: Sequence[Row]) -> Row:
    told = ("recipe_file", "seed", "error")
    return {
        "batches": len(rows),
        "done": len(rows) - len(failed),
        "failed": [{name: row[name] for name in told} for row in failed],
        "report": str(folder),
    }
