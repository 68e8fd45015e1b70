"""A campaign on a real Dask cluster: scheduler and workers in processes of their own, over TCP."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import distributed
import pytest

from tests.system.plant_processes import free_port

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "sim/plants/ecoli_5l.toml"
RECIPE = ROOT / "sim/recipes/ecoli.toml"
PACKAGES = ("controller", "drivers", "fermloop", "historian", "models", "sim")

pytestmark = pytest.mark.long  # a scheduler and workers take seconds to start


def campaign(folder: Path, seeds: str, *words: str, hours: float = 0.5) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fermloop", "campaign", str(PLANT), "--recipe", str(RECIPE)]
    command += ["--seeds", seeds, "--hours", str(hours), "--report", str(folder), "--json", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    """Return what it said on stdout and stderr until it ended with ``code``."""
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == code, err
    return out, err


def first_batch(process: subprocess.Popen[str]) -> None:
    """Return when the first batch is done: others are being run then."""
    assert process.stderr is not None
    assert any(" batches, " in line for line in process.stderr)


class Cluster:
    """A scheduler on a port of this machine, and workers that come and go."""

    def __init__(self, log: IO[bytes], started: contextlib.ExitStack) -> None:
        self._log, self._started = log, started
        self.address = f"tcp://127.0.0.1:{free_port()}"
        port = self.address.rpartition(":")[2]
        self.scheduler = self._run(
            "dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"
        )

    def worker(self, program: str = str(ROOT)) -> subprocess.Popen[bytes]:
        """Start a worker; without a nanny, so that one that is killed stays away."""
        words = (self.address, "--no-nanny", "--nthreads", "2", "--no-dashboard")
        return self._run("dask_worker", *words, program=program)

    def wait_for_workers(self, count: int) -> None:
        with distributed.Client(self.address, timeout=60.0) as client:
            client.wait_for_workers(count, timeout=60.0)

    def _run(self, name: str, *words: str, program: str = str(ROOT)) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{name}", *words],
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "PYTHONPATH": program},
            cwd=Path(self._log.name).parent,
        )
        self._started.callback(process.wait, 20)
        self._started.callback(process.kill)
        return process


@pytest.fixture(name="cluster")
def _cluster(tmp_path: Path) -> Iterator[Cluster]:
    with (tmp_path / "cluster.log").open("wb") as log, contextlib.ExitStack() as started:
        yield Cluster(log, started)


def rows(folder: Path) -> dict[int, dict[str, object]]:
    """Return what is kept so far, by seed, without what differs between two runs."""
    file = folder / "results.jsonl"
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    found = [json.loads(line) for line in lines if line.endswith("\n")]
    return {row.pop("seed"): row for row in found if row.pop("took_s") > 0.0}


def test_a_lost_worker_loses_no_result_and_the_figures_are_those_of_this_machine(
    tmp_path: Path, cluster: Cluster
) -> None:
    lost, _ = cluster.worker(), cluster.worker()
    there, here = tmp_path / "there", tmp_path / "here"
    process = campaign(there, "1:9", "--scheduler", cluster.address)
    first_batch(process)
    lost.send_signal(signal.SIGKILL)
    told, _ = ended(process)
    assert json.loads(told)["done"] == 8
    assert sorted(rows(there)) == list(range(1, 9))
    assert len(list((there / "trajectories").iterdir())) == 8

    ended(campaign(here, "1,8"))
    assert rows(here) == {seed: rows(there)[seed] for seed in (1, 8)}


def test_a_lost_scheduler_is_told_and_the_same_command_goes_on(
    tmp_path: Path, cluster: Cluster
) -> None:
    cluster.worker()
    process = campaign(tmp_path / "out", "1:5", "--scheduler", cluster.address, hours=1.0)
    first_batch(process)
    cluster.scheduler.kill()
    _, errors = ended(process, 1)
    assert f"--scheduler: {cluster.address} was lost; the same command goes on" in errors
    assert "Traceback" not in errors
    kept = rows(tmp_path / "out")
    assert kept

    _, errors = ended(campaign(tmp_path / "out", "1:5", hours=1.0))
    assert f"{len(kept)} of 4 batches are there already" in errors
    assert sorted(rows(tmp_path / "out")) == [1, 2, 3, 4]


def test_a_worker_with_another_program_is_refused(tmp_path: Path, cluster: Cluster) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / "other" / package)
    with (tmp_path / "other/sim/vessel.py").open("a") as file:
        file.write("# changed\n")
    cluster.worker(str(tmp_path / "other"))
    cluster.wait_for_workers(1)
    process = campaign(tmp_path / "out", "1:3", "--scheduler", cluster.address)
    _, errors = ended(process, 2)
    assert re.search(r"worker tcp://\S+ has fermloop \S+, this is ", errors)
    assert not rows(tmp_path / "out")


def test_a_scheduler_that_is_not_there_is_named(tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    _, errors = ended(campaign(tmp_path / "out", "1:3", "--scheduler", address), 2)
    assert f"--scheduler: {address} cannot be reached: " in errors
    assert "Traceback" not in errors
