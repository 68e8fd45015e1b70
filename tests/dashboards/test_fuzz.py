"""Anything at all is sent to the console, by anybody, with a real command socket behind it.

No answer may be a 5xx, and nothing may be changed but by who may change it, from our own page.
"""

import json
import random
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI

from controller.acting.api import SESSION_EVENTS, USER_EVENTS, CommandServer
from controller.acting.authority import LEAST, ROLES, Role
from controller.acting.users import DeniedError, User, Users
from controller.texts.said import said
from dashboards.console.app import create_app
from dashboards.console.door import IDLE_S
from tests.controller.test_api import COMMANDS, Plant
from tests.dashboards.far_end import NOW, PEOPLE, fill, people

SHORT, LONG = 500, 100_000  # requests
ORIGIN = "http://127.0.0.1:8080"
READS = [
    "/api/state", "/api/series?tags=R1.do", "/api/audit", "/api/audit/verdict", "/api/users",
    "/api/session", "/api/recipes/R1", "/api/catalogue/zh", "/", "/static/main.js",
]  # fmt: skip
POSTS = ["/api/login", "/api/setup", "/api/logout", "/api/active", "/api/language", "/api/password"]
KEYS = [
    "value", "mode", "action", "reason", "minutes", "who", "role", "old", "what", "recipe", "new",
    "kp", "ti_s", "method", "comment", "name", "password", "language", "parameters",
]  # fmt: skip
ODD: list[Any] = [
    None, True, False, 0, -1, 1e308, -1e-308, 10**400, float("nan"), float("inf"), "", " ", "AUTO",
    "engineer", "R1.do", "\x00", "溶氧", "\ud800", "x" * 600, "'; DROP TABLE event;--", "../../etc",
    "<script>", [], {}, [[[[]]]], {"a": {"b": [1]}}, "viewer", "eva", "zh",
]  # fmt: skip
NAMES = [
    "R1.do",
    "R1",
    "R1.low_do",
    "ana",
    "eva",
    "%2e%2e",
    "..",
    "a/b",
    "罐",
    "x" * 300,
    "",
    "%00",
]


@dataclass
class Console:
    """A console, its people and the plant behind it."""

    app: FastAPI
    plant: Plant
    users: Users
    client: httpx.AsyncClient


class OpenHouse(Plant):
    """A plant whose one fault, which is another test's, is mended."""

    def set_output(
        self, loop: str, value: float, reason: str, who: str, old: float | None = None
    ) -> str:
        self._loop(loop)
        self.asked.append(("output", reason, who))
        return f"{loop}: {value:g}"


@pytest.fixture
async def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Console]:
    monkeypatch.setattr("dashboards.console.flood.BURST", 10**9)  # a flood is another test's
    people(tmp_path)
    fill(tmp_path / "store.sqlite", NOW - 60, NOW, 10.0)
    plant, users = OpenHouse(), Users(tmp_path / "users.json")

    def refuse(name: str, password: str) -> User:  # what a hash costs is another test's
        raise DeniedError(said("wrong"))

    users.authenticate = refuse
    async with CommandServer(plant, tmp_path / "control.sock") as server:
        app = create_app(server.path, tmp_path / "store.sqlite", "demo", users=users)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            yield Console(app, plant, users, client)
        await app.state.live.aclose()
        await app.state.acting.aclose()


class Fuzzer:
    """Makes requests out of pieces that are right and pieces that are not."""

    def __init__(self, console: Console, seed: int) -> None:
        self.console = console
        self.random = random.Random(seed)
        self.door = console.app.state.acting.door
        self.sessions = {name: self.door.begin(name) for name in PEOPLE}
        self.idle = {name: self.door.begin(name) for name in PEOPLE}
        for _, session in self.idle.values():
            session.touched -= 2 * IDLE_S

    def body(self, usual: dict[str, object]) -> bytes:
        r = self.random
        if r.random() < 0.05:
            return r.randbytes(r.randrange(60))
        body: dict[str, Any] = dict(usual) if r.random() < 0.7 else {}
        for _ in range(r.choice([0, 0, 1, 3])):
            body[r.choice(KEYS)] = r.choice(ODD)
        text: Any = body if r.random() < 0.95 else [body]
        return json.dumps(text).encode("utf-8", "surrogatepass")

    def path(self) -> tuple[str, str, dict[str, object]]:
        """Return method, path and what is usually sent with it."""
        r = self.random
        if r.random() < 0.25:
            return r.choice(["GET", "HEAD", "PUT", "DELETE", "POST"]), r.choice(READS), {}
        if r.random() < 0.2:
            return "POST", r.choice(POSTS), {}
        name = r.choice(NAMES)
        if r.random() < 0.1:
            return "POST", f"/api/users/{quote(name, safe='%/')}", {"what": "locked"}
        path, (_, usual) = r.choice(list(COMMANDS.items()))
        if r.random() < 0.2:
            path = path.replace("R1.do", name).replace("R1", name)
        return "POST", f"/api/command{quote(path, safe='%/')}", usual

    def sender(self) -> tuple[dict[str, str], dict[str, str], str]:
        """Return headers, cookies, and who this is; empty: nobody whose command counts."""
        r = self.random
        who = r.choice([*PEOPLE, ""])
        headers = {"content-type": "application/json", "origin": ORIGIN}
        if not who:
            return headers, {}, ""
        good = r.random() < 0.6
        secret, session = self.sessions[who] if good or r.random() < 0.5 else self.idle[who]
        headers["x-csrf-token"] = session.csrf
        spoilt = r.choice(["origin", "x-csrf-token", "content-type", "host", "cookie", "idle"])
        cookies = {"fermloop": secret}
        if good:
            return headers, cookies, who
        if spoilt == "cookie":
            cookies["fermloop"] = "x" * 43
        elif spoilt == "idle":
            cookies["fermloop"], session = self.idle[who]
            headers["x-csrf-token"] = session.csrf
            return headers, cookies, f"idle {who}"
        else:
            headers[spoilt] = r.choice(["", "null", "http://evil.example", "text/plain", "x" * 43])
        # a wrong content type is his own, and is refused for what it is
        return headers, cookies, who if spoilt == "content-type" else ""

    async def one(self) -> tuple[str, str, int, str]:
        """Send one; return path, body, status and who it came from."""
        method, path, usual = self.path()
        headers, cookies, who = self.sender()
        body = self.body(usual) if method == "POST" else None
        jar = "; ".join(f"{key}={value}" for key, value in cookies.items())
        headers = headers | ({"cookie": jar} if jar else {})
        request = httpx.Request(method, ORIGIN + path, headers=headers, content=body)
        answer = await self.console.client.send(request)
        if path == "/api/logout" and answer.status_code == 200:
            self.sessions[who.split()[-1]] = self.door.begin(who.split()[-1])
        return f"{method} {path}", repr(body), answer.status_code, who


def permitted(path: str, who: str) -> bool:
    """Whether this person's command may have been obeyed."""
    if not who:
        return False
    idle, role = who.startswith("idle"), PEOPLE[who.split()[-1]]
    if idle:  # a safe stop does not wait for a password
        return "/safe-stop" in path and role >= Role.OPERATOR
    if "/api/users/" in path:
        return role >= LEAST["users"]
    action = next((a for p, (a, _) in COMMANDS.items() if p.split("/")[-1] in path), "")
    return role >= LEAST.get(action, Role.OPERATOR)


@pytest.mark.parametrize("requests", [SHORT, pytest.param(LONG, marks=pytest.mark.long)])
async def test_nothing_that_is_sent_fails_the_console_or_is_obeyed_without_authority(
    console: Console, requests: int
) -> None:
    fuzzer, answers, obeyed = Fuzzer(console, requests), Counter[int](), 0
    plant, before = console.plant, console.users.all()
    for i in range(requests):
        plant.__init__()
        path, body, status, who = await fuzzer.one()
        answers[status] += 1
        assert status < 500, (path, body, who)
        # of users and sessions it is told afterwards; what became of them is looked at below
        acts = [a for a in plant.asked if a[0] not in (*SESSION_EVENTS, *USER_EVENTS)]
        moved = (plant.setpoint, plant.mode, plant.stopped_by) != (30.0, "AUTO", "")
        if acts or moved:
            assert permitted(path, who), (path, body, who, acts)
            obeyed += 1
        now = console.users.all()
        if {n: (u.role, u.locked, u.hash) for n, u in now.items()} != {
            n: (u.role, u.locked, u.hash) for n, u in before.items()
        }:
            assert permitted(path, who), (path, body, who)
            people(console.users.path.parent)
            fuzzer = Fuzzer(console, requests + i)
    assert obeyed > requests / 100  # what is allowed does get through
    assert {200, 401, 403, 404, 405, 415, 421, 422} <= set(answers)
    print(f"{requests} requests: {dict(sorted(answers.items()))}; {obeyed} obeyed")


def test_roles_are_those_of_the_table() -> None:
    assert set(PEOPLE.values()) == set(ROLES.values())
