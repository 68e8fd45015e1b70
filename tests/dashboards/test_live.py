"""What the console hears of its controller, and how it passes that on to browsers."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from dashboards.console.app import create_app
from dashboards.console.live import Live, TooManyError
from tests.dashboards.far_end import START, FarEnd, state

pytestmark = pytest.mark.real_time


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
