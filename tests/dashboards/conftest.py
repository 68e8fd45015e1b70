"""The console's application against a real far end: a Unix socket, a store, requests."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from dashboards.console.app import create_app
from tests.dashboards.far_end import NOW, FarEnd, fill, people


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
    people(tmp_path)
    made = create_app(far_end.path, tmp_path / "store.sqlite", "demo")
    yield made
    await made.state.live.aclose()
    await made.state.acting.aclose()


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    """A browser that has not logged in."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        yield client


@pytest.fixture
async def browser(app: FastAPI, stranger: httpx.AsyncClient) -> httpx.AsyncClient:
    """A browser whose user has logged in to watch."""
    secret, _ = app.state.acting.door.begin("vic")
    stranger.cookies.set("fermloop", secret)
    return stranger
