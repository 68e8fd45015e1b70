"""People decide on the optimiser's advice in a real headless Chromium, in both languages."""

from typing import Any

from playwright.sync_api import Browser, expect

from tests.dashboards.far_end import FarEnd, state
from tests.system.pages import NOW, watch
from tests.system.test_acting_browser import BOTH, BY, commands, sent

SUGGESTION: dict[str, Any] = {
    "number": 7,
    "time": NOW - 300.0,
    "feed_ml_per_h": [18.0, 24.0, 26.0],
    "do_percent": [30.0, 26.0],
    "gain_g": [1.8, 2.35, 2.9],
    "gain_percent": [13.0, 17.0, 21.0],
    "binding": "oxygen transfer",
    "why": "the vessel takes more feed before oxygen transfer holds it",
    "why_zh": "罐内还能接受更多补料，最终受供氧能力限制",
    "text": "suggestion 7",
    "text_zh": "建议 7",
}
LACKING = {"text": "in advisory for 2.0 h of 12.0 h", "text_zh": "建议模式运行 2.0 h，要求 12.0 h"}
ADVISED: dict[str, Any] = {
    "mode": "advisory",
    "granted": "advisory",
    "gain_g": [1.8, 2.35, 2.9],
    "evidence": {
        "hours": {"shadow": 24.0, "advisory": 2.0, "on": 0.0},
        "plans": 300,
        "refused": 2,
        "fed_more_ml": 194.0,
        "forecasts": 46,
        "coverage": 0.93,
        "scores": {},
        "decided": {},
        "lacking": {"advisory": [], "on": [LACKING]},
    },
    "guardrail": {"share": 1.0, "reason": "", "reason_zh": "", "region": None},
    "advice": {"open": SUGGESTION, "accepted": None, "until": None, "decisions": []},
}
WORDS = {
    "en-GB": {
        "accept": "Accept", "edit": "Edit", "reject": "Reject", "confirm": "Confirm",
        "gain": "+2.35 g (+1.80 … +2.90), +17 %", "why": SUGGESTION["why"],
        "limit": "oxygen transfer",
        "evidence": "Evidence · promoted to advisory", "lacking": LACKING["text"],
        "promote": "Override evidence", "what": "What if", "run": "Run ahead",
        "crossed": "Changed: oxygen transfer exceeded from 0.5 h on",
        "tried": "No further than 15 % from what batches have tried: Feed",
    },
    "zh-CN": {
        "accept": "采纳", "edit": "修改", "reject": "拒绝", "confirm": "确认",
        "gain": "+2.35 g (+1.80 … +2.90), +17 %", "why": SUGGESTION["why_zh"], "limit": "供氧能力",
        "evidence": "运行证据 · 已授权到建议", "lacking": LACKING["text_zh"],
        "promote": "越过证据授权", "what": "预演", "run": "开始推算",
        "crossed": "改变后: 0.5 小时后超出供氧能力",
        "tried": "不超出已有批次所试范围的 15 %：补料",
    },
}  # fmt: skip
QUANTITIES = ("product_g", "biomass_g_per_l", "do_percent", "acetate_g_per_l")


def advised(seconds: float = 0.0) -> dict[str, Any]:
    found = state(NOW + seconds)
    found["reactors"]["R1"]["optimiser"] |= ADVISED
    return found


def course(end: float, limits: list[dict[str, Any]]) -> dict[str, Any]:
    band = {"low": [8.0, end - 1], "middle": [9.0, end], "high": [10.0, end + 1]}
    product = [end - 1, end, end + 1]
    return {"bands": dict.fromkeys(QUANTITIES, band), "limits": limits, "product_g": product}


AHEAD = {
    "reactor": "R1",
    "hours": [0.0, 4.0],
    "present": course(12.0, []),
    "changed": course(14.0, [{"limit": "oxygen transfer", "possible_h": 0.2, "expected_h": 0.5}]),
    "gain_g": [1.0, 2.0, 3.0],
    "text": "product at the end 14 g",
    "text_zh": "结束时产物 14 g",
}


@BOTH
def test_a_suggestion_is_read_edited_and_rejected_with_a_reason(
    chromium: Browser, url: str, far_end: FarEnd, locale: str
) -> None:
    words = WORDS[locale]
    far_end.state = advised()
    with watch(chromium, url, locale=locale, name="ana") as w:
        card = w.page.locator("[data-suggestion='7']")
        for key in ("gain", "why", "limit"):
            expect(card).to_contain_text(words[key])
        ask = w.page.locator("#ask")
        card.get_by_role("button", name=words["edit"]).click()
        ask.locator("[name=feed]").fill("22")
        ask.locator("[name=reason]").fill("foam")
        ask.get_by_role("button", name=words["confirm"]).click()
        sent(w.page)
        card.get_by_role("button", name=words["reject"]).click()
        ask.get_by_role("button", name=words["confirm"]).click()
        expect(ask).to_be_visible()  # not without a reason
        ask.locator("[name=reason]").fill("sampling")
        ask.get_by_role("button", name=words["confirm"]).click()
        sent(w.page)
        card.get_by_role("button", name=words["accept"]).click()
        ask.get_by_role("button", name=words["confirm"]).click()
        sent(w.page)
        details = w.page.locator("#optimiser details.evidence")
        expect(details.locator("summary")).to_have_text(words["evidence"])
        details.locator("summary").click()
        expect(details).to_contain_text(words["lacking"])
        expect(details.get_by_role("button")).to_have_count(0)  # engineers promote
    edit = {"action": "edit", "number": 7, "feed": 22, "do": 26, "reason": "foam"}
    assert commands(far_end) == [
        ("/advice/R1", {**edit, **BY}),
        ("/advice/R1", {"action": "reject", "number": 7, "reason": "sampling", **BY}),
        ("/advice/R1", {"action": "accept", "number": 7, "reason": "", **BY}),
    ]


@BOTH
def test_the_closed_loop_says_what_the_region_holds(
    chromium: Browser, url: str, far_end: FarEnd, locale: str
) -> None:
    far_end.state = advised()
    region = {"width": 0.15, "at_edge": ["feed"]}
    guardrail = ADVISED["guardrail"] | {"region": region}
    leading = {"mode": "on", "guardrail": guardrail}
    far_end.state["reactors"]["R1"]["optimiser"] |= leading
    with watch(chromium, url, locale=locale, name="ana") as w:
        expect(w.page.locator("#optimiser")).to_contain_text(WORDS[locale]["tried"])


@BOTH
def test_an_engineer_overrides_lacking_evidence_with_a_reason(
    chromium: Browser, url: str, far_end: FarEnd, locale: str
) -> None:
    words = WORDS[locale]
    far_end.state = advised()
    with watch(chromium, url, locale=locale, name="eva") as w:
        details = w.page.locator("#optimiser details.evidence")
        details.locator("summary").click()
        details.get_by_role("button", name=words["promote"]).click()
        ask = w.page.locator("#ask")
        expect(ask).to_contain_text(words["lacking"])
        ask.locator("[name=reason]").fill("acceptance test")
        ask.get_by_role("button", name=words["confirm"]).click()
        sent(w.page)
    body = {"override": True, "mode": "on", "reason": "acceptance test"}
    by = {"who": "eva", "role": "engineer"}
    assert commands(far_end) == [("/optimiser/R1/promote", {**body, **by})]


@BOTH
def test_a_viewer_runs_the_vessel_ahead_and_sees_what_is_crossed(
    chromium: Browser, url: str, far_end: FarEnd, locale: str
) -> None:
    words = WORDS[locale]
    far_end.state, far_end.ahead = advised(), AHEAD
    with watch(chromium, url, locale=locale, name="vic") as w:
        w.page.locator("#optimiser").get_by_role("button", name=words["what"]).click()
        ahead = w.page.locator("#ahead")
        ahead.locator("[name=feed]").fill("60")
        ahead.get_by_role("button", name=words["run"]).click()
        expect(ahead).to_contain_text(words["crossed"])
        expect(ahead.locator("canvas")).to_have_count(4)
    assert commands(far_end) == [
        ("/what-if/R1", {"feed": 60, "who": "vic", "role": "viewer"}),
    ]
