"""The report of a batch in a real browser: in each language, on a screen and on paper."""

import re
from pathlib import Path

from playwright.sync_api import Browser

from fermloop.batch_report.page import page
from historian.sqlite import SqliteReader
from tests.fermloop.test_batch_report import T0, reader

__all__ = ["reader"]  # the fixture


def test_the_report_fits_screen_and_paper_in_each_language(
    chromium: Browser, reader: SqliteReader, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(page(reader, "R1-1", "both", T0, "ana"), encoding="utf-8")
    context = chromium.new_context(viewport={"width": 900, "height": 1200})
    tab = context.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(path.as_uri())
    chinese, english = tab.get_by_text("批号"), tab.get_by_text("Batch no.")
    shown = {"English + 中文": (True, True), "中文": (True, False), "English": (False, True)}
    for button, visible in shown.items():
        tab.get_by_role("button", name=button, exact=True).click()
        assert (chinese.first.is_visible(), english.first.is_visible()) == visible
        assert tab.evaluate("document.documentElement.scrollWidth") <= 900
    pages = len(re.findall(rb"/Type\s*/Page\b", tab.pdf(prefer_css_page_size=True)))
    assert 3 <= pages <= 8
    tab.emulate_media(media="print")
    assert not tab.get_by_role("button").first.is_visible()
    assert tab.get_by_text("Signature", exact=True).is_visible()
    assert said == []
    context.close()
