"""What the console's web application lets through, and what it serves."""

import httpx
import pytest

from dashboards.console.app import STATIC

PATHS = ["/", "/api/state", "/api/series?tags=R1.do", "/api/catalogue/en", "/static/main.js"]


@pytest.mark.parametrize("path", [*PATHS, "/events", "/nowhere", "/docs", "/openapi.json"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_nothing_but_reading_is_let_through(
    browser: httpx.AsyncClient, path: str, method: str
) -> None:
    answer = await browser.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert "only reading is allowed there" in answer.json()["error"]


@pytest.mark.parametrize("path", [*PATHS, "/nowhere"])
async def test_every_answer_forbids_foreign_content(browser: httpx.AsyncClient, path: str) -> None:
    headers = (await browser.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1", "[::2]", ""]
)
async def test_a_name_that_was_pointed_at_this_machine_is_refused(
    browser: httpx.AsyncClient, host: str
) -> None:
    answer = await browser.get("/api/state", headers={"host": host})
    assert answer.status_code == 421
    assert "allowed is 127.0.0.1, localhost, [::1]" in answer.json()["error"]


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080"])
async def test_this_machines_own_names_are_served(browser: httpx.AsyncClient, host: str) -> None:
    assert (await browser.get("/api/state", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2flocale/en.json",
        "/static//etc/passwd",
        "/static/vendor",
        "/nowhere",
        "/docs",
        "/openapi.json",
        "/api/catalogue/fr",
        "/api/catalogue/..%2fen",
    ],
)
async def test_what_is_not_served_is_404(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"error"}


async def test_the_page_and_its_files_are_served(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for file in STATIC.rglob("*.*"):
        answer = await browser.get(f"/static/{file.relative_to(STATIC).as_posix()}")
        assert answer.status_code == 200
        assert answer.content == file.read_bytes()
    assert (await browser.get("/favicon.ico")).headers["content-type"] == "image/svg+xml"
    assert (await browser.get("/api/catalogue/zh")).json()["mode.OPTIMISER"] == "先控"


def test_no_file_of_the_page_names_another_host() -> None:
    for file in [*STATIC.glob("*.*")]:
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, file.name
        assert "https://" not in text, file.name
