"""What is asked of the running controller's interlocks."""

import json
import sys
from pathlib import Path

from fermloop.commands.live import standing
from fermloop.commands.remote import ask, command, find, name


def show(plant: Path | None, as_json: bool) -> None:
    """Print every interlock and how it stands."""
    state = ask(find(plant), "/state")
    locks = {
        f"{reactor}.{key}": lock
        for reactor, r in state["reactors"].items()
        for key, lock in r["interlocks"].items()
    }
    if as_json:
        print(json.dumps(locks, ensure_ascii=False))
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table("interlock", "state", "does", box=None, header_style="dim")
        for key, lock in locks.items():
            table.add_row(key, standing(lock), str(lock.get("text", "")))
        Console().print(table)
    else:
        for key, lock in locks.items():
            print(f"{key}: {standing(lock)}: {lock.get('text', '')}")


def bypass(
    plant: Path | None, as_json: bool, lock: str, for_s: float, reason: str, as_name: str
) -> None:
    """Let an interlock demand nothing for ``for_s`` s."""
    body = {"minutes": for_s / 60.0, "reason": reason}
    command(plant, as_json, f"/interlock/{name(lock)}/bypass", body, as_name)


def tell(
    plant: Path | None, as_json: bool, lock: str, action: str, reason: str, as_name: str
) -> None:
    """End a bypass or reset a latch."""
    command(plant, as_json, f"/interlock/{name(lock)}/{action}", {"reason": reason}, as_name)
