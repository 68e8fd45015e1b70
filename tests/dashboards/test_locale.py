"""Every text is in both languages; what the page asks for is there, nothing is left over."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from controller.acting.authority import Role
from controller.alarms.alarm import Priority, State
from controller.assemble import optimiser_settings
from controller.consistency.plant import UNITS
from controller.planning.advice import BINDINGS
from controller.planning.economic.problem import Problem
from controller.plant import load_plant
from dashboards.console.app import LANGUAGES, STATIC, catalogue
from drivers.point import Quality

ROOT = Path(__file__).parents[2]
PAGE = [*sorted(STATIC.glob("*.js")), STATIC / "index.html"]
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in PAGE)
EN, ZH = catalogue("en"), catalogue("zh")
GROUPS = {key.partition(".")[0] for key in EN}

ESTIMATES = (
    "biomass_g_per_l substrate_g_per_l acetate_g_per_l product_g_per_l volume_l qomax_factor "
    "kla_factor"
)


def words(text: str) -> set[str]:
    return set(text.split())


def names_of_the_plant() -> dict[str, set[str]]:
    """Return the words that a controller can send, by group: the page looks them up by name."""
    plants = [_toml(path) for path in sorted((ROOT / "sim/plants").glob("*.toml"))]
    recipes = [_toml(path) for path in sorted((ROOT / "sim/recipes").glob("*.toml"))]
    tags = [tag for p in plants for device in p["device"].values() for tag in device["tags"]]
    reactors = [reactor for p in plants for reactor in p["reactor"].values()]
    loops = {loop for reactor in reactors for loop in reactor["loop"]}
    return {
        "tag": {tag["name"].partition(".")[2] for tag in tags} | loops,
        "unit": set(UNITS) | {"do"},
        "interlock": {lock for reactor in reactors for lock in reactor["interlock"]},
        "phase": {phase["name"] for recipe in recipes for phase in recipe["phase"]},
        "role": {role.word for role in Role},
        "recipe": words("start hold resume abort confirm step"),
        "page": words("process audit users"),
        "users": words("role password locked unlocked removed"),
        "audit": words("who subject"),
        "detail": words("trend tuning"),
        "source": words("operator recipe optimiser system"),
        "mode": words("OFF MANUAL AUTO CASCADE OPTIMISER IMAN LO OOS"),
        "quality": {quality.name for quality in Quality},
        "batch_state": words("IDLE RUNNING HELD ABORTED COMPLETE"),
        "optimiser_mode": words("off shadow advisory on"),
        "optimiser_short": words("off shadow advisory on"),
        "decision": words("accepted edited rejected superseded lapsed"),
        "limit": {*BINDINGS[1:], *limits_of_the_plants()},
        "optimiser_state": words("off waiting good late infeasible shed latched dead"),
        "estimate": words(ESTIMATES),
        "alarm_priority": {priority.name.lower() for priority in Priority},
        "alarm_state": {state.value for state in State},
    }


def limits_of_the_plants() -> set[str]:
    """Return the limits that a plan may be held by."""
    plants = map(load_plant, sorted((ROOT / "sim/plants").glob("*.toml")))
    found = [s for plant in plants for s in optimiser_settings(plant).values()]
    return {limit for s in found for limit in Problem(s).limits}


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def keys_in_the_page() -> set[str]:
    """Return every literal in the page that begins with one of the catalogue's groups."""
    literals = re.findall(r"[\"'`]([a-z_]+\.[A-Za-z0-9_]+)[\"'`]", TEXT)
    return {key for key in literals if key.partition(".")[0] in GROUPS}


def keys_by_name() -> set[str]:
    """Return the keys that the page makes of a group and a name out of the plant."""
    looked_up = set(re.findall(r"word\(\s*\"(\w+)\"", TEXT)) | {
        "trends", "trend", "recipe", "page", "users", "audit", "detail",
    }  # fmt: skip
    known = names_of_the_plant()
    return {f"{group}.{name}" for group in looked_up for name in known.get(group, ())}


def charts() -> set[str]:
    """Return the titles of charts, which are written as a pair."""
    return {f"{g}.{n}" for g, n in re.findall(r"\[\"(\w+)\", \"(\w+)\"\]", TEXT) if g in GROUPS}


def test_both_languages_have_the_same_keys_in_the_same_order() -> None:
    assert list(EN) == list(ZH)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_but_for_units_that_have_none(language: str) -> None:
    empty = {key for key, text in catalogue(language).items() if not text.strip()}
    assert empty == {"unit.[pH]", "unit.1"}


@pytest.mark.parametrize("key", EN)
def test_both_languages_fill_in_the_same_names(key: str) -> None:
    found = re.compile(r"\{(\w+)\}")
    assert sorted(found.findall(EN[key])) == sorted(found.findall(ZH[key]))


def test_every_key_that_the_page_uses_exists() -> None:
    missing = (keys_in_the_page() | keys_by_name() | charts()) - set(EN)
    assert not missing


def test_every_word_that_a_controller_can_send_exists() -> None:
    known = {f"{group}.{name}" for group, names in names_of_the_plant().items() for name in names}
    assert not known - set(EN)


def test_no_key_is_unused() -> None:
    assert not set(EN) - keys_in_the_page() - keys_by_name() - charts()


def test_chinese_is_chinese_where_english_is_words() -> None:
    same = {key for key in EN if EN[key] == ZH[key]}
    allowed = {key for key in EN if key.startswith("unit.")}
    assert same - allowed == {"estimate.interval", "tag.ph", "trend.o2", "trend.co2"}


def test_terms_are_those_of_the_plants() -> None:
    assert [ZH[f"mode.{m}"] for m in ("MANUAL", "AUTO", "CASCADE", "OPTIMISER")] == [
        "手动",
        "自动",
        "串级",
        "先控",
    ]
    phases = [ZH[f"phase.{p}"] for p in ("batch", "feed", "induce", "harvest")]
    assert phases == ["分批", "补料", "诱导", "放罐"]


def test_no_word_stands_in_the_page_itself() -> None:
    """Text between tags would be shown in one language only."""
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    body = re.sub(r"<noscript>.*?</noscript>|<title>.*?</title>", "", html, flags=re.DOTALL)
    shown = {word for word in re.findall(r">([^<]+)<", body) if word.strip()}
    assert shown == {"fermloop", "–", "◐"}
