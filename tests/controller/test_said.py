"""Every refusal is told in English and in Chinese, and none is raised without a text of its own."""

import ast
import re
from pathlib import Path
from string import Formatter

import pytest

from controller.recipes.file import RecipeError
from controller.texts.said import Said, answer, said
from controller.texts.said_texts import TEXTS

ROOT = Path(__file__).parents[2]
# whose errors a person can be answered with, and with which of them
SPOKEN = [
    *(ROOT / "controller" / f"{name}.py" for name in (
        "acting/acting", "acting/advising", "acting/api", "acting/authority", "acting/body",
        "acting/tuner", "acting/users", "acting/whatif", "alarms/alarms", "loops/loop",
        "planning/advice", "planning/seat", "protection/interlocks", "reactor",
    )),
    *(ROOT / "dashboards/console" / f"{name}.py" for name in ("acting", "door", "people", "rim")),
]  # fmt: skip
TOLD = {"RefusedError", "RangeError", "ForbiddenError", "DeniedError", "BusyError", "LookupError"}
# what a damaged file, a damaged state or a body that no page sends is answered: English is quoted
QUOTED = {
    "users.py": {"UserError"},
    "body.py": {"BadRequestError"},
    "interlocks.py": {"ValueError"},
}


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def codes(tree: ast.AST) -> set[str]:
    """Return the codes that a piece of the program says; all that begin as a made one does."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "said" and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant):
                found.add(str(first.value))
            elif isinstance(first, ast.JoinedStr) and isinstance(first.values[0], ast.Constant):
                start = str(first.values[0].value)
                found |= {code for code in TEXTS if code.startswith(start)}
    return found


@pytest.mark.parametrize("code", TEXTS)
def test_every_refusal_is_told_in_both_languages_with_what_it_names(code: str) -> None:
    english, chinese = TEXTS[code]
    assert fields(english) == fields(chinese) | ({"rule"} if code == "user_name" else set())
    values = {name: f"<{name}>" for name in fields(english)}
    line = said(code, **values)
    assert line == line.told("en")
    assert re.search(r"[\u4e00-\u9fff\uff1a]", line.told("zh"))
    assert not re.search(r"[\u4e00-\u9fff]", line)
    for told in (line.told("en"), line.told("zh")):
        assert "{" not in told
        assert "\n" not in told
    for name in fields(chinese):
        assert f"<{name}>" in line.told("zh")


def test_every_text_is_said_somewhere_and_every_refusal_has_one() -> None:
    used = set[str]()
    for path in [*(ROOT / "controller").rglob("*.py"), *(ROOT / "dashboards/console").glob("*.py")]:
        used |= codes(ast.parse(path.read_text(encoding="utf-8")))
    assert used - set(TEXTS) == set()
    # words are looked up by what the plant says
    left = {code for code in TEXTS if not code.startswith(("word.", "what."))} - used
    assert left == {"other"}


@pytest.mark.parametrize("path", SPOKEN, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_refusal_is_raised_in_english_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)):
            continue
        name = getattr(node.exc.func, "id", "")
        if name not in TOLD - QUOTED.get(path.name, set()):
            continue
        said_there = codes(node) or any(
            isinstance(arg, ast.Name | ast.Call | ast.Subscript | ast.Attribute)
            for arg in node.exc.args
        )
        assert said_there, f"{path.name}:{node.lineno}: {ast.unparse(node)}"


def test_a_line_in_a_line_is_told_in_the_same_language() -> None:
    line = said("value", key="value", value='"35"', why=said("a_number"))
    assert line == 'value: "35" is not allowed; it must be a number'
    assert line.told("zh") == 'value："35" 不允许；应为数字'
    assert isinstance(line, Said)


def test_what_has_no_text_of_its_own_is_quoted_and_is_one_line() -> None:
    error = RecipeError(["ecoli.toml: no such tag", "ecoli.toml: phase.1:\nbad"])
    english = "ecoli.toml: no such tag; ecoli.toml: phase.1: bad"
    assert answer(error) == {"error": english, "error_zh": f"未执行（系统原文）：{english}"}
    assert answer(KeyError("R1.dox: no such loop"))["error"] == "R1.dox: no such loop"
    assert answer(ValueError())["error"] == ""


def test_numbers_are_shown_as_people_write_them() -> None:
    line = said("setpoint_range", loop="R1.do", value=95.0, low=10, high=80.0, unit="%")
    assert line == "R1.do: setpoint 95 is outside 10 to 80 %"
    assert line.told("zh") == "R1.do：设定值 95 超出允许范围 10 至 80 %"
