"""Verdicts as JUnit XML, which every CI server reads: a suite a recipe, a test case a limit."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol
from xml.etree import ElementTree

UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Verdict(Protocol):
    """What a test case is made of; ``state`` is met, not met (failure) or not judged (error)."""

    @property
    def recipe(self) -> str: ...
    @property
    def limit(self) -> str: ...
    @property
    def allowed(self) -> str: ...
    @property
    def found(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def why(self) -> str: ...
    @property
    def command(self) -> str: ...


def write(
    path: Path, verdicts: Sequence[Verdict], seconds: Mapping[str, float], command: str
) -> None:
    """Write the verdicts.

    Args:
        path: the file.
        verdicts: of all recipes.
        seconds: what the batches of each recipe took, s.
        command: makes them again.
    """
    suites: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        suites.setdefault(verdict.recipe, []).append(verdict)
    root = ElementTree.Element("testsuites", {"name": "fermloop accept"} | _counts(verdicts))
    for recipe, several in suites.items():
        took = f"{seconds.get(recipe, 0.0):.3f}"
        about = {"name": recipe, "time": took, "skipped": "0"}
        suite = ElementTree.SubElement(root, "testsuite", about | _counts(several))
        properties = ElementTree.SubElement(suite, "properties")
        ElementTree.SubElement(properties, "property", name="command", value=_text(command))
        for verdict in several:
            _case(suite, verdict)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _counts(verdicts: Sequence[Verdict]) -> dict[str, str]:
    states = [verdict.state for verdict in verdicts]
    return {
        "tests": str(len(states)),
        "failures": str(states.count("not met")),
        "errors": str(states.count("not judged")),
    }


def _case(suite: ElementTree.Element, v: Verdict) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", classname=f"accept.{v.recipe}", name=v.limit, time="0"
    )
    if v.state != "met":
        kind = "failure" if v.state == "not met" else "error"
        message = _text(f"{v.found}, allowed {v.allowed}")
        told = ElementTree.SubElement(case, kind, type=v.state, message=message)
        told.text = _text("\n".join(line for line in (v.why, v.command) if line))


def _text(text: str) -> str:
    """Return text without what XML cannot hold: an error may have any character in it."""
    return UNPRINTABLE.sub("�", text)
