"""Long runs by hand: each result is kept as it comes, and the next run goes on behind it."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from fermloop.campaign.results import Results, Row

J = TypeVar("J")


def rows(
    results: Results,
    jobs: Sequence[J],
    key: Callable[[J], Hashable],
    run: Callable[[Sequence[J]], Iterable[Row]],
) -> list[Row]:
    """Return the row of each job; those that have none are run, and each row kept as it comes.

    Args:
        results: what is known, and where more is kept.
        jobs: all that is wanted.
        key: of a job, the same as that of its row in ``results``.
        run: yields the rows of jobs, in any order.
    """
    missing = [job for job in jobs if key(job) not in results.rows]
    for row in run(missing) if missing else ():
        results.append(row)
    return [results.rows[key(job)] for job in jobs]
