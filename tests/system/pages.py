"""The console's page in a real headless Chromium, watched for what a person would not see."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from tests.dashboards.far_end import PASSWORD, START, FarEnd

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync "
    "--disable-component-update --disable-quic"
)
NOW = START + 10.4 * 3600
expect.set_options(timeout=20_000)  # ms; a limit on a busy machine, not a wait
PHONE, DESK, WALL = (390, 844), (1280, 800), (1600, 1000)


@contextmanager
def console(far_end: FarEnd, store: Path, port: int = 0) -> Generator[str]:
    """Run the console's process and give its address; at the end kill it, as a crash would."""
    command = [sys.executable, "-m", "dashboards.console", "--address", f"127.0.0.1:{port}"]
    command += ["--socket", str(far_end.path), "--store", str(store), "--period", "0.2"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().removeprefix("console: ").strip()
        finally:
            process.kill()


@dataclass
class Watched:
    """A page and what it did that a person would not see."""

    page: Page
    errors: list[str] = field(default_factory=list[str])
    hosts: set[str | None] = field(default_factory=set[str | None])

    def heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.text} at {message.location}")

    def asked(self, request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")):
            self.hosts.add(urlsplit(request.url).hostname)

    def check(self) -> None:
        assert self.errors == []
        assert self.hosts == {"127.0.0.1"}


@contextmanager
def watch(
    chromium: Browser,
    url: str,
    size: tuple[int, int] = WALL,
    locale: str = "en-GB",
    *,
    quiet: bool = True,
    name: str = "vic",
) -> Generator[Watched]:
    """Open the page as a person's browser would, and check at the end that it was quiet."""
    context = chromium.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=locale,
        timezone_id="Asia/Shanghai",
        reduced_motion="reduce",
    )
    if name:
        with httpx.Client(base_url=url) as client:
            for key, value in enter(client, name).items():
                context.add_cookies([{"name": key, "value": value, "url": url}])
    page = context.new_page()
    page.set_default_timeout(20_000)
    watched = Watched(page)
    page.on("console", watched.heard)
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.on("request", watched.asked)
    page.goto(url)
    page.wait_for_selector("[data-chart=do][data-points]" if name else "form.door")
    yield watched
    context.close()
    if quiet:
        watched.check()


def enter(client: httpx.Client, name: str = "vic") -> httpx.Cookies:
    """Log in and return the cookies."""
    origin = {"origin": str(client.base_url).rstrip("/")}
    who = {"name": name, "password": PASSWORD}
    assert client.post("/api/login", json=who, headers=origin).status_code == 200
    return client.cookies


def type_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fill in the log-in form and send it."""
    form = page.locator("form.door")
    form.locator("[name=name]").fill(name)
    form.locator("[name=password]").fill(password)
    form.locator("[type=submit]").click()


def plate(page: Page, loop: str) -> str:
    return page.locator(f"[data-loop={loop}]").inner_text()
