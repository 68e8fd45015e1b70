"""Log-in, sessions and commands of the console: who is let in, and what goes on."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from controller.acting.users import FAILURES_MAX, DeniedError, User, Users
from controller.texts.said import said
from dashboards.console.app import create_app
from dashboards.console.door import IDLE_S, LIFE_S, WAITING_MAX, BusyError, Door
from dashboards.console.flood import BURST, KEPT, Flood
from tests.dashboards.far_end import PASSWORD, PEOPLE, FarEnd

ORIGIN = "http://127.0.0.1:8080"
PRIVATE = ["/api/state", "/events", "/api/series?tags=R1.do"]
PUBLIC = ["/", "/static/main.js", "/api/catalogue/zh", "/api/session", "/favicon.ico"]


class Timer:
    time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def page(stranger: httpx.AsyncClient) -> httpx.AsyncClient:
    """A browser with our own page, in which nobody has logged in."""
    stranger.headers["origin"] = ORIGIN
    return stranger


def enter(app: FastAPI, page: httpx.AsyncClient, name: str) -> Any:
    """Be logged in, as after the right password."""
    secret, session = app.state.acting.door.begin(name)
    page.cookies.set("fermloop", secret)
    page.headers["x-csrf-token"] = session.csrf
    return session


async def log_in(page: httpx.AsyncClient, name: str, password: str = PASSWORD) -> httpx.Response:
    return await page.post("/api/login", json={"name": name, "password": password})


async def settled(app: FastAPI) -> None:
    """Wait until everything that is to be recorded has been told."""
    telling = app.state.acting._telling
    while telling:
        await asyncio.wait(list(telling))


async def test_who_has_not_logged_in_sees_the_page_and_no_value(page: httpx.AsyncClient) -> None:
    for path in PUBLIC:
        assert (await page.get(path)).status_code == 200, path
    for path in PRIVATE:
        answer = await page.get(path)
        assert (answer.status_code, answer.json()["error_zh"]) == (401, "请先登录"), path
    assert (await page.post("/api/command/safe-stop", json={})).status_code == 401


async def test_a_log_in_sets_a_cookie_that_no_script_and_no_other_site_can_use(
    app: FastAPI, page: httpx.AsyncClient, far_end: FarEnd
) -> None:
    answer = await log_in(page, "ana")
    assert answer.status_code == 200
    assert {k: answer.json()[k] for k in ("name", "role", "fresh")} == {
        "name": "ana",
        "role": "operator",
        "fresh": True,
    }
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie  # on loopback without TLS
    for path in ("/api/state", "/api/series?tags=R1.do"):
        assert (await page.get(path)).status_code == 200
    await settled(app)
    (told,) = far_end.told
    assert told[0] == "/session/ana"
    assert (told[1]["what"], told[1]["who"], told[1]["new"]) == ("log in", "ana", "operator")


async def test_a_wrong_password_is_401_and_five_of_them_lock_and_are_on_record(
    app: FastAPI, page: httpx.AsyncClient, far_end: FarEnd
) -> None:
    for _ in range(FAILURES_MAX - 1):
        answer = await log_in(page, "ana", "not it at all")
        assert (answer.status_code, answer.json()["error"]) == (401, "name or password is wrong")
        assert "set-cookie" not in answer.headers
    assert "locked after 5" in (await log_in(page, "ana", "not it at all")).json()["error"]
    assert (await log_in(page, "ana")).status_code == 401
    await settled(app)
    assert [body["what"] for _, body in far_end.told] == ["locked out"]


@pytest.mark.parametrize("role", PEOPLE)
async def test_what_is_commanded_goes_on_with_who_and_role(
    app: FastAPI, page: httpx.AsyncClient, far_end: FarEnd, role: str
) -> None:
    enter(app, page, role)
    body = {"value": 35, "old": 30, "reason": "acetate"}
    answer = await page.post("/api/command/loop/R1.do/setpoint", json=body)
    assert answer.json() == {"ok": True, "text": "done: /loop/R1.do/setpoint"}
    by = {"who": role, "role": PEOPLE[role].word}
    assert far_end.told == [("/loop/R1.do/setpoint", {**body, **by})]


async def test_the_controllers_refusal_is_passed_on(
    app: FastAPI, page: httpx.AsyncClient, far_end: FarEnd
) -> None:
    enter(app, page, "vic")
    far_end.refusal = (403, said("role", action="setpoint", role="viewer", least="operator"))
    answer = await page.post("/api/command/loop/R1.do/setpoint", json={"value": 35})
    assert (answer.status_code, answer.json()["error"]) == far_end.refusal


async def test_a_controller_that_is_gone_is_503(
    app: FastAPI, page: httpx.AsyncClient, far_end: FarEnd
) -> None:
    enter(app, page, "ana")
    far_end.stop()
    answer = await page.post("/api/command/safe-stop", json={})
    assert answer.status_code == 503
    assert "the controller does not answer" in answer.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "https://127.0.0.1:8080"}, 403),
        ({"origin": "http://127.0.0.1:8081"}, 403),
        ({"origin": "null"}, 403),
        ({"x-csrf-token": "x" * 43}, 403),
        ({"x-csrf-token": ""}, 403),
        ({"content-type": "text/plain"}, 415),
    ],
)
async def test_what_another_site_posts_is_refused(
    app: FastAPI, page: httpx.AsyncClient, far_end: FarEnd, headers: dict[str, str], status: int
) -> None:
    enter(app, page, "eva")
    sent = {"content-type": "application/json", **headers}
    answer = await page.post("/api/command/safe-stop", content=b"{}", headers=sent)
    assert answer.status_code == status
    del page.headers["origin"]
    assert (await page.post("/api/command/safe-stop", json={})).status_code == 403
    assert far_end.told == []


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("session/eva", b'{"what":"log in"}', 404),
        ("user/eva", b'{"what":"made"}', 404),
        ("stop", b"{}", 404),
        ("loop/../stop", b"{}", 404),
        ("loop/R1.do/mode", b'{"mode":"AUTO","who":"bo"}', 422),
        ("loop/R1.do/mode", b'{"mode":"AUTO","role":"engineer"}', 422),
        ("loop/R1.do/mode", b"[]", 422),
        ("loop/R1.do/mode", b"{", 422),
        ("loop/R1.do/mode", b" " * 20_000, 413),
    ],
)
async def test_what_nobody_may_pass_on_is_refused_here(
    app: FastAPI, page: httpx.AsyncClient, far_end: FarEnd, path: str, body: bytes, status: int
) -> None:
    enter(app, page, "eva")
    sent = {"content-type": "application/json"}
    answer = await page.post(f"/api/command/{path}", content=body, headers=sent)
    assert answer.status_code == status
    assert far_end.told == []


async def test_an_idle_session_goes_on_to_show_and_acts_no_more_but_for_the_safe_stop(
    app: FastAPI, page: httpx.AsyncClient, far_end: FarEnd
) -> None:
    timer = Timer()
    app.state.acting.door._timer = timer
    enter(app, page, "ana")
    mode = "/api/command/loop/R1.do/mode"
    timer.time += IDLE_S
    assert (await page.post("/api/active", json={})).json()["fresh"] is True
    timer.time += IDLE_S - 1  # reading is nobody's doing
    assert (await page.get("/api/state")).status_code == 200
    timer.time += 2
    answer = await page.post(mode, json={"mode": "OFF"})
    assert answer.status_code == 401
    assert "nobody was here for 15 min" in answer.json()["error"]
    assert (await page.post("/api/active", json={})).json()["fresh"] is False
    assert (await page.post(mode, json={"mode": "OFF"})).status_code == 401
    assert (await page.get("/api/state")).status_code == 200
    assert far_end.told == []
    assert (await page.post("/api/command/safe-stop/R1", json={})).status_code == 200
    assert far_end.told[0][1]["who"] == "ana"
    timer.time += LIFE_S
    assert (await page.get("/api/state")).status_code == 401


async def test_a_log_out_ends_the_session(app: FastAPI, page: httpx.AsyncClient) -> None:
    enter(app, page, "ana")
    assert (await page.post("/api/logout", json={})).status_code == 200
    page.cookies.set("fermloop", "x")
    assert (await page.get("/api/state")).status_code == 401


async def test_a_role_a_lock_and_a_removal_count_at_once(
    app: FastAPI, page: httpx.AsyncClient, far_end: FarEnd, tmp_path: Path
) -> None:
    users = Users(tmp_path / "users.json")
    enter(app, page, "ana")
    users.set_role("ana", PEOPLE["vic"])
    await page.post("/api/command/safe-stop", json={})
    assert far_end.told[-1][1]["role"] == "viewer"
    users.lock("ana")
    assert (await page.get("/api/state")).status_code == 401
    users.unlock("ana")
    assert (await page.get("/api/state")).status_code == 401  # it has ended
    enter(app, page, "ana")
    users.remove("ana")
    assert (await page.post("/api/command/safe-stop", json={})).status_code == 401


async def test_the_first_engineer_is_made_with_the_token_and_only_once(
    far_end: FarEnd, tmp_path: Path
) -> None:
    app = create_app(far_end.path, tmp_path / "store.sqlite", "demo")
    token = app.state.acting.door.setup
    assert len(token) == 32
    transport = httpx.ASGITransport(app=app)
    headers = {"origin": ORIGIN}
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers) as page:
        assert (await page.get("/api/session")).json() == {"user": None, "setup": True}
        first = {"token": "0" * 32, "name": "eva", "password": PASSWORD}
        assert (await page.post("/api/setup", json=first)).status_code == 403
        weak = {"token": token, "name": "eva", "password": "short"}
        assert (await page.post("/api/setup", json=weak)).status_code == 403
        made = await page.post("/api/setup", json={**first, "token": token})
        assert (made.status_code, made.json()["role"]) == (200, "engineer")
        again = {"token": token, "name": "eve", "password": PASSWORD}
        assert (await page.post("/api/setup", json=again)).status_code == 403
        assert (await page.get("/api/session")).json()["setup"] is False
    assert list(Users(tmp_path / "users.json").all()) == ["eva"]
    await app.state.acting.aclose()


async def test_a_flood_of_log_ins_is_turned_away_unread_and_watching_goes_on(
    app: FastAPI, page: httpx.AsyncClient
) -> None:
    enter(app, page, "vic")
    door: Door = app.state.acting.door
    hashed: list[str] = []

    def refuse(name: str, password: str) -> User:  # what a hash costs is not asked here
        hashed.append(name)
        raise DeniedError(said("wrong"))

    door.users.authenticate = refuse
    flood = [log_in(page, f"nobody{i}", "x") for i in range(BURST + 40)]
    answers = await asyncio.gather(*flood, page.get("/api/state"))
    codes = [answer.status_code for answer in answers[:-1]]
    assert set(codes) == {401, 429}
    assert codes.count(401) == len(hashed) <= BURST
    assert codes.count(429) >= 40
    assert answers[-1].status_code == 200
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error_zh"]
    assert int(answers[-2].headers["retry-after"]) >= 1


def test_each_address_has_its_own_tries_and_gets_them_back() -> None:
    timer = Timer()
    flood = Flood(timer)
    assert [flood.wait_s("10.0.0.1") for _ in range(BURST)] == [0] * BURST
    assert flood.wait_s("10.0.0.1") == 1
    assert flood.wait_s("10.0.0.2") == 0
    timer.time += 1.0
    assert [flood.wait_s("10.0.0.1") for _ in range(3)] == [0, 0, 1]
    for i in range(KEPT + 10):  # no flood of addresses fills the memory
        flood.wait_s(f"a{i}")
    assert len(flood) == KEPT


async def test_only_so_many_passwords_wait_to_be_checked(app: FastAPI) -> None:
    door: Door = app.state.acting.door
    go = threading.Event()
    waiting = [asyncio.ensure_future(door.in_turn(go.wait)) for _ in range(WAITING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(BusyError, match="too many log-ins at once"):
        await door.in_turn(go.wait)
    go.set()
    assert await asyncio.gather(*waiting) == [True] * WAITING_MAX


async def test_an_event_stream_ends_with_its_session(app: FastAPI, tmp_path: Path) -> None:
    door: Door = app.state.acting.door
    live = app.state.live
    secret, _ = door.begin("vic")
    stream = live.events(lambda: door.who(secret))
    await anext(stream)
    await anext(stream)
    door.log_out(secret)
    last = asyncio.ensure_future(anext(stream, b"end"))
    await live.ask()
    assert await last == b"end"
