"""InfluxDB goes away under a running plant: no scan waits, every sample arrives, none twice."""

import asyncio
import json
from pathlib import Path

from drivers.point import Quality
from tests.system.influx_server import InfluxServer
from tests.system.plant_processes import Site, site, wires


def influx_table(server: InfluxServer, token: Path) -> dict[str, str]:
    keys = {
        "url": server.url,
        "org": "plant",
        "bucket": server.bucket,
        "token_file": str(token),
    }
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    return {r"^enabled = false.*$": f"enabled = true\n{lines}"}


def missing(plant: Site, server: InfluxServer) -> dict[str, tuple[int, int]]:
    """Return how many values are stored and sent of each tag that did not arrive whole.

    Whole: every GOOD value of the store, once, in order and unchanged.
    """
    found: dict[str, tuple[int, int]] = {}
    for tag in ("temperature", "temperature.sp", "do.sp", "weight"):
        good = [s for s in plant.samples(f"R1.{tag}") if s.quality is Quality.GOOD]
        stored = [(round(s.time * 1e6), s.value) for s in good]
        sent = server.values(tag)
        if sent != stored:
            found[tag] = len(stored), len(sent)
    return found


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
            status = json.loads((plant.plant.data_dir / "forwarder.json").read_text())
            assert "502" in status["error"]
            server.start()
            back = await plant.until(
                "what was held back is forwarded",
                lambda s: s["samples_forwarded"] > away["samples_stored"],
            )
            assert back["scans_missed"] == before["scans_missed"]
            assert back["samples_lost"] == 0
            running.terminate()  # in order: the forwarder sends what the controller stored last
            assert await asyncio.to_thread(running.wait, 60) == 0
            assert missing(plant, server) == {}
