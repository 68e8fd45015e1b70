"""A campaign on this machine: one batch at a time in each of a few processes.

``concurrent.futures`` gives up the whole pool when one process is killed, and cannot tell whose
batch that was; here a lost process costs the batch that it was running, once more.
"""

import contextlib
import os
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Sequence
from multiprocessing.connection import Pipe, wait
from typing import IO, Any, Final

from fermloop.campaign.batch import Job
from fermloop.campaign.results import Row
from fermloop.failure import FailureError

TRIES: Final = 2  # of a batch whose process is killed; memory may run out once by bad luck
STARTS: Final = 3  # processes in a row that end before they are ready


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Process:
    """One worker and the job that it has.

    Attributes:
        pipe: to it; whatever it says before its first row is that it is ready.
        job: what it runs and how often that was begun.
    """

    def __init__(self, log: IO[Any]) -> None:
        self.pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "fermloop.campaign.worker"),
                    *(str(theirs.fileno()), str(os.getpid())),
                ],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C is for the campaign, which ends them in order
            )
        self.job: tuple[Job, int] | None = None

    def give(self, job: Job, tries: int) -> None:
        """Let it run a job; where it has just died, the closed pipe tells so at the next look."""
        self.job = job, tries
        with contextlib.suppress(OSError):
            self.pipe.send(job)

    def end(self) -> str:
        """Kill it if it still lives, and return how it ended."""
        self.pipe.close()
        self._process.kill()
        code = self._process.wait()
        return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"


def run(jobs: Sequence[Job], workers: int, log: IO[Any]) -> Generator[Row]:
    """Yield the row of each job as it comes.

    Args:
        jobs: what to run.
        workers: processes at once.
        log: takes whatever they print; an open file.

    Raises:
        FailureError: the processes cannot be started.
    """
    waiting = deque((job, 1) for job in jobs)
    left, bad_starts = len(jobs), 0
    pool: dict[Any, _Process] = {}
    try:
        while left:
            while len(pool) < min(workers, left):
                process = _Process(log)
                pool[process.pipe] = process
            for pipe in wait(list(pool)):
                process = pool[pipe]
                begun, process.job = process.job, None
                try:
                    said: Row | str = process.pipe.recv()
                except (EOFError, OSError):
                    del pool[pipe]
                    how = process.end()
                    if begun is None:
                        bad_starts += 1
                        _require_starts(bad_starts, how, log)
                    elif begun[1] < TRIES:
                        waiting.append((begun[0], begun[1] + 1))
                    else:
                        left -= 1
                        yield begun[0].failed(f"its process {how}, {TRIES} times")
                    continue
                bad_starts = 0
                if waiting:
                    process.give(*waiting.popleft())
                else:
                    del pool[pipe]
                    process.end()
                if not isinstance(said, str):
                    left -= 1
                    yield said
    finally:
        for process in pool.values():
            process.end()


def _require_starts(bad: int, how: str, log: IO[Any]) -> None:
    if bad == STARTS:
        raise FailureError(
            f"{bad} worker processes in a row ended before they were ready, the last {how}; "
            f"what they said is in {log.name}"
        )
