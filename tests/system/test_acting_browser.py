"""People act in a real headless Chromium, in both languages: log in, change, stop, log out."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from controller.texts.said import Language, in_chinese, said
from tests.dashboards.far_end import FarEnd, alarm, state
from tests.system.pages import NOW, type_in, watch

WORDS: dict[str, dict[str, str]] = {
    "en-GB": {
        "log in": "Log in", "wrong": "name or password is wrong", "operator": "ana operator",
        "set": "Setpoint", "mode": "Mode", "output": "Output", "confirm": "Confirm",
        "limits": "Allowed: 10.0 to 80.0 % air sat.", "required": "Reason (required)",
        "ramp": "It moves there at 0.6 °C a minute", "stop": "SAFE STOP", "hold": "Hold",
        "release": "Release safe stop", "leave": "Log out", "again": "Log in again to act",
        "manual": "Manual", "acknowledge": "Acknowledge", "bypass": "Bypass", "end": "End bypass",
        "reset": "Reset", "bypassed": "for another 28 min by eva (probe)",
    },
    "zh-CN": {
        "log in": "登录", "wrong": "用户名或密码错误", "operator": "ana 操作员",
        "set": "设定值", "mode": "模式", "output": "输出", "confirm": "确认",
        "limits": "允许范围：10.0 至 80.0 % 空气饱和度", "required": "原因（必填）",
        "ramp": "以每分钟 0.6 °C 变化", "stop": "安全停车", "hold": "保持",
        "release": "解除安全停车", "leave": "退出登录", "again": "重新登录后方可操作",
        "manual": "手动", "acknowledge": "确认报警", "bypass": "切除联锁", "end": "恢复联锁",
        "reset": "复位联锁", "bypassed": "还剩 28 分钟，eva（probe）",
    },
}  # fmt: skip
BOTH = pytest.mark.parametrize("locale", WORDS)
LANGUAGE: dict[str, Language] = {"en-GB": "en", "zh-CN": "zh"}
BY = {"who": "ana", "role": "operator"}


def commands(end: FarEnd) -> list[tuple[str, dict[str, Any]]]:
    return [(path, body) for path, body in end.told if not path.startswith("/session/")]


def press(page: Page, loop: str, word: str) -> None:
    page.locator(f"[data-loop={loop}] .acts").get_by_role("button", name=word, exact=True).click()


def sent(page: Page) -> None:
    expect(page.locator("#ask")).to_be_hidden()


@BOTH
def test_nothing_is_shown_before_the_log_in_and_the_way_in_and_out_is_found(
    chromium: Browser, url: str, far_end: FarEnd, locale: str
) -> None:
    words = WORDS[locale]
    with watch(chromium, url, locale=locale, name="", quiet=False) as w:
        page = w.page
        expect(page.locator("form.door h2")).to_have_text(words["log in"])
        expect(page.locator("#main")).to_be_hidden()
        expect(page.locator("#site")).to_have_text("")
        type_in(page, "ana", "not the password")
        expect(page.locator("form.door .wrong")).to_have_text(words["wrong"])
        type_in(page, "ana")
        expect(page.locator("[data-loop=do] .value")).to_have_text("31.1")
        expect(page.locator("#person .who")).to_have_text(words["operator"])
        page.reload()
        expect(page.locator("#person .who")).to_have_text(words["operator"])
        page.get_by_role("button", name=words["leave"]).click()
        expect(page.locator("form.door h2")).to_have_text(words["log in"])
        expect(page.locator("#main")).to_be_hidden()
        told = [body["what"] for path, body in far_end.told if path == "/session/ana"]
        assert told == ["log in", "log out"]


@BOTH
def test_a_setpoint_change_shows_old_new_unit_limits_and_ramp_before_it_is_confirmed(
    chromium: Browser, url: str, far_end: FarEnd, locale: str
) -> None:
    words = WORDS[locale]
    with watch(chromium, url, locale=locale, name="ana", quiet=False) as w:
        page = w.page
        ask = page.locator("#ask")
        press(page, "do", words["set"])
        expect(ask.locator(".old")).to_have_text("30.0\u202f% " + words["limits"].split("% ")[1])
        expect(ask.locator(".limits")).to_have_text(words["limits"])
        ask.locator("[name=value]").fill("95")  # the browser itself sees that it is too much
        ask.get_by_role("button", name=words["confirm"]).click()
        expect(ask).to_be_visible()
        assert commands(far_end) == []
        ask.locator("[name=value]").fill("35")
        ask.locator("[name=reason]").fill("acetate rising")
        page.keyboard.press("Enter")
        sent(page)
        expect(page.locator("#said")).to_have_text("done: /loop/R1.do/setpoint")
        body = {"value": 35, "old": 30.0, "reason": "acetate rising", **BY}
        assert commands(far_end) == [("/loop/R1.do/setpoint", body)]
        press(page, "temperature", words["set"])
        expect(ask).to_contain_text(words["ramp"])
        page.keyboard.press("Escape")
        press(page, "ph", words["set"])  # critical: not without a reason
        expect(ask).to_contain_text(words["required"])
        ask.locator("[name=value]").fill("6.9")
        ask.get_by_role("button", name=words["confirm"]).click()
        expect(ask).to_be_visible()
        moved = {"what": said("moved.setpoint"), "now": 6.8, "expected": 7.0}
        far_end.refusal = (409, said("moved", loop="R1.ph", **moved))
        ask.locator("[name=reason]").fill("probe")
        ask.get_by_role("button", name=words["confirm"]).click()
        expect(ask.locator(".wrong")).to_have_text(far_end.refusal[1].told(LANGUAGE[locale]))


@BOTH
def test_mode_output_recipe_and_optimiser(
    chromium: Browser, url: str, far_end: FarEnd, locale: str
) -> None:
    words = WORDS[locale]
    with watch(chromium, url, locale=locale, name="ana") as w:
        page = w.page
        ask = page.locator("#ask")
        outputs = page.locator("[data-loop=feed] .acts").get_by_role("button", name=words["output"])
        expect(outputs).to_have_count(0)  # only by hand
        press(page, "feed", words["mode"])
        ask.locator("select").select_option(label=words["manual"])
        ask.get_by_role("button", name=words["confirm"]).click()
        sent(page)
        later = state(NOW + 10)
        later["reactors"]["R1"]["loops"]["feed"] |= {"target": "MANUAL", "actual": "MANUAL"}
        far_end.state = later
        press(page, "feed", words["output"])
        ask.locator("[name=value]").fill("12.5")
        ask.get_by_role("button", name=words["confirm"]).click()
        sent(page)
        page.locator("#batch").get_by_role("button", name=words["hold"]).click()
        ask.get_by_role("button", name=words["confirm"]).click()
        sent(page)
        page.locator("#optimiser .acts").get_by_role("button").nth(1).click()
        ask.get_by_role("button", name=words["confirm"]).click()
        sent(page)
        why = {"reason": "", **BY}
        assert commands(far_end) == [
            ("/loop/R1.feed/mode", {"mode": "MANUAL", **why}),
            ("/loop/R1.feed/output", {"value": 12.5, **why}),
            ("/recipe/R1", {"action": "hold", **why}),
            ("/optimiser/R1", {"mode": "shadow", **why}),
        ]


@BOTH
def test_the_safe_stop_is_one_click_without_a_question_and_its_release_is_asked(
    chromium: Browser, url: str, far_end: FarEnd, locale: str
) -> None:
    words = WORDS[locale]
    with watch(chromium, url, locale=locale, name="ana") as w:
        page = w.page
        page.get_by_role("button", name=words["stop"], exact=True).click()
        expect(page.locator("#said")).to_have_text("done: /safe-stop/R1")
        expect(page.locator("#ask")).to_be_hidden()
        assert commands(far_end) == [("/safe-stop/R1", BY)]
        stopped = state(NOW + 10)
        stopped["reactors"]["R1"]["stopped"] = True
        far_end.state = stopped
        page.get_by_role("button", name=words["release"]).click()
        ask = page.locator("#ask")
        ask.locator("[name=reason]").fill("air is back")
        ask.get_by_role("button", name=words["confirm"]).click()
        sent(page)
        assert commands(far_end)[1] == ("/release/R1", {"reason": "air is back", **BY})


@BOTH
def test_an_alarm_is_acknowledged_with_a_comment(
    chromium: Browser, url: str, far_end: FarEnd, locale: str
) -> None:
    words = WORDS[locale]
    with watch(chromium, url, locale=locale, name="ana") as w:
        wrong = state(NOW + 10)
        wrong["alarms"] = [alarm("R1.do.low", text="too little", time=NOW)]
        far_end.state = wrong
        row = w.page.locator("#alarms [data-alarm]")
        row.get_by_role("button", name=words["acknowledge"]).click()
        w.page.locator("#ask [name=reason]").fill("probe 2")
        w.page.locator("#ask").get_by_role("button", name=words["confirm"]).click()
        sent(w.page)
        ((path, body),) = commands(far_end)
        assert path == f"/alarm/{wrong['alarms'][0]['id']}/acknowledge"
        assert body == {"comment": "probe 2", **BY}


@BOTH
def test_an_interlock_is_bypassed_by_an_engineer_for_a_time_and_that_stays_on_the_screen(
    chromium: Browser, url: str, far_end: FarEnd, locale: str
) -> None:
    words = WORDS[locale]
    locks = state(NOW)["reactors"]["R1"]["interlocks"]
    with watch(chromium, url, locale=locale, name="eva", quiet=False) as w:
        page, ask = w.page, w.page.locator("#ask")
        # one that may never be bypassed has no button
        expect(page.locator("#interlocks").get_by_role("button")).to_have_count(len(locks) - 1)
        page.locator("#interlocks").get_by_role("button", name=words["bypass"]).first.click()
        ask.get_by_role("button", name=words["confirm"]).click()
        expect(ask).to_be_visible()  # not without a reason
        ask.locator("[name=reason]").fill("probe")
        ask.locator("[name=value]").fill("45")
        far_end.refusal = (409, said("bypassed_already", name="R1.low_do", who="bo"))
        ask.get_by_role("button", name=words["confirm"]).click()
        expect(ask.locator(".wrong")).to_contain_text("bo")
        expect(ask.locator(".wrong")).to_have_text(far_end.refusal[1].told(LANGUAGE[locale]))
        far_end.refusal = None
        ask.get_by_role("button", name=words["confirm"]).click()
        sent(page)
        body = {"minutes": 45, "reason": "probe", "who": "eva", "role": "engineer"}
        assert commands(far_end)[-1] == ("/interlock/R1.low_do/bypass", body)
        later = state(NOW + 120)
        bypass = {"since": NOW, "until": NOW + 1800, "who": "eva", "reason": "probe"}
        later["reactors"]["R1"]["interlocks"]["low_do"]["bypass"] = bypass
        # that of another vessel is on the screen too
        later["reactors"]["R2"] = state(NOW)["reactors"]["R1"]
        window = said("outside", tag="R2.ph", low=6.4, high=7.4, unit="")
        why = said("interlock", when=window, does=["R2.feed = 0"])
        later["reactors"]["R2"]["interlocks"]["ph_window"] |= {
            "tripped": True, "latched": True, "bypass": bypass, "text": why, **in_chinese(why),
        }  # fmt: skip
        far_end.state = later
        strip = page.locator("#attention .trouble.interlock")
        expect(strip).to_have_count(2)
        expect(strip.first).to_contain_text(words["bypassed"])
        expect(strip.last).to_contain_text("R2 ")
        expect(strip.last).to_contain_text(why.told(LANGUAGE[locale]))
        page.get_by_role("button", name="R2").click()
        page.locator("#interlocks").get_by_role("button", name=words["reset"]).click()
        page.keyboard.press("Escape")
        page.locator("#interlocks").get_by_role("button", name=words["end"]).click()
        ask.get_by_role("button", name=words["confirm"]).click()
        sent(page)
        assert commands(far_end)[-1][0] == "/interlock/R2.ph_window/end"


def test_a_viewer_sees_values_and_nothing_to_press(chromium: Browser, url: str) -> None:
    with watch(chromium, url, name="vic") as w:
        expect(w.page.locator("#person .who")).to_have_text("vic viewer")
        assert w.page.locator(".acts button, .safe-stop").count() == 0


def test_the_first_engineer_is_made_with_the_token_that_was_printed(
    chromium: Browser, far_end: FarEnd, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "dashboards.console", "--address", "127.0.0.1:0"]
    command += ["--socket", str(far_end.path), "--store", str(tmp_path / "store.sqlite")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("console: ").strip()
        token = process.stdout.readline().rpartition(" ")[2].strip()
        try:
            with watch(chromium, address, locale="zh-CN", name="", quiet=False) as w:
                expect(w.page.locator("form.door h2")).to_have_text("建立第一位工程师")
                w.page.locator("form.door [name=token]").fill(token)
                type_in(w.page, "eva", "a long password")
                expect(w.page.locator("#person .who")).to_contain_text("eva")
        finally:
            process.kill()
    assert (tmp_path / "users.json").stat().st_mode & 0o777 == 0o600
