"""The console's trends: from the store, with its gaps, for a query that is checked."""

import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.dashboards.far_end import NOW, FarEnd, fill, state


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
