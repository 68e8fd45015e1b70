"""Secrets are random, private and kept; accounts may do one thing each; the plant file is valid."""

import json
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from controller.plant import load_plant
from dashboards.grafana import stack

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "sim/plants/ecoli_5l.toml"
OURS = dict.fromkeys(stack.SECRETS, os.getuid())


def test_secrets_are_random_and_for_their_owner_alone(tmp_path: Path) -> None:
    assert stack.make_secrets(tmp_path / "stack", OURS) == list(OURS)
    made = sorted((tmp_path / "stack").iterdir())
    assert [path.name for path in made] == sorted(OURS)
    texts = [path.read_text(encoding="utf-8") for path in made]
    assert len(set(texts)) == len(texts)
    assert all(len(text) == 43 for text in texts)  # 256 bits in base 64
    assert all("$" not in text for text in texts)  # Grafana would expand it
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o400}
    assert {path.stat().st_uid for path in made} == {os.getuid()}


def test_a_second_start_keeps_the_secrets_and_makes_only_what_is_missing(tmp_path: Path) -> None:
    stack.make_secrets(tmp_path, OURS)
    kept = {name: (tmp_path / name).read_text(encoding="utf-8") for name in OURS}
    (tmp_path / "influx_token").unlink()
    assert stack.make_secrets(tmp_path, OURS) == ["influx_token"]
    again = {name: (tmp_path / name).read_text(encoding="utf-8") for name in OURS}
    assert {name for name in OURS if again[name] != kept[name]} == {"influx_token"}


def test_a_start_that_was_cut_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / ".influx_token.new").write_text("half", encoding="utf-8")
    stack.make_secrets(tmp_path, OURS)
    assert len((tmp_path / "influx_token").read_text(encoding="utf-8")) == 43
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_stack_s_plant_is_the_demo_s_with_influxdb(tmp_path: Path) -> None:
    stack.make_plant(tmp_path, PLANT)
    made = load_plant(tmp_path / "plant.toml").settings
    demo = load_plant(PLANT).settings
    assert made.influx.model_dump() == {
        "enabled": True,
        "url": "http://influxdb:8086",
        "org": "fermloop",
        "bucket": "fermloop",
        "token_file": str(tmp_path / "fermloop_token"),
        "token_env": None,
    }
    assert made.data_dir == "/var/lib/fermloop"
    assert made.model_copy(update={"influx": demo.influx, "data_dir": demo.data_dir}) == demo


@pytest.mark.parametrize("gone", ['data_dir = "data"', "enabled = false"])
def test_a_plant_file_that_has_changed_its_form_is_refused(tmp_path: Path, gone: str) -> None:
    source = PLANT.read_text(encoding="utf-8")
    assert gone in source
    with pytest.raises(stack.StackError, match="in 0 lines of the plant file; 1 was expected"):
        stack.plant_text(source.replace(gone, ""), tmp_path)


def test_the_password_is_said_once_and_no_other_secret(tmp_path: Path) -> None:
    said = stack.told_once(tmp_path, stack.make_secrets(tmp_path, OURS))
    password = (tmp_path / "grafana_password").read_text(encoding="utf-8")
    assert said == [f"Grafana: http://127.0.0.1:3000, user admin, password {password}"]
    assert stack.told_once(tmp_path, stack.make_secrets(tmp_path, OURS)) == []


# Accounts. InfluxDB 2 is no Debian package, so a server of our own answers the two calls as its
# API documents them: 401 for a token that it does not know.


@dataclass
class Influx2:
    """What the imitation knows and was asked."""

    operator: str
    url: str = ""
    buckets: list[dict[str, str]] = field(
        default_factory=lambda: [{"id": "b1", "orgID": "o1", "name": "fermloop"}]
    )
    granted: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    def answer(self, method: str, path: str, token: str, body: Any) -> tuple[int, Any]:
        if token != self.operator and token not in self.granted:
            return 401, {"code": "unauthorized"}
        if method == "GET" and path.startswith("/api/v2/buckets?"):
            return 200, {"buckets": self.buckets if token == self.operator else []}
        if method == "POST" and path == "/api/v2/authorizations":
            made = f"made-{len(self.granted)}"
            self.granted[made] = body
            return 201, {"token": made}
        return 404, {"code": "not found"}


@pytest.fixture
def influx2(tmp_path: Path) -> Iterator[Influx2]:
    stack.make_secrets(tmp_path, OURS)
    server_state = Influx2((tmp_path / "influx_token").read_text(encoding="utf-8"))

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            token = cast(str, self.headers["authorization"]).removeprefix("Token ")
            status, made = server_state.answer(self.command, self.path, token, body)
            data = json.dumps(made).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server_state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server_state
        server.shutdown()
        thread.join()


ACCOUNTS = {name: (os.getuid(), action) for name, (_, action) in stack.ACCOUNTS.items()}


def test_grafana_may_only_read_and_fermloop_only_write(tmp_path: Path, influx2: Influx2) -> None:
    assert stack.make_accounts(tmp_path, influx2.url, ACCOUNTS) == list(ACCOUNTS)
    for name, action in (("grafana_token", "read"), ("fermloop_token", "write")):
        file = tmp_path / name
        assert stat.S_IMODE(file.stat().st_mode) == 0o400
        assert influx2.granted[file.read_text(encoding="utf-8")] == {
            "orgID": "o1",
            "description": name,
            "permissions": [
                {"action": action, "resource": {"type": "buckets", "id": "b1", "orgID": "o1"}}
            ],
        }


def test_accounts_are_made_once_and_again_when_the_data_were_thrown_away(
    tmp_path: Path, influx2: Influx2
) -> None:
    stack.make_accounts(tmp_path, influx2.url, ACCOUNTS)
    assert stack.make_accounts(tmp_path, influx2.url, ACCOUNTS) == []
    influx2.granted.clear()
    assert stack.make_accounts(tmp_path, influx2.url, ACCOUNTS) == list(ACCOUNTS)


def test_what_influxdb_refuses_is_said(
    tmp_path: Path, influx2: Influx2, capsys: pytest.CaptureFixture[str]
) -> None:
    influx2.buckets.clear()
    assert stack.main(["accounts", str(tmp_path), "--url", influx2.url]) == 1
    assert "has no bucket fermloop" in capsys.readouterr().err
    influx2.operator = "another"
    assert stack.main(["accounts", str(tmp_path), "--url", influx2.url]) == 1
    said = capsys.readouterr().err
    assert "InfluxDB refused GET /api/v2/buckets: 401" in said
    assert (tmp_path / "influx_token").read_text(encoding="utf-8") not in said
