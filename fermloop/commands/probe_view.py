"""What people see of ``fermloop probe``: tables on a terminal, lines for grep where piped."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fermloop.commands.live import DASH, UNITS, printable

Seen = Mapping[str, Any]
STYLE = {"BAD": "bold red", "UNCERTAIN": "yellow"}


@contextmanager
def screen(terminal: bool) -> Generator[Callable[[Seen], None] | None]:
    """Give what renews the picture on a terminal; ``None`` where there is no terminal."""
    if not terminal:
        yield None
        return
    with Live(console=Console(), auto_refresh=False) as live:
        yield lambda seen: live.update(tables(seen), refresh=True)


def show(seen: Seen) -> None:
    """Print the tables once."""
    Console().print(tables(seen))


def tables(seen: Seen) -> RenderableType:
    """Return a table a device, with what is said of it above."""
    parts: list[RenderableType] = []
    if seen["through"] != "wire":
        parts.append(Text(f"as the {seen['through']} reads it", "dim"))
    for name, device in seen["devices"].items():
        parts.append(Text.assemble((name, "bold"), f"  {_about(device)}"))
        if not device["answering"]:
            parts.append(Text(f"SILENT {device['error']}".rstrip(), "bold red"))
        parts += [Text(f"warning: {text}", "yellow") for text in device["warnings"]]
        parts += [_table(device), Text("")]
    return Group(*parts[:-1])


def lines(seen: Seen) -> Iterator[str]:
    """Yield each device, warning and tag as a line of ``key=value``, the words at the end."""
    for name, device in seen["devices"].items():
        how = "answering" if device["answering"] else f"SILENT {device['error']}".rstrip()
        yield f"device {name}: {how}; {_about(device)}"
        yield from (f"warning {name}: {text}" for text in device["warnings"])
        last = device["latency_ms"]["last"]
        for tag, t in device["tags"].items():
            cells = [f"value={_number(t['value'])}", f"unit={t['unit']}"]
            cells += [f"state={t['state']}"] if t["state"] else []
            cells += [f"quality={t['quality']}", f"latency_ms={_number(last, 4)}"]
            yield f"tag {tag}: {' '.join(cells)} raw={t['raw'] or DASH}"


def _about(device: Seen) -> str:
    """Return where a device is, what it is and how fast it answers."""
    words = [f"{device['driver']} at {device['address']}"]
    if device["identity"]:
        words.append(device["identity"])
    words += [f"{key} {value}" for key, value in device["info"].items()]
    t = device["latency_ms"]
    if t["last"] is not None:
        words.append(
            f"{t['last']:.3g} ms (p50 {t['p50']:.3g}, p99 {t['p99']:.3g}; "
            f"{device['reads']} reads, {device['failures']} failed)"
        )
    return printable(", ".join(words))


def _table(device: Seen) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("tag", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("quality", no_wrap=True)
    table.add_column("raw", overflow="fold")
    for tag, t in device["tags"].items():
        value = f"{_number(t['value'])} {t['state'] or ''}".rstrip()
        quality = Text(t["quality"], STYLE.get(t["quality"], ""))
        shown = str(t["unit"])
        unit = UNITS.get(shown, shown)
        # as Text: [psi] is a unit and no markup
        table.add_row(Text(tag), Text(value), Text(unit), quality, Text(t["raw"] or DASH))
    return table


def _number(value: float | None, digits: int = 6) -> str:
    return DASH if value is None else f"{value:.{digits}g}"
