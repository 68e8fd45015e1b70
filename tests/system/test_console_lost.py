"""The console when its controller, its own process or its store is away, in a real Chromium."""

from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, expect

from tests.dashboards.far_end import FarEnd, people, state
from tests.system.pages import NOW, console, plate, type_in, watch


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
                expect(w.page.locator("form.door h2")).to_have_text("Log in")  # sessions are gone
                type_in(w.page, "vic")
                expect(w.page.locator("#link")).to_have_text("Controller answers")
                expect(w.page.locator("#banner")).to_be_hidden()
            assert w.hosts == {"127.0.0.1"}


def test_without_a_store_the_page_says_that_there_is_no_history(
    chromium: Browser, far_end: FarEnd, tmp_path: Path
) -> None:
    people(tmp_path)
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
