"""The command socket over a real Unix socket, with a small controller that really obeys."""

import asyncio
import contextlib
import json
import math
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.api import CommandServer
from controller.body import BadRequestError, dumps, parse
from controller.registry import AlreadyRunningError, SocketError, running
from drivers.point import RangeError, Tag

pytestmark = pytest.mark.real_time


class Plant:
    """One loop, one reactor: enough to obey and to refuse."""

    def __init__(self) -> None:
        self.do = Tag("R1.do", "%", 10, 80)
        self.setpoint = 30.0
        self.mode = "AUTO"
        self.stopped_by = ""
        self.asked: list[tuple[object, ...]] = []

    def _loop(self, name: str) -> None:
        if name != "R1.do":
            raise KeyError(f"{name}: no such loop; R1.do is")

    def state(self) -> dict[str, object]:
        return {"site": "demo", "setpoint": self.setpoint, "sd": math.nan, "nest": [math.inf, "低"]}

    def looks(self) -> dict[str, object]:
        return {"time": 1.5, "devices": {"R1-io": {"tags": {"R1.do": {"value": math.nan}}}}}

    def set_mode(self, loop: str, mode: str, reason: str, who: str) -> str:
        self._loop(loop)
        if mode == "CASCADE":
            raise ValueError(f"{loop}: CASCADE is not allowed; it has\nno master")
        self.mode = mode
        self.asked.append((mode, reason, who))
        return f"{loop}: {mode}"

    def set_setpoint(self, loop: str, value: float, reason: str, who: str) -> str:
        self._loop(loop)
        old, self.setpoint = self.setpoint, self.do.require(value)
        return f"{loop}: {old:g} -> {value:g} %"

    def set_output(self, loop: str, value: float, reason: str, who: str) -> str:
        raise ZeroDivisionError  # a bug of the controller's own

    def recipe(self, reactor: str, action: str, recipe_path: str, reason: str, who: str) -> str:
        return f"{reactor}: {action} {recipe_path}".strip()

    def acknowledge(self, name: str, comment: str, who: str) -> str:
        return f"{name}: acknowledged {comment}".strip()

    def optimiser(self, reactor: str, mode: str, who: str) -> str:
        return f"{reactor}: optimiser {mode}"

    def bypass_interlock(self, name: str, minutes: float, reason: str, who: str) -> str:
        if name != "R1.low_do":
            raise LookupError(f"{name}: no such interlock; R1.low_do")
        if not 0 < minutes <= 480:
            raise RangeError(f"{name}: a bypass of {minutes:g} min is not allowed; 0 to 480 min")
        return f"{name}: bypassed for {minutes:g} min ({reason}) by {who}"

    def end_bypass(self, name: str, reason: str, who: str) -> str:
        raise ValueError(f"{name}: it is not bypassed; nothing to end")

    def reset_interlock(self, name: str, reason: str, who: str) -> str:
        return f"{name}: reset by {who}"

    def stop(self, who: str) -> str:
        self.stopped_by = who
        return "stopping"

    def events(self, after: int, limit: int) -> list[dict[str, object]]:
        return [{"id": i, "time": math.nan} for i in range(after + 1, after + 1 + limit)]


@pytest.fixture
def plant() -> Plant:
    return Plant()


@pytest.fixture
async def client(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path = tmp_path / "data" / "control.sock"
    async with CommandServer(plant, path, tmp_path / "plant.toml"):
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, base_url="http://fermloop") as client:
            yield client


def strict(response: httpx.Response) -> dict[str, object]:
    def refuse(name: str) -> object:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(response.content, parse_constant=refuse)


async def test_devices_are_shown_with_their_tags(client: httpx.AsyncClient) -> None:
    answer = await client.get("/devices")
    assert answer.status_code == 200
    shown = {"time": 1.5, "devices": {"R1-io": {"tags": {"R1.do": {"value": None}}}}}
    assert strict(answer) == shown


async def test_state_is_strict_json_with_null_for_what_is_not_finite(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/state")
    assert answer.status_code == 200
    assert strict(answer) == {
        "site": "demo",
        "setpoint": 30.0,
        "sd": None,
        "nest": [None, "低"],
    }


async def test_a_setpoint_is_moved_and_the_answer_says_old_and_new(
    client: httpx.AsyncClient, plant: Plant
) -> None:
    answer = await client.post("/loop/R1.do/setpoint", json={"value": 35, "reason": "trial"})
    assert strict(answer) == {"ok": True, "text": "R1.do: 30 -> 35 %"}
    assert plant.setpoint == 35


async def test_who_and_reason_reach_the_controller(client: httpx.AsyncClient, plant: Plant) -> None:
    await client.post(
        "/loop/R1.do/mode", json={"mode": "MANUAL", "reason": "probe 校准", "who": "ana"}
    )
    assert plant.asked == [("MANUAL", "probe 校准", "ana")]


async def test_every_other_command_arrives(client: httpx.AsyncClient, plant: Plant) -> None:
    asked = [
        ("/recipe/R1", {"action": "start", "recipe": "/r/ecoli.toml"}, "R1: start /r/ecoli.toml"),
        ("/optimiser/R1", {"mode": "shadow"}, "R1: optimiser shadow"),
        ("/alarm/R1.t.high/acknowledge", {"comment": "seen"}, "R1.t.high: acknowledged seen"),
        ("/alarm/R1/acknowledge", {"who": "ana"}, "R1: acknowledged"),
        ("/stop", {"who": "ana"}, "stopping"),
    ]
    for path, body, text in asked:
        answer = await client.post(path, json=body)
        assert strict(answer) == {"ok": True, "text": text}
    assert plant.stopped_by == "ana"
    assert (await client.post("/stop")).status_code == 200  # a body is not needed


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/loop/R1.dox/setpoint", b'{"value":3}', 404, "R1.dox: no such loop; R1.do is"),
        ("/loop/R1.do/setpoint", b'{"value":101}', 422, "R1.do: 101 is outside 10 to 80 %"),
        ("/loop/R1.do/mode", b'{"mode":"CASCADE"}', 409, "is not allowed; it has no master"),
        ("/loop/R1.do/setpoint", b'{"value":NaN}', 422, "body: NaN is not allowed; numbers"),
        ("/loop/R1.do/setpoint", b'{"value":-Infinity}', 422, "body: -Infinity is not allowed"),
        ("/loop/R1.do/setpoint", b'{"value":1e999}', 422, "value: Infinity is not allowed; it"),
        ("/loop/R1.do/setpoint", b'{"value":true}', 422, "value: true is not allowed; it must be"),
        ("/loop/R1.do/setpoint", b'{"value":"35"}', 422, 'value: "35" is not allowed; it must be'),
        ("/loop/R1.do/setpoint", b"{}", 422, "value: is missing"),
        ("/loop/R1.do/setpoint", b'{"value":3,"value":4}', 422, "body: a key is there twice"),
        ("/loop/R1.do/setpoint", b'{"value":35,"resaon":""}', 422, "did you mean reason?"),
        ("/loop/R1.do/setpoint", b'{"value":35,"reason":"a\\nb"}', 422, "reason: "),
        ("/loop/R1.do/setpoint", b'{"value":35,"reason":"\\ud800"}', 422, "reason: "),
        ("/loop/R1.do/mode", b'{"mode":"AUTOMATIC"}', 422, "it must be one of OFF, MANUAL, AUTO"),
        ("/loop/R1.do/mode", b"[1]", 422, "body: [1] is not allowed; it must be a JSON object"),
        ("/loop/R1.do/mode", b'{"mode":', 422, "body: is not JSON"),
        ("/loop/R1.do/mode", b"\xff\xfe\x00", 422, "body: is not JSON"),
        ("/loop/R1.do/mode", b"[" * 60_000, 422, "body: is not JSON"),
        ("/loop/R1.do/mode", b" " * 70_000, 413, "body: at most 65536 bytes are allowed"),
        ("/loop/R1.do/colour", b"{}", 404, "no such path"),
        ("/state", b"{}", 405, "that method is not allowed here"),
    ],
)  # fmt: skip
async def test_bad_input_is_refused_in_one_line(
    client: httpx.AsyncClient, plant: Plant, path: str, body: bytes, status: int, error: str
) -> None:
    answer = await client.post(path, content=body)
    said = strict(answer)["error"]
    assert answer.status_code == status
    assert isinstance(said, str)
    assert error in said
    assert "\n" not in said
    assert (plant.setpoint, plant.mode) == (30.0, "AUTO")


async def test_events_are_paged(client: httpx.AsyncClient) -> None:
    answer = await client.get("/events", params={"after": 7, "limit": 2})
    assert strict(answer) == {"events": [{"id": 8, "time": None}, {"id": 9, "time": None}]}
    for query in ("after=-1", "after=x", "limit=0", "limit=5000", "after=" + "9" * 400):
        answer = await client.get(f"/events?{query}")
        assert answer.status_code == 422
        assert "must be a whole number from" in str(strict(answer)["error"])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_bug_of_the_controller_is_500_and_the_socket_goes_on(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/loop/R1.do/output", json={"value": 3})
    assert answer.status_code == 500
    assert "its log says why" in str(strict(answer)["error"])
    assert (await client.get("/state")).status_code == 200


async def test_the_socket_is_its_owners_alone(client: httpx.AsyncClient, tmp_path: Path) -> None:
    path = tmp_path / "data" / "control.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_running_controller_is_found_until_it_stops(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path = tmp_path / "control.sock"
    async with CommandServer(plant, path, tmp_path / "plant.toml"):
        (card,) = running()
        assert (card.socket, card.plant) == (str(path), str(tmp_path / "plant.toml"))
        assert card.pid == os.getpid()
    assert running() == []
    assert not path.exists()


async def test_a_second_controller_is_refused_by_pid_and_the_first_goes_on(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    with pytest.raises(AlreadyRunningError, match=rf"already runs here \(pid {os.getpid()}\)"):
        CommandServer(Plant(), tmp_path / "data" / "control.sock")
    assert (await client.get("/state")).status_code == 200


HOLD = """
import sys, socket
from pathlib import Path
from controller.registry import Claim, announce
claim = Claim(Path(sys.argv[1]))
claim.bind().listen()
announce(Path("p.toml"), claim.path)
print("up", flush=True)
sys.stdin.read()
"""


async def test_a_dead_controllers_socket_and_card_are_passed_over(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path = tmp_path / "control.sock"
    held = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(path),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert held.stdout is not None
    assert await held.stdout.readline() == b"up\n"
    assert [card.pid for card in running()] == [held.pid]
    held.kill()
    await held.wait()
    assert path.exists()
    assert running() == []
    async with CommandServer(plant, path):
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            assert (await client.get("/state")).status_code == 200


async def test_a_file_in_the_way_or_a_long_path_is_refused(plant: Plant, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("precious", encoding="utf-8")
    with pytest.raises(SocketError, match="something that is no socket is there"):
        CommandServer(plant, path)
    assert path.read_text(encoding="utf-8") == "precious"
    with pytest.raises(SocketError, match="at most 107 are allowed"):
        CommandServer(plant, tmp_path / ("x" * 120) / "control.sock")


async def test_a_caller_that_hangs_up_half_way_disturbs_nobody(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(tmp_path / "data" / "control.sock"))
        raw.sendall(b"POST /stop HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(tmp_path / "data" / "control.sock"))
        raw.sendall(b"\x00\xff garbage\r\n\r\n")
    assert (await client.get("/state")).status_code == 200


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KEYS = ["value", "mode", "action", "reason", "who", "recipe"]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    path=st.sampled_from(["/loop/R1.do/mode", "/loop/R1.do/setpoint", "/recipe/R1", "/stop"]),
    body=st.dictionaries(st.sampled_from(KEYS) | st.text(), json_values, max_size=4),
)
async def test_no_body_makes_the_server_fail(
    client: httpx.AsyncClient, path: str, body: dict[str, object]
) -> None:
    answer = await client.post(path, content=json.dumps(body))
    assert answer.status_code in (200, 409, 422)
    strict(answer)


@given(body=st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    with contextlib.suppress(BadRequestError):
        assert parse(body, {}) == {}


@given(json_values)
def test_what_goes_out_is_strict_json(value: object) -> None:
    json.loads(dumps(value), parse_constant=lambda name: pytest.fail(name))


def test_a_range_error_is_a_value_error() -> None:
    assert issubclass(RangeError, ValueError)


async def test_an_interlock_is_bypassed_with_a_reason_and_within_its_limit(
    client: httpx.AsyncClient,
) -> None:
    path = "/interlock/R1.low_do/bypass"
    answer = await client.post(path, json={"minutes": 30, "reason": "probe", "who": "li"})
    assert strict(answer)["text"] == "R1.low_do: bypassed for 30 min (probe) by li"
    assert (await client.post(path, json={"minutes": 30})).status_code == 422  # no reason
    assert (await client.post(path, json={"minutes": 481, "reason": "x"})).status_code == 422
    other = await client.post("/interlock/R1.foo/bypass", json={"minutes": 1, "reason": "x"})
    assert other.status_code == 404
    assert (await client.post("/interlock/R1.low_do/end", json={})).status_code == 409
    answer = await client.post("/interlock/R1.low_do/reset", json={"who": "ana"})
    assert strict(answer)["text"] == "R1.low_do: reset by ana"
