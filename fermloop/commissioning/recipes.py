"""Recipes whose feeds are moved block by block, around what a batch of the recipe really gave."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from controller.recipes.file import Recipe
from fermloop.commissioning.excitation import Block
from fermloop.commissioning.record import Floats
from historian.batch import BatchRecord

POINTS: Final = 40  # of a profile at most
LEAST_H: Final = 0.25  # between two of them
EDGE_H: Final = 0.02  # in which a feed goes from one block to the next
FLOWS: Final = 0.02  # of a feed's greatest flow; below, it does not flow


def feeding(
    record: BatchRecord, step_h: float, flows: Mapping[str, Floats]
) -> dict[str, list[tuple[str, float, float]]]:
    """Return by feed in which phases it flowed: name, start and end in h since inoculation."""
    found: dict[str, list[tuple[str, float, float]]] = {}
    of = record.batch
    for feed, flow in flows.items():
        most = float(np.nanmax(flow, initial=0.0))
        for phase in record.phases:
            start, end = of.age_h(phase.began), of.age_h(phase.ended or phase.began)
            rows = slice(max(round(start / step_h), 0), round(end / step_h))
            part = np.nan_to_num(flow[rows])
            if len(part) * step_h < 2.0 * LEAST_H or not most > 0.0:
                continue
            if float(np.mean(part > FLOWS * most)) > 0.5:
                found.setdefault(feed, []).append((phase.name, max(start, 0.0), end))
    return found


def excited(
    recipe: Recipe,
    name: str,
    spans: Mapping[str, Sequence[tuple[str, float, float]]],
    step_h: float,
    flows: Mapping[str, Floats],
    factors: Mapping[Block, float],
) -> dict[str, Any]:
    """Return the table of a recipe whose feeds follow profiles.

    Args:
        recipe: whose phases and everything else stay.
        name: of the new one.
        spans: as ``feeding`` returns them.
        step_h: of the rows of ``flows``.
        flows: of the batch by feed, in the loop's unit.
        factors: of each block.
    """
    table: dict[str, Any] = json.loads(json.dumps(recipe.table))
    table["name"] = name
    phases = {phase["name"]: phase for phase in table["phase"]}
    for feed, phases_of in spans.items():
        for phase, start, end in phases_of:
            points = list(_profile(start, end, step_h, flows[feed], feed, factors))
            phases[phase].setdefault("feeds", {})[feed] = {"kind": "profile", "table": points}
    return table


def _profile(
    start: float,
    end: float,
    step_h: float,
    flow: Floats,
    feed: str,
    factors: Mapping[Block, float],
) -> Iterator[list[float]]:
    """Yield hours in the phase and flow."""
    at = (np.arange(len(flow)) + 0.5) * step_h
    good = np.isfinite(flow)
    for block, factor in factors.items():
        if block.feed != feed or not (start - 1e-6 <= block.start and block.end <= end + 1e-6):
            continue
        first = block.start + (EDGE_H if block.start > start + 1e-6 else 0.0)
        count = max(2, min(round((block.end - first) / LEAST_H), POINTS // len(factors) + 2))
        hours: list[float] = np.linspace(first, block.end, count).tolist()
        for hour in hours:
            # half a row inside the phase: its first and last rows are those of its neighbours too
            inside = min(max(hour, start + step_h), end - step_h)
            value = float(np.interp(inside, at[good], flow[good]))
            yield [round(hour - start, 3), float(f"{factor * value:.4g}")]


def toml(table: Mapping[str, Any]) -> str:
    """Return a recipe's table as TOML: plain keys, tables, then the phases."""
    lines: list[str] = []
    plain = {k: v for k, v in table.items() if not isinstance(v, dict) and k != "phase"}
    lines += [f"{key} = {_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]", *_keys(cast("dict[str, Any]", value))]
    for phase in table["phase"]:
        lines += ["", "[[phase]]", *_keys(phase)]
    return "\n".join(lines) + "\n"


def _keys(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        yield f"{_key(key)} = {_value(value)}"


def _key(key: str) -> str:
    plain = key.replace("_", "").replace("-", "")
    return key if plain.isalnum() and plain.isascii() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(_keys(cast("dict[str, Any]", value)))
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(v) for v in cast("list[Any]", value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all; one that is there is replaced."""
    aside = path.with_name(f".{path.name}")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)
