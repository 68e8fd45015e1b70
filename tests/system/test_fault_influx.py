"""InfluxDB goes away, is slow or fails under a running plant: no scan waits, nothing is lost."""

import asyncio
import json
import threading
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from drivers.point import Tag
from tests.system.influx_server import InfluxServer
from tests.system.plant_processes import Site, site
from tests.system.served_plant import wires

pytestmark = pytest.mark.real_time


def influx_table(server: InfluxServer, token: Path, url: str = "") -> dict[str, str]:
    keys = {
        "url": url or server.url,
        "org": "plant",
        "bucket": server.bucket,
        "token_file": str(token),
    }
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    return {r"^enabled = false.*$": f"enabled = true\n{lines}"}


def missing(plant: Site, server: InfluxServer) -> list[str]:
    """Return the tags of which not every value arrived, once, in order and unchanged."""
    with plant.store() as reader:
        suffixes, rows = reader.rows("R1", 0, 1_000_000)
    found: list[str] = []
    for place, name in enumerate(suffixes, 3):
        stored = [(round(row[1] * 1e6), row[place]) for row in rows if row[place] is not None]
        if server.values(name) != stored:
            found.append(name)
    return found


def status(plant: Site, name: str) -> dict[str, Any]:
    return json.loads((plant.plant.data_dir / f"{name}.json").read_text())


async def test_an_outage_of_influxdb_is_caught_up_and_no_scan_waits(tmp_path: Path) -> None:
    folder, token = tmp_path / "influx", tmp_path / "token"
    folder.mkdir()
    token.write_text(InfluxServer.token)
    token.chmod(0o600)
    with InfluxServer(folder) as server:
        async with site(tmp_path, influx_table(server, token)) as plant, wires(plant, 10.0):
            running = plant.start_site()
            before = await plant.until("samples are forwarded", lambda s: s["samples_forwarded"])
            server.stop()
            away = await plant.until("scans go on", lambda s: s["scans"] > before["scans"] + 60)
            assert "502" in status(plant, "forwarder")["error"]
            server.start()
            back = await plant.until(
                "what was held back is forwarded",
                lambda s: s["samples_forwarded"] > away["samples_stored"],
            )
            assert back["scans_missed"] == before["scans_missed"]
            assert back["samples_lost"] == 0
            running.terminate()  # in order: the forwarder sends what the controller stored last
            assert await asyncio.to_thread(running.wait, 60) == 0
            assert missing(plant, server) == []
            with plant.store() as reader:
                lag = Tag("plant.influx.lag", "s", 0, 1e12)
                lags = [sample.value for sample in reader.read(lag, 0, 1e12)]
            assert max(lags) > 30.0  # plant s: it is seen in the trends that InfluxDB was away
            assert server.count("influx.lag", "plant") == len(lags)
            sent = status(plant, "forwarder")
            assert sent["forwarded"] == status(plant, "report")["samples_stored"]
            assert (sent["behind_rows"], sent["quarantined"]) == (0, 0)


class Unwell(ThreadingHTTPServer):
    """In front of a real server: slow, too busy, broken, or cut after it has written."""

    daemon_threads = True

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.behind = behind
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.turns = cycle(("slow", "429", "cut", "ok", "503", "slow", "ok"))
        self.done: list[str] = []
        self.well = False


class _Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Unwell)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        turn = "ok" if server.well else next(server.turns)
        server.done.append(turn)
        if turn == "slow":
            threading.Event().wait(1.5)
        status = int(turn) if turn.isdigit() else self._write(server.behind, body)
        if turn != "cut":
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _write(self, behind: str, body: bytes) -> int:
        known = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
        asked = urllib.request.Request(behind + self.path, body, known, method="POST")
        with urllib.request.urlopen(asked) as answer:
            return answer.status

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def unwell(behind: str) -> Generator[Unwell]:
    with Unwell(behind) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.long
async def test_a_slow_and_failing_influxdb_makes_no_scan_late_and_loses_nothing(
    tmp_path: Path,
) -> None:
    folder, token = tmp_path / "influx", tmp_path / "token"
    folder.mkdir()
    token.write_text(InfluxServer.token)
    token.chmod(0o600)
    with InfluxServer(folder) as server, unwell(server.url) as between:
        table = influx_table(server, token, between.url)
        async with site(tmp_path, table) as plant, wires(plant, 10.0):
            running = plant.start_site()
            before = await plant.until("samples are forwarded", lambda s: s["samples_forwarded"])
            after = await plant.until(
                "every fault was met twice", lambda _: len(between.done) >= 14, within_s=120.0
            )
            between.well = True
            await plant.until(
                "what was held back is forwarded",
                lambda s: s["samples_forwarded"] > after["samples_stored"],
                within_s=120.0,
            )
            running.terminate()
            assert await asyncio.to_thread(running.wait, 60) == 0
            assert after["scans_missed"] == before["scans_missed"]
            assert after["samples_lost"] == 0
            assert missing(plant, server) == []
            assert status(plant, "forwarder")["quarantined"] == 0
