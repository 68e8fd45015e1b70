"""The registry: every kind of fault there is."""

import math
from collections.abc import Sequence
from typing import Final

from sim.drive_faults import DRIVE_FAULTS
from sim.fault_kinds import Kind, span
from sim.sensor_faults import SENSOR_FAULTS
from sim.vessel_faults import VESSEL_FAULTS

KINDS: Final = (*SENSOR_FAULTS, *DRIVE_FAULTS, *VESSEL_FAULTS)


def kind_of(word: str, sorts: Sequence[str]) -> Kind | None:
    """Return the kind of a name that works on a target of these sorts."""
    return next((k for k in KINDS if k.word == word and k.on in sorts), None)


def rows() -> list[tuple[str, str, str, str, str]]:
    """Return the registry as text: fault, target, what happens, size, how long it lasts."""
    return [
        (k.word, k.on, k.doc, _size(k), "for ever" if k.for_ever else span(k.for_s)) for k in KINDS
    ]


def table() -> str:
    """Return the registry as a Markdown table."""
    lines = [f"| `{word}` | {' | '.join(rest)} |" for word, *rest in rows()]
    return "\n".join(
        ["| fault | on | what happens | size | lasts |", "| --- | --- | --- | --- | --- |", *lines]
    )


def _size(kind: Kind) -> str:
    size = kind.size
    if size is None:
        return ""
    unit = "" if size.unit == "1" else size.unit.replace("tag", "the tag's unit")
    text = f"{size.meaning}, {unit}".removesuffix(", ")
    if math.isnan(size.default):
        return text
    of = " of its usual range" if size.of_range else f" {unit}".rstrip()
    return f"{text}; {size.default:g}{of}"
