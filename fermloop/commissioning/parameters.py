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
    day = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = [
        f"# Parameters of {study.organism.name}, fitted by fermloop fit. The plant file names this",
        '# file: [reactor.R1.model] parameters = "..."; soft sensor and optimiser then use them.',
        f"organism = {_quoted(study.organism.name)}",
        "",
        "[provenance]",
        f"batches = {_list(batches)}",
        f"held_out = {_list(held_out)}",
        f"plant = {_quoted(plant)}",
        f"date = {_quoted(day)}",
        f"software = {_quoted('fermloop ' + version('fermloop'))}",
        "",
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
            f"unit = {_quoted(e.variable.unit)}",
            f"low = {e.low:.6g}",
            f"high = {e.high:.6g}",
            f"prior = {e.found.prior:.6g}",
            f"learned = {min(max(e.found.learned, 0.0), 1.0):.3f}",
            "",
        ]
    aside = out.with_name(f".{out.name}")
    aside.write_text("\n".join(lines), encoding="utf-8")
    os.replace(aside, out)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(_quoted(t) for t in texts) + "]"
