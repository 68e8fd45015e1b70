"""``fermloop profiles``: which devices are known, who says so, and what they offer."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from controller.profiles.profiles import Profile, known, load_profile
from controller.profiles.settings import SignalSettings


def run(name: str | None, as_json: bool) -> None:
    """Print all profiles in short, or one as a whole.

    Raises:
        ConfigError: there is no such profile, or it is wrong.
    """
    profiles = [load_profile(n) for n in ([name] if name else known())]
    if as_json:
        found = [describe(p) for p in profiles]
        print(json.dumps(found[0] if name else found, ensure_ascii=False))
    elif name:
        print("\n".join(whole(profiles[0])))
    elif sys.stdout.isatty():
        _table(profiles)
    else:
        for p in profiles:
            head = p.settings.profile
            signals = ", ".join(p.settings.signal)
            print(f"{p.name}: {head.name}; {head.maker} {head.model}; signals {signals}")


def describe(profile: Profile) -> dict[str, Any]:
    """Return all that a profile holds, for programs."""
    return {"name": profile.name, **profile.settings.model_dump(mode="json", exclude_none=True)}


def whole(profile: Profile) -> Iterator[str]:
    """Yield a profile in lines, the last of them ready to be pasted into a plant file."""
    head = profile.settings.profile
    yield f"{profile.name}: {head.name}"
    yield f"  device: {head.maker}, {head.model}"
    for source in head.source:
        pages = f", pages {source.pages}" if source.pages else ""
        yield f"  source ({source.by}): {source.title}, {source.revision}{pages}; {source.where}"
        yield f"    says: {source.says}"
    yield f"  tested: {head.tested}"
    yield from (f"  note: {note}" for note in head.notes)
    yield "  signals:"
    for name, signal in profile.settings.signal.items():
        yield f"    {name}: {', '.join(_about(signal))}"
    yield ""
    yield f'profile = "{profile.name}"'
    yield "tags = ["
    for name, signal in profile.settings.signal.items():
        given = "".join(f", {key} = " for key in signal.needs)
        yield f'  {{ name = "R1.{name}", signal = "{name}"{given} }},'
    yield "]"


def _about(signal: SignalSettings) -> Iterator[str]:
    """Yield what there is to say of a signal."""
    yield signal.about
    unit = "" if signal.unit in (None, "1") else signal.unit
    if signal.low is not None and signal.high is not None:
        yield f"{signal.low:.10g} to {signal.high:.10g} {unit}".rstrip()
    elif unit:
        yield unit
    if signal.writable:
        yield "can be written"
    if signal.quality is not None:
        yield "with quality"
    for key, meaning in signal.needs.items():
        yield f"give {key} ({meaning})"


def _table(profiles: list[Profile]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=True, header_style="bold")
    for column in ("profile", "what", "maker and model", "signals"):
        table.add_column(column, overflow="fold")
    for p in profiles:
        head = p.settings.profile
        signals = list(p.settings.signal)
        shown = ", ".join(signals[:6]) + (", ..." if len(signals) > 6 else "")
        table.add_row(p.name, head.name, f"{head.maker} {head.model}", shown)
    Console().print(table)
    Console().print("fermloop profiles NAME shows one as a whole, with its source.", style="dim")
