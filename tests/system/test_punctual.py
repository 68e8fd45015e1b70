"""The scan is on time, with the limits of the bench that judges it: a minute in place of twenty."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.real_time]

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("case", ["many", "fast"])
def test_scans_are_on_time(case: str) -> None:
    command = [sys.executable, str(ROOT / "tests/bench/bench_realtime.py"), case, "60"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["scans"] > {"many": 5900, "fast": 590}[case]
