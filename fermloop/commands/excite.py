"""``fermloop excite``: recipes for batches that tell the model more than another plain one."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from controller.plant import Plant, load_plant
from controller.plant_file.settings import ModelSettings, ReactorSettings
from controller.recipes.file import Recipe
from fermloop.commands.check import recipe_for
from fermloop.commands.fit import modelled
from fermloop.commissioning import recipes
from fermloop.commissioning.excitation import Block, Design, Excitation, blocks
from fermloop.commissioning.experiment import control_model, prepare, pump, wanted
from fermloop.commissioning.record import Floats, recorded
from fermloop.commissioning.study import total_product
from fermloop.failure import USAGE, FailureError
from historian.batch import BatchRecord
from historian.history import History
from historian.schema import StoreError
from models.culture import Culture
from models.fitting import Experiment, priors
from models.fitting.simulation import Simulation
from models.organisms import of_strain
from models.watched import WatchedOrganism

VOLUME: Final = 0.98  # of the vessel's, that a design may fill
BEYOND: Final = 1.1  # times what the batch itself reached, where it is beyond a limit already


@dataclass(frozen=True)
class Wish:
    """What is asked for, see the command's options."""

    recipe: Path
    like: str
    batches: int
    size: float
    blocks: int
    feeds: Sequence[str]
    out: Path
    store: Path | None
    reactor: str
    as_json: bool


def run(plant_file: Path, wish: Wish) -> None:
    """Design the batches, write their recipes and say what they would tell.

    Raises:
        FailureError: there is no batch to go from, or nothing may be moved.
        ConfigError: the plant file or the recipe is wrong.
    """
    plant = load_plant(plant_file)
    name, reactor, settings, plain = modelled(plant, wish.reactor)
    organism = of_strain(plain, settings.strain)
    recipe = recipe_for(plant, wish.recipe)
    record, experiment, flows, step_h = _base(
        wish, plant, name, reactor, settings, organism, recipe
    )
    spans = recipes.feeding(record, step_h, flows)
    if not spans:
        raise FailureError(f"{record.batch.id}: no feed flowed in any of its phases")
    places = blocks(
        {feed: [(start, end) for _, start, end in rows] for feed, rows in spans.items()},
        wish.blocks,
    )
    _require_pumps(flows, reactor, wish.size, plant_file.name)
    model = control_model(settings, organism)
    excitation = Excitation(
        model,
        experiment,
        priors(organism),
        places,
        wish.size,
        lambda batch, path: total_product(batch, model, organism)(path),
        _limits(model, organism, reactor, experiment),
    )
    try:
        design = excitation.design(wish.batches)
    except ValueError as error:
        raise FailureError(str(error)) from None
    wish.out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for k, pattern in enumerate(design.patterns, 1):
        factors = {b: 1.0 + s * wish.size for b, s in zip(places, pattern, strict=True)}
        title = f"{recipe.name}-excited-{k}"
        table = recipes.excited(recipe, title, spans, step_h, flows, factors)
        path = wish.out / f"{title}.toml"
        recipes.write(path, f"# Excited around batch {record.batch.id}.\n{recipes.toml(table)}")
        recipe_for(plant, path)  # as any other: what would not run is no recipe
        written.append(path)
    _tell(wish, record.batch.id, places, design, written)


def _base(
    wish: Wish,
    plant: Plant,
    name: str,
    reactor: ReactorSettings,
    settings: ModelSettings,
    organism: WatchedOrganism,
    recipe: Recipe,
) -> tuple[BatchRecord, Experiment, dict[str, Floats], float]:
    """Return a batch of the recipe: its record, as an experiment, its feeds in their loops' units.

    Raises:
        FailureError: there is none, or it cannot be used.
    """
    try:
        with History(wish.store or plant.store) as history:
            id_ = wish.like or _newest(history, name, recipe.name)
            record = history.batch(id_)
            rows = recorded(history, id_, wanted(reactor, organism))
        found = prepare(rows, reactor, settings, organism)
    except (LookupError, ValueError, StoreError) as error:
        text = str(error.args[0] if error.args else error)
        raise FailureError([f"--like: {line}" for line in text.splitlines()], USAGE) from None
    moved = {loop for phase in recipe.phase for loop in phase.feeds}
    known = [f.name for f in organism.feeds if f.name in moved]
    if unknown := [f for f in wish.feeds if f not in known]:
        raise FailureError(
            f"--feeds: {', '.join(unknown)} is not allowed; the recipe feeds {', '.join(known)}",
            USAGE,
        )
    flows = {
        feed: rows.values[pump(feed, reactor)]
        for feed in (wish.feeds or known)
        if pump(feed, reactor) in rows.values
    }
    return record, found.experiment, flows, rows.step_h


def _newest(history: History, reactor: str, recipe: str) -> str:
    of = [b for b in history.batches(reactor) if b.recipe == recipe and b.state == "COMPLETE"]
    if not of:
        raise LookupError(
            f"no complete batch of the recipe {recipe} of {reactor} is in the store; run one as it "
            "is first, or name one with --like"
        )
    return of[-1].id


def _require_pumps(
    flows: Mapping[str, Floats], reactor: ReactorSettings, size: float, plant: str
) -> None:
    """Refuse an excitation that a loop does not allow."""
    for feed, flow in flows.items():
        loop = reactor.loop.get(feed)
        most = float(np.nanmax(flow, initial=0.0)) * (1.0 + size)
        if loop is not None and most > loop.setpoint_high:
            raise FailureError(
                f"--size: {feed} would go to {most:.4g}; {plant} allows {loop.setpoint_high:g}",
                USAGE,
            )


def _limits(
    model: Culture,
    organism: WatchedOrganism,
    reactor: ReactorSettings,
    base: Experiment,
) -> Callable[[Experiment, Floats], bool]:
    """Return what says whether a batch stays within the limits of vessel and cells."""
    names = [v.name for v in model.states]
    economy = reactor.economy
    called = organism.called
    high: dict[int, float] = {names.index("V"): VOLUME * reactor.volume_max_l}
    by_product = next((called[n] for n in ("acetate", "ethanol") if n in called), None)
    if by_product is not None:
        most = None if economy is None else economy.by_product_max_g_per_l
        high[names.index(by_product)] = most or 1.5
    own = Simulation(model).states(base, {})
    # a batch that went beyond a limit already is not to go much further
    top = {k: max(limit, BEYOND * float(own[:, k].max())) for k, limit in high.items()}
    top[names.index("V")] = high[names.index("V")]

    def allowed(batch: Experiment, path: Floats) -> bool:
        return all(float(path[:, k].max()) <= limit for k, limit in top.items())

    return allowed


def _tell(
    wish: Wish, base: str, places: Sequence[Block], design: Design, written: Sequence[Path]
) -> None:
    if wish.as_json:
        found = {
            "base": base,
            "recipes": [str(path) for path in written],
            "before": design.before,
            "plain": design.plain,
            "after": design.after,
            "blocks": [[b.feed, b.start, b.end] for b in places],
            "patterns": [list(p) for p in design.patterns],
        }
        print(json.dumps(found, ensure_ascii=False))
        return
    for line in _lines(wish, base, places, design, written):
        print(line)


def _lines(
    wish: Wish, base: str, places: Sequence[Block], design: Design, written: Sequence[Path]
) -> Iterator[str]:
    yield f"around batch {base}: each block {100.0 * wish.size:g} % up (+) or down (-)"
    for path, pattern in zip(written, design.patterns, strict=True):
        told = ", ".join(
            f"{b.feed} {b.start:.1f}-{b.end:.1f} h {'+' if s > 0 else '-'}"
            for b, s in zip(places, pattern, strict=True)
        )
        yield f"{path}: {told}"
    yield (
        f"the change of product by feeds {200.0 * wish.size:g} % higher or lower is foretold to ± "
        f"{100.0 * design.before:.1f} % now (90 %), to ± {100.0 * design.plain:.1f} % after as "
        f"many plain batches, to ± {100.0 * design.after:.1f} % after these"
    )
    yield "these are the model's own words: they hold as far as its equations do"
