"""``fermloop grafana push`` and ``build`` against a server that keeps what it is told.

Grafana is no package of Debian's, so a server of our own answers as its HTTP API documents it.
"""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import pytest
from typer.testing import CliRunner, Result

from dashboards.grafana.build import BOARDS
from fermloop.cli import app
from fermloop.failure import FailureError

ROOT = Path(__file__).parents[2]
PLANT = str(ROOT / "sim/plants/ecoli_5l.toml")
Json = dict[str, Any]


def _datasource(there: Json, body: Json) -> Json:
    """Return a data source as Grafana tells it: without its secrets."""
    return {**there, "id": 7, **{k: v for k, v in body.items() if k != "secureJsonData"}}


@dataclass
class FakeGrafana:
    """What it has and what it was asked."""

    token: str = "glsa_right"
    url: str = ""
    folders: dict[str, Json] = field(default_factory=dict[str, Json])
    sources: dict[str, Json] = field(default_factory=dict[str, Json])
    secrets: list[str] = field(default_factory=list[str])
    boards: dict[str, Json] = field(default_factory=dict[str, Json])
    groups: dict[str, Json] = field(default_factory=dict[str, Json])
    points: dict[str, Json] = field(default_factory=dict[str, Json])
    policies: Json = field(
        default_factory=lambda: {
            "receiver": "grafana-default-email",
            "routes": [{"receiver": "boiler house", "object_matchers": [["team", "=", "steam"]]}],
        }
    )
    written: list[str] = field(default_factory=list[str])

    def answer(self, method: str, path: str, body: Json) -> tuple[int, Any]:
        if method != "GET":
            self.written.append(f"{method} {path}")
        kind, name = self._place(path)
        if kind == "folder":
            if method == "POST":
                self.folders[body["uid"]] = body
                return 200, body
            return self._found(self.folders, name)
        if kind == "source":
            if method == "GET":
                return self._found(self.sources, name)
            self.secrets.append(body["secureJsonData"]["httpHeaderValue1"])
            self.sources[body["uid"]] = _datasource(self.sources.get(name, {}), body)
            return 200, {"id": 7}
        if kind == "board":
            if method == "GET":
                return self._found(self.boards, name)
            return self._keep_board(body)
        if kind == "group":
            if method == "PUT":
                stored = [{"id": n, "provenance": "", **r} for n, r in enumerate(body["rules"])]
                self.groups[name] = body | {"rules": stored}
            return self._found(self.groups, name)
        if kind == "point":
            if method == "GET":
                return 200, list(self.points.values())
            self.points[body["uid"]] = body
            return 202, body
        if kind == "policies":
            if method == "PUT":
                self.policies = body
            return 202, self.policies
        return 404, {"message": "not found"}

    def _keep_board(self, body: Json) -> tuple[int, Any]:
        board = body["dashboard"]
        if body["folderUid"] not in self.folders:
            return 400, {"message": "folder not found"}
        before = self.boards.get(board["uid"], {"dashboard": {"version": 0}})
        version = before["dashboard"]["version"] + 1
        # it gives numbers and moves the board to its own schema
        kept = {**board, "id": 3, "version": version, "schemaVersion": 42}
        self.boards[board["uid"]] = {"dashboard": kept, "meta": {"folderUid": body["folderUid"]}}
        return 200, {"status": "success"}

    @staticmethod
    def _place(path: str) -> tuple[str, str]:
        for kind, pattern in (
            ("folder", r"/api/folders/?(.*)"),
            ("source", r"/api/datasources(?:/uid/(.*))?"),
            ("board", r"/api/dashboards/(?:db|uid/(.*))"),
            ("group", r"/api/v1/provisioning/folder/fermloop/rule-groups/(.*)"),
            ("point", r"/api/v1/provisioning/contact-points/?(.*)"),
            ("policies", r"/api/v1/provisioning/(policies)"),
        ):
            if found := re.fullmatch(pattern, unquote(path)):
                return kind, found[1] or ""
        return "", ""

    @staticmethod
    def _found(where: dict[str, Json], name: str) -> tuple[int, Any]:
        return (200, where[name]) if name in where else (404, {"message": "not found"})


@pytest.fixture
def grafana() -> Iterator[FakeGrafana]:
    state = FakeGrafana()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = cast(Json, json.loads(self.rfile.read(length)) if length else {})
            if self.headers["authorization"] != f"Bearer {state.token}":
                status, made = 401, {"message": "Invalid API key"}
            else:
                status, made = state.answer(self.command, self.path, body)
            data = json.dumps(made).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 their names are http.server's

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("glsa_right\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["grafana", *words])


def push(grafana: FakeGrafana, token: Path, *more: str) -> list[str]:
    """Push the boards of one language and return what was said."""
    words = ("push", PLANT, "--url", grafana.url, "--token-file", str(token))
    said = run(*words, "--language", "en", *more)
    if said.exception is not None:
        raise said.exception
    return said.stdout.splitlines()


def with_source(token: Path) -> tuple[str, str]:
    influx = token.with_name("influx")
    influx.write_text("may-read", encoding="utf-8")
    influx.chmod(0o600)
    return "--influx-token-file", str(influx)


def states(said: list[str]) -> set[str]:
    return {line.split()[0] for line in said}


def test_everything_is_made_and_a_second_push_changes_nothing(
    grafana: FakeGrafana, token: Path
) -> None:
    contact = ("--contact", "wecom=https://chat.example/send")
    first = push(grafana, token, *with_source(token), *contact)
    assert states(first) == {"new", "changed"}
    assert [line for line in first if line.startswith("changed")] == ["changed policy fermloop"]
    assert grafana.boards.keys() == {f"fermloop-{name}-en" for name in BOARDS}
    assert {b["meta"]["folderUid"] for b in grafana.boards.values()} == {"fermloop"}
    assert grafana.secrets == ["Token may-read"]
    assert grafana.sources["fermloop-influxdb"]["jsonData"]["version"] == "InfluxQL"
    (group,) = grafana.groups.values()
    assert group["title"] == "fermloop demo"
    assert {rule["folderUID"] for rule in group["rules"]} == {"fermloop"}
    assert grafana.points["fermloop-wecom-1"]["settings"] == {"url": "https://chat.example/send"}
    ours, theirs = grafana.policies["routes"]
    assert ours["receiver"] == "fermloop"
    assert theirs["receiver"] == "boiler house"
    assert grafana.policies["receiver"] == "grafana-default-email"
    grafana.written.clear()
    assert states(push(grafana, token, *contact)) == {"same"}
    assert grafana.written == []


def test_a_dry_run_writes_nothing_and_a_diff_says_what_differs(
    grafana: FakeGrafana, token: Path
) -> None:
    said = push(grafana, token, *with_source(token), "--dry-run")
    assert said.pop() == "dry run: nothing was written"
    assert states(said) == {"new"}
    assert grafana.written == []
    push(grafana, token, *with_source(token))
    grafana.boards["fermloop-reactor-en"]["dashboard"]["refresh"] = "1m"
    grafana.written.clear()
    said = push(grafana, token, "--dry-run", "--diff")
    assert "changed board reactor.en" in said
    assert [line for line in said if line.startswith(("-", "+"))] == [
        "--- there",
        "+++ wanted",
        '- "refresh": "1m",',
        '+ "refresh": "5s",',
    ]
    assert grafana.written == []
    push(grafana, token)
    assert grafana.written == ["POST /api/dashboards/db"]
    assert grafana.boards["fermloop-reactor-en"]["dashboard"]["refresh"] == "5s"


def test_what_was_done_is_told_to_programs(grafana: FakeGrafana, token: Path) -> None:
    (line,) = push(grafana, token, *with_source(token), "--json", "--dry-run")
    told = cast(Json, json.loads(line))
    assert told["dry_run"] is True
    assert {"what": "board", "name": "plant.en", "state": "new"} in told["changes"]


def refusal(grafana: FakeGrafana, token: Path, *more: str) -> str:
    with pytest.raises(FailureError) as caught:
        push(grafana, token, *more)
    return str(caught.value)


def test_what_stands_in_the_way_is_said(grafana: FakeGrafana, token: Path) -> None:
    said = refusal(grafana, token)
    assert "has no data source fermloop-influxdb: give --influx-token-file" in said
    grafana.token = "glsa_other"
    said = refusal(grafana, token)
    assert f"{grafana.url} refuses the token for GET /api/folders/fermloop (401)" in said
    assert "glsa_right" not in said
    assert refusal(grafana, token, "--contact", "fax=1").startswith("--contact: 'fax=1' is not")
    token.chmod(0o644)
    assert "mode 0644 is not allowed; 0600 is" in refusal(grafana, token)
    token.chmod(0o600)
    grafana.url = "ftp://x"
    assert refusal(grafana, token) == "--url: 'ftp://x' is not allowed; http(s)://host[:port] is"
    grafana.url = "http://127.0.0.1:1"
    assert "http://127.0.0.1:1 does not answer" in refusal(grafana, token)


def test_build_writes_what_grafana_reads_and_says_where(tmp_path: Path) -> None:
    out = tmp_path / "made"
    said = run("build", PLANT, "--out", str(out), "--language", "zh", "--contact", "email=a@b.cn")
    assert said.exit_code == 0
    paths = {Path(line).relative_to(out).as_posix() for line in said.stdout.splitlines()}
    assert {f"boards/{name}.zh.json" for name in BOARDS} < paths
    assert "provisioning/alerting/contacts.yaml" in paths
    assert all((out / path).exists() for path in paths)


def test_build_without_a_plant_file_is_that_of_the_demo(tmp_path: Path) -> None:
    assert run("build", "--out", str(tmp_path), "--site", "pilot").exit_code == 0
    rules = (tmp_path / "provisioning/alerting/rules.yaml").read_text(encoding="utf-8")
    assert "title: pilot R1.do.low" in rules
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    said = run("build", "--out", str(blocked))
    assert isinstance(said.exception, FailureError)
    assert "cannot be written" in str(said.exception)
