"""Long runs by hand go on where they were interrupted, whatever interrupted them."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fermloop.campaign.results import Results
from tests.bench import search_recipe
from tests.bench.search_recipe import PAIRS, key_of, search

ROOT = Path(__file__).parents[2]
SQUARES = """
import os, signal, sys
from pathlib import Path
from fermloop.campaign.results import Results
from tests.bench.long_run import rows

kept = Path(sys.argv[1])

def run(numbers):
    for n in numbers:
        print(n, flush=True)
        if n == 3 and not kept.with_name("again").exists():
            kept.with_name("again").touch()
            os.kill(os.getpid(), getattr(signal, sys.argv[2]))
        yield {"n": n, "square": n * n}

with Results(kept, lambda row: row["n"]) as results:
    print([row["square"] for row in rows(results, (1, 2, 3, 4), int, run)])
"""


@pytest.mark.parametrize("sent", ["SIGKILL", "SIGINT"])
def test_what_is_done_is_not_run_again_after_an_end(tmp_path: Path, sent: str) -> None:
    def run() -> tuple[int, list[str]]:
        done = subprocess.run(
            [sys.executable, "-c", SQUARES, str(tmp_path / "kept.jsonl"), sent],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout.splitlines()

    ended = -signal.Signals[sent]
    assert run() == (ended, ["1", "2", "3"])
    with (tmp_path / "kept.jsonl").open("a") as file:
        file.write('{"n":3,"squ')  # as a power cut may leave it
    assert run() == (0, ["3", "4", "[1, 4, 9, 16]"])
    assert run() == (0, ["[1, 4, 9, 16]"])


@pytest.mark.long
def test_a_search_runs_the_batches_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(search_recipe, "ROUNDS", ((2, 1), (1, 2)))
    pair = replace(PAIRS["ecoli_5l"], hours=0.02)
    file = tmp_path / "search.jsonl"
    first, second = search_recipe.candidates(pair, 2)
    row = {"candidate": first, "seed": 201, "product_g": 1.0, "trips": 0}
    row |= {"do_share": 0.0, "by_product_share": 0.0, "volume_min": 0.0}
    file.write_text(json.dumps(row) + "\n")  # with blanks, as searches before this wrote it
    with Results(file, key_of) as results:
        search(pair, results, 1)
    keys = [key_of(json.loads(line)) for line in file.read_text().splitlines()]
    assert keys == [(first, 201), (second, 201), (first, 202)]
    shown = capsys.readouterr().out
    assert shown.count("2 x 1: ") == 2
    with Results(file, key_of) as results:
        search(pair, results, 1)
    assert capsys.readouterr().out == shown
    assert len(file.read_text().splitlines()) == 3
