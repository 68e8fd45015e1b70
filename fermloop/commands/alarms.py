"""alarms: what is wrong in a running plant, and what a person has to acknowledge."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fermloop.commands import remote

STATES = {
    "unacknowledged": "ACTIVE, to be acknowledged",
    "acknowledged": "active",
    "returned": "over, to be acknowledged",
    "normal": "over",
}


def run(plant: Path | None, as_json: bool) -> None:
    """Print the alarms as they stand: what is to be acknowledged first, then by priority."""
    state = remote.ask(remote.find(plant), "/state")
    if as_json:
        print(json.dumps(state["alarms"], ensure_ascii=False))
        return
    if not state["alarms"]:
        print("no alarms")
        return
    for alarm in state["alarms"]:
        priority, stands, since, name, what = _row(alarm, float(state["time"]))
        print(f"{priority:8}  {stands:26}  {since:>7}  {name}: {what}")


def _row(alarm: Mapping[str, Any], now: float) -> tuple[str, ...]:
    first = "FIRST OUT: " if alarm["first_out"] else ""
    again = f" (began {alarm['count']} times)" if alarm["count"] > 1 else ""
    seen = f" ({alarm['who']}: {alarm['comment']})" if alarm["comment"] else ""
    return (
        str(alarm["priority"]),
        STATES[alarm["state"]],
        _age(now - float(alarm["time"])),
        str(alarm["id"]),
        f"{first}{alarm['text']}{again}{seen}",
    )


def _age(seconds: float) -> str:
    """Return how long ago: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{max(seconds, 0.0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
