"""``make nights``: play the nights with many seeds, judge every promise and write the report.

It goes on where it was stopped: what was played with the same software is not played again.
"""

import argparse
import hashlib
import math
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from drivers.clock import monotonic
from fermloop.campaign.processes import cores
from fermloop.campaign.results import Results, Row
from fermloop.campaign.seeds import parse
from fermloop.campaign.software import software
from tests.bench.long_run import rows
from tests.loop.rig import ROOT
from tests.nights.nights import NIGHTS
from tests.nights.page import write


class Job(NamedTuple):
    """One night on one plant."""

    night: str
    plant: str
    seed: int
    software: str


def play(job: Job) -> Row:
    """Play a night and return its row; whatever goes wrong stands in ``error``."""
    began, error, figures = monotonic(), "", dict[str, float | None]()
    try:
        played = NIGHTS[job.night].play(job.plant, job.seed)
        figures = {k: v if v is None or math.isfinite(v) else None for k, v in played.items()}
    except Exception as caught:  # noqa: BLE001 (one night must not end the others)
        error = f"{type(caught).__name__}: {caught}"
    took_s = round(monotonic() - began, 1)
    return {**job._asdict(), "figures": figures, "error": error, "took_s": took_s}


def _all(jobs: Sequence[Job]) -> Iterable[Row]:
    with ProcessPoolExecutor(min(cores(), len(jobs))) as pool:
        for done in as_completed([pool.submit(play, job) for job in jobs]):
            yield _told(done.result())


def _told(row: Row) -> Row:
    night = NIGHTS[row["night"]]
    bad = [row["error"]] if row["error"] else night.broken(row["figures"])
    kept = "; ".join(bad) or "all promises kept"
    print(f"{night.name} {row['plant']} seed {row['seed']}: {kept} ({row['took_s']:.0f} s)")
    sys.stdout.flush()
    return row


def main() -> int:
    """Play what is asked for; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--night", choices=sorted(NIGHTS), action="append")
    parser.add_argument("--seeds", default="0:20", help="0:20, or 0:3,7")
    parser.add_argument("--report", type=Path, default=Path("data/nights"))
    asked = parser.parse_args()
    nights = [NIGHTS[name] for name in asked.night or NIGHTS]
    seeds, version = parse(asked.seeds), _version()
    jobs = [
        Job(night.name, plant, seed, version)
        for seed in seeds
        for night in nights
        for plant in night.cases
    ]
    with Results(asked.report / "nights.jsonl", _key) as results:
        found = rows(results, jobs, _key_of, _all)
    print(f"report    {write(asked.report, nights, found)}")
    broken = [r for r in found if r["error"] or NIGHTS[r["night"]].broken(r["figures"])]
    print(f"{len(found) - len(broken)} of {len(found)} nights kept every promise")
    return 1 if broken else 0


def _version() -> str:
    """Return which software plays, with the nights themselves and the plants they are played on."""
    files = [*Path(__file__).parent.glob("*.py"), *(ROOT / "sim").glob("*/*.toml")]
    seen = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files)))
    return f"{software()}.{seen.hexdigest()[:8]}"


def _key(row: Row) -> Job:
    return Job(row["night"], row["plant"], row["seed"], row["software"])


def _key_of(job: Job) -> Job:
    return job


if __name__ == "__main__":
    sys.exit(main())
