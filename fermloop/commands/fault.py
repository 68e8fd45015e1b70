"""``fermloop fault``: make something fail in a running simulator."""

import json
from pathlib import Path
from typing import Any

from fermloop.commands.remote import ask, find
from fermloop.failure import USAGE, FailureError


def known(as_json: bool) -> None:
    """Print every kind of fault."""
    from sim.fault_registry import KINDS, rows

    if as_json:
        keys = ("fault", "on", "what", "size", "lasts")
        made = [dict(zip(keys, row, strict=True)) for row in rows()]
        print(json.dumps(made, ensure_ascii=False))
        return
    wide = max(len(k.word) for k in KINDS), max(len(k.on) for k in KINDS)
    for word, on, what, size, lasts in rows():
        more = "; ".join(part for part in (f"size: {size}" if size else "", lasts) if part)
        print(f"{word:{wide[0]}}  {on:{wide[1]}}  {what} ({more})")


def run(
    plant: Path | None,
    as_json: bool,
    reactor: str | None,
    fault: str | None,
    for_s: float | None,
    size: float | None,
    clear: bool,
) -> None:
    """Inject or clear a fault; without one, print what is wrong now.

    Raises:
        FailureError: no simulator runs, or it refuses.
    """
    if clear and (for_s is not None or size is not None):
        raise FailureError("--clear: --for and --size are not allowed with it", USAGE)
    if reactor is None or not (fault or clear):
        if for_s is not None or size is not None or clear:
            raise FailureError("a reactor and a fault are required: R1 do.stuck", USAGE)
        _show(ask(find(plant, "simulator"), "/faults", kind="simulator"), reactor, as_json)
        return
    body: dict[str, Any] = {"reactor": reactor}
    if fault:
        body["fault"] = fault
    body |= {k: v for k, v in (("for_s", for_s), ("size", size)) if v is not None}
    path = "/fault/clear" if clear else "/fault"
    answer = ask(find(plant, "simulator"), path, body, "simulator")
    print(json.dumps(answer, ensure_ascii=False) if as_json else answer["text"])


def _show(found: dict[str, Any], reactor: str | None, as_json: bool) -> None:
    if reactor is not None:
        if reactor not in found:
            there = ", ".join(found)
            raise FailureError(f"{reactor}: no such vessel; there are {there}", USAGE)
        found = {reactor: found[reactor]}
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    for name, of in found.items():
        print(f"{name}: {'; '.join(of['now']) or 'nothing is wrong'}")
        for line in of["planned"]:
            print(f"{name}: planned: {line}")
