"""The command socket over a real Unix socket, with a small controller that really obeys."""

import asyncio
import contextlib
import json
import math
import os
import re
import socket
import stat
import sys
from collections.abc import AsyncIterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.acting.api import CommandServer, routes
from controller.acting.authority import LEAST, ROLES
from controller.acting.body import BadRequestError, dumps, parse
from controller.acting.whatif import Wish
from controller.registry import AlreadyRunningError, SocketError, running
from controller.sensing.laboratory import Entry
from controller.texts.said import said
from drivers.point import RangeError, Tag
from tests.controller.untuned import Untuned

pytestmark = pytest.mark.real_time


class Plant(Untuned):
    """One loop, one reactor: enough to obey and to refuse."""

    def __init__(self) -> None:
        self.do = Tag("R1.do", "%", 10, 80)
        self.setpoint = 30.0
        self.mode = "AUTO"
        self.stopped_by = ""
        self.asked: list[tuple[object, ...]] = []
        self.refusals: list[tuple[object, ...]] = []

    def _loop(self, name: str) -> None:
        if name != "R1.do":
            raise KeyError(f"{name}: no such loop; R1.do is")

    async def state_in_turns(self) -> dict[str, object]:
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

    def set_setpoint(
        self, loop: str, value: float, reason: str, who: str, old: float | None = None
    ) -> str:
        self._loop(loop)
        old, self.setpoint = self.setpoint, self.do.require(value)
        return f"{loop}: {old:g} -> {value:g} %"

    def set_output(
        self, loop: str, value: float, reason: str, who: str, old: float | None = None
    ) -> str:
        raise ZeroDivisionError  # a bug of the controller's own

    def recipe(
        self,
        reactor: str,
        action: str,
        recipe_path: str,
        reason: str,
        who: str,
        parameters: Mapping[str, float] | None = None,
        phase: str = "",
    ) -> str:
        self.asked.append((action, reason, who))
        return f"{reactor}: {action} {recipe_path}".strip()

    def edit_recipe(
        self, reactor: str, recipe_path: str, parameters: Mapping[str, float], reason: str, who: str
    ) -> str:
        self.asked.append(("edit", reason, who))
        return f"{reactor}: edit {recipe_path} {dict(parameters)}"

    def recipes(self, reactor: str) -> list[dict[str, Any]]:
        if reactor != "R1":
            raise LookupError(said("no_reactor", name=reactor, known=["R1"]))
        return [{"file": "ecoli.toml", "errors": []}]

    def acknowledge(self, name: str, comment: str, who: str) -> str:
        self.asked.append(("acknowledge", comment, who))
        return f"{name}: acknowledged {comment}".strip()

    def sample(self, reactor: str, entry: Entry, reason: str, who: str) -> str:
        self.asked.append(("sample", entry, who))
        return f"{reactor}.{entry.analyte}: {entry.value:g} {entry.unit}"

    def optimiser(self, reactor: str, mode: str, reason: str, who: str) -> str:
        self.asked.append((mode, reason, who))
        return f"{reactor}: optimiser {mode}"

    def promote(self, reactor: str, mode: str, reason: str, who: str, *, override: bool) -> str:
        self.asked.append((f"promote {override}", reason, who))
        return f"{reactor}: promoted to {mode}"

    def advise(
        self,
        reactor: str,
        action: str,
        number: int,
        feed: float | None,
        do: float | None,
        reason: str,
        who: str,
    ) -> str:
        self.asked.append((action, number, feed, do, reason, who))
        return f"{reactor}: suggestion {number} {action}"

    async def what_if(self, reactor: str, wish: Wish) -> dict[str, Any]:
        if reactor != "R1":
            raise LookupError(said("no_reactor", name=reactor, known=["R1"]))
        return {"reactor": reactor, "wish": {"feed": wish.feed}}

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

    def safe_stop(self, reactor: str, reason: str, who: str) -> str:
        self.asked.append(("safe stop", reason, who))
        return f"safe stop: {reactor or 'all'}"

    def release(self, reactor: str, reason: str, who: str) -> str:
        self.asked.append(("release", reason, who))
        return f"{reactor}: released"

    def stop(self, reason: str, who: str) -> str:
        self.stopped_by = who
        self.asked.append(("stop", reason, who))
        return "stopping"

    def user(self, name: str, what: str, old: str, new: str, reason: str, who: str) -> str:
        self.asked.append((what, reason, who))
        return f"{name}: {what}"

    def refused(self, subject: str, what: str, asked: Mapping[str, object], error: str) -> None:
        self.refusals.append((subject, what, asked.get("who"), error))

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


ANA = {"who": "ana", "role": "engineer"}


def signed(body: bytes) -> bytes:
    """Put who and role before what else is in an object."""
    return body.replace(b"{", b'{"who":"ana","role":"engineer",', 1) if body[:2] == b'{"' else body


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
    answer = await client.post("/loop/R1.do/setpoint", json={"value": 35, "reason": "trial", **ANA})
    assert strict(answer) == {"ok": True, "text": "R1.do: 30 -> 35 %"}
    assert plant.setpoint == 35


async def test_who_and_reason_reach_the_controller(client: httpx.AsyncClient, plant: Plant) -> None:
    await client.post("/loop/R1.do/mode", json={"mode": "MANUAL", "reason": "probe 校准", **ANA})
    assert plant.asked == [("MANUAL", "probe 校准", "ana")]


async def test_every_other_command_arrives(client: httpx.AsyncClient, plant: Plant) -> None:
    asked: list[tuple[str, dict[str, object], str]] = [
        ("/recipe/R1", {"action": "start", "recipe": "/r/ecoli.toml"}, "R1: start /r/ecoli.toml"),
        ("/optimiser/R1", {"mode": "shadow"}, "R1: optimiser shadow"),
        (
            "/optimiser/R1/promote",
            {"mode": "on", "override": True, "reason": "acceptance test"},
            "R1: promoted to on",
        ),
        (
            "/advice/R1",
            {"action": "edit", "number": 4, "feed": 20, "reason": "pump"},
            "R1: suggestion 4 edit",
        ),
        ("/alarm/R1.t.high/acknowledge", {"comment": "seen"}, "R1.t.high: acknowledged seen"),
        ("/alarm/R1/acknowledge", {}, "R1: acknowledged"),
        ("/safe-stop", {"reason": "smoke"}, "safe stop: all"),
        ("/safe-stop/R1", {}, "safe stop: R1"),
        ("/release/R1", {"reason": "smoke is gone"}, "R1: released"),
        ("/session/ana", {"what": "log in"}, "ana: log in"),
        ("/user/bo", {"what": "role", "old": "viewer", "new": "operator"}, "bo: role"),
        ("/stop", {}, "stopping"),
    ]
    for path, body, text in asked:
        answer = await client.post(path, json={**body, **ANA})
        assert strict(answer) == {"ok": True, "text": text}
    assert plant.stopped_by == "ana"
    assert plant.refusals == []


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
        ("/loop/R1.do/mode", b' {"mode":"AUTO","who":" "}', 422, "it must be a name of 1 to 64"),
        ("/loop/R1.do/mode", b' {"mode":"AUTO","who":"a","role":"k"}', 422, "one of viewer,"),
        ("/loop/R1.do/colour", b"{}", 404, "no such path"),
        ("/state", b"{}", 405, "that method is not allowed here"),
    ],
)  # fmt: skip
async def test_bad_input_is_refused_in_one_line(
    client: httpx.AsyncClient, plant: Plant, path: str, body: bytes, status: int, error: str
) -> None:
    answer = await client.post(path, content=signed(body))
    said = strict(answer)["error"]
    assert answer.status_code == status
    assert isinstance(said, str)
    assert error in said
    assert "\n" not in said
    assert (plant.setpoint, plant.mode) == (30.0, "AUTO")


async def test_the_recipes_of_a_reactor_are_shown(client: httpx.AsyncClient) -> None:
    answer = await client.get("/recipes/R1")
    assert strict(answer) == {"recipes": [{"file": "ecoli.toml", "errors": []}]}
    answer = await client.get("/recipes/R9")
    assert (answer.status_code, strict(answer)["error"]) == (404, "R9: no such reactor; R1")


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
    answer = await client.post("/loop/R1.do/output", json={"value": 3, **ANA})
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


_STATUS = {"output": 500, "end bypass": 409}  # where the plant above does not obey
COMMANDS: dict[str, tuple[str, dict[str, object]]] = {
    "/loop/R1.do/mode": ("mode", {"mode": "MANUAL"}),
    "/loop/R1.do/setpoint": ("setpoint", {"value": 35}),
    "/loop/R1.do/output": ("output", {"value": 35}),
    "/recipe/R1": ("recipe", {"action": "hold"}),
    "/recipe/R1/edit": ("edit recipe", {"parameters": {"mu": 0.2}, "reason": "acetate"}),
    "/optimiser/R1": ("optimiser", {"mode": "off"}),
    "/optimiser/R1/promote": ("promote", {"mode": "advisory"}),
    "/advice/R1": ("advice", {"action": "accept", "number": 3}),
    "/what-if/R1": ("what-if", {"feed": 25}),
    "/interlock/R1.low_do/bypass": ("bypass", {"minutes": 30, "reason": "calibration"}),
    "/interlock/R1.low_do/end": ("end bypass", {}),
    "/interlock/R1.low_do/reset": ("reset", {}),
    "/alarm/R1/acknowledge": ("acknowledge", {"comment": "seen"}),
    "/sample/R1": (
        "sample",
        {"analyte": "acetate", "value": 1.2, "unit": "g/L", "t_sampled": 1.7e9},
    ),
    "/loop/R1.do/tune": ("tune", {"method": "step"}),
    "/loop/R1.do/end-tuning": ("end tuning", {}),
    "/loop/R1.do/retune": ("tune", {"kp": 1, "ti_s": 60}),
    "/safe-stop": ("safe-stop", {}),
    "/safe-stop/R1": ("safe-stop", {}),
    "/release/R1": ("release", {}),
    "/session/ana": ("session", {"what": "log in"}),
    "/user/ana": ("users", {"what": "made"}),
    "/stop": ("stop", {}),
}


def test_every_route_that_acts_is_among_those_that_are_tried_for_each_role(plant: Plant) -> None:
    acting = {r.path for r in routes(plant) if r.methods is not None and "POST" in r.methods}
    pattern = re.compile(r"R1\.low_do|R1\.do|R1|ana")
    assert acting == {pattern.sub("{name}", path) for path in COMMANDS}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_each_route_obeys_those_roles_that_the_table_names_and_no_other(
    client: httpx.AsyncClient, plant: Plant
) -> None:
    roles: list[object] = [*ROLES, "", None, "ENGINEER", 3]
    for path, role in product(COMMANDS, roles):
        action, body = COMMANDS[path]
        plant.__init__()
        by = {"who": "ana"} if role is None else {"who": "ana", "role": role}
        answer = await client.post(path, json={**body, **by})
        known = isinstance(role, str) and role in ROLES
        if known and ROLES[str(role)] >= LEAST[action]:
            assert answer.status_code == _STATUS.get(action, 200), (path, role)
            continue
        assert answer.status_code == (403 if known else 422), (path, role)
        assert (plant.asked, plant.setpoint, plant.mode) == ([], 30.0, "AUTO"), (path, role)


async def test_who_was_refused_what_is_told(client: httpx.AsyncClient, plant: Plant) -> None:
    for path, body, role in (
        ("/loop/R1.do/setpoint", {"value": 35}, "viewer"),
        ("/loop/R1.do/setpoint", {"value": 95}, "operator"),
        ("/loop/R1.dox/mode", {"mode": "AUTO"}, "operator"),
        ("/loop/R1.do/mode", {"mode": "CASCADE"}, "engineer"),
        ("/stop", {}, "operator"),
    ):
        await client.post(path, json={**body, "who": "ana", "role": role})
    assert plant.refusals == [
        ("R1.do", "setpoint", "ana", "setpoint: a viewer may not; operator is required"),
        ("R1.do", "setpoint", "ana", "R1.do: 95 is outside 10 to 80 %"),
        ("R1.dox", "mode", "ana", "R1.dox: no such loop; R1.do is"),
        ("R1.do", "mode", "ana", "R1.do: CASCADE is not allowed; it has no master"),
        ("", "stop", "ana", "stop: a operator may not; engineer is required"),
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KEYS = ["value", "mode", "action", "reason", "who", "role", "old", "what", "recipe"]
CALLERS: list[dict[str, str]] = [{}, {"who": "bo", "role": "viewer"}]


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    path=st.sampled_from(list(COMMANDS)),
    body=st.dictionaries(st.sampled_from(KEYS) | st.text(), json_values, max_size=4),
    usual=st.booleans(),
    by=st.sampled_from(CALLERS),
)
async def test_no_body_makes_the_server_fail_or_obey_who_may_not(
    client: httpx.AsyncClient,
    plant: Plant,
    path: str,
    body: dict[str, object],
    usual: bool,
    by: dict[str, str],
) -> None:
    action, good = COMMANDS[path]
    answer = await client.post(path, content=json.dumps({**(good if usual else {}), **body, **by}))
    session = action in ("session", "what-if") and by  # what changes nothing, a viewer may
    assert answer.status_code in ((200, 409, 422) if session else (403, 404, 413, 422))
    strict(answer)
    assert session or (plant.setpoint, plant.mode, plant.stopped_by) == (30.0, "AUTO", "")
    if not session:
        assert not [asked for asked in plant.asked if asked[0] not in ("log in", "log out")]


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
    answer = await client.post(path, json={"minutes": 30, "reason": "probe", **ANA})
    assert strict(answer)["text"] == "R1.low_do: bypassed for 30 min (probe) by ana"
    assert (await client.post(path, json={"minutes": 30, **ANA})).status_code == 422  # no reason
    long = {"minutes": 481, "reason": "x", **ANA}
    assert (await client.post(path, json=long)).status_code == 422
    short = {"minutes": 1, "reason": "x", **ANA}
    other = await client.post("/interlock/R1.foo/bypass", json=short)
    assert other.status_code == 404
    assert (await client.post("/interlock/R1.low_do/end", json=ANA)).status_code == 409
    answer = await client.post("/interlock/R1.low_do/reset", json=ANA)
    assert strict(answer)["text"] == "R1.low_do: reset by ana"
