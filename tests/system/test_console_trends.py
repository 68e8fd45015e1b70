"""The console's trends in a real headless Chromium: gaps, the future, the window, one cursor."""

from itertools import pairwise

import pytest
from playwright.sync_api import Browser, expect

from tests.system.pages import watch

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
