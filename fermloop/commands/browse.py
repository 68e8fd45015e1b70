"""``fermloop browse``: what an OPC UA server offers, as lines of a plant file too."""

import asyncio
import difflib
import json
import logging
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from controller.consistency.devices import wrong_keys
from controller.devices.devices import wire
from controller.plant import load_plant
from controller.plant_file.config import validate
from controller.plant_file.device_settings import DeviceSettings
from drivers.opcua import LinkError
from drivers.opcua.browse import Found, TooManyError, browse
from fermloop.commands.live import DASH, printable
from fermloop.failure import USAGE, FailureError

CONNECT_S = 10.0  # wall; a session with certificates takes a slow server seconds
WHO = "fermloop browse"
NOBODY = {"name": "R1.nobody", "unit": "1", "low": 0, "high": 1, "node": "ns=0;i=2258"}

Form = Literal["table", "json", "toml"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which nodes are wanted.

    Attributes:
        under: where to begin; empty: the Objects folder.
        depth: how many levels below it; ``None``: all.
        text: what must be in path, node id or description, in whatever case; empty: anything.
        limit: how many nodes are looked at, at most.
    """

    under: str
    depth: int | None
    text: str
    limit: int


def run(settings: DeviceSettings, wanted: Wanted, form: Form, device: str, reactor: str) -> None:
    """Print the variables of a server.

    Args:
        settings: how it is spoken to.
        wanted: which nodes.
        form: a table (lines where piped), JSON or lines for a plant file.
        device: its name in these lines; may be empty.
        reactor: the reactor's name in these lines.

    Raises:
        FailureError: the server cannot be reached, refuses us or is not to be trusted.
    """
    for key, name, form_of in (
        ("device", device, r"[A-Za-z][\w-]*"),
        ("reactor", reactor, r"[A-Za-z]\w*"),
    ):
        if name and not re.fullmatch(form_of, name, re.ASCII):
            line = f"{WHO}: --{key}: {name} is not allowed; a name as in the plant file: R1"
            raise FailureError(line, USAGE)
    if wanted.under and not re.fullmatch(r"(nsu=.+|ns=0);[sigb]=.+", wanted.under):
        line = f"{WHO}: --under: {wanted.under} is not allowed; nsu=URI;s=NAME or ns=0;i=NUMBER"
        raise FailureError(line, USAGE)
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # what matters comes as an error
    found, notes = asyncio.run(_browse(settings, wanted))
    if form == "json":
        nodes = [_json(f) for f in found]
        print(json.dumps({"address": settings.address, "nodes": nodes}, ensure_ascii=False))
    elif form == "toml":
        from fermloop.commands.browse_toml import table

        print(table(device or f"{reactor}-opcua", settings, reactor, found))
    elif sys.stdout.isatty():
        _table(found)
    else:
        for f in found:
            print(_line(f))
    if not found:
        notes.append("no variable is there that was asked for")
    for note in notes:
        print(printable(f"{settings.address}: {note}"), file=sys.stderr)


def connection(
    address: str, plant_file: Path | None, options: Mapping[str, Any]
) -> tuple[str, DeviceSettings]:
    """Return the device's name, empty if it has none yet, and how it is spoken to.

    Args:
        address: of the server; with a plant file also a device's name.
        plant_file: says how it is spoken to.
        options: of the command line, which say it where no plant file does.
    """
    if plant_file is None:
        return "", settings_of(address, options)
    if given := [key for key, value in options.items() if value]:
        names = ", ".join("--" + key.replace("_", "-") for key in given)
        raise FailureError(f"{WHO}: {names}: not allowed with --plant, which says it", USAGE)
    return device_of(plant_file, address)


def settings_of(address: str, options: Mapping[str, Any]) -> DeviceSettings:
    """Return how a server is spoken to, out of the command line's options; checked as a plant file.

    Raises:
        ConfigError: one of them is not allowed.
        FailureError: nothing says how secure it is to be.
    """
    security = _given(options, "policy", "certificate", "key", "trusted", "application_uri")
    login = _given(options, "user", "password_file", "password_env")
    certificate = _given(options, "user_certificate", "user_key")
    login |= {key.removeprefix("user_"): value for key, value in certificate.items()}
    insecure = bool(options.get("insecure"))
    if insecure == bool(security):
        raise FailureError(
            f"{WHO}: either --insecure or --certificate, --key and --trusted is required; "
            "fermloop cert makes a certificate",
            USAGE,
        )
    given: dict[str, Any] = {"driver": "opcua", "address": address, "timeout_s": CONNECT_S}
    given |= {"insecure": True} if insecure else {"security": security}
    given |= {"login": login} if login else {}
    made = validate(DeviceSettings, given | {"tags": [NOBODY]}, WHO)
    if lines := list(wrong_keys(WHO, made)):
        raise FailureError(lines, USAGE)
    return made


def device_of(plant_file: Path, which: str) -> tuple[str, DeviceSettings]:
    """Return a device of a plant file by its name or its address.

    Raises:
        ConfigError: the plant file is wrong.
        FailureError: there is no such OPC UA device.
    """
    devices = {
        n: d for n, d in load_plant(plant_file).settings.device.items() if d.driver == "opcua"
    }
    for name, device in devices.items():
        if which in (name, device.address):
            return name, device.model_copy(update={"timeout_s": CONNECT_S})
    known = [*devices, *(d.address for d in devices.values())]
    near = difflib.get_close_matches(which, known, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    there = ", ".join(f"{n} at {d.address}" for n, d in devices.items()) or "none"
    line = f"{plant_file.name}: {which}: no such OPC UA device; {hint}{there} is there"
    raise FailureError(line, USAGE)


def _given(options: Mapping[str, Any], *keys: str) -> dict[str, str]:
    return {key: str(options[key]) for key in keys if options.get(key) is not None}


async def _browse(settings: DeviceSettings, wanted: Wanted) -> tuple[list[Found], list[str]]:
    """Return what was found, and what a person should know: why it is not all, warnings."""
    link = wire(settings)
    options: dict[str, Any] = {"root": wanted.under} if wanted.under else {}
    found: list[Found] = []
    cut: list[str] = []
    try:
        async for f in browse(link, limit=wanted.limit, depth=wanted.depth, **options):
            if wanted.text.lower() in f"{f.path} {f.node} {f.description}".lower():
                found.append(f)
    except TooManyError as error:
        cut.append(f"{error}; --under NODE or a greater --limit shows others")
    except LinkError as error:
        text = str(error).replace("{what}", "the question what it offers")
        raise FailureError(f"{settings.address}: {text}") from None
    finally:
        warnings = [f"warning: {text}" for text in link.warnings()]
        await link.close()
    return found, cut + warnings


def _json(f: Found) -> dict[str, Any]:
    told = f.described
    return {
        "node": f.node,
        "path": f.path,
        "type": f.type,
        "value": _plain(f.value),
        "status": f.status,
        "unit": told.unit,
        "ucum": told.ucum,
        "eu_range": told.eu_range,
        "instrument_range": told.instrument_range,
        "description": f.description,
        "readable": f.readable,
        "writable": f.writable,
    }


def _plain(value: Any) -> Any:
    """Return a server's value as JSON can have it."""
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]  # pyright: ignore[reportUnknownVariableType] (anything)
    return str(value)


def _value(f: Found) -> str:
    if f.status != "Good":
        return f.status
    value = _plain(f.value)
    text = DASH if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    text = printable(text)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _cells(f: Found) -> Iterator[str]:
    """Yield type, value, unit, range and access."""
    span = f.described.eu_range or f.described.instrument_range
    yield f.type
    yield _value(f)
    yield f.described.ucum or f.described.unit or DASH
    yield f"{span[0]:g}..{span[1]:g}" if span else DASH
    yield ("r" if f.readable else "") + ("w" if f.writable else "") or DASH


def _line(f: Found) -> str:
    keys = ("type", "value", "unit", "range", "access")
    pairs = " ".join(f"{k}={v}" for k, v in zip(keys, _cells(f), strict=True))
    return printable(f"{f.path}: {pairs} node={f.node}")


def _table(found: Sequence[Found]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim", pad_edge=False)
    for head in ("path and node", "type", "value", "unit", "range", "access"):
        table.add_column(head, overflow="fold", justify="right" if head == "value" else "left")
    for f in found:
        place = Text.assemble(printable(f.path), "\n", (printable(f.node), "dim"))
        table.add_row(place, *map(Text, _cells(f)))
    Console().print(table)
