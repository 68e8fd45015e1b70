"""A real VictoriaMetrics on a free loopback port: it has /api/v2/write of its own."""

import json
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import httpx

from drivers.clock import monotonic
from tests.system.influx_server import program
from tests.system.plant_processes import free_port


class VictoriaServer:
    """One server with its own folder."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._argv = [
            *("setpriv", "--pdeathsig", "TERM", program("victoria-metrics", "victoria-metrics")),
            *(f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder / 'victoria'}"),
            *("-retentionPeriod=100y", "-search.latencyOffset=0s", "-loggerLevel=ERROR"),
        ]

    def __enter__(self) -> "VictoriaServer":
        self._process = subprocess.Popen(self._argv, stderr=subprocess.DEVNULL)
        until = monotonic() + 30.0
        while monotonic() < until:
            try:
                httpx.get(f"{self.url}/ping")
            except httpx.TransportError:
                assert self._process.poll() is None
                continue
            return self
        raise AssertionError(f"{self.url} does not listen")

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        self._process.wait()

    def values(self, name: str) -> list[tuple[int, float]]:
        """Return ``(time in ms, value)`` of a metric, ``fermloop_do``, of all its series."""
        urllib.request.urlopen(f"{self.url}/internal/force_flush").close()
        asked = urllib.parse.urlencode({"match": f'{{__name__="{name}"}}'})
        with urllib.request.urlopen(f"{self.url}/api/v1/export?{asked}") as answer:
            series = [json.loads(line) for line in answer]
        pairs = (zip(s["timestamps"], s["values"], strict=True) for s in series)
        return sorted(pair for found in pairs for pair in found)
