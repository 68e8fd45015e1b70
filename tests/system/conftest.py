"""A browser, and the console's own process with a real store and a real command socket."""

import json
import tempfile
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.dashboards.far_end import FarEnd, fill, people, state
from tests.system.pages import CHROMIUM, FLAGS, NOW, console, enter


@pytest.fixture
def near() -> Generator[Path]:
    """A folder with a short path: that of a Unix socket in it has at most 107 characters."""
    with tempfile.TemporaryDirectory(prefix="fermloop-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def chromium() -> Generator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing: install the Debian package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("console") / "store.sqlite"
    people(path.parent)
    gap, doubtful = (NOW - 2400, NOW - 1500), (NOW - 900, NOW - 300)
    fill(path, NOW - 9 * 3600, NOW, 3.0, gap, doubtful)
    return path


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Generator[FarEnd]:
    with FarEnd(tmp_path_factory.mktemp("wire") / "control.sock") as end:
        yield end


@pytest.fixture
def far_end(wire: FarEnd) -> FarEnd:
    """The command socket, with all well again after the test before."""
    wire.state = state(NOW)
    wire.told, wire.refusal = [], None
    wire.stop()
    wire.start()
    return wire


@pytest.fixture(scope="module")
def served(wire: FarEnd, store: Path) -> Generator[str]:
    with console(wire, store) as address:
        yield address


@pytest.fixture
def url(far_end: FarEnd, served: str) -> str:
    """The console's address, when it has heard that all is well again."""
    asked = far_end.asked
    with httpx.Client(base_url=served) as client:
        enter(client)
        with client.stream("GET", "/events") as stream:
            heard(stream, far_end, asked)
    far_end.told.clear()
    return served


def heard(stream: httpx.Response, far_end: FarEnd, asked: int) -> None:
    """Read until the console has heard what is so now."""
    for line in stream.iter_lines():
        fresh = far_end.asked > asked and line.startswith("data: ")
        if fresh and json.loads(line[6:])["state"] == far_end.state:
            break
