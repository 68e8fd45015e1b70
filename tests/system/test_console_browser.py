"""What the console shows, in a real headless Chromium, and on what screens."""

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.dashboards.far_end import FarEnd, alarm, state
from tests.system.pages import DESK, NOW, PHONE, WALL, plate, watch


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
    with watch(chromium, url, name="eva") as w:
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
        with page.expect_response("**/api/language"):
            page.get_by_role("button", name="切换为英文").click()
        expect(page.locator("[data-loop=feed] h3")).to_have_text("Feed")
    # it is the user's own: the next browser that he logs in with speaks it, whatever its own
    with watch(chromium, url, locale="zh-CN", name="eva") as w:
        expect(w.page.locator("[data-loop=feed] h3")).to_have_text("Feed")


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
        wrong["alarms"] = [alarm("R1.feed.dose", subject="R1.feed", text="dose limit reached")]
        far_end.state = wrong
        attention = page.locator("#attention")
        for text in (
            "INTERLOCK",
            "Low DO",
            "R1.do below 12 % for 20 s: R1.feed = 0",
            "LOW",
            "dose limit reached",
            "NO ANSWER",
            "R1-gas at opc.tcp://127.0.0.1:4840/fermloop does not answer",
            "HELD",
            "held by ana: probe cleaned",
        ):
            expect(attention).to_contain_text(text)
        expect(attention.locator(".shape")).to_have_count(3)
        expect(attention.locator(".priority.low")).to_have_text("4")
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


@pytest.mark.parametrize(("locale", "language"), [("en-GB", "en"), ("zh-CN", "zh")])
def test_alarms_are_told_apart_by_shape_word_and_state(
    chromium: Browser, url: str, far_end: FarEnd, locale: str, language: str
) -> None:
    words = {
        "en": ("2 to be acknowledged", "CRITICAL", "active, unacknowledged", "first out", "30 s"),
        "zh": ("2 条待确认", "紧急", "报警中，未确认", "首出", "30 秒前"),
    }[language]
    seen = {"en": "Acknowledged by ana: valve opened", "zh": "ana 已确认： valve opened"}[language]
    with watch(chromium, url, locale=locale) as w:
        wrong = state(NOW + 30)
        high = {"text": "high: 39.1 above 39 °C", "text_zh": "高：39.1，超过 39 °C"}
        done: dict[str, Any] = {"state": "acknowledged", "who": "ana", "comment": "valve opened"}
        wrong["alarms"] = [
            alarm("R1.t.high_high", priority="critical", first_out=True, **high),
            alarm("R1.do.low", priority="medium", state="returned", active=False, count=3),
            alarm("R1.drive.residual", priority="high", **done),
        ]
        far_end.state = wrong
        panel = w.page.locator("#alarms")
        expect(panel.locator("li")).to_have_count(3)
        for text in (*words, high["text" if language == "en" else "text_zh"], seen):
            expect(panel).to_contain_text(text)
        shapes = panel.locator(".priority")
        assert shapes.all_inner_texts() == ["1", "3", "2"]
        # only what is active and nobody has acknowledged stands above everything else
        attention = w.page.locator("#attention .trouble")
        expect(attention).to_have_count(1)
        expect(attention).to_contain_text(words[1])
        assert w.page.title().startswith("(1) R1")


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
        wrong["alarms"] = [alarm(evil, subject=evil, text=evil, who=evil, comment=evil)]
        wrong["reactors"]["R1"]["batch"] |= {"id": evil, "recipe": evil, "message": evil}
        wrong["reactors"]["R1"]["loops"]["do"]["reason"] = evil
        far_end.state = wrong
        expect(w.page.locator("#site")).to_have_text(evil)
        expect(w.page.locator("#attention")).to_contain_text(evil)
        assert w.page.locator("main img, main script").count() == 0


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


@pytest.mark.parametrize("size", [PHONE, DESK, (1440, 900), WALL])
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
        if size[0] >= 1440:  # what is always there takes one line
            header = page.locator("body > header").bounding_box()
            assert header is not None
            assert header["height"] <= 50
        if size == WALL:  # values and trends on one screen, without scrolling
            bottom = page.locator("[data-chart=offgas]").bounding_box()
            assert bottom is not None
            assert bottom["y"] + bottom["height"] <= size[1]
