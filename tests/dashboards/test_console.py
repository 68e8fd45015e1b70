"""The console's web application against a real far end: a Unix socket, a store, requests."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from dashboards.console.__main__ import AddressError, bind, loopback, main
from dashboards.console.app import STATIC, create_app
from dashboards.console.live import Live, TooManyError
from tests.dashboards.far_end import START, FarEnd, fill, state

pytestmark = pytest.mark.real_time

ROOT = Path(__file__).parents[2]
NOW = START + 8 * 3600


@pytest.fixture
def far_end(tmp_path: Path) -> Generator[FarEnd]:
    with FarEnd(tmp_path / "control.sock") as end:
        yield end


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store.sqlite"
    fill(path, NOW - 3600, NOW, 10.0, gap=(NOW - 1800, NOW - 1200))
    return path


@pytest.fixture
async def app(far_end: FarEnd, tmp_path: Path) -> AsyncGenerator[FastAPI]:
    made = create_app(far_end.path, tmp_path / "store.sqlite", "demo")
    yield made
    await made.state.live.aclose()


@pytest.fixture
async def browser(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        yield client


# ---- the state


async def test_the_controllers_state_is_passed_on(app: FastAPI, browser: httpx.AsyncClient) -> None:
    await app.state.live.ask()
    snapshot = (await browser.get("/api/state")).json()
    assert snapshot["controller"]["answering"] is True
    assert snapshot["site"] == "Zhongshan 3"
    assert snapshot["state"]["reactors"]["R1"]["loops"]["temperature"]["sp"] == 37.0


async def test_before_the_first_answer_there_is_no_state(browser: httpx.AsyncClient) -> None:
    snapshot = (await browser.get("/api/state")).json()
    assert snapshot["state"] is None
    assert snapshot["site"] == "demo"
    assert snapshot["controller"]["answering"] is False


async def test_a_controller_that_is_gone_is_marked_and_its_last_state_kept(
    app: FastAPI, browser: httpx.AsyncClient, far_end: FarEnd
) -> None:
    live: Live = app.state.live
    await live.ask()
    far_end.stop()
    await live.ask()
    snapshot = (await browser.get("/api/state")).json()
    assert snapshot["controller"]["answering"] is False
    assert str(far_end.path) in snapshot["controller"]["error"]
    assert snapshot["controller"]["answered_s_ago"] >= 0
    assert snapshot["state"]["site"] == "Zhongshan 3"
    far_end.start()
    await live.ask()
    assert (await browser.get("/api/state")).json()["controller"]["answering"] is True


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((500, b"{}"), "answered 500, 200 was expected"),
        ((200, b"[1, 2]"), "no JSON object"),
        ((200, b'{"site": "x"}'), "no object 'reactors'"),
        ((200, b"<html>"), "Expecting value"),
        ((200, b"\xff\xfe"), "control.sock"),
    ],
)
async def test_an_answer_that_is_no_state_counts_as_silence(
    app: FastAPI, far_end: FarEnd, answer: tuple[int, bytes], words: str
) -> None:
    live: Live = app.state.live
    await live.ask()
    far_end.raw = answer
    await live.ask()
    controller = json.loads(live.text)["controller"]
    assert controller["answering"] is False
    assert words in controller["error"]
    assert "\n" not in controller["error"]


async def test_nan_from_the_controller_reaches_browsers_as_null(
    app: FastAPI, far_end: FarEnd
) -> None:
    far_end.raw = (200, b'{"reactors": {}, "time": NaN}')
    live: Live = app.state.live
    await live.ask()
    assert json.loads(live.text)["state"]["time"] is None
    assert live.plant_time is None


async def test_a_controller_that_hangs_is_given_up_within_the_period(tmp_path: Path) -> None:
    hung = asyncio.Event()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hung.wait()
        writer.close()

    path = tmp_path / "control.sock"
    server = await asyncio.start_unix_server(swallow, path)
    live = Live(path, "demo", period_s=0.05)
    await live.ask()
    assert "no answer within 0.05 s" in json.loads(live.text)["controller"]["error"]
    await live.aclose()
    hung.set()
    server.close()
    await server.wait_closed()


async def test_standing_plant_time_is_told_apart_from_silence(
    app: FastAPI, far_end: FarEnd
) -> None:
    live: Live = app.state.live
    await live.ask()
    moved = live._moved_at  # pyright: ignore[reportPrivateUsage]
    await live.ask()
    assert live._moved_at == moved  # pyright: ignore[reportPrivateUsage]
    far_end.state = state(START + 3600)
    await live.ask()
    assert live._moved_at != moved  # pyright: ignore[reportPrivateUsage]


# ---- server-sent events


def fields(event: bytes) -> dict[str, str]:
    assert event.endswith(b"\n\n")
    return dict(line.split(": ", 1) for line in event.decode().strip().split("\n"))


async def test_events_have_an_id_a_name_and_one_line_of_json(app: FastAPI, far_end: FarEnd) -> None:
    live: Live = app.state.live
    far_end.state["reactors"]["R1"]["batch"]["message"] = "two\nlines 二\r\nthree"
    await live.ask()
    events = live.events()
    assert fields(await anext(events)) == {"retry": "1000"}
    first = fields(await anext(events))
    assert (first["id"], first["event"]) == ("1", "state")
    data = json.loads(first["data"])
    assert data["state"]["reactors"]["R1"]["batch"]["message"] == "two\nlines 二\r\nthree"
    await live.ask()
    assert fields(await anext(events))["id"] == "2"
    await events.aclose()
    assert live.listeners == 0


async def test_all_browsers_share_one_question(app: FastAPI, far_end: FarEnd) -> None:
    live: Live = app.state.live
    streams = [live.events() for _ in range(20)]
    for stream in streams:
        await anext(stream)
        await anext(stream)
    waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await asyncio.sleep(0)
    await live.ask()
    assert {fields(event)["id"] for event in await asyncio.gather(*waiting)} == {"1"}
    assert far_end.asked == 1
    for stream in streams:
        await stream.aclose()


async def test_a_slow_browser_skips_to_the_newest_and_holds_up_nobody(app: FastAPI) -> None:
    live: Live = app.state.live
    slow, quick = live.events(), live.events()
    for stream in (slow, quick):
        await anext(stream)
        await anext(stream)
    for number in ("1", "2", "3"):
        await live.ask()  # slow does not read
        assert fields(await anext(quick))["id"] == number
    assert fields(await anext(slow))["id"] == "3"
    await slow.aclose()
    await quick.aclose()


async def test_closing_ends_every_stream(app: FastAPI) -> None:
    live: Live = app.state.live
    stream = live.events()
    await anext(stream)
    await anext(stream)
    last = asyncio.ensure_future(anext(stream, b"end"))
    await asyncio.sleep(0)
    live.close()
    assert await last == b"end"
    assert live.listeners == 0


async def test_no_more_browsers_than_allowed(far_end: FarEnd, tmp_path: Path) -> None:
    live = Live(far_end.path, "demo", listeners_max=1)
    stream = live.events()
    await anext(stream)
    with pytest.raises(TooManyError, match="1 browsers are watching"):
        live.events()
    await stream.aclose()


def test_a_period_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="period_s: 0 is not allowed"):
        create_app(tmp_path / "s", tmp_path / "d", "demo", period_s=0)


# ---- trends


async def ask(browser: httpx.AsyncClient, **query: Any) -> httpx.Response:
    return await browser.get("/api/series", params=query)


async def test_trends_come_from_the_store_with_gaps_as_null(
    browser: httpx.AsyncClient, store: Path
) -> None:
    answer = (
        await ask(browser, tags="R1.do,R1.do.sp", bands="R1.do", hours=1, points=60, end=NOW)
    ).json()
    assert answer["width_s"] == 60
    values = answer["values"]["R1.do"]
    assert len(values) == len(answer["time"])
    gap = [v for t, v in zip(answer["time"], values, strict=True) if -1700 < t - NOW < -1300]
    assert gap
    assert not any(gap)
    assert sum(v is not None for v in values) > 45
    assert {v for v in answer["values"]["R1.do.sp"] if v is not None} == {30.0}
    assert set(answer["low"]) == set(answer["high"]) == {"R1.do"}
    lows = [v for v in answer["low"]["R1.do"] if v is not None]
    highs = [v for v in answer["high"]["R1.do"] if v is not None]
    assert all(low <= high for low, high in zip(lows, highs, strict=True))
    assert max(highs) > max(v for v in values if v is not None)


async def test_the_window_ends_at_plant_time(
    app: FastAPI, browser: httpx.AsyncClient, store: Path, far_end: FarEnd
) -> None:
    far_end.state = state(NOW)
    await app.state.live.ask()
    answer = (await ask(browser, tags="R1.do", hours=0.5)).json()
    assert NOW - 1800 - 5 <= answer["time"][0] <= NOW - 1800 + 5
    assert answer["time"][-1] == pytest.approx(NOW, abs=20)


async def test_an_unknown_tag_is_one_long_gap(browser: httpx.AsyncClient, store: Path) -> None:
    answer = (await ask(browser, tags="R1.do,R1.est.biomass9", hours=1, end=NOW)).json()
    assert set(answer["values"]["R1.est.biomass9"]) == {None}


async def test_without_a_store_there_is_no_history_yet(browser: httpx.AsyncClient) -> None:
    answer = await ask(browser, tags="R1.do", hours=1)
    assert answer.status_code == 200
    assert answer.json()["time"] == []


async def test_a_store_made_anew_is_opened_again(browser: httpx.AsyncClient, store: Path) -> None:
    assert (await ask(browser, tags="R1.do", hours=1, end=NOW)).json()["time"]
    for file in store.parent.glob("store.sqlite*"):
        file.unlink()
    fill(store, NOW + 7200, NOW + 7300, 10.0)
    answer = (await ask(browser, tags="R1.do", hours=2, end=NOW + 7300)).json()
    assert any(v is not None for v in answer["values"]["R1.do"])


async def test_a_file_that_is_no_store_is_503_and_named(
    browser: httpx.AsyncClient, tmp_path: Path
) -> None:
    (tmp_path / "store.sqlite").write_text("not a database, but long enough to look like one" * 9)
    answer = await ask(browser, tags="R1.do", hours=1)
    assert answer.status_code == 503
    assert "store.sqlite" in answer.json()["error"]


async def test_a_foreign_database_is_503_and_named(
    browser: httpx.AsyncClient, tmp_path: Path
) -> None:
    db = sqlite3.connect(tmp_path / "store.sqlite")
    db.execute("CREATE TABLE other (x)")
    db.commit()
    db.close()
    answer = await ask(browser, tags="R1.do", hours=1)
    assert answer.status_code == 503
    assert "store.sqlite" in answer.json()["error"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "tags: '' is no tag name"),
        ("tags=", "tags: '' is no tag name"),
        ("tags=R1.do,", "tags: '' is no tag name"),
        ("tags=R1", "tags: 'R1' is no tag name"),
        ("tags=R1.do'--", "is no tag name"),
        ("tags=R1.do&hours=0", "hours: '0' is not allowed; 0.000278 to 2.4e+03 is"),
        ("tags=R1.do&hours=-1", "hours: '-1' is not allowed"),
        ("tags=R1.do&hours=nan", "hours: 'nan' is not allowed"),
        ("tags=R1.do&hours=1e9", "hours: '1e9' is not allowed"),
        ("tags=R1.do&hours=ten", "hours: 'ten' is not allowed"),
        ("tags=R1.do&points=1", "points: '1' is not allowed; 10 to 5e+03 is"),
        ("tags=R1.do&points=1e7", "points: '1e7' is not allowed"),
        ("tags=R1.do&end=inf", "end: 'inf' is not allowed"),
        ("tags=R1.do&hours=1&hours=2", "hours: given twice"),
        ("tags=R1.do&window=1", "window: no such key; allowed are tags, bands, hours, points, end"),
        ("tags=R1.do&bands=R1.ph", "bands: 'R1.ph' is not among the tags"),
        ("tags=" + ",".join(f"R1.t{i}" for i in range(65)), "65 are given; at most 64"),
    ],
)
async def test_a_bad_query_is_400_and_says_what_is_allowed(
    browser: httpx.AsyncClient, query: str, words: str
) -> None:
    answer = await browser.get(f"/api/series?{query}")
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


# ---- what is let through

PATHS = ["/", "/api/state", "/api/series?tags=R1.do", "/api/catalogue/en", "/static/main.js"]


@pytest.mark.parametrize("path", [*PATHS, "/events", "/nowhere", "/docs", "/openapi.json"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_nothing_but_reading_is_let_through(
    browser: httpx.AsyncClient, path: str, method: str
) -> None:
    answer = await browser.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert "only reads" in answer.json()["error"]


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


# ---- the process


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("localhost:0", ("127.0.0.1", 0)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_loopback_addresses_are_taken(address: str, expected: tuple[str, int]) -> None:
    assert loopback(address) == expected


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:8080", "10.0.0.5:80", "[::]:80", ":8080", "example.org:80", "127.0.0.1", "127.0.0.1:",
     "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:٣"],
)  # fmt: skip
def test_any_other_address_is_refused_before_anything_is_opened(
    address: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["--socket", str(tmp_path / "c"), "--store", str(tmp_path / "s")]
    assert main([*arguments, f"--address={address}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"--address {address}" in error
    assert "allowed is 127.0.0.1, [::1] or localhost" in error


def test_a_busy_port_is_named() -> None:
    with bind("127.0.0.1:0") as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AddressError, match=f"--address {address}: Address already in use"):
            bind(address)


def command(tmp_path: Path, far_end: FarEnd) -> list[str]:
    store = str(tmp_path / "store.sqlite")
    arguments = ["--socket", str(far_end.path), "--store", store, "--address", "127.0.0.1:0"]
    return [sys.executable, "-m", "dashboards.console", *arguments]


@contextmanager
def started(command: list[str]) -> Generator[subprocess.Popen[str]]:
    """Start a process and kill it at the end, whatever happened."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().split("console: ")[1].strip()


def test_the_process_serves_events_and_ends_cleanly_on_sigterm_while_a_browser_watches(
    tmp_path: Path, far_end: FarEnd
) -> None:
    with (
        started(command(tmp_path, far_end)) as process,
        httpx.Client(base_url=address(process)) as client,
        client.stream("GET", "/events") as stream,
    ):
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        data = (json.loads(line[6:]) for line in lines if line.startswith("data: "))
        assert any(snapshot["controller"]["answering"] for snapshot in data)
        process.terminate()
        for _ in data:
            pass  # the stream ends by itself
        assert process.wait(timeout=10) == 0


PARENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline(), flush=True)
sys.stdin.read()
"""


def test_the_process_dies_with_its_parent(tmp_path: Path, far_end: FarEnd) -> None:
    with (
        started([sys.executable, "-c", PARENT, *command(tmp_path, far_end)]) as parent,
        httpx.Client(base_url=address(parent)) as client,
        client.stream("GET", "/events") as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        parent.kill()
        assert "event: state" in list(lines)  # and then it ended: nobody else could end it
