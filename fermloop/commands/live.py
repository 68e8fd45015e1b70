"""What people read in a terminal: the state as a line, as tables and as plain text."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

State = Mapping[str, Any]
UNITS = {"Cel": "°C", "[pH]": "", "{r}/min": "r/min"}  # UCUM code: as plants write it
DASH = "–"
LOOP_KEYS = ("pv", "sp", "op", "mode", "quality", "reason")
ESTIMATES = {
    "biomass_g_per_l": ("biomass", "g/L"),
    "substrate_g_per_l": ("substrate", "g/L"),
    "acetate_g_per_l": ("acetate", "g/L"),
    "product_g_per_l": ("product", "g/L"),
    "volume_l": ("volume", "L"),
    "qomax_factor": ("oxygen uptake factor", ""),
    "kla_factor": ("oxygen transfer factor", ""),
}


def number(value: object, unit: str = "", digits: int = 4) -> str:
    """Return a value with its unit; a dash for what is missing or BAD."""
    if not isinstance(value, int | float):
        return DASH
    shown = UNITS.get(unit, unit)
    return f"{value:.{digits}g} {shown}".rstrip()


def printable(text: str) -> str:
    """Return a stranger's text as one line that cannot move the cursor."""
    return "".join(c if c.isprintable() else " " for c in text)


def line(state: State, reactor: str) -> str:
    """Return one reactor's state as one line: age, phase, pH, DO, T, feed, biomass, optimiser."""
    r: State = state["reactors"][reactor]
    batch, loops = r["batch"], r["loops"]
    biomass: State = r.get("estimate", {}).get("biomass_g_per_l") or {}
    optimiser: State = r.get("optimiser") or {"mode": "off", "state": "off"}
    age = batch.get("age_h")
    parts = [
        f"{age:6.2f} h" if isinstance(age, int | float) else f"  {DASH} h",
        batch.get("phase") or str(batch.get("state", "")).lower(),
        f"pH {_fixed(_of(loops, 'ph', 'pv'), 2)}",
        f"DO {_fixed(_of(loops, 'do', 'pv'), 1)} %",
        f"T {_fixed(_of(loops, 'temperature', 'pv'), 2)} °C",
        f"feed {_fixed(_of(loops, 'feed', 'op'), 1)} {loops.get('feed', {}).get('op_unit', '')}",
        f"biomass {_fixed(biomass.get('value'), 1)} g/L",
        f"optimiser {_optimiser(optimiser)}",
    ]
    silent = [name for name, d in state.get("devices", {}).items() if not d.get("answering")]
    if silent:
        parts.append(f"SILENT: {', '.join(silent)}")
    warned = len(warnings(state))
    if warned:
        parts.append(f"{warned} warning{'s' if warned > 1 else ''}")
    bypassed = [key for key, lock in r.get("interlocks", {}).items() if lock.get("bypass")]
    if bypassed:
        parts.append(f"BYPASSED: {', '.join(bypassed)}")
    alarms = sum(1 for alarm in state.get("alarms", []) if alarm.get("active"))
    if alarms:
        parts.append(f"{alarms} alarm{'s' if alarms > 1 else ''}")
    return f"{reactor} " + " | ".join(parts)


def warnings(state: State) -> list[tuple[str, str]]:
    """Return what devices warn of, each with its device."""
    devices: Mapping[str, State] = state.get("devices") or {}
    return [(name, str(text)) for name, d in devices.items() for text in d.get("warnings") or ()]


def show(state: State) -> None:
    """Print the whole state: tables on a terminal, ``key: value`` lines where piped."""
    if sys.stdout.isatty():
        Console().print(tables(state))
        return
    for text in plain(state):
        print(text)


def plain(state: State) -> Iterator[str]:
    """Yield the state as lines that grep and awk can use."""
    mark = f" simulated at {_speed(state)}" if state.get("simulated") else ""
    yield f"site: {state.get('site', '')} pid {state.get('pid')}{mark}"
    for name, device in state.get("devices", {}).items():
        yield f"device {name}: {_device(device)}"
    for name, text in warnings(state):
        yield f"warning {name}: {text}"
    for name, r in state.get("reactors", {}).items():
        yield line(state, name)
        if question := r["batch"].get("question"):
            yield f"question {name}: {question}"
        for key, loop in r["loops"].items():
            cells = zip(LOOP_KEYS, _loop(loop), strict=True)
            yield f"loop {name}.{key}: " + " ".join(f"{k}={v}" for k, v in cells if v)
        for key, lock in r.get("interlocks", {}).items():
            if lock.get("tripped") or lock.get("bypass"):
                yield f"interlock {name}.{key}: {standing(lock)} {lock.get('text', '')}"
        for label, value in _estimates(r):
            yield f"estimate {name}.{label}: {value}"
    for alarm in _active(state):
        yield f"alarm {alarm.get('subject')}: {alarm.get('text')}"
    yield f"store: {_counts(state)}"


def tables(state: State) -> RenderableType:
    """Return the state as tables for a terminal."""
    parts: list[RenderableType] = []
    mark = f", SIMULATED at {_speed(state)}" if state.get("simulated") else ""
    parts.append(Text(f"{state.get('site', '')}{mark}  (pid {state.get('pid')})", "bold"))
    devices = Table("device", "state", "address", box=None, header_style="dim")
    for name, device in state.get("devices", {}).items():
        cells = name, _device(device), str(device.get("address", ""))
        devices.add_row(*map(Text, cells))  # as Text: [Errno 111] is no markup
    parts.append(devices)
    for name, r in state.get("reactors", {}).items():
        parts += [Text(""), Text(line(state, name), "bold"), _loops(name, r)]
        estimates = "   ".join(f"{label} {value}" for label, value in _estimates(r))
        if estimates:
            parts.append(Text(f"estimated: {estimates}"))
        parts += [
            Text(f"interlock {key}: {standing(lock)}: {lock.get('text', '')}", "bold yellow")
            for key, lock in r.get("interlocks", {}).items()
            if lock.get("tripped") or lock.get("bypass")
        ]
        message = r["batch"].get("message")
        if message:
            parts.append(Text(str(message)))
        if question := r["batch"].get("question"):
            parts.append(
                Text(f"to be confirmed (fermloop recipe confirm {name}): {question}", "bold")
            )
    parts += [
        Text(f"alarm {a.get('subject')}: {a.get('text')}", "bold red") for a in _active(state)
    ]
    parts += [Text(f"warning {name}: {text}", "yellow") for name, text in warnings(state)]
    return Group(*parts, Text(_counts(state), "dim"))


def standing(lock: State) -> str:
    """Return how an interlock stands, in words."""
    return ", ".join(_standing(lock))


def _standing(lock: State) -> Iterator[str]:
    if lock.get("tripped"):
        first = " first" if lock.get("order") == 1 else ""
        yield f"TRIPPED{first}" + (", latched" if lock.get("latched") else "")
    bypass = lock.get("bypass")
    if bypass:
        yield (
            f"BYPASSED {bypass['left_min']:.0f} min more by {bypass['who']} ({bypass['reason']})"
        )
    elif not lock.get("tripped"):
        yield "ready"


def _loops(name: str, reactor: State) -> Table:
    table = Table("loop", "PV", "SP", "OP", "mode", "quality", "", box=None, header_style="dim")
    for column in (1, 2, 3):
        table.columns[column].justify = "right"
    for key, loop in reactor["loops"].items():
        table.add_row(*map(Text, (f"{name}.{key}", *_loop(loop))))
    return table


def _loop(loop: State) -> list[str]:
    target, actual = loop.get("target", ""), loop.get("actual", "")
    return [
        number(loop.get("pv"), loop.get("pv_unit") or ""),
        number(loop.get("sp"), loop.get("pv_unit") or ""),
        number(loop.get("op"), loop.get("op_unit") or ""),
        target if target == actual else f"{target}, now {actual}",
        str(loop.get("quality") or ""),
        str(loop.get("reason") or ""),
    ]


def _estimates(reactor: State) -> Iterator[tuple[str, str]]:
    for key, (label, unit) in ESTIMATES.items():
        value: State = reactor.get("estimate", {}).get(key) or {}
        if value.get("value") is not None:
            yield label, f"{number(value['value'])} ± {number(value.get('sd'), unit, 2)}"


def _device(device: State) -> str:
    words = ["answering" if device.get("answering") else f"SILENT {device.get('error', '')}"]
    words += ["simulated"] if device.get("simulated") else []
    words += ["without encryption"] if device.get("insecure") else []
    return ", ".join(words)


def _counts(state: State) -> str:
    return (
        f"scans {state.get('scans')} (missed {state.get('scans_missed')}), samples stored "
        f"{state.get('samples_stored')}, forwarded {state.get('samples_forwarded')}, "
        f"lost {state.get('samples_lost')}"
    )


def _active(state: State) -> list[State]:
    return [alarm for alarm in state.get("alarms", []) if alarm.get("active")]


def _speed(state: State) -> str:
    speed = state.get("speed")
    return f"{speed:g}x" if speed else "full speed"


def _optimiser(optimiser: State) -> str:
    mode, how = str(optimiser.get("mode")), str(optimiser.get("state"))
    return mode if mode == how else f"{mode} ({how})"


def _of(loops: State, name: str, key: str) -> object:
    loop: State = loops.get(name) or {}
    return loop.get(key)


def _fixed(value: object, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else DASH
