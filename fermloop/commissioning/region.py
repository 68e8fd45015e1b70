"""Where the optimiser may lead, from the batches of a fit: the file that the guardrail names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from controller.plant_file.settings import ReactorSettings
from controller.run_to_run import Region, Tried, region
from fermloop.commissioning.columns import before
from fermloop.commissioning.experiment import Prepared, applied
from fermloop.commissioning.parameters import provenance, quoted, replaced
from fermloop.commissioning.record import Floats, Record
from fermloop.commissioning.study import Study, product_of, total_product
from models.culture import Culture
from models.vessels import LIQUID_L_PER_H


@dataclass(frozen=True)
class Loops:
    """What the optimiser may lead in one reactor.

    Attributes:
        name: of the reactor.
        reactor: its table of the plant file.
        units: of each loop, by its name.
        ranges: how far each may go at all, in its unit.
    """

    name: str
    reactor: ReactorSettings
    units: dict[str, str]
    ranges: dict[str, tuple[float, float]]


def around(
    found: Study,
    model: Culture,
    fitted_to: Sequence[Prepared],
    held_out: Sequence[Prepared],
    loops: Loops,
) -> Region:
    """Return the region around batches, as wide as what was foretold of the ones held out allows.

    Args:
        found: the study of the same batches.
        model: that was fitted.
        fitted_to: what there was before, oldest first.
        held_out: led by the optimiser since, oldest first: what was promised of them is judged.
        loops: that it may lead.

    Raises:
        ValueError: a batch has no setpoint of a loop or no result of its product, or none kept the
            limits.
    """
    tried = [
        _tried(b, found, model, loops, seen=seen)
        for batches, seen in ((fitted_to, True), (held_out, False))
        for b in batches
    ]
    return region(tried, loops.ranges)


def _tried(batch: Prepared, found: Study, model: Culture, loops: Loops, *, seen: bool) -> Tried:
    experiment, record = batch.experiment, batch.record
    series = product_of(experiment, found.organism)
    if series is None:
        raise ValueError(f"{record.name}: no result of its product; the region needs it")
    last = int(np.argmax(series.hours))
    name, hour = found.organism.called["product"], float(series.hours[last])
    then = found.fitted.foretell(experiment, name, hour, draws=2)[0]
    all_of_it = total_product(experiment, model, found.organism)
    grams = found.fitted.foretell_of(experiment, all_of_it, draws=2)[0]
    rows = len(next(iter(record.values.values())))
    hours = (np.arange(rows, dtype=np.float64) + 0.5) * record.step_h
    setpoints = {loop: _applied(record, loop, loops) for loop in loops.units}
    made = grams * float(series.values[last]) / then  # the laboratory's word, all of the broth
    return Tried(record.name, hours, setpoints, made, grams, record.kept, seen)


def _applied(record: Record, loop: str, loops: Loops) -> Floats:
    unit = loops.units[loop]
    for name in applied(loop, loops.reactor):
        column = record.values.get(name)
        if column is None or not np.isfinite(column).any():
            continue
        own = record.units[name]
        if own == unit:
            return before(column)
        if own in LIQUID_L_PER_H and unit in LIQUID_L_PER_H:
            return before(column) * (LIQUID_L_PER_H[own] / LIQUID_L_PER_H[unit])
        raise ValueError(f"{record.name}: {name}: unit {own} cannot become {unit}")
    tags = " or ".join(applied(loop, loops.reactor))
    raise ValueError(f"{record.name}: nothing says what {loop} was set to ({tags})")


def written(
    found: Region, loops: Loops, out: Path, plant: str, batches: Sequence[str],
    held_out: Sequence[str], now: float,
) -> None:  # fmt: skip
    """Write the file whole or not at all.

    Args:
        found: the region.
        loops: that it is of.
        out: where; what is there is replaced.
        plant: name of the plant file.
        batches: that were fitted to.
        held_out: that were judged.
        now: s since 1970 UTC.
    """
    lines = [
        f"# Where the optimiser may lead {loops.name}, by fermloop fit. The plant file names this",
        f'# file: [reactor.{loops.name}.optimiser.guardrail] region = "...".',
        f"reactor = {quoted(loops.name)}",
        f"width = {found.width:.4g}  # share to each side of what batches have tried",
        "why = [",
        *(f"  {quoted(line)}," for line in found.why),
        "]",
        f"hours = {_numbers(found.hours)}  # since inoculation",
        "",
        *provenance(plant, batches, held_out, now),
    ]
    for name, unit in loops.units.items():
        lines += [
            f"[loop.{name}]",
            f"unit = {quoted(unit)}",
            f"low = {_numbers(found.low[name])}",
            f"high = {_numbers(found.high[name])}",
            "",
        ]
    replaced(out, lines)


def _numbers(values: Floats) -> str:
    return "[" + ", ".join(f"{v:.6g}" for v in values.tolist()) + "]"
