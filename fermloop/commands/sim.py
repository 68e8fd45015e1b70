"""``fermloop sim``: what is said to a running simulator."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drivers.clock import sleep
from fermloop.commands.remote import ask, find

LOOK_S = 0.1  # wall s between two looks whether a step is done
SHOWN = {  # of a vessel's truth: its heading
    "age_h": "h",
    "biomass_g_per_l": "g/L biomass",
    "substrate_g_per_l": "g/L substrate",
    "product_g": "g product",
    "volume_l": "L",
    "do_percent": "% DO",
    "ph": "pH",
    "temperature_cel": "Cel",
}


def status(plant: Path | None, as_json: bool) -> None:
    """Print plant time, its pace and the vessels."""
    state = ask(find(plant, "simulator"), "/state", kind="simulator")
    print(json.dumps(state, ensure_ascii=False) if as_json else "\n".join(lines(state)))


def lines(state: Mapping[str, Any]) -> list[str]:
    """Return a simulator's state for people."""
    how = f"{state['speed']:g} times real time"
    if state["lock_step"]:
        how = "in lock-step"
    if state["paused"]:
        how += ", paused"
    elif state["stepping"]:
        how += ", until the end of a step"
    said = [f"{datetime.fromtimestamp(state['time'], UTC):%Y-%m-%d %H:%M:%S} UTC, {how}"]
    for name, vessel in state["vessels"].items():
        what = [vessel[k] for k in ("organism", "vessel", "model") if k in vessel]
        told = [f"{vessel[k]:.4g} {unit}" for k, unit in SHOWN.items() if k in vessel]
        told += [f"{k} {vessel[k]:.4g}" for k in vessel if "model" in vessel and k.endswith(")")]
        said.append(f"{name} ({', '.join(what)}): {'  '.join(told)}")
    return said


def tell(
    plant: Path | None, as_json: bool, what: str, body: Mapping[str, object] | None = None
) -> None:
    """Say one word and print what is so now."""
    answer = ask(find(plant, "simulator"), f"/{what}", body or {}, "simulator")
    print(json.dumps(answer, ensure_ascii=False) if as_json else answer["text"])


def step(plant: Path | None, as_json: bool, seconds: float) -> None:
    """Let plant time pass, wait until it has, and print how things are then."""
    socket = find(plant, "simulator")
    ask(socket, "/step", {"seconds": seconds}, "simulator")
    while (state := ask(socket, "/state", kind="simulator"))["stepping"]:
        sleep(LOOK_S)
    print(json.dumps(state, ensure_ascii=False) if as_json else "\n".join(lines(state)))
