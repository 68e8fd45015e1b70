"""A campaign on an existing Dask cluster; needs the extra ``dask``.

The only file that imports distributed. Jobs carry the text of their files, so the workers need
the program but no shared disk. What a lost worker was running, the scheduler gives to another.
"""

import logging
import sys
from collections.abc import Generator, Sequence
from importlib.util import find_spec
from typing import Any, Final
from uuid import uuid4

from fermloop.campaign.batch import Job
from fermloop.campaign.batch import run as run_job
from fermloop.campaign.results import Row
from fermloop.campaign.software import software
from fermloop.failure import USAGE, FailureError

CONNECT_S: Final = 10.0


def require_extra() -> None:
    """Refuse ``--scheduler`` where Dask is not installed.

    Raises:
        FailureError: with how to install it.
    """
    if find_spec("distributed") is None:
        raise FailureError(
            "--scheduler: needs Dask, which is not installed; pip install 'fermloop[dask]'", USAGE
        )


def run(jobs: Sequence[Job], address: str) -> Generator[Row]:
    """Yield the row of each job as it comes.

    Args:
        jobs: what to run.
        address: the scheduler's, ``tcp://HOST:8786``.

    Raises:
        FailureError: the scheduler cannot be reached or is lost, or a worker has another program.
    """
    import distributed

    dask: Any = distributed
    logging.getLogger("distributed.client").setLevel(
        logging.CRITICAL
    )  # a traceback where we say it
    try:
        client = dask.Client(address, timeout=CONNECT_S, name="fermloop campaign")
    except (OSError, ValueError) as error:
        raise FailureError(f"--scheduler: {address} cannot be reached: {error}", USAGE) from None
    with client:
        _require_same_program(client)
        futures = {
            client.submit(run_job, job, pure=False, key=f"fermloop-{uuid4().hex}"): job
            for job in jobs
        }
        finished = dask.as_completed(
            list(futures), loop=client.loop, with_results=True, raise_errors=False
        )
        for future, result in finished:
            job = futures.pop(future)  # lets the cluster forget the result
            if future.status == "finished":
                yield result
            elif future.status == "error":
                yield job.failed(f"{type(result[1]).__name__}: {result[1]}")
            else:
                raise FailureError(
                    f"--scheduler: {address} was lost; the same command goes on where it stopped"
                )


def _require_same_program(client: Any) -> None:
    """Refuse workers whose batches would be others than ours; one that joins later tells so."""
    programs = client.run(software, on_error="return")
    if not programs:
        print("the cluster has no worker yet; waiting for one", file=sys.stderr)
    for worker, theirs in programs.items():
        if isinstance(theirs, Exception):
            raise FailureError(f"--scheduler: worker {worker} cannot run fermloop: {theirs}", USAGE)
        if theirs != software():
            raise FailureError(
                f"--scheduler: worker {worker} has fermloop {theirs}, this is {software()}", USAGE
            )
