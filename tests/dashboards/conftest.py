"""A real InfluxDB on a free loopback port: Debian's 1.6, which answers the same InfluxQL."""

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
dir = "{0}/meta"
[data]
dir = "{0}/data"
wal-dir = "{0}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:0"
log-enabled = false
"""


@dataclass(frozen=True)
class Influx:
    """What a test needs of the server."""

    http: httpx.Client

    def write(self, lines: str) -> None:
        """Write line protocol with times in s."""
        answer = self.http.post(
            "/write", params={"db": "fermloop", "precision": "s"}, content=lines
        )
        assert answer.status_code == 204, answer.text

    def query(self, text: str) -> list[dict[str, Any]]:
        """Return the series of one statement; its times are in ms."""
        answer = self.http.post(
            "/query", params={"db": "fermloop", "epoch": "ms"}, data={"q": text}
        )
        assert answer.status_code == 200, f"{text}\n{answer.text}"
        result = answer.json()["results"][0]
        assert "error" not in result, f"{text}\n{result['error']}"
        return result.get("series", [])


@pytest.fixture(scope="session")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    binary = shutil.which("influxd")
    if binary is None:
        pytest.fail("influxd is missing: apt-get install influxdb (make test does it)")
    home = tmp_path_factory.mktemp("influxdb")
    config = home / "influxdb.conf"
    config.write_text(CONFIG.format(home), encoding="utf-8")
    with subprocess.Popen(
        [binary, "run", "-config", str(config)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        cwd=home,
    ) as server:
        assert server.stderr is not None
        try:
            port = _port(server.stderr, config)
            drain = threading.Thread(target=server.stderr.read, daemon=True)
            drain.start()
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
                made = http.post("/query", data={"q": "CREATE DATABASE fermloop"})
                assert made.status_code == 200, made.text
                yield Influx(http)
        finally:
            server.kill()
        drain.join()


def _port(log: IO[str], config: Path) -> int:
    said: list[str] = []
    for line in log:
        said.append(line)
        if found := re.search(r"Listening on HTTP.*addr=127\.0\.0\.1:(\d+)", line):
            return int(found[1])
    pytest.fail(f"influxd with {config} ended before it listened:\n{''.join(said)}")
