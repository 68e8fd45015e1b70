"""The buckets of InfluxDB 2 and 3, as their documentation has them, over real HTTP."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from historian.bucket import Bucket
from historian.delivery import UnavailableError
from historian.influx import InfluxSettings


class Server(HTTPServer):
    """One organisation with buckets (2), or databases (3)."""

    version = "v2.7.11"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.made: dict[str, Any] = {}
        self.tokens: set[str] = set()

    def answer(self, way: str, body: Any) -> tuple[int, Any]:
        """Return status and JSON."""
        path, _, asked = way.partition("?")
        if path == "GET /ping":
            return 204, None
        if path == "GET /api/v2/orgs":
            return 200, {"orgs": [{"id": "0a", "name": "plant"}] if "org=plant" in asked else []}
        if path == "GET /api/v2/buckets":
            name = asked.rpartition("name=")[2]
            return 200, {"buckets": [self.made[name]] if name in self.made else []}
        if path == "POST /api/v2/buckets":
            assert body["orgID"] == "0a"
            self.made[body["name"]] = {"id": "0b", **body}
            return 201, self.made[body["name"]]
        if path == "PATCH /api/v2/buckets/0b":
            self.made["b"].update(body)
            return 200, self.made["b"]
        if path == "POST /api/v3/configure/database":
            if body["db"] in self.made:
                return 409, {"error": "attempted to create a resource that already exists"}
            self.made[body["db"]] = body
            return 200, None
        return 404, {"message": f"no {way}"}


class _Answer(BaseHTTPRequestHandler):
    def _serve(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        server.tokens.add(self.headers["Authorization"])
        status, found = server.answer(f"{self.command} {self.path}", body)
        text = b"" if found is None else json.dumps(found).encode()
        self.send_response(status)
        self.send_header("X-Influxdb-Version", server.version)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = _serve  # noqa: N815  http.server asks for these names

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_bucket_of_influxdb_2_is_made_once_and_its_retention_changed(server: Server) -> None:
    with Bucket(InfluxSettings(server.url, "plant", "b", "s3cret==")) as bucket:
        assert bucket.make(86_400) == "bucket 'b' made; it keeps everything 1 d"
        rule = {"type": "expire", "everySeconds": 86_400}
        assert server.made["b"]["retentionRules"] == [rule]
        assert bucket.make(86_400) == "bucket 'b' was there; it keeps everything 1 d"
        assert bucket.make(0) == "bucket 'b' was there and is changed; it keeps everything for ever"
        assert server.made["b"]["retentionRules"] == []
    assert server.tokens == {"Token s3cret=="}


def test_an_organisation_that_is_not_there_is_named(server: Server) -> None:
    with (
        Bucket(InfluxSettings(server.url, "nobody", "b", "t")) as bucket,
        pytest.raises(UnavailableError, match="has no organisation 'nobody'"),
    ):
        bucket.make(0)


def test_a_database_of_influxdb_3_is_made_and_stays_as_it_is(server: Server) -> None:
    server.version = "3.4.0"
    with Bucket(InfluxSettings(server.url, "plant", "b", "t")) as bucket:
        assert bucket.make(86_400) == "bucket 'b' made; it keeps everything 1 d"
        assert server.made["b"] == {"db": "b", "retention_period": "86400s"}
        assert bucket.make(0) == "bucket 'b' was there; InfluxDB 3 keeps its retention"


def test_a_server_that_is_away_is_named() -> None:
    with Server() as gone:
        url = gone.url
    with (
        Bucket(InfluxSettings(url, "plant", "b", "t")) as bucket,
        pytest.raises(UnavailableError, match=f"{url} does not answer: "),
    ):
        bucket.make(0)
