"""The console in a real headless Chromium: its own process, a real store, a real command socket."""

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.dashboards.far_end import START, FarEnd, fill, state

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync "
    "--disable-component-update --disable-quic"
)
NOW = START + 10.4 * 3600
expect.set_options(timeout=20_000)  # ms; a limit on a busy machine, not a wait
PHONE, DESK, WALL = (390, 844), (1280, 800), (1600, 1000)


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
    fill(path, NOW - 9 * 3600, NOW, 3.0, gap=(NOW - 2400, NOW - 1500))
    return path


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Generator[FarEnd]:
    with FarEnd(tmp_path_factory.mktemp("wire") / "control.sock") as end:
        yield end


@pytest.fixture
def far_end(wire: FarEnd) -> FarEnd:
    """The command socket, with all well again after the test before."""
    wire.state = state(NOW)
    wire.stop()
    wire.start()
    return wire


@contextmanager
def console(far_end: FarEnd, store: Path, port: int = 0) -> Generator[str]:
    """Run the console's process and give its address; at the end kill it, as a crash would."""
    command = [sys.executable, "-m", "dashboards.console", "--address", f"127.0.0.1:{port}"]
    command += ["--socket", str(far_end.path), "--store", str(store)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().removeprefix("console: ").strip()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def served(wire: FarEnd, store: Path) -> Generator[str]:
    with console(wire, store) as address:
        yield address


@pytest.fixture
def url(far_end: FarEnd, served: str) -> str:
    """The console's address, when it has heard that all is well again."""
    asked = far_end.asked
    with httpx.Client(base_url=served) as client, client.stream("GET", "/events") as stream:
        for line in stream.iter_lines():
            fresh = far_end.asked > asked and line.startswith("data: ")
            if fresh and json.loads(line[6:])["state"] == far_end.state:
                break
    return served


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
) -> Generator[Watched]:
    """Open the page as a person's browser would, and check at the end that it was quiet."""
    context = chromium.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=locale,
        timezone_id="Asia/Shanghai",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.set_default_timeout(20_000)
    watched = Watched(page)
    page.on("console", watched.heard)
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.on("request", watched.asked)
    page.goto(url)
    page.wait_for_selector("[data-chart=do][data-points]")
    yield watched
    context.close()
    if quiet:
        watched.check()


def plate(page: Page, loop: str) -> str:
    return page.locator(f"[data-loop={loop}]").inner_text()


def test_values_are_shown_in_english_with_their_units(chromium: Browser, url: str) -> None:
    with watch(chromium, url) as w:
        page = w.page
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page.locator("#site")).to_have_text("Zhongshan 3")
        expect(page.locator(".simulated")).to_have_text("SIMULATED 60×")
        expect(page.locator("#link")).to_have_text("Controller answers")
        expect(page.locator("#clock")).to_have_text("2026-09-22 08:37:20")
        loops = {
            "temperature": ("Temperature", "°C", "37.00"),
            "ph": ("pH", "SP\n7.00"),
            "do": ("Dissolved O₂", "% air sat.", "30.0\u202f%", "good", "Auto"),
            "agitation": ("Agitation", "r/min", "Cascade"),
            "air": ("Air", "L/min"),
            "feed": ("Feed", "mL/h", "Optimiser"),
        }
        for loop, texts in loops.items():
            shown = plate(page, loop)
            for text in texts:
                assert text in shown, loop
        batch = page.locator("#batch").inner_text()
        assert "R1-20261122-0001" in batch
        assert "10.40\u202fh" in batch
        expect(page.locator("#batch li[aria-current=step]")).to_have_text("Feed")
        biomass = page.locator("[data-estimate=biomass_g_per_l]")
        expect(biomass).to_have_text("Biomass14.28 ± 0.84 g/L")
        expect(page.locator("#optimiser")).to_contain_text("plan accepted")
        expect(page.locator("#attention")).to_be_hidden()


def test_a_chinese_browser_gets_chinese(chromium: Browser, url: str) -> None:
    with watch(chromium, url, locale="zh-CN") as w:
        expect(w.page.locator("html")).to_have_attribute("lang", "zh-CN")
        assert "溶氧" in plate(w.page, "do")
        assert "自动" in plate(w.page, "do")
        assert "% 空气饱和度" in plate(w.page, "do")
        assert "串级" in plate(w.page, "air")
        assert "先控" in plate(w.page, "feed")
        chain = w.page.locator("#batch ol").inner_text().split()
        assert chain == ["✓", "分批", "补料", "诱导", "放罐"]
        expect(w.page.locator("[data-chart=feed]")).to_contain_text("预测")


def test_the_language_is_switched_by_keyboard_and_remembered(chromium: Browser, url: str) -> None:
    with watch(chromium, url) as w:
        page = w.page
        button = page.get_by_role("button", name="Switch to Chinese")
        button.focus()
        page.keyboard.press("Enter")
        expect(page.locator("[data-loop=feed] h3")).to_have_text("补料")
        expect(page.locator("#link")).to_have_text("控制器正常")
        expect(page.locator("[data-chart=do] figcaption")).to_contain_text("溶氧")
        expect(page.locator("#optimiser h2")).to_have_text("优化器（先控）")
        page.reload()
        expect(page.locator("[data-loop=feed] h3")).to_have_text("补料")
        page.get_by_role("button", name="切换为英文").click()
        expect(page.locator("[data-loop=feed] h3")).to_have_text("Feed")


def test_values_follow_the_controller(chromium: Browser, url: str, far_end: FarEnd) -> None:
    with watch(chromium, url) as w:
        later = state(NOW + 60)
        reactor = later["reactors"]["R1"]
        reactor["tags"]["R1.temperature"]["value"] = 36.42
        reactor["loops"]["temperature"]["sp"] = 36.5
        reactor["batch"]["phase"] = "induce"
        far_end.state = later
        expect(w.page.locator("[data-loop=temperature] .value")).to_have_text("36.42")
        expect(w.page.locator("[data-loop=temperature] .sp")).to_have_text("36.50\u202f°C")
        expect(w.page.locator("[aria-current=step]")).to_have_text("Induction")
        legend = w.page.locator("[data-chart=temperature] .legend")
        expect(legend).to_contain_text("36.42")
        expect(legend).to_contain_text("36.50")


def test_a_silent_controller_looks_silent_and_comes_back(
    chromium: Browser, url: str, far_end: FarEnd
) -> None:
    with watch(chromium, url) as w:
        page = w.page
        value = page.locator("[data-loop=do] .value")
        expect(value).to_have_css("text-decoration-line", "none")
        far_end.stop()
        expect(page.locator("#banner")).to_contain_text("The controller does not answer")
        expect(page.locator("#banner")).to_contain_text("s old")
        expect(page.locator("#link")).to_have_text("Controller silent")
        expect(value).to_have_css("text-decoration-line", "line-through")
        expect(page.locator("[data-loop=do] .quality")).to_have_text("stale", use_inner_text=True)
        expect(value).to_have_text("31.1")  # the last value stays readable
        far_end.start()
        expect(page.locator("#banner")).to_be_hidden()
        expect(value).to_have_css("text-decoration-line", "none")


def test_a_lost_console_is_told_and_the_page_connects_again_by_itself(
    chromium: Browser, far_end: FarEnd, store: Path
) -> None:
    with ExitStack() as first:
        url = first.enter_context(console(far_end, store))
        port = urlsplit(url).port or 0
        with watch(chromium, url, quiet=False) as w:
            first.close()
            expect(w.page.locator("#banner")).to_contain_text("Connection to the console lost")
            expect(w.page.locator("#link")).to_have_text("Connection lost")
            value = w.page.locator("[data-loop=do] .value")
            expect(value).to_have_css("text-decoration-line", "line-through")
            with console(far_end, store, port):
                expect(w.page.locator("#link")).to_have_text("Controller answers")
                expect(w.page.locator("#banner")).to_be_hidden()
            assert w.hosts == {"127.0.0.1"}


def test_what_is_abnormal_stands_out_with_shape_and_words(
    chromium: Browser, url: str, far_end: FarEnd
) -> None:
    with watch(chromium, url) as w:
        page = w.page
        wrong = state(NOW + 30)
        reactor = wrong["reactors"]["R1"]
        reactor["interlocks"]["low_do"]["tripped"] = True
        reactor["loops"]["feed"] |= {"actual": "OFF", "reason": "interlock low_do"}
        reactor["loops"]["ph"] |= {"pv": None, "quality": "BAD"}
        reactor["tags"]["R1.ph"] |= {"value": None, "quality": "BAD"}
        reactor["tags"]["R1.temperature"]["quality"] = "UNCERTAIN"
        reactor["batch"] |= {"state": "HELD", "message": "held by ana: probe cleaned"}
        reactor["optimiser"] |= {"state": "shed", "reason": "R1.ph is BAD", "sheds": 1}
        wrong["devices"]["R1-gas"] |= {"answering": False, "error": "timed out"}
        wrong["alarms"] = [
            {"time": NOW, "subject": "R1.feed", "text": "dose limit reached", "active": True}
        ]
        far_end.state = wrong
        attention = page.locator("#attention")
        for text in (
            "INTERLOCK",
            "Low DO",
            "R1.do below 12 % for 20 s: R1.feed = 0",
            "ALARM",
            "dose limit reached",
            "NO ANSWER",
            "R1-gas at opc.tcp://127.0.0.1:4840/fermloop does not answer",
            "HELD",
            "held by ana: probe cleaned",
        ):
            expect(attention).to_contain_text(text)
        expect(attention.locator(".shape")).to_have_count(4)
        assert "bad, last good 30 s ago" in plate(page, "ph")
        value = page.locator("[data-loop=ph] .value")
        expect(value).to_have_text("7.01")
        expect(value).to_have_css("text-decoration-line", "line-through")
        assert "uncertain" in plate(page, "temperature")
        assert "Off" in plate(page, "feed")
        assert "Target Optimiser" in plate(page, "feed")
        assert "interlock low_do" in plate(page, "feed")
        expect(page.locator("#optimiser")).to_contain_text("shed: the recipe’s profile runs")
        expect(page.locator("#interlocks .tripped")).to_contain_text("TRIPPED")
        assert page.title().startswith("(4) R1")


@pytest.mark.parametrize(
    ("locale", "badge", "open_badge"),
    [
        ("en-GB", "warnings: R1-io", "unencrypted: R1-gas"),
        ("zh-CN", "有警告：R1-io", "未加密：R1-gas"),
    ],
)
def test_what_a_device_warns_of_stays_on_the_screen_and_is_no_alarm(
    chromium: Browser, url: str, far_end: FarEnd, locale: str, badge: str, open_badge: str
) -> None:
    with watch(chromium, url, locale=locale) as w:
        page = w.page
        warned = page.locator("#badges .warned")
        expect(warned).to_have_count(0)
        later = state(NOW + 30)
        later["devices"]["R1-io"]["warnings"] = ["certificate ends in 12 days"]
        later["devices"]["R1-gas"]["warnings"] = ["no encryption (insecure = true)"]
        far_end.state = later
        expect(warned).to_have_text(badge)
        expect(page.locator("#badges")).to_contain_text(open_badge)
        rows = page.locator("#devices .warning")
        expect(rows).to_have_text(
            ["certificate ends in 12 days", "no encryption (insecure = true)"]
        )
        expect(page.locator("#attention")).to_be_hidden()
        far_end.state = state(NOW + 60)
        expect(warned).to_have_count(0)
        expect(rows).to_have_count(0)


def test_text_from_the_plant_is_never_markup(chromium: Browser, url: str, far_end: FarEnd) -> None:
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    with watch(chromium, url) as w:
        wrong = state(NOW + 30)
        wrong["site"] = evil
        wrong["alarms"] = [{"time": NOW, "subject": evil, "text": evil, "active": True}]
        wrong["reactors"]["R1"]["batch"] |= {"id": evil, "recipe": evil, "message": evil}
        wrong["reactors"]["R1"]["loops"]["do"]["reason"] = evil
        far_end.state = wrong
        expect(w.page.locator("#site")).to_have_text(evil)
        expect(w.page.locator("#attention")).to_contain_text(evil)
        assert w.page.locator("main img, main script").count() == 0


# where in the width of a chart (0 to 1) something is drawn in the blue of measured values
PIXELS = """
(figure) => {
  const canvas = figure.querySelector("canvas");
  const { width, height } = canvas;
  const copy = new OffscreenCanvas(width, height).getContext("2d");
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, width, height);
  const columns = [];
  for (let x = 0; x < width; x++)
    for (let y = 0; y < height; y++) {
      const i = 4 * (y * width + x);
      if (data[i + 2] - data[i] > 40 && data[i + 3] > 90) { columns.push(x / width); break; }
    }
  return columns;
}
"""


def test_trends_are_drawn_with_gaps_and_with_what_is_foreseen(chromium: Browser, url: str) -> None:
    with watch(chromium, url) as w:
        page = w.page
        for chart in ("do", "ph", "temperature", "air_agitation", "feed", "biomass", "product"):
            columns = page.locator(f"[data-chart={chart}]").evaluate(PIXELS)
            assert len(columns) > 200, chart
        # DO: one hour before now and 18 min of plan beyond it; nothing was stored from -40 to -25
        columns = page.locator("[data-chart=do]").evaluate(PIXELS)
        holes = [(a, b) for a, b in pairwise(columns) if b - a > 0.05]
        assert len(holes) == 1
        assert holes[0] == pytest.approx((0.295, 0.461), abs=0.02)  # of 78 min between the axes
        assert max(columns) > 0.85  # the future
        without = page.locator("[data-chart=ph]").evaluate(PIXELS)
        assert max(without) < 0.8  # nothing is foreseen of pH
        expect(page.locator("[data-chart=do] .legend")).to_contain_text("foreseen")


def test_the_window_is_chosen_by_keyboard(chromium: Browser, url: str) -> None:
    with watch(chromium, url) as w:
        page = w.page
        hour = page.get_by_role("button", name="1 h", exact=True)
        shift = page.get_by_role("button", name="8 h", exact=True)
        expect(hour).to_have_attribute("aria-pressed", "true")
        hour.focus()
        page.keyboard.press("Tab")
        with page.expect_response(lambda r: "hours=8.000" in r.url) as asked:
            page.keyboard.press("Enter")
        assert asked.value.status == 200
        expect(shift).to_have_attribute("aria-pressed", "true")
        expect(shift).to_be_focused()
        charts = page.locator("#charts")
        expect(charts).to_have_attribute("data-phases", "feed")  # it began 2.9 h ago
        hour.click()
        expect(charts).to_have_attribute("data-phases", "")
        page.get_by_role("button", name="Clock").click()
        expect(page.get_by_role("button", name="Clock")).to_have_attribute("aria-pressed", "true")


def test_all_charts_share_one_cursor(chromium: Browser, url: str) -> None:
    with watch(chromium, url) as w:
        page = w.page
        now = page.locator("[data-chart=biomass] .legend b").first.inner_text()
        box = page.locator("[data-chart=do] .u-over").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + box["height"] / 2)
        first = page.locator("[data-chart=biomass] .legend b").first
        expect(first).not_to_have_text(now)
        assert float(first.inner_text()) < float(now)
        expect(page.locator("[data-chart=offgas] .u-cursor-x")).to_be_visible()
        page.mouse.move(5, 5)
        expect(first).to_have_text(now)


def test_shadow_says_that_it_does_not_act(chromium: Browser, url: str, far_end: FarEnd) -> None:
    with watch(chromium, url) as w:
        shadow = state(NOW + 10)
        shadow["reactors"]["R1"]["optimiser"]["mode"] = "shadow"
        far_end.state = shadow
        expect(w.page.locator("#optimiser")).to_contain_text("Shadow: plans, does not act")
        legend = w.page.locator("[data-chart=feed] .legend")
        expect(legend).to_contain_text("foreseen, not acted on")


def test_a_vessel_without_a_batch_an_estimate_or_an_optimiser_is_shown(
    chromium: Browser, url: str, far_end: FarEnd
) -> None:
    with watch(chromium, url) as w:
        idle = state(NOW + 10)
        reactor = idle["reactors"]["R1"]
        reactor["batch"] = {
            "id": "", "recipe": "", "state": "IDLE", "phase": "", "age_h": None,
            "phase_age_h": None, "phases": [], "message": "",
        }  # fmt: skip
        reactor["estimate"] = {"biomass_g_per_l": {"value": None, "sd": None}}
        reactor["optimiser"] = {
            "mode": "off", "state": "off", "reason": "", "plans": 0, "sheds": 0, "late": 0,
            "next_in_s": None, "good_in_a_row": 0, "plan": None,
        }  # fmt: skip
        for loop in reactor["loops"].values():
            loop |= {"pv": None, "sp": None, "op": None, "quality": "BAD"}
        for tag in reactor["tags"].values():
            tag |= {"value": None, "quality": "BAD"}
        far_end.state = idle
        expect(w.page.locator("#batch")).to_contain_text("no batch")
        expect(w.page.locator("#estimate")).to_contain_text("No estimate yet")
        expect(w.page.locator("#optimiser")).to_contain_text("No plan")
        assert "—" in plate(w.page, "do")
        w.page.get_by_role("button", name="Batch", exact=True).click()


def test_two_vessels_are_chosen_between(chromium: Browser, url: str, far_end: FarEnd) -> None:
    both = state(NOW + 10)
    second = state(NOW + 10)["reactors"]["R1"]
    second["batch"]["id"] = "R2-20261122-0007"
    second["tags"] = {f"R2{k[2:]}": v for k, v in second["tags"].items()}
    both["reactors"]["R2"] = second
    far_end.state = both
    with watch(chromium, url) as w:
        w.page.get_by_role("button", name="R2").click()
        expect(w.page.locator("#batch")).to_contain_text("R2-20261122-0007")
        w.page.reload()
        expect(w.page.locator("#batch")).to_contain_text("R2-20261122-0007")


def test_without_a_store_the_page_says_that_there_is_no_history(
    chromium: Browser, far_end: FarEnd, tmp_path: Path
) -> None:
    with console(far_end, tmp_path / "none.sqlite") as url, watch(chromium, url) as w:
        expect(w.page.locator("#trend-note")).to_have_text("No history yet")
        # and is drawn from what comes in, which the next empty answer does not take away
        chart = w.page.locator("[data-chart=do]")
        expect(chart).to_have_attribute("data-points", "1")
        far_end.state = state(NOW + 20)
        expect(chart).to_have_attribute("data-points", "2")
        w.page.wait_for_event("response", lambda r: "/api/series" in r.url)
        far_end.state = state(NOW + 40)
        expect(chart).to_have_attribute("data-points", "3")
        assert "°C" in plate(w.page, "temperature")


@pytest.mark.parametrize("size", [PHONE, DESK, WALL])
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_it_fits_the_screen(
    chromium: Browser, url: str, size: tuple[int, int], locale: str
) -> None:
    with watch(chromium, url, size, locale) as w:
        page = w.page
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= size[0]
        cut = page.evaluate(
            "[...document.querySelectorAll('.pv, h3, .row, .badge, button, .mode, #link, li')]"
            ".filter((n) => n.offsetParent && n.scrollWidth > n.clientWidth + 1)"
            ".map((n) => n.className + ': ' + n.textContent)"
        )
        assert cut == []
        assert page.evaluate("document.getAnimations().length") == 0
        if size == WALL:  # values and trends on one screen, without scrolling
            bottom = page.locator("[data-chart=offgas]").bounding_box()
            assert bottom is not None
            assert bottom["y"] + bottom["height"] <= size[1]
