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
WANTED = 1000  # log-ins a second
PIPES = 8  # connections, each with so many requests under way
AHEAD = 16


async def flood(url: str) -> Counter[int]:
    """Try to log in a thousand times a second, and count the answers.

    The requests are written as bytes and only the first line of each answer is read, so that the
    stranger costs this machine less than the console does.
    """
    host, port = url.removeprefix("http://").split(":")
    body = b'{"name":"nobody","password":"x"}'
    head = f"POST /api/login HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {url}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    request, answers = head.encode() + body, Counter[int]()
    begin = monotonic()

    async def knock(pipe: int) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        sent = 0
        while (now := monotonic() - begin) < FLOOD_S:
            due = max(0, min(AHEAD, int(now * WANTED / PIPES) - sent))
            writer.write(request * due)
            for _ in range(due):
                answers[int((await reader.readline()).split()[1])] += 1
                length = 0
                while (line := await reader.readline()) != b"\r\n":
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                await reader.readexactly(length)
            sent += due
            await asyncio.sleep(0.01)
        writer.close()

    await asyncio.gather(*(knock(pipe) for pipe in range(PIPES)))
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
            assert set(answers) == {401, 429}
            stopped = page.post("/api/command/safe-stop", json={"reason": "drill"})
            assert stopped.status_code == 200, stopped.text
            after = page.get("/api/state").json()["state"]
            print(f"{answers.total() / FLOOD_S:.0f} log-ins/s: {dict(answers)}")
            assert answers.total() >= 0.9 * WANTED * FLOOD_S
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
