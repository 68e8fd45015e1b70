"""Colours and what makes them appear: grey unless something is abnormal (ISA-101)."""

from collections.abc import Iterable, Mapping

from dashboards.grafana.plain import Json

# ``text`` follows the light and the dark theme.
PV, SP, OP = "text", "#8f959c", "#a3927c"
GREYS = ("text", "#8f959c", "#a3927c", "#6f8297", "#a7adb5", "#7f8a7a", "#b5a7a0", "#6b7078")
MOST = 1e300
ABNORMAL, DOUBTFUL = "#c4162a", "#e0a30c"

# name and colour of each number or word; a word that begins with ^ is a pattern, of which the name
# may use $1
States = Mapping[int | str, tuple[str, str]]


def mappings(
    states: States, missing: str = "", beyond: tuple[float, str] | None = None
) -> list[Json]:
    """Return Grafana's mappings to words in a colour.

    Args:
        states: of numbers and words.
        missing: the word for what is not there.
        beyond: a number, and the word for it and all above.
    """
    made: list[Json] = []
    words: Json = {}
    for n, (value, (text, colour)) in enumerate(states.items()):
        result = {"text": text, "color": colour, "index": n}
        if str(value).startswith("^"):
            made.append({"type": "regex", "options": {"pattern": value, "result": result}})
        else:
            words[str(value)] = result
    if words:
        made.insert(0, {"type": "value", "options": words})
    if beyond:
        result = {"text": beyond[1], "color": PV, "index": len(states)}
        made.append({"type": "range", "options": {"from": beyond[0], "to": MOST, "result": result}})
    if missing:
        result = {"text": missing, "color": DOUBTFUL, "index": len(states)}
        made.append({"type": "special", "options": {"match": "null+nan", "result": result}})
    return made


def thresholds(limits: tuple[float | None, float | None], colour: str) -> Json:
    """Return Grafana's thresholds: abnormal below and above two limits, ``colour`` between."""
    low, high = limits
    # the first step has no end: null, the only one in our JSON; a number far below would spoil
    # the gradient by which Grafana colours a line
    steps: list[Json] = [{"color": colour if low is None else ABNORMAL, "value": None}]
    if low is not None:
        steps.append({"color": colour, "value": low})
    if high is not None:
        steps.append({"color": ABNORMAL, "value": high})
    return {"mode": "absolute", "steps": steps}


def named(name: str, put: Iterable[tuple[str, object]]) -> Json:
    """Return the override that puts properties on the field of a name."""
    return _override("byName", name, put)


def matched(pattern: str, put: Iterable[tuple[str, object]]) -> Json:
    """Return the override that puts properties on the fields whose names match ``/pattern/``."""
    return _override("byRegexp", pattern, put)


def _override(matcher: str, wanted: str, put: Iterable[tuple[str, object]]) -> Json:
    return {
        "matcher": {"id": matcher, "options": wanted},
        "properties": [{"id": key, "value": value} for key, value in put],
    }
