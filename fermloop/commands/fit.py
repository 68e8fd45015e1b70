"""``fermloop fit``: a plant's own numbers for its control model, from batches that were run."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.plant import Plant, load_plant
from controller.plant_file.region_file import units
from controller.plant_file.settings import ModelSettings, ReactorSettings
from controller.run_to_run import Region
from drivers.clock import wall
from fermloop.commissioning import page
from fermloop.commissioning.experiment import (
    Prepared,
    analytes,
    control_model,
    prepare,
    wanted,
)
from fermloop.commissioning.parameters import written
from fermloop.commissioning.region import Loops, around
from fermloop.commissioning.region import written as region_written
from fermloop.commissioning.sources import Sources
from fermloop.commissioning.study import Study, study
from fermloop.failure import USAGE, FailureError
from models.fitting import priors
from models.organisms import WATCHED
from models.watched import WatchedOrganism


@dataclass(frozen=True)
class Wish:
    """What is asked for, see the command's options."""

    batches: Sequence[str]
    held_out: Sequence[str]
    parameters: Sequence[str]
    out: Path | None
    region: Path | None
    picture: Path | None
    store: Path | None
    mapping: Path | None
    samples: Sequence[Path]
    reactor: str
    quick: bool
    as_json: bool


def run(plant_file: Path, wish: Wish) -> None:
    """Fit, report, and write parameters and page.

    Raises:
        FailureError: a batch, a parameter or a file is not there, or the batches say nothing.
        ConfigError: the plant file or a batch's file is wrong.
    """
    plant = load_plant(plant_file)
    if both := sorted(set(wish.batches) & set(wish.held_out)):
        raise FailureError(f"--hold-out: {', '.join(both)} is fitted to as well", USAGE)
    name, reactor, model, organism = modelled(plant, wish.reactor)
    try:
        believed = priors(organism, tuple(wish.parameters))
    except ValueError as error:
        raise FailureError(f"--parameters: {error}", USAGE) from None
    sources = Sources(
        name,
        {**plant.tags, **plant.calculated},
        analytes(reactor, organism),
        wish.store or plant.store,
        wish.mapping,
        wish.samples,
    )
    fitted_to = _prepared(wish.batches, sources, reactor, model, organism)
    held = _prepared(wish.held_out, sources, reactor, model, organism)
    try:
        found = study(
            organism,
            control_model(model, organism),
            fitted_to,
            held,
            believed,
            profile=not wish.quick,
            tell=lambda text: print(f"... {text}", file=sys.stderr),
        )
    except ValueError as error:
        raise FailureError(str(error).splitlines()) from None
    if wish.out is not None:
        written(found, wish.out, plant_file.name, wish.batches, wish.held_out, wall())
    where: Region | None = None
    if wish.region is not None:
        where = _region(found, plant, name, fitted_to, held, wish)
    if wish.picture is not None:
        page.write(found, len(wish.held_out), wish.picture)
    if wish.as_json:
        print(json.dumps(as_json(found), ensure_ascii=False))
        return
    for line in lines(found):
        print(line)
    for line in () if where is None else where.why:
        print(f"region: {line}")
    for path in (wish.out, wish.region, wish.picture):
        if path is not None:
            print(f"{path}: written")
    if wish.out is not None:
        print(f'use it: [reactor.{name}.model] parameters = "{wish.out.name}" in {plant_file.name}')
    if wish.region is not None:
        table = f"[reactor.{name}.optimiser.guardrail]"
        print(f'use it: {table} region = "{wish.region.name}" in {plant_file.name}')


def _region(
    found: Study,
    plant: Plant,
    name: str,
    fitted_to: Sequence[Prepared],
    held_out: Sequence[Prepared],
    wish: Wish,
) -> Region:
    """Write where the optimiser may lead, and return it."""
    reactor = plant.settings.reactor[name]
    if reactor.optimiser is None or reactor.model is None or wish.region is None:
        raise FailureError(f"--region: {name} has no optimiser in {plant.path.name}", USAGE)
    own = units(plant.settings, name, plant.tags | plant.calculated)
    ranges = {n: (s.setpoint_low, s.setpoint_high) for n in own for s in (reactor.loop[n],)}
    loops = Loops(name, reactor, own, ranges)
    model = control_model(reactor.model, found.organism)
    try:
        where = around(found, model, fitted_to, held_out, loops)
    except ValueError as error:
        raise FailureError(f"--region: {error}", USAGE) from None
    region_written(where, loops, wish.region, plant.path.name, wish.batches, wish.held_out, wall())
    return where


def modelled(
    plant: Plant, reactor: str
) -> tuple[str, ReactorSettings, ModelSettings, WatchedOrganism]:
    """Return the reactor that is meant, with its model.

    The strain is the organism's own, whatever the plant file's ``parameters`` say: priors do not
    rest on batches that are fitted to again.

    Raises:
        FailureError: there is no such reactor, or it has no model.
    """
    reactors = plant.settings.reactor
    name = reactor or next(iter(reactors))
    if name not in reactors:
        raise FailureError(f"--reactor: {name} is not allowed; {', '.join(reactors)} are", USAGE)
    model = reactors[name].model
    if model is None:
        raise FailureError(
            f"{plant.path.name}: reactor.{name}.model: missing; the table says which organism and "
            "what was in the vessel at inoculation",
            USAGE,
        )
    return name, reactors[name], model, WATCHED[model.organism]()


def _prepared(
    names: Sequence[str],
    sources: Sources,
    reactor: ReactorSettings,
    model: ModelSettings,
    organism: WatchedOrganism,
) -> list[Prepared]:
    """Return the experiments; every mistake of all of them is told at once."""
    found: list[Prepared] = []
    wrong: list[str] = []
    for record in sources.records(names, wanted(reactor, organism)):
        try:
            found.append(prepare(record, reactor, model, organism))
        except ValueError as error:
            wrong += str(error).splitlines()
    if wrong:
        raise FailureError(wrong, USAGE)
    return found


def lines(found: Study) -> Iterator[str]:
    """Yield the report for a person."""
    head = ("parameter", "unit", "value", "90 % interval", "prior", "learned", "")
    words = {"determined": "determined", "partly": "partly", "prior": "stays at its prior"}
    rows = [
        (
            e.variable.name,
            e.variable.unit,
            f"{e.value:.4g}",
            f"{e.low:.4g} to {e.high:.4g}" if e.kept else "-",
            f"{e.found.prior:.4g}",
            f"{100.0 * e.found.learned:.0f} %",
            words[e.verdict],
        )
        for e in found.estimated
    ]
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
    for row in (head, *rows):
        yield "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
    for a, b, r in found.alike:
        yield f"note: {a} and {b} cannot be told apart by these batches (correlation {r:+.2f})"
    for o in found.outliers:
        yield (
            f"outlier: {o.batch} {o.series} at {o.hours:.1f} h: {o.measured:.3g} measured, "
            f"{o.modelled:.3g} modelled; it counts little"
        )
    for f in found.foretold:
        yield (
            f"held out: {f.batch}: product at {f.hours:.1f} h {f.median:.3g} g/L foretold "
            f"({f.low:.3g} to {f.high:.3g}), {f.measured:.3g} measured, {100.0 * f.error:+.1f} %"
        )
    if found.foretold:
        yield f"held out: median error of the final product {100.0 * found.error:.1f} %"
    else:
        yield "nothing was held out: agreement with what was fitted to says little (--hold-out)"
    for note in found.notes:
        yield f"note: {note}"


def as_json(found: Study) -> dict[str, Any]:
    """Return the report for a program."""
    return {
        "organism": found.organism.name,
        "parameters": [
            {
                "name": e.variable.name,
                "unit": e.variable.unit,
                "value": e.value,
                "low": e.low,
                "high": e.high,
                "prior": e.found.prior,
                "learned": e.found.learned,
                "verdict": e.verdict,
            }
            for e in found.estimated
        ],
        "alike": [list(pair) for pair in found.alike],
        "outliers": [vars(o) for o in found.outliers],
        "held_out": [
            {
                "batch": f.batch,
                "hours": f.hours,
                "measured": f.measured,
                "foretold": f.median,
                "low": f.low,
                "high": f.high,
                "grams": f.grams,
            }
            for f in found.foretold
        ],
        "error": found.error if found.foretold else None,
        "notes": list(found.notes),
    }
