"""A real InfluxDB 1.6 behind a real nginx that gives it the write path of InfluxDB 1.8 and 2."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  auth-enabled = {auth}
  log-enabled = false
"""

# The client says `Authorization: Token user:password`, bucket and precision "us"; 1.6 wants
# u, p, db and precision "u". The listening socket is handed over in the environment (NGINX=fd),
# so its port is never free for somebody else and connections wait in its queue from the start.
_NGINX = """
{user} daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{}}
http {{
  access_log off; client_max_body_size {body}; client_body_buffer_size 4m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  map $arg_precision $unit {{ default $arg_precision; us u; "" ns; }}
  map $http_authorization $user {{ default ""; "~^Token (?<u>[^:]*):" $u; }}
  map $http_authorization $word {{ default ""; "~^Token [^:]*:(?<p>.*)$" $p; }}
  upstream influx {{ server 127.0.0.1:{backend}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    location = /api/v2/write {{
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Authorization "";
      rewrite ^ /write?db=$arg_bucket&precision=$unit&u=$user&p=$word? break;
      proxy_pass http://influx;
    }}
    location / {{ proxy_pass http://influx; }}
  }}
}}
"""

_DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM")  # even when the test run is killed


class InfluxServer:
    """One server with its own folder on free loopback ports.

    Args:
        folder: kept between ``stop`` and ``start``, as a real server's disk.
        auth: whether it asks for ``user:password``; the user is ``ana``, the password ``secret``.
        body: greatest request that nginx lets through.
    """

    bucket = "plant"
    token = "ana:secret"

    def __init__(self, folder: Path, *, auth: bool = False, body: str = "25m") -> None:
        self._folder = folder
        self._auth = auth
        self._body = body
        self._port = 0  # of influxd: its own choice at the first start, the same afterwards
        self._influxd: subprocess.Popen[bytes] | None = None
        self._nginx: subprocess.Popen[bytes] | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> "InfluxServer":
        try:
            self.start()
            word = self.token.partition(":")[2]
            self.query(f"CREATE USER ana WITH PASSWORD '{word}' WITH ALL PRIVILEGES")
            self.query(f"CREATE DATABASE {self.bucket}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        self.stop_nginx()
        self._listener.close()

    def start(self) -> None:
        """Start what does not run; return when it listens."""
        if self._influxd is None:
            self._start_influxd()
        if self._nginx is None:
            self._start_nginx()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End influxd; nginx stays and answers 502."""
        if self._influxd is not None:
            self._influxd.send_signal(number)
            self._influxd.wait()
            assert self._influxd.stderr is not None
            self._influxd.stderr.close()
            self._influxd = None

    def stop_nginx(self) -> None:
        """End nginx; connections then wait in the queue of a socket that nobody serves."""
        if self._nginx is not None:
            self._nginx.terminate()  # its worker with it
            self._nginx.wait()
            self._nginx = None

    def query(self, text: str) -> list[dict[str, Any]]:
        """Run one InfluxQL statement and return its series."""
        form = {"db": self.bucket, "q": text, "epoch": "u"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/query",
            urllib.parse.urlencode(form).encode(),
            {"Authorization": "Basic " + base64.b64encode(self.token.encode()).decode()},
        )
        with urllib.request.urlopen(request) as answer:
            result: dict[str, Any] = json.load(answer)["results"][0]
        if "error" in result:
            raise ValueError(f"{text}: {result['error']}")
        return result.get("series", [])

    def count(self, field: str, measurement: str = "fermloop") -> int:
        """Return how many values a field has."""
        series = self.query(f'SELECT count("{field}") FROM "{measurement}"')
        return int(series[0]["values"][0][1]) if series else 0

    def values(self, field: str, measurement: str = "fermloop") -> list[tuple[int, float]]:
        """Return ``(time in µs, value)`` of a field, oldest first."""
        series = self.query(f'SELECT "{field}" FROM "{measurement}"')
        return [(int(t), float(v)) for t, v in series[0]["values"]] if series else []

    def _start_influxd(self) -> None:
        config = self._folder / "influxdb.conf"
        auth = str(self._auth).lower()
        config.write_text(_CONFIG.format(folder=self._folder, port=self._port, auth=auth))
        path = program("influxd", "influxdb")
        self._influxd = subprocess.Popen(
            [*_DIES_WITH_US, path, "run", "-config", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert self._influxd.stderr is not None
        told: list[str] = []
        for raw in self._influxd.stderr:  # it tells its port, then that it is ready
            told.append(raw.decode())
            if "Listening on HTTP" in told[-1]:
                address = told[-1].partition("addr=")[2].split()[0]
                self._port = int(address.rpartition(":")[2])
                return
        raise RuntimeError(f"{path} ended instead of listening:\n{''.join(told[-20:])}")

    def _start_nginx(self) -> None:
        config = self._folder / "nginx.conf"
        port = self._listener.getsockname()[1]
        config.write_text(
            _NGINX.format(
                user="user root root;" if os.geteuid() == 0 else "",
                folder=self._folder,
                port=port,
                backend=self._port,
                body=self._body,
            )
        )
        path = program("nginx", "nginx-light")
        fd = self._listener.fileno()
        self._nginx = subprocess.Popen(
            [*_DIES_WITH_US, path, "-c", str(config), "-e", str(self._folder / "nginx.log")],
            env={**os.environ, "NGINX": f"{fd};"},
            pass_fds=[fd],
        )


def program(name: str, package: str) -> str:
    """Return the path of a server's program, or fail the test with what to install."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if found is None:
        raise FileNotFoundError(f"{name} is not installed: apt-get install {package}")
    return found
