"""Many batches: what is kept of them, what goes on after an end, and who may be killed."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.plant import load_plant
from controller.recipes.file import load_recipe
from fermloop.campaign.batch import run as run_job
from fermloop.campaign.files import digest, gather, placed, unpack
from fermloop.campaign.plan import checked
from fermloop.campaign.results import Results, Row
from fermloop.campaign.seeds import parse
from fermloop.campaign.tables import columns
from fermloop.commands import report
from fermloop.commands.campaign import Where
from fermloop.commands.campaign import run as campaign
from fermloop.commands.closed_loop import run_batch
from fermloop.failure import FailureError
from tests.drivers.examples import LEVEL_RECIPE, TANK_PLANT, source

ROOT = Path(__file__).parents[2]
ECOLI = ROOT / "sim/plants/ecoli_5l.toml"
RECIPE = ROOT / "sim/recipes/ecoli.toml"
TANK = TANK_PLANT.replace("acme-tank", "moody_tank:Moody")
# Seed 3 is refused, seed 4 kills its process, seed 5 does so once and seed 6 takes its time.
MOODY = """
import os, signal, time
from pathlib import Path

class Moody(Tank):
    def __init__(self, setup):
        Tank.__init__(self, setup)
        marker = Path(os.environ["MOODY"])
        if setup.seed == 3:
            raise ValueError("no tank has the number 3")
        if setup.seed == 4 or (setup.seed == 5 and not marker.exists()):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if setup.seed == 6:
            time.sleep(60.0)
"""


@pytest.fixture(name="tank")
def _tank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the plant file of a tank whose driver is somebody else's; ``level.toml`` is beside."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "moody_tank.py").write_text(source("Tank") + MOODY)
    monkeypatch.syspath_prepend(str(site))  # pyright: ignore[reportUnknownMemberType]
    monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{ROOT}")
    monkeypatch.setenv("MOODY", str(tmp_path / "marker"))
    (tmp_path / "plant.toml").write_text(TANK)
    (tmp_path / "level.toml").write_text(LEVEL_RECIPE)
    yield tmp_path / "plant.toml"
    sys.modules.pop("moody_tank", None)


def begin(plant: Path, seeds: str, *names: str, hours: float = 0.02, fresh: bool = False) -> None:
    """Run the tank's campaign as the command does."""
    recipes = [plant.with_name(f"{name}.toml") for name in names or ("level",)]
    campaign(
        plant,
        recipes,
        parse(seeds),
        plant.parent / "out",
        hours,
        "off",
        Where(workers=2),
        fresh,
        as_json=True,
    )


def kept(folder: Path) -> list[Row]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("text", "means"),
    [("0:3", (0, 1, 2)), ("1,5,7", (1, 5, 7)), ("9, 2:4", (9, 2, 3)), ("0", (0,))],
)
def test_seeds(text: str, means: tuple[int, ...]) -> None:
    assert parse(text) == means


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "nothing is not allowed; A:B"),
        ("1,,2", "is not allowed"),
        ("-3", "-3 is not allowed"),
        ("1.5", "1.5 is not allowed"),
        (":4", ":4 is not allowed"),
        ("5:5", "5:5 has no seed in it; A:B (from A up to but not B)"),
        ("0:4,3", "names seed 3 twice"),
        ("0:3000000", "more than 1000000 seeds"),
        ("99999999999", "seeds are 0 to 2147483647"),
    ],
)
def test_wrong_seeds_are_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse(text)
    assert says in str(refused.value)


def test_a_torn_line_is_run_again_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "rows.jsonl"

    def key(row: Row) -> int:
        return row["n"]

    with Results(file, key) as results:
        results.append({"n": 1, "x": 1.0})
        results.append({"n": 1, "x": 2.0})
        results.append({"n": 2, "x": 3.0})
        with pytest.raises(FailureError, match="another process is writing to it"):
            Results(file, key)
    whole = file.read_bytes()
    for torn in (b'{"n":3', b'{"n":3,"x":\n', b"\0\0\0", b"7\n"):
        file.write_bytes(whole + torn)
        with Results(file, key) as results:
            assert results.rows == {1: {"n": 1, "x": 2.0}, 2: {"n": 2, "x": 3.0}}
        assert file.read_bytes() == whole
    file.write_bytes(b'{"n":\n' + whole)
    with pytest.raises(FailureError, match=r"rows\.jsonl:1: is damaged"):
        Results(file, key)
    with Results(file, key, fresh=True) as results:
        assert results.rows == {}


def test_what_a_file_names_travels_with_it_and_counts_as_part_of_it(tmp_path: Path) -> None:
    plant = tmp_path / "site/plant.toml"
    for name, text in {
        "site/plant.toml": 'a = { faults = "../faults/leak.toml", key = "key.pem" }\n',
        "site/key.pem": "secret",
        "faults/leak.toml": 'next = "more.toml"\n',
        "faults/more.toml": "x = 1\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    files = gather(plant)
    unpack(files, tmp_path / "elsewhere")
    there = placed(str(plant), tmp_path / "elsewhere")
    assert (there.parent / "../faults/more.toml").read_text() == "x = 1\n"
    assert not (there.parent / "key.pem").exists()  # no secret leaves the machine

    before = digest(plant)
    plant.write_text(plant.read_text() + '# a remark\n[accept]\nbaseline = "../faults/none.toml"\n')
    assert digest(plant) == before == digest(there)
    (tmp_path / "faults/more.toml").write_text("x = 2\n")
    assert digest(plant) != before


def test_a_refused_and_a_killed_batch_stop_no_other_and_are_tried_again(
    tank: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        begin(tank, "1:6")
    assert ended.value.code == 1
    told = capsys.readouterr()
    summary = json.loads(told.out)
    assert (summary["batches"], summary["done"]) == (5, 3)
    errors = {row["seed"]: row["error"] for row in summary["failed"]}
    assert errors[3].endswith("no tank has the number 3")
    assert errors[4] == "its process was killed by signal 9, 2 times"
    assert "level.toml, seed 4: failed: its process" in told.err
    assert "5 of 5 batches, 2 failed" in told.err

    out = tank.parent / "out"
    table = columns(out / "results.parquet")
    assert table["seed"] == [1, 2, 3, 4, 5]
    assert [s == "done" for s in table["state"]] == [True, True, False, False, True]
    assert [s is None for s in table["scans"]] == [False, False, True, True, False]
    found = json.loads((out / "results.json").read_text())
    assert [row["seed"] for row in found["rows"]] == [1, 2, 3, 4, 5]
    assert list(found["campaign"]["recipes"]) == ["level"]

    first = kept(out)
    (tank.parent / "site/moody_tank.py").write_text(source("Tank") + "class Moody(Tank): pass\n")
    begin(tank, "1:6")
    again = kept(out)
    assert again[: len(first)] == first  # what was done is not run again
    assert sorted(row["seed"] for row in again[len(first) :]) == [3, 4]
    assert json.loads(capsys.readouterr().out)["failed"] == []


def test_a_folder_takes_more_seeds_and_recipes_but_no_others(tank: Path) -> None:
    begin(tank, "1")
    tank.with_name("other.toml").write_text(LEVEL_RECIPE.replace('"level"', '"other"'))
    tank.with_name("level.toml").write_text("# a remark changes nothing\n" + LEVEL_RECIPE)
    begin(tank, "1:3", "other")
    out = tank.parent / "out"
    rows = [(row["recipe"], row["seed"]) for row in kept(out)]
    assert rows[0] == ("level", 1)
    assert sorted(rows) == [("level", 1), ("other", 1), ("other", 2)]

    def refused(*lines: str, hours: float = 0.02) -> None:
        with pytest.raises(FailureError) as failure:
            begin(tank, "1:3", "level", "other", hours=hours)
        assert failure.value.code == 2
        assert [line.removeprefix(f"{out}: ") for line in failure.value.lines] == [
            *lines,
            "take another --report folder, or throw its results away with --fresh",
        ]

    refused("its results were made with --hours 0.02, not 0.03", hours=0.03)
    tank.with_name("other.toml").write_text(LEVEL_RECIPE.replace("10.0", "9.0"))
    tank.write_text(TANK.replace("kp = 60.0", "kp = 61.0"))
    made = "its results were made with another {} than {} as it is now"
    refused(made.format("plant file", tank), made.format("recipe", tank.with_name("other.toml")))
    manifest = json.loads((out / "campaign.json").read_text())
    (out / "campaign.json").write_text(json.dumps(manifest | {"fermloop": "0.0.9+ab"}))
    with pytest.raises(FailureError, match=r"made with fermloop 0\.0\.9\+ab, this is "):
        begin(tank, "1")
    (out / "campaign.json").unlink()
    with pytest.raises(FailureError, match="says what the results were made with, but cannot"):
        begin(tank, "1")
    begin(tank, "2", "level", "other", fresh=True)
    assert len(kept(out)) == 2


def test_without_dask_it_is_said_how_to_install_it(
    tank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    out, recipe = tank.parent / "out", tank.with_name("level.toml")
    cluster = Where(scheduler="tcp://127.0.0.1:8786")
    with pytest.raises(FailureError, match=r"pip install 'fermloop\[dask\]'"):
        campaign(tank, [recipe], (1,), out, 0.02, "off", cluster, fresh=False, as_json=True)
    assert not out.exists()


class Running:
    """``fermloop campaign`` on a terminal: one batch is done, the other takes a minute."""

    def __init__(self, plant: Path) -> None:
        words = ("campaign", "plant.toml", "--recipe", "level.toml", "--seeds", "1,6")
        self.shown = b""
        self._terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "fermloop", *words),
                *("--report", "out", "--hours", "0.02", "--workers", "2"),
            ],
            cwd=plant.parent,
            stderr=theirs,
            stdout=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        while b"1 of 2 batches, " not in self.shown:
            self.shown += os.read(self._terminal, 4096)
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self.workers = [int(child) for child in children]

    def end(self, sent: signal.Signals) -> int:
        """Send a signal as a terminal does, to all in the foreground; return the exit code."""
        os.killpg(self.process.pid, sent)
        code = self.process.wait(30)
        with contextlib.suppress(OSError):  # nobody holds the other end any more
            while more := os.read(self._terminal, 4096):
                self.shown += more
        os.close(self._terminal)
        return code


def gone(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def test_ctrl_c_keeps_what_is_done_and_leaves_no_process(tank: Path) -> None:
    running = Running(tank)
    assert len(running.workers) == 1  # the other had nothing left to do
    assert running.end(signal.SIGINT) == 130
    assert b" left" in running.shown
    assert b"interrupted: 1 of 2 batches are done; the same command goes on" in running.shown
    assert b"Traceback" not in running.shown
    assert all(gone(pid) for pid in running.workers)
    assert [row["seed"] for row in kept(tank.parent / "out")] == [1]


@pytest.mark.long
def test_workers_die_with_a_campaign_that_is_killed(tank: Path) -> None:
    running = Running(tank)
    assert running.end(signal.SIGKILL) == -signal.SIGKILL
    assert running.workers
    for pid in running.workers:
        for _ in range(1000):  # the kernel's signal takes a moment
            if gone(pid):
                break
            time.sleep(0.01)  # noqa: TID251 (of this machine, not of a plant)
        assert gone(pid)
    assert [row["seed"] for row in kept(tank.parent / "out")] == [1]


def test_recipes_are_told_apart_by_name(tank: Path) -> None:
    with pytest.raises(FailureError, match="their names tell recipes apart"):
        begin(tank, "1", "level", "level")


def test_a_row_is_the_report_of_the_batch_and_a_solver_that_fails_says_where(
    tmp_path: Path,
) -> None:
    """One process, without the pool: the job is what every pool runs."""
    (job,) = checked(ECOLI, [RECIPE], (3,), 0.4, "off").jobs()
    row = run_job(job)
    trajectory = row.pop("trajectory")
    plant, recipe = load_plant(ECOLI), load_recipe(RECIPE)
    outcome = run_batch(plant, recipe, RECIPE, hours=0.4, seed=3)
    expected = report.assemble(
        outcome.truth["R1"], outcome.control, reactor="R1", hours=0.4, seed=3, optimiser="off"
    )
    assert {name: row[name] for name in expected} == expected
    assert (row["state"], row["error"]) == ("done", None)
    assert (row["plant_file"], row["recipe_file"]) == (str(ECOLI), str(RECIPE))
    assert trajectory == outcome.trajectory["R1"]
    assert len(trajectory["age_h"]) == 3

    broken = tmp_path / "broken.toml"
    sugar = "substrate_g_per_l = 1.7e308"
    real, _, ours = ECOLI.read_text().partition("[simulation.R1]")
    assert "substrate_g_per_l = 8.0" in ours
    ours = ours.replace("substrate_g_per_l = 8.0", sugar)
    broken.write_text(f"{real}[simulation.R1]{ours}")
    (job,) = checked(broken, [RECIPE], (3,), 0.4, "off").jobs()
    row = run_job(job)
    assert row["state"] == "failed"
    where = r"^R1 \(ecoli_5l, seed 3\) at 0\.0000 h: the integration fails: X, .* from X 0\.\d+ g/L"
    assert re.search(where, row["error"])


@pytest.mark.long
def test_a_solver_that_fails_in_the_middle_ends_that_batch_and_the_campaign_goes_on(
    tmp_path: Path,
) -> None:
    """Real processes: seed 3's vitamin ends at 3.03 h, of seeds 1 and 5 after the batch."""
    plant = tmp_path / "plant.toml"
    text = ECOLI.read_text(encoding="utf-8").replace("scan_s = 1.0", "scan_s = 10.0")
    text = text.replace("within_s = 3.0", "within_s = 30.0")
    real, _, ours = text.partition("[simulation.R1]")
    ours = ours.replace('organism = "ecoli"', 'organism = "tests.sim.own_models:Starving"')
    plant.write_text(f"{real}[simulation.R1]{ours}", encoding="utf-8")
    command = [
        *(sys.executable, "-m", "fermloop", "campaign", str(plant), "--recipe", str(RECIPE)),
        *("--seeds", "3,1,5", "--hours", "3.2", "--workers", "2"),
        *("--report", str(tmp_path / "out"), "--accept"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr  # not every batch can be judged

    rows = {row["seed"]: row for row in kept(tmp_path / "out")}
    assert {seed: row["state"] for seed, row in rows.items()} == {1: "done", 3: "failed", 5: "done"}
    where = r"^R1 \(starving_5l, seed 3\) at 3\.02\d\d h: the integration fails: X, .* no number"
    assert re.search(f"{where} .* from X 0\\.[5-9]\\d* g/L, .* under ", rows[3]["error"])
    assert rows[1]["biomass_g_per_l"] > 0.6 < rows[5]["biomass_g_per_l"]  # of 0.3
    assert "ecoli.toml, seed 3: failed: R1 (starving_5l, seed 3) at 3.02" in done.stderr
    assert "2 of 3 batches done, 1 failed" in done.stdout
    assert "ecoli: batches: 2 of 3, allowed all: not judged" in done.stdout
    assert "1 failed (seed 3): fermloop batch " in done.stdout
    assert "1 failed (seed 3)" in (tmp_path / "out/junit.xml").read_text()
    again = subprocess.run(command[:-1], cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 1  # without --accept: a batch failed; it alone is tried again
    assert [row["seed"] for row in kept(tmp_path / "out")].count(3) == 2
    assert len(kept(tmp_path / "out")) == 4
