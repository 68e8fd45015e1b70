"""A loop in detail, recipes, the audit trail and users, in a real headless Chromium."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from controller.acting.users import Users
from tests.dashboards.far_end import PASSWORD, TUNING, FarEnd, state
from tests.system.pages import NOW, watch

WORDS: dict[str, dict[str, str]] = {
    "en-GB": {
        "tuning": "Tuning", "change": "Change tuning", "read": "Engineers change it.",
        "close": "Close",
        "start": "Start", "edit": "Parameters", "confirm": "Confirm", "unfit": "does not fit",
        "phases": "Batch → Feed → Induction → Harvest", "bounds": "Allowed: 0.05 to 0.25 1/h",
        "audit": "Audit trail", "users": "Users", "whole": "The hash chain is whole: 5 links",
        "stop": "R1 safe stop: running → stopped", "no": "a viewer may not; operator is required",
        "new": "New user", "role": "Role", "lock": "Lock", "locked": "is locked",
        "weak": "8 to 128 characters are required", "differ": "The two new passwords differ.",
        "wrong": "name or password is wrong", "safe stop": "SAFE STOP",
    },
    "zh-CN": {
        "tuning": "整定", "change": "修改整定参数", "read": "由工程师修改。", "close": "关闭窗口",
        "start": "启动", "edit": "修改参数", "confirm": "确认", "unfit": "不适用于本装置",
        "phases": "分批 → 补料 → 诱导 → 放罐", "bounds": "允许范围：0.05 至 0.25 1/h",
        "audit": "审计追踪", "users": "用户", "whole": "哈希链完整：5 条",
        "stop": "R1 安全停车：运行 → 已停车", "no": "观察员无权操作，需要操作员权限",
        "new": "新建用户", "role": "角色", "lock": "锁定", "locked": "已被锁定",
        "weak": "须 8 至 128 个字符", "differ": "两次输入的新密码不一致。",
        "wrong": "用户名或密码错误", "safe stop": "安全停车",
    },
}  # fmt: skip
BOTH = pytest.mark.parametrize("locale", WORDS)
EVA = {"who": "eva", "role": "engineer"}


def press(where: Page | Locator, name: str) -> None:
    where.get_by_role("button", name=name, exact=True).click()


def told(end: FarEnd, path: str) -> list[dict[str, Any]]:
    return [body for at, body in end.told if at == path]


@BOTH
def test_a_loops_last_hour_and_tuning_are_shown_and_an_engineer_tunes_it(
    chromium: Browser, url: str, far_end: FarEnd, locale: str
) -> None:
    words = WORDS[locale]
    with watch(chromium, url, locale=locale, name="eva") as w:
        page, detail, ask = w.page, w.page.locator("#detail"), w.page.locator("#ask")
        with page.expect_response(lambda r: "tags=R1.ph%2C" in r.url) as asked:
            page.locator("[data-loop=ph] .open").click()
        body = asked.value.json()
        assert len(body["time"]) <= 601
        assert {0, 1, 2} <= set(body["quality"]["R1.ph"])  # uncertain, then bad, in far_end
        expect(detail.locator("figure")).to_have_attribute("data-points", points(body))
        press(detail, words["tuning"])
        expect(detail.locator("tr").first).to_contain_text("20%/pH")
        press(detail, words["change"])
        # the question is not in the way of the safe stop
        expect(page.get_by_role("button", name=words["safe stop"])).to_be_enabled()
        ask.locator("[name=kp]").fill("12.5")
        press(ask, words["confirm"])
        expect(ask).to_be_visible()  # not without a reason
        ask.locator("[name=reason]").fill("oscillates")
        press(ask, words["confirm"])
        expect(ask).to_be_hidden()
        new = {"kp": 12.5, "ti_s": 600, "td_s": 0, "filter_s": 5, "reason": "oscillates", **EVA}
        assert told(far_end, "/loop/R1.ph/retune") == [new]
        later = state(NOW + 10)
        later["reactors"]["R1"]["loops"]["ph"]["tuning"] = {**TUNING, "kp": 12.5}
        far_end.state = later
        expect(detail.locator("tr").first).to_contain_text("12.5%/pH")
        press(detail, words["close"])
        expect(detail).to_be_hidden()
    with watch(chromium, url, locale=locale, name="ana") as w:
        w.page.locator("[data-loop=do] .open").click()
        press(w.page.locator("#detail"), words["tuning"])
        expect(w.page.locator("#detail")).to_contain_text(words["read"])
        expect(w.page.locator("#detail")).to_contain_text("R1.driving_force")
        assert w.page.locator("#detail .acts").count() == 0


def points(body: dict[str, Any]) -> str:
    return str(sum(value is not None for value in body["values"]["R1.ph"]))


@BOTH
def test_a_recipe_that_fits_is_chosen_started_with_its_parameters_and_edited(
    chromium: Browser, url: str, far_end: FarEnd, locale: str
) -> None:
    words = WORDS[locale]
    with watch(chromium, url, locale=locale, name="eva") as w:
        ask, strip = w.page.locator("#ask"), w.page.locator("#batch")
        press(strip, words["edit"])
        ask.locator("[name=value]").fill("0.12")
        ask.locator("[name=reason]").fill("acetate")
        press(ask, words["confirm"])
        expect(ask).to_be_hidden()
        edit = {"parameters": {"mu": 0.12}, "reason": "acetate", **EVA}
        assert told(far_end, "/recipe/R1/edit") == [edit]
        later = state(NOW + 10)
        later["reactors"]["R1"]["batch"]["state"] = "COMPLETE"
        far_end.state = later
        press(strip, words["start"])
        expect(ask.locator(".note")).to_have_text(words["phases"])
        unfit = ask.locator("option[disabled]")
        expect(unfit).to_contain_text(words["unfit"])
        expect(unfit).to_have_attribute("title", "penicillin.toml: phase.0: loop oil: no such loop")
        expect(ask.locator(".limits")).to_have_text(words["bounds"])
        ask.locator("[name=recipe]").select_option("/plant/recipes/yeast.toml")
        expect(ask.locator("[name=mu]")).to_have_count(0)
        ask.locator("[name=value]").select_option("/plant/recipes/ecoli.toml")
        ask.locator("[name=mu]").fill("0.3")
        press(ask, words["confirm"])
        expect(ask).to_be_visible()  # outside its limits
        ask.locator("[name=mu]").fill("0.2")
        press(ask, words["confirm"])
        expect(ask).to_be_hidden()
        start = {"action": "start", "recipe": "/plant/recipes/ecoli.toml", "reason": ""}
        assert told(far_end, "/recipe/R1") == [{**start, "parameters": {"mu": 0.2}, **EVA}]


@BOTH
def test_the_audit_trail_the_users_and_his_own_password(
    chromium: Browser, url: str, far_end: FarEnd, store: Path, locale: str
) -> None:
    words, people = WORDS[locale], Users(store.with_name("users.json"))
    name = f"li-{locale[:2].lower()}"
    with watch(chromium, url, locale=locale, name="eva", quiet=False) as w:
        page, here, ask = w.page, w.page.locator("#page"), w.page.locator("#ask")
        press(page.locator("#pages"), words["audit"])
        expect(here.locator("#chain")).to_contain_text(words["whole"])
        expect(here.locator("tr")).to_have_count(6)
        expect(here.locator("tr").nth(1)).to_contain_text(words["stop"])
        expect(here.locator(".refused")).to_contain_text(words["no"])
        here.locator("[name=who]").fill("ana")
        page.keyboard.press("Enter")
        expect(here.locator("tr")).to_have_count(3)
        here.locator("[name=subject]").fill("R1.do")
        page.keyboard.press("Enter")
        expect(here.locator("tr")).to_have_count(2)
        press(page.locator("#pages"), words["users"])
        press(here, words["new"])
        ask.locator("[name=name]").fill(name)
        ask.locator("[name=role]").select_option("viewer")
        ask.locator("[name=password]").fill("short")
        press(ask, words["confirm"])
        expect(ask.locator(".wrong")).to_contain_text(words["weak"])
        ask.locator("[name=password]").fill(PASSWORD)
        press(ask, words["confirm"])
        mine = here.locator(f"[data-user={name}]")
        press(mine, words["role"])
        ask.locator("[name=value]").select_option("operator")
        press(ask, words["confirm"])
        expect(ask).to_be_hidden()
        press(mine, words["lock"])
        press(ask, words["confirm"])
        expect(mine).to_contain_text(words["locked"])
        did = [(body["what"], body["old"], body["new"]) for body in told(far_end, f"/user/{name}")]
        assert did == [
            ("made", "", "viewer"), ("role", "viewer", "operator"), ("locked", "", "locked"),
        ]  # fmt: skip
    people.unlock(name)
    with watch(chromium, url, locale=locale, name=name, quiet=False) as w:
        page, ask = w.page, w.page.locator("#ask")
        expect(page.locator("#pages button")).to_have_count(2)  # users are an engineer's
        page.locator("#person .who").click()
        for value, says in (
            (("x", "a new one", "another"), "differ"),
            (("x", "a new one", "a new one"), "wrong"),
        ):
            for field, text in zip(("old", "new", "again"), value, strict=True):
                ask.locator(f"[name={field}]").fill(text)
            press(ask, words["confirm"])
            expect(ask.locator(".wrong")).to_contain_text(words[says])
        ask.locator("[name=old]").fill(PASSWORD)
        press(ask, words["confirm"])
        expect(ask).to_be_hidden()
    assert people.authenticate(name, "a new one")
