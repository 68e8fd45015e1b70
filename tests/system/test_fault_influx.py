"""InfluxDB goes away under a running plant: no scan waits, every sample arrives, none twice."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from drivers.point import Tag
from tests.system.influx_server import InfluxServer
from tests.system.plant_processes import Site, site
from tests.system.served_plant import wires

pytestmark = pytest.mark.real_time


def influx_table(server: InfluxServer, token: Path) -> dict[str, str]:
    keys = {
        "url": server.url,
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
