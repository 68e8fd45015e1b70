"""The campaign's page in a real headless Chromium, from the file, without a network."""

from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from fermloop.campaign import page
from tests.fermloop.made_campaign import batch, finished, lost, plants
from tests.system.pages import CHROMIUM, FLAGS

PHONE, DESK = (390, 844), (1280, 900)
ERROR = "FloatingPointError: <b>R1</b> at 3600 s & later"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("campaign")
    rows = [batch("old", seed, p) for seed, p in enumerate(plants(12))]
    rows += [batch("new", seed, 1.1 * p + 0.2 * seed) for seed, p in enumerate(plants(11))]
    rows[3]["do_below_limit_min"] = 12.5
    rows += [lost("new", 11, ERROR)]
    return page.write(finished(folder, rows, 12))


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield chromium
        chromium.close()


def opened(browser: Browser, path: Path, size: tuple[int, int], language: str) -> Page:
    """Open the page where only the file can be had; anything said on the console is wrong."""
    shown = browser.new_page(viewport={"width": size[0], "height": size[1]})
    asked: list[str] = []
    shown.on("request", lambda request: asked.append(request.url))
    shown.on("console", lambda message: pytest.fail(message.text))
    shown.on("pageerror", lambda error: pytest.fail(str(error)))
    shown.goto(f"{path.as_uri()}#{language}")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    return shown


def test_it_shows_everything_in_one_language_and_changes_it(
    browser: Browser, written: Path
) -> None:
    shown = opened(browser, written, DESK, "en")
    expect(shown).to_have_title("Campaign report: plant")
    headings = shown.locator("h2 .en").all_inner_texts()
    assert headings == [
        *("Figures by recipe", "Distribution of product", "Paired comparisons"),
        *("Limits and interlocks", "Energy and CO2e per kg of product", "Trajectories"),
        *("Failed batches", "How this was made"),
    ]
    assert shown.locator(".zh:visible").count() == 0
    expect(shown.locator("#failed code")).to_have_text(ERROR)
    expect(shown.locator("#violations .bad:visible")).to_have_count(1)
    expect(shown.locator("#violations")).to_contain_text("worst 12.5 (seed 3)")
    expect(shown.locator("#trajectories svg[role=img]")).to_have_count(3)  # no oil was fed
    expect(shown.locator("#trajectories")).to_contain_text("lactate_g_per_l")
    expect(shown.locator("#made")).to_contain_text("fermloop campaign plant.toml --recipe old.toml")
    shown.locator("#language").click()
    expect(shown).to_have_title("批次模拟报告: plant")
    expect(shown.locator("#failed h2")).to_have_text("失败批次", use_inner_text=True)
    shown.close()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_fits_a_phone_and_no_chart_leaves_its_frame(
    browser: Browser, written: Path, language: str
) -> None:
    shown = opened(browser, written, PHONE, language)
    assert shown.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    outside = shown.evaluate(
        """() => [...document.querySelectorAll("svg[role=img]")].flatMap(svg => {
          const frame = svg.getBoundingClientRect();
          return [...svg.querySelectorAll("text")].filter(text => {
            const at = text.getBoundingClientRect();
            return at.left < frame.left - 2 || at.right > frame.right + 2;
          }).map(text => text.textContent);
        })"""
    )
    assert outside == []
    assert "NaN" not in shown.content()
    shown.close()
