"""``fermloop check --interlocks``: every interlock and limit of a plant, as its file says.

``python -m fermloop.commands.check_interlocks README.md`` renews the tables of a document, each
between ``<!-- interlocks of PLANT.toml -->`` and ``<!-- end -->``.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from controller.assemble import build_interlocks, build_rules, build_switches
from controller.plant import Plant, load_plant
from controller.plant_file.loop_settings import LoopSettings
from controller.protection.conditions import shown
from controller.protection.interlock import Interlock
from fermloop.commands.live import DASH

TITLES = {  # of the tables and their columns
    "interlocks": {
        "name": "interlock",
        "condition": "trips when",
        "for_s": "for",
        "clear_s": "clears after",
        "does": "does",
        "on_bad": "BAD reading",
        "latch": "latch",
        "bypass": "bypass",
    },
    "actuators": {
        "name": "actuator",
        "range": "range",
        "rate": "rate",
        "safe": "safe value",
        "dose": "dose in any hour",
        "watchdog": "device's watchdog",
        "excludes": "never open with",
        "switch": "local/remote",
    },
    "loops": {"name": "loop", "setpoint": "setpoint", "on_bad": "BAD measurement"},
}
Rows = list[dict[str, str]]


def show(plant: Plant, as_json: bool, as_markdown: bool) -> None:
    """Print the tables of every reactor."""
    reactors = {name: tables(name, plant) for name in plant.settings.reactor}
    if as_json:
        print(json.dumps(reactors, ensure_ascii=False))
    elif as_markdown:
        print("\n\n".join(markdown(found) for found in reactors.values()))
    elif sys.stdout.isatty():
        _drawn(reactors)
    else:
        for found in reactors.values():
            for what, rows in found.items():
                for row in rows:
                    cells = (f"{TITLES[what][k]}: {v}" for k, v in row.items() if v and k != "name")
                    print(f"{what[:-1]} {row['name']}: {'; '.join(cells)}")


def tables(name: str, plant: Plant) -> dict[str, Rows]:
    """Return interlocks, actuators and loops of a reactor, a row each; empty: there is none."""
    settings = plant.settings.reactor[name]
    switches = build_switches(name, plant).switches
    dogs = {n: d.watchdog for n, d in plant.settings.device.items()}
    actuators: Rows = []
    for rule in build_rules(name, plant):
        tag, dog = rule.tag, dogs[plant.device_of[rule.tag.name]]
        unit, dose = shown(tag.unit), rule.max_ml_per_h
        actuators.append(
            {
                "name": tag.name,
                "range": f"{tag.low:g} to {tag.high:g}{unit}",
                "rate": "" if rule.rate_per_s is None else f"{rule.rate_per_s:g}{unit} per s",
                "safe": f"{tag.safe:g}{unit}",
                "dose": "" if dose is None else f"{dose / 1000:g} L",
                "watchdog": "" if dog is None else f"{dog.within_s:g} s",
                "excludes": ", ".join(rule.excludes),
                "switch": switches.get(tag.name, ""),
            }
        )
    return {
        "interlocks": [_interlock(lock) for lock in build_interlocks(name, plant)],
        "actuators": actuators,
        "loops": [
            {"name": f"{name}.{key}", "setpoint": _limits(s, plant), "on_bad": _lost(s, plant)}
            for key, s in settings.loop.items()
        ],
    }


def _interlock(lock: Interlock) -> dict[str, str]:
    held = "stays as it was" if lock.on_bad == "hold" else f"trips after {lock.bad_s:g} s"
    most = lock.bypass_max_s / 60.0
    return {
        "name": lock.name,
        "condition": lock.condition.text,
        "for_s": f"{lock.for_s:g} s",
        "clear_s": f"{lock.clear_s:g} s",
        "does": ", ".join(lock.does),
        "on_bad": held,
        "latch": "until reset" if lock.latch else "",
        "bypass": f"≤ {most:g} min" if most else "never",
    }


def _limits(s: LoopSettings, plant: Plant) -> str:
    unit = shown(_unit(s, plant))
    return f"{s.setpoint_low:g} to {s.setpoint_high:g}{unit}"


def _unit(s: LoopSettings, plant: Plant) -> str:
    return plant.tags[s.measured or s.outputs[0].actuator or ""].unit


def _lost(s: LoopSettings, plant: Plant) -> str:
    """Return what a loop does without what it measures or needs."""
    said: list[str] = []
    if s.measured is not None:
        if s.dosing:
            said.append("safe values in the same scan")
        elif s.on_bad_hold_s is not None:
            said.append(f"holds {s.on_bad_hold_s:g} s, then safe values")
        else:
            said.append("holds")
    if s.zero_without:
        said.append(f"without {_either(s.zero_without)}: safe value")
    if s.needs and s.fallback is not None:
        reduced = f"{s.fallback:g}{shown(_unit(s, plant))}"
        said.append(f"without {_either(s.needs)}: at most {reduced}")
    return "; ".join(said)


def _either(names: Sequence[str]) -> str:
    return " or ".join(names)


def markdown(found: Mapping[str, Rows]) -> str:
    """Return a reactor's tables in Markdown."""
    return "\n\n".join("\n".join(_markdown(what, rows)) for what, rows in found.items())


def _markdown(what: str, rows: Rows) -> Iterator[str]:
    kept = _columns(what, rows)
    yield f"| {' | '.join(kept.values())} |"
    yield f"| {' | '.join('---' for _ in kept)} |"
    for row in rows:
        yield f"| {' | '.join(row[key] or DASH for key in kept)} |"


def _columns(what: str, rows: Rows) -> dict[str, str]:
    """Return the columns in which something stands."""
    return {key: title for key, title in TITLES[what].items() if any(row[key] for row in rows)}


def _drawn(reactors: Mapping[str, Mapping[str, Rows]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for name, found in reactors.items():
        console.print(name, style="bold")  # and not before every tag again: it would not fit
        for what, rows in found.items():
            kept: dict[str, Any] = _columns(what, rows)
            table = Table(*kept.values(), box=None, header_style="dim", padding=(0, 1))
            table.columns[0].no_wrap = True
            for row in rows:
                table.add_row(*(row[key].replace(f"{name}.", "") or DASH for key in kept))
            console.print(table)
            console.print()


def renewed(document: str, folder: Path) -> str:
    """Return a document with its tables as the plant files of ``folder`` say them now."""

    def table(found: re.Match[str]) -> str:
        plant = load_plant(folder / found[1])
        every = [markdown(tables(name, plant)) for name in plant.settings.reactor]
        return "\n\n".join([f"<!-- interlocks of {found[1]} -->", *every, "<!-- end -->"])

    marked = r"<!-- interlocks of (\S+) -->\n.*?<!-- end -->"
    return re.sub(marked, table, document, flags=re.DOTALL)


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(renewed(file.read_text(encoding="utf-8"), Path.cwd()), encoding="utf-8")
