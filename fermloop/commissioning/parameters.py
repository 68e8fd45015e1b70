"""The file of fitted parameters, as the plant file names it and a person reads it."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from fermloop.commissioning.study import Study


def written(
    study: Study, out: Path, plant: str, batches: Sequence[str], held_out: Sequence[str], now: float
) -> None:
    """Write the file whole or not at all.

    Args:
        study: whose estimates; what stays at its prior is only told in a comment.
        out: where; what is there is replaced.
        plant: name of the plant file.
        batches: that were fitted to.
        held_out: that were foretold.
        now: s since 1970 UTC.
    """
    lines = [
        f"# Parameters of {study.organism.name}, fitted by fermloop fit. The plant file names this",
        '# file: [reactor.R1.model] parameters = "..."; soft sensor and optimiser then use them.',
        f"organism = {quoted(study.organism.name)}",
        "",
        *provenance(plant, batches, held_out, now),
    ]
    for e in study.estimated:
        doc = f"# {e.variable.name}: {e.variable.doc}"
        if not e.kept:
            lines += [f"{doc}: not determined by these batches, stays {e.value:g}", ""]
            continue
        lines += [
            doc,
            f"[parameter.{e.variable.name}]",
            f"value = {e.value:.6g}",
            f"unit = {quoted(e.variable.unit)}",
            f"low = {e.low:.6g}",
            f"high = {e.high:.6g}",
            f"prior = {e.found.prior:.6g}",
            f"learned = {min(max(e.found.learned, 0.0), 1.0):.3f}",
            "",
        ]
    replaced(out, lines)


def provenance(
    plant: str, batches: Sequence[str], held_out: Sequence[str], now: float
) -> list[str]:
    """Return the table that says where a file's numbers come from, see ``controller.fitted``."""
    day = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        "[provenance]",
        f"batches = {_list(batches)}",
        f"held_out = {_list(held_out)}",
        f"plant = {quoted(plant)}",
        f"date = {quoted(day)}",
        f"software = {quoted('fermloop ' + version('fermloop'))}",
        "",
    ]


def replaced(out: Path, lines: Sequence[str]) -> None:
    """Put a file of ``lines`` where ``out`` is, whole or not at all."""
    aside = out.with_name(f".{out.name}")
    aside.write_text("\n".join(lines), encoding="utf-8")
    os.replace(aside, out)


def quoted(text: str) -> str:
    """Return a text as TOML has it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(quoted(t) for t in texts) + "]"
