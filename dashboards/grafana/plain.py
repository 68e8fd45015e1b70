"""Turns what grafanalib writes into classic JSON, as Grafana itself would export it.

grafanalib 0.7.1 writes schema 12 with nulls and keys of panels that Grafana no longer has.
"""

from typing import Any, cast

Json = dict[str, Any]

_LEGACY = frozenset(
    ("__inputs", "rows", "hideControls", "sharedCrosshair", "style", "gnetId", "id")
)
_LEGACY_PANEL = frozenset(
    ("editable", "error", "height", "span", "minSpan", "maxPerRow", "hideTimeOverride")
) | frozenset(("fontSize", "columns", "mappings", "color"))
_LEGACY_VARIABLE = frozenset(
    ("useTags", "tagsQuery", "tagValuesQuery", "auto", "auto_min", "auto_count", "allValue")
)


def plain(raw: Json) -> Json:
    """Return a board without nulls and without the keys of panels that are gone."""
    top = {k: v for k, v in raw.items() if k not in _LEGACY}
    top["panels"] = [_plain_panel(panel) for panel in raw["panels"]]
    top["templating"] = {"list": [_plain_variable(v) for v in raw["templating"]["list"]]}
    top["timepicker"] = {"refresh_intervals": raw["timepicker"]["refresh_intervals"]}
    return cast(Json, _without_nulls(top))


def _plain_panel(raw: Json) -> Json:
    panel = {k: v for k, v in raw.items() if k not in _LEGACY_PANEL}
    if panel["type"] == "row":
        kept = ("id", "type", "title", "collapsed", "gridPos", "panels")
        return {k: panel[k] for k in kept}
    defaults = panel["fieldConfig"]["defaults"]
    if not defaults["thresholds"]["steps"]:
        del defaults["thresholds"]
    scale = defaults.get("custom", {}).get("scaleDistribution", {})
    if scale.get("type") == "linear":
        del scale["log"]  # has a base only when logarithmic
    custom = defaults.get("custom", {})
    custom.pop("displayMode", None)  # of a table; cellOptions now
    if custom.get("stacking") == {}:
        del custom["stacking"]
    for key in ("repeat", "repeatDirection", "cacheTimeout", "timeFrom", "timeShift"):
        if not panel.get(key):
            panel.pop(key, None)
    return panel


def _plain_variable(raw: Json) -> Json:
    variable = {k: v for k, v in raw.items() if k not in _LEGACY_VARIABLE}
    variable["current"].pop("tags", None)
    if variable["type"] == "textbox":
        for key in ("datasource", "refresh", "sort", "regex"):
            variable.pop(key, None)
        chosen = {"selected": True, "text": raw["query"], "value": raw["query"]}
        return variable | {"current": chosen, "options": [chosen]}
    value = variable.pop("current")["value"]
    if value is None:
        return variable  # the first value found, once Grafana has asked
    text = "All" if value == "$__all" else value
    several = {"text": [text], "value": [value]} if variable["multi"] else {}
    return variable | {"current": {"selected": True, "text": text, "value": value} | several}


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        found = cast(dict[str, object], value)
        # the first step of thresholds has no end: its null is meant
        keep = {"value"} if found.keys() == {"color", "value"} else set[str]()
        return {k: _without_nulls(v) for k, v in found.items() if v is not None or k in keep}
    if isinstance(value, list):
        return [_without_nulls(v) for v in cast(list[object], value)]
    return value
