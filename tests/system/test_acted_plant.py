"""People at a real plant: its own processes, a flood of log-ins beside it, and the audit trail."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from drivers.clock import monotonic
from historian.reader import SqliteReader

pytestmark = pytest.mark.long

FLOOD_S = 30.0


async def flood(url: str) -> Counter[int]:
    """Try to log in as fast as 50 connections can, and count the answers."""
    answers: Counter[int] = Counter()
    end = monotonic() + FLOOD_S
    async with httpx.AsyncClient(base_url=url, headers={"origin": url}, timeout=60) as client:

        async def knock() -> None:
            while monotonic() < end:
                who = {"name": "nobody", "password": "x"}
                answers[(await client.post("/api/login", json=who)).status_code] += 1

        await asyncio.gather(*(knock() for _ in range(50)))
    return answers


def test_a_flood_of_log_ins_costs_no_scan_and_a_safe_stop_gets_through(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "fermloop", "demo", "--speed", "1", "--hours", "0.5"],
        cwd=tmp_path,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert demo.stdout is not None
        said = ""
        while "| DO " not in said:
            said += demo.stdout.readline()
        url = re.findall(r"console: (\S+)/", said)[0]
        password = re.findall(r"log in:  demo, password (\S+)", said)[0]
        folder = Path(re.findall(r"data: +(\S+)", said)[0])
        with httpx.Client(base_url=url, headers={"origin": url}, timeout=60) as page:
            me = page.post("/api/login", json={"name": "demo", "password": password}).json()
            page.headers["x-csrf-token"] = me["csrf"]
            with page.stream("GET", "/events") as stream:  # until it has heard of the plant
                known = (
                    json.loads(s[6:])["state"] for s in stream.iter_lines() if s[:5] == "data:"
                )
                before = next(state for state in known if state)
            answers = asyncio.run(flood(url))
            assert set(answers) == {401, 503}
            stopped = page.post("/api/command/safe-stop", json={"reason": "drill"})
            assert stopped.status_code == 200, stopped.text
            after = page.get("/api/state").json()["state"]
            print(f"{answers.total() / FLOOD_S:.0f} log-ins/s: {dict(answers)}")
            assert after["scans"] - before["scans"] >= FLOOD_S - 1
            assert after["scans_missed"] == before["scans_missed"]
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=60)
    finally:
        demo.kill()
    with SqliteReader(folder / "store.sqlite") as reader:
        assert reader.verify(closed=True).ok
        told = [(e["text"], e["data"].get("why")) for e in reader.events(limit=1000)]
    assert ("R1 safe stop: running → stopped", "drill") in told
    assert password not in json.dumps(told)
    assert password not in (folder / "log.txt").read_text(encoding="utf-8")
