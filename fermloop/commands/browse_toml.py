"""Lines for a plant file out of what an OPC UA server says of its nodes. Pure.

What the server does not say is ``"?"``, which ``fermloop check`` refuses, with a ``# ?`` beside it.
"""

import json
import re
from collections.abc import Iterator, Sequence

from controller.consistency.plant import UNITS
from controller.plant_file.device_settings import DeviceSettings
from drivers.opcua.browse import Found
from fermloop.commands.live import printable

ASK = "?"


def table(device: str, settings: DeviceSettings, reactor: str, found: Sequence[Found]) -> str:
    """Return a device's table with a tag for each node that can be one."""
    numeric = [f for f in found if f.numeric and f.readable]
    tags = [
        tag(f, f"{reactor}.{name}")
        for f, name in zip(numeric, names(numeric, reactor), strict=True)
    ]
    lines = [f"[device.{device}]", *_connection(settings), "tags = [", *tags, "]"]
    if any(ASK in t.partition("#")[0] for t in tags):
        lines.insert(0, f"# ? marks what the server does not say; units: {', '.join(UNITS)}")
    return "\n".join(lines)


def tag(f: Found, name: str) -> str:
    """Return the line of one tag, with a comment: what a person must fill in, what it is now."""
    unit, low, high, asked = _known(f)
    keys = {"name": name, "unit": unit, "low": low, "high": high, "node": f.node}
    pairs = ", ".join(f"{key} = {_value(value)}" for key, value in keys.items())
    ask = f"? {', '.join(asked)}; " if asked else ""
    return f"  {{ {pairs} }},  # {ask}{_about(f)}"


def names(found: Sequence[Found], reactor: str) -> list[str]:
    """Return a quantity's name for each node: its own, with its folder's where it has namesakes."""
    bare = [f.name.removeprefix(f"{reactor}.") for f in found]
    own = [_snake(name) for name in bare]
    folders = ["".join(f.path.split("/")[-2:-1]) for f in found]
    longer = [_snake(f"{folder}_{name}") for folder, name in zip(folders, bare, strict=True)]
    chosen = [
        mine if own.count(mine) == 1 else long for mine, long in zip(own, longer, strict=True)
    ]
    taken: set[str] = set()
    unique: list[str] = []
    for name in chosen:
        free, k = name, 2
        while free in taken:
            free, k = f"{name}_{k}", k + 1
        taken.add(free)
        unique.append(free)
    return unique


def _known(f: Found) -> tuple[str, float | str, float | str, list[str]]:
    """Return unit, low and high as far as the server tells them, and what must be asked."""
    told, asked = f.described, list[str]()
    if f.type == "Boolean":
        return "1", 0, 1, asked
    unit = told.ucum if told.ucum in UNITS else ASK
    if unit == ASK:
        asked.append(f"unit (there it is in {told.unit})" if told.unit else "unit")
    span = told.eu_range or told.instrument_range
    if span is None or not span[0] < span[1]:
        return unit, ASK, ASK, [*asked, "low", "high"]
    if unit == ASK and told.unit:
        asked.append(f"low and high are in {told.unit}")
    return unit, *span, asked


def _about(f: Found) -> str:
    shown = f"{f.value:.6g}" if isinstance(f.value, float) else str(f.value)
    words = [f.path, f"{f.type} {shown if f.status == 'Good' else f.status}"]
    words += ["can be written: an actuator needs safe"] if f.writable else []
    words += [f.description] if f.description not in ("", f.name) else []
    return printable("; ".join(words))


def _connection(s: DeviceSettings) -> Iterator[str]:
    """Yield how the server was spoken to; no secret is in it, only where one is kept."""
    yield 'driver = "opcua"'
    yield f"address = {_value(s.address)}"
    if s.insecure:
        yield "insecure = true"
    for key, part in (("security", s.security), ("login", s.login)):
        if part is not None:
            given = part.model_dump(exclude_none=True)
            pairs = ", ".join(f"{k} = {_value(v)}" for k, v in given.items())
            yield f"{key} = {{ {pairs} }}"


def _value(value: float | str) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"{value:.15g}"


def _snake(name: str) -> str:
    """Return a name of the server as the plant file's names are: DissolvedOxygen_PV, 2nd pH."""
    apart = re.sub(r"(?<=[a-z0-9]{2})(?=[A-Z])", "_", name)  # but pH stays one word
    bare = re.sub(r"\W+", "_", apart).strip("_").lower()
    return bare if re.match(r"[a-z]", bare) else f"tag_{bare}".rstrip("_")
