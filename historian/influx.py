"""Forwards the store to InfluxDB; the only file that imports influxdb_client.

Run as a process: ``python -m historian.influx --store … --site … --url … --org … --bucket …
--token-file … --cursor …``. The client is imported when it is first needed, so that the settings
cost nothing to import.
"""

import argparse
import ctypes
import json
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from historian.delivery import RefusedError, UnavailableError
from historian.forwarder import Forwarder
from historian.reader import SqliteReader

_LOG = logging.getLogger(__name__)
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_TIMEOUT_MS = 10_000  # for one request; only the forwarder waits for it
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class InfluxSettings:
    """Where the samples go.

    Attributes:
        url: ``http://host:8086`` or ``https://…``.
        org: organisation; 1.x ignores it.
        bucket: bucket; in 1.x the database.
        token: API token; in 1.x ``user:password``. Never printed.
    """

    url: str
    org: str
    bucket: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"influx.url: {self.url!r} is not allowed; http(s)://host[:port] is")
        if parts.username or parts.password:
            raise ValueError("influx.url: user and password are not allowed; they are the token")
        for key in ("org", "bucket"):
            if not getattr(self, key):
                raise ValueError(f"influx.{key}: empty is not allowed")
        if not self.token.strip():
            raise ValueError("influx.token: empty is not allowed")
        if not (self.token.isascii() and self.token.isprintable()):
            raise ValueError("influx.token: only printable ASCII is allowed")

    @property
    def local(self) -> bool:
        """Whether the server is on this machine."""
        return urlsplit(self.url).hostname in _LOOPBACK


class InfluxWriter:
    """influxdb-client's synchronous write of our own bytes, and what its answers mean."""

    def __init__(self, settings: InfluxSettings) -> None:
        # The client has no types worth the name; nothing of it leaves this class.
        import influxdb_client.client.influxdb_client as influxdb_client
        import influxdb_client.client.write_api as write_api
        import influxdb_client.rest as rest
        import urllib3.exceptions

        self._settings = settings
        self._unreachable = (urllib3.exceptions.HTTPError, OSError)
        self._answered = cast(type[Exception], rest.ApiException)
        self._client: Any = influxdb_client.InfluxDBClient(
            settings.url,
            settings.token,
            org=settings.org,
            timeout=_TIMEOUT_MS,
            enable_gzip=not settings.local,  # it pays only where bytes cost more than CPU
        )
        self._api: Any = self._client.write_api(write_options=write_api.SYNCHRONOUS)

    def post(self, body: bytes) -> None:
        """Write lines with times in microseconds.

        Raises:
            UnavailableError: no answer, or one that says nothing about the lines.
            RefusedError: the server will not take these lines as they are.
        """
        s = self._settings
        try:
            self._api.write(s.bucket, s.org, body, write_precision="us")
        except self._answered as error:
            raise self._meaning(error) from error
        except self._unreachable as error:
            raise UnavailableError(f"{s.url} does not answer: {_short(error)}") from error

    def close(self) -> None:
        """Close the connections."""
        self._api.close()
        self._client.close()

    def _meaning(self, error: Any) -> UnavailableError | RefusedError:
        s = self._settings
        status, text = int(error.status or 0), message(error.message)
        if status in (400, 413, 422):
            return RefusedError(f"{status}: {text}", too_large=status == 413)
        if status in (401, 403):
            return UnavailableError(f"{s.url} refuses the token ({status}): {text}")
        if status == 404:
            what = f"bucket {s.bucket!r} of org {s.org!r}"
            return UnavailableError(f"{s.url} does not know {what} ({status}): {text}")
        retry = _seconds(error.retry_after)
        return UnavailableError(f"{s.url} answers {status}: {text}", retry)


def read_token(file: Path | None, variable: str | None) -> str:
    """Return the token from a file that only its owner can read, or from the environment.

    Raises:
        ValueError: it is not there, empty, or readable by others.
    """
    if file is not None:
        try:
            mode = file.stat().st_mode & 0o777
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise ValueError(f"{file}: cannot be read: {error}") from error
        if mode & 0o077:
            raise ValueError(f"{file}: mode {mode:04o} is not allowed; 0600 is (chmod 600)")
        if not token:
            raise ValueError(f"{file}: an empty token is not allowed")
        return token
    token = os.environ.get(variable or "", "").strip()
    if not token:
        raise ValueError(f"environment variable {variable}: an empty token is not allowed")
    return token


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the forwarder until SIGTERM or SIGINT; return 2 when it was called wrongly."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="forwarder: %(levelname)s %(message)s", level=logging.INFO)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    # die with the supervisor, as SIGTERM: the request under way is finished first
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        token = read_token(options.token_file, options.token_env)
        settings = InfluxSettings(options.url, options.org, options.bucket, token)
        if not options.site:
            raise ValueError("site: empty is not allowed")
    except ValueError as error:
        print(f"historian.influx: {error}", file=sys.stderr)
        return 2
    if settings.url.startswith("http:") and not settings.local:
        _LOG.warning("%s: the token goes over the network unencrypted", settings.url)
    reader = SqliteReader(options.store)
    writer = InfluxWriter(settings)
    forwarder = Forwarder(
        reader,
        writer.post,
        options.cursor,
        site=options.site,
        status_path=options.status,
        poll_s=options.poll_s,
    )
    try:
        forwarder.run(stop)
    finally:
        writer.close()
        reader.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m historian.influx", description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="the controller's store")
    parser.add_argument("--site", required=True, help="name of the plant")
    parser.add_argument("--url", required=True, help="http(s)://host:port of InfluxDB")
    parser.add_argument("--org", required=True)
    parser.add_argument("--bucket", required=True, help="in 1.x the database")
    token = parser.add_mutually_exclusive_group(required=True)
    token.add_argument("--token-file", type=Path, help="file of mode 0600 with the token")
    token.add_argument("--token-env", metavar="NAME", help="environment variable with the token")
    parser.add_argument("--cursor", type=Path, required=True, help="file for how far it has come")
    parser.add_argument(
        "--status", type=Path, help="file for how it is; CURSOR.status if not given"
    )
    parser.add_argument("--poll-s", type=float, default=1.0, help="s between looks at the store")
    return parser


def message(found: Any) -> str:
    """Return what the server said: 2.x JSON ``message``, 1.x JSON ``error``, or plain text."""
    text = found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)
    try:
        answer: Any = json.loads(text)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        said = cast(dict[str, object], answer)
        text = str(said.get("message") or said.get("error") or text)
    if text.lstrip().startswith("<"):  # a proxy's page: what its title says
        text = re.sub(r"(?is).*<title>(.*)</title>.*", r"\1", text)
    return " ".join(text.split())[:500]


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:500]


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:  # a date: our own back-off is good enough
        return None


if __name__ == "__main__":
    sys.exit(main())
