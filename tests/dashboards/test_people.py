"""The audit trail, users and passwords over the console's own routes, for each role."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from controller.acting.users import Users
from tests.dashboards.far_end import NOW, PASSWORD, PEOPLE, FarEnd, fill
from tests.dashboards.test_acting import enter, log_in, settled
from tests.dashboards.test_acting import page as page  # the same browser

PUBLIC = {"/", "/favicon.ico", "/api/catalogue/{language}", "/api/session"}
WAYS_IN = {"/api/login", "/api/setup"}  # which refuse this body
LEAST = {"/api/audit": "operator", "/api/audit/verdict": "operator", "/api/users": "engineer"}
BODIES: dict[str, dict[str, str]] = {
    "/api/users/bo": {"what": "made", "role": "viewer", "password": PASSWORD},
    "/api/password": {"old": PASSWORD, "new": "another of hers"},
    "/api/language": {"language": "zh"},
}


async def test_every_route_but_the_page_itself_wants_a_log_in(
    app: FastAPI, page: httpx.AsyncClient, far_end: FarEnd
) -> None:
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    assert {route.path for route in routes} > PUBLIC
    for route in routes:
        path = route.path.replace("{path:path}", "safe-stop").replace("{name}", "bo")
        path = path.replace("{reactor}", "R1")
        for method in (route.methods or set[str]()) - {"HEAD"}:
            answer = await page.request(method, path, json={} if method == "POST" else None)
            if route.path not in PUBLIC:
                expected = {422} if route.path in WAYS_IN else {401}
                assert answer.status_code in expected, (method, route.path)
    assert far_end.told == []


@pytest.mark.parametrize("role", ["viewer", "operator", "engineer"])
async def test_each_role_reads_and_changes_what_the_table_says(
    app: FastAPI, page: httpx.AsyncClient, tmp_path: Path, role: str, far_end: FarEnd
) -> None:
    fill(tmp_path / "store.sqlite", NOW - 60, NOW, 10.0)
    name = next(name for name, has in PEOPLE.items() if has.word == role)
    rank = ["viewer", "operator", "engineer"].index(role)
    enter(app, page, name)
    for path, least in LEAST.items():
        allowed = rank >= ["viewer", "operator", "engineer"].index(least)
        answer = await page.get(path)
        assert answer.status_code == (200 if allowed else 403), path
    before = dict(Users(tmp_path / "users.json").all())
    answer = await page.post("/api/users/bo", json=BODIES["/api/users/bo"])
    assert answer.status_code == (200 if role == "engineer" else 403)
    await settled(app)
    made = Users(tmp_path / "users.json").all()
    assert set(made) - set(before) == ({"bo"} if role == "engineer" else set())
    recorded = [path for path, _ in far_end.told]
    assert recorded == (["/user/bo"] if role == "engineer" else [])


async def test_what_cannot_be_recorded_is_not_done(
    app: FastAPI, page: httpx.AsyncClient, tmp_path: Path, far_end: FarEnd
) -> None:
    enter(app, page, "eva")
    far_end.stop()
    answer = await page.post("/api/users/bo", json=BODIES["/api/users/bo"])
    assert answer.status_code == 503
    assert "控制器无应答" in answer.json()["error_zh"]
    assert "bo" not in Users(tmp_path / "users.json").all()


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("ana", {"what": "promoted"}, 422),
        ("ana", {"what": "role", "role": "owner"}, 422),
        ("ana", {"what": "role", "role": 3}, 422),
        ("ana", {"what": "locked", "who": "vic"}, 422),
        ("ana", {"what": ["locked"]}, 422),
        ("nobody", {"what": "locked"}, 422),
        ("A B", {"what": "made", "role": "viewer", "password": PASSWORD}, 404),
        ("ana", {"what": "made", "role": "viewer", "password": PASSWORD}, 422),
        ("eva", {"what": "removed"}, 422),  # the last engineer
        ("ana", {"what": "password", "password": "short"}, 422),
    ],
)
async def test_what_is_not_allowed_is_refused_and_nothing_is_recorded(
    app: FastAPI, page: httpx.AsyncClient, tmp_path: Path, far_end: FarEnd, name: str,
    body: dict[str, Any], status: int,
) -> None:  # fmt: skip
    enter(app, page, "eva")
    before = (tmp_path / "users.json").read_bytes()
    answer = await page.post(f"/api/users/{name}", json=body)
    assert answer.status_code == status, answer.text
    assert (tmp_path / "users.json").read_bytes() == before
    await settled(app)
    assert far_end.told == []


async def test_a_new_password_needs_the_old_one_and_ends_the_other_sessions(
    app: FastAPI, page: httpx.AsyncClient, far_end: FarEnd
) -> None:
    enter(app, page, "ana")
    elsewhere = page.cookies["fermloop"]
    enter(app, page, "ana")
    wrong = {"old": "not the password", "new": "another of hers"}
    answer = await page.post("/api/password", json=wrong)
    assert (answer.status_code, answer.json()["error_zh"]) == (403, "用户名或密码错误")
    assert (await page.post("/api/password", json=BODIES["/api/password"])).status_code == 200
    assert (await page.get("/api/state")).status_code == 200
    await settled(app)
    assert [(path, body["what"]) for path, body in far_end.told] == [("/session/ana", "password")]
    page.cookies.clear()
    page.cookies.set("fermloop", elsewhere)
    assert (await page.get("/api/state")).status_code == 401
    assert (await log_in(page, "ana")).status_code == 401
    assert (await log_in(page, "ana", "another of hers")).status_code == 200


async def test_an_act_is_found_by_person_and_by_loop(
    app: FastAPI, page: httpx.AsyncClient, tmp_path: Path
) -> None:
    fill(tmp_path / "store.sqlite", NOW - 60, NOW, 10.0)
    enter(app, page, "ana")

    async def found(query: str) -> list[str]:
        return [act["text"] for act in (await page.get(f"/api/audit?{query}")).json()["acts"]]

    assert len(await found("")) == 5
    assert (await found("limit=1")) == ["R1 safe stop: running → stopped"]
    assert len(await found("who=ana")) == 2
    assert len(await found("subject=R1")) == 4  # with its loops
    assert await found("subject=R1.do&who=vic") == ["R1.do setpoint refused: value 95"]
    assert await found("who=%27%20OR%201=1") == []
    for limit in ("0", "x", "501", "-1", "1e3"):
        assert (await page.get(f"/api/audit?limit={limit}")).status_code == 422
    verdict = (await page.get("/api/audit/verdict")).json()
    assert (verdict["ok"], verdict["count"]) == (True, 5)


async def test_without_a_store_the_trail_says_so(app: FastAPI, page: httpx.AsyncClient) -> None:
    enter(app, page, "ana")
    assert (await page.get("/api/audit")).status_code == 503
    assert (await page.get("/api/audit/verdict")).status_code == 503


async def test_the_language_that_he_chose_is_remembered(
    app: FastAPI, page: httpx.AsyncClient
) -> None:
    enter(app, page, "vic")
    assert (await page.post("/api/language", json={"language": "zh"})).status_code == 200
    assert (await page.get("/api/session")).json()["user"]["language"] == "zh"
    assert (await page.post("/api/language", json={"language": "fr"})).status_code == 422
