"""``fermloop check --plan``: what each device is asked in a scan, request by request."""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from controller.consistency.devices import modbus
from controller.plant import Plant
from controller.plant_file.device_settings import DeviceSettings
from controller.plant_file.registers import read_plan
from fermloop.commands.live import printable

TABLE = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}  # by function code

Asked = Mapping[str, Any]


def show(plant: Plant, as_json: bool) -> None:
    """Print the read plan of every device."""
    plans = {name: plan(device) for name, device in plant.settings.device.items()}
    if as_json:
        print(json.dumps({"plan": plans}, ensure_ascii=False))
    elif sys.stdout.isatty():
        _tables(plans)
    else:
        for name, asked in plans.items():
            for line in lines(name, asked):
                print(line)


def plan(device: DeviceSettings) -> dict[str, Any]:
    """Return what a device is asked in one scan; keys as in fermloop/README.md."""
    about: dict[str, Any] = {
        "driver": device.driver,
        "address": device.address,
        "unit_id": device.unit_id if modbus(device) else None,
        "how": "requests",
        "tags": len(device.tags),
        "requests": [],
    }
    if modbus(device):
        about["requests"] = list(_requests(device))
    elif device.driver != "opcua":
        about["how"] = "as its driver wants"
    elif device.subscribe is None:
        about["how"] = "one batched read"
    else:
        about["how"] = f"subscription, every {device.subscribe.interval_s:g} s"
    asked = about["requests"]
    for key in ("count", "unused"):
        about[key] = sum(r[key] for r in asked)
    return about


def _requests(device: DeviceSettings) -> Iterator[dict[str, Any]]:
    for read in read_plan(device):
        yield {
            "code": read.code,
            "table": TABLE[read.code],
            "start": read.start,
            "number": read.start + 1,
            "count": read.count,
            "unused": read.unused,
            "tags": list(read.tags),
        }


def lines(name: str, asked: Asked) -> Iterator[str]:
    """Yield a device's plan as lines: one a request, then the sum."""
    yield f"device {name}: {_about(asked)}"
    for r in asked["requests"]:
        yield (
            f"request {name}: FC{r['code']} {r['table']} start={r['start']} number={r['number']} "
            f"count={r['count']} unused={r['unused']} tags={', '.join(r['tags'])}"
        )
    yield f"sum {name}: {_sum(asked)}"


def _about(asked: Asked) -> str:
    unit = f", unit {asked['unit_id']}" if asked["unit_id"] is not None else ""
    return printable(f"{asked['driver']} at {asked['address']}{unit}")


def _sum(asked: Asked) -> str:
    requests = len(asked["requests"])
    if not requests:
        what = "nodes" if asked["driver"] == "opcua" else "tags"
        return f"{asked['how']}, {asked['tags']} {what}"
    return (
        f"{requests} request{'s' if requests > 1 else ''} a scan, {asked['count']} registers or "
        f"bits, {asked['unused']} of them unused, {asked['tags']} tags"
    )


def _tables(plans: Mapping[str, Asked]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    out = Console()
    for name, asked in plans.items():
        out.print(Text.assemble((name, "bold"), f"  {_about(asked)}"))
        if asked["requests"]:
            table = Table(box=None, header_style="dim", pad_edge=False)
            for head in ("FC", "table", "0-based", "1-based", "count", "unused"):
                numeric = head != "table"
                table.add_column(head, justify="right" if numeric else "left", no_wrap=True)
            table.add_column("tags", overflow="fold")
            for r in asked["requests"]:
                numbers = (r["start"], r["number"], r["count"], r["unused"])
                table.add_row(str(r["code"]), r["table"], *map(str, numbers), ", ".join(r["tags"]))
            out.print(table)
        out.print(Text(f"{_sum(asked)}\n", "dim"))
