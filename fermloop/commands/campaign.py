"""``fermloop campaign``: run what is missing of a campaign, then write its tables."""

import contextlib
import json
import sys
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

from fermloop.campaign import accept, cluster, page, processes
from fermloop.campaign.batch import Job, key_of
from fermloop.campaign.finished import Finished
from fermloop.campaign.plan import RESULTS, TRAJECTORIES, Plan, checked, enter
from fermloop.campaign.progress import Progress
from fermloop.campaign.results import Results, Row
from fermloop.campaign.statistics import by_recipe, failed
from fermloop.campaign.tables import write_results, write_trajectory
from fermloop.failure import WORLD, FailureError

if TYPE_CHECKING:
    from controller.planning.advisor import AdvisorMode

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
    judged: bool = False,
) -> None:
    """Run the batches that ``folder`` has no result of, then write tables and page.

    Ends with 1 if a batch failed, with 130 on Ctrl-C. Where it is ``judged`` by ``[accept]``: with
    1 if a limit is not met, with 2 if one could not be judged.
    """
    asked = recipe_files
    try:
        if where.scheduler is not None:
            cluster.require_extra()
        if judged:
            recipe_files = accept.with_baselines(recipe_files)
        mode = cast("AdvisorMode", str(optimiser))
        plan = checked(plant_file, recipe_files, seeds, hours, mode)
        campaign = _finished(plan, folder, where, fresh)
    except FailureError as error:
        raise (FailureError(error.lines, accept.COULD_NOT_RUN) if judged else error) from None
    shown = page.write(campaign)
    verdicts = accept.judge(campaign, asked) if judged else []
    if judged:
        accept.keep(campaign, verdicts)
    lost = failed(campaign.rows)
    if as_json:
        print(json.dumps(_summary(campaign, lost, verdicts), ensure_ascii=False))
    else:
        count = len(campaign.rows)
        print(f"{count - len(lost)} of {count} batches done, {len(lost)} failed")
        print(f"results   {folder}")
        print(f"report    {shown}")
        accept.tell(verdicts)
    if judged:
        raise SystemExit(accept.exit_code(verdicts))
    if lost:
        raise SystemExit(WORLD)


def _finished(plan: Plan, folder: Path, where: Where, fresh: bool) -> Finished:
    """Run what ``folder`` has no result of, write the tables and return all of it."""
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
    return Finished(folder, manifest, by_recipe(rows))


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


def _summary(campaign: Finished, lost: Sequence[Row], verdicts: Sequence[accept.Verdict]) -> Row:
    told = ("recipe_file", "seed", "error")
    count = len(campaign.rows)
    return {
        "batches": count,
        "done": count - len(lost),
        "failed": [{name: row[name] for name in told} for row in lost],
        "accept": [asdict(verdict) for verdict in verdicts],
        "report": str(campaign.folder),
    }
