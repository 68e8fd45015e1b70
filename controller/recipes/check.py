"""What keeps a recipe from running in a reactor: unknown loops, values out of range."""

from collections.abc import Iterator, Mapping

from controller.recipes.condition import Condition
from controller.recipes.facts import LoopFacts, PlantFacts
from controller.recipes.feed_settings import FeedLaw
from controller.recipes.file import Dose, ModeName, Phase, Recipe
from drivers.point import Tag


def check(recipe: Recipe, facts: PlantFacts) -> list[str]:
    """Return what keeps ``recipe`` from running in a reactor, a line each; empty: nothing."""
    return [f"{recipe.file}: {line}" for line in _against(recipe, facts)]


def _against(recipe: Recipe, facts: PlantFacts) -> Iterator[str]:
    """Yield what does not fit the plant."""
    if facts.organism and recipe.organism != facts.organism:
        given = f"{recipe.organism} is not allowed" if recipe.organism else "missing"
        yield f"organism: {given}; {facts.reactor} is modelled as {facts.organism}"
    fed = recipe.fed(facts.feed_loop)
    yield from _loops("start", recipe.start.loops, recipe.start.setpoints, facts)
    for i, phase in enumerate(recipe.phase):
        key = f"phase.{i} ({phase.name})"
        yield from _loops(key, phase.loops, phase.setpoints, facts)
        for name, ramp in phase.ramps.items():
            where = f"{key}.ramps.{name}"
            yield from _setpoint(where, f"{where}.to", name, ramp.to, facts)
            if name in fed:
                yield f"{where}: not allowed; a feed law (feeds) moves {name}"
        for name, law in phase.feeds.items():
            yield from _feed(f"{key}.feeds.{name}", name, phase, law, facts)
        for j, dose in enumerate(phase.doses):
            yield from _dose(f"{key}.doses.{j}", dose, fed, facts)
        for word in ("until", "hold_if", "abort_if"):
            condition: Condition | None = getattr(phase, word)
            if condition is not None:
                yield from _condition(f"{key}.{word}", condition, facts)


def _loops(
    key: str, modes: Mapping[str, ModeName], setpoints: Mapping[str, float], facts: PlantFacts
) -> Iterator[str]:
    for name, mode in modes.items():
        loop = facts.loops.get(name)
        if loop is None:
            yield _unknown(f"{key}.loops.{name}", facts)
        elif mode not in loop.modes:
            allowed = ", ".join(sorted(loop.modes))
            yield f"{key}.loops.{name}: {mode} is not allowed; {allowed}"
    for name, value in setpoints.items():
        where = f"{key}.setpoints.{name}"
        yield from _setpoint(where, where, name, value, facts)


def _setpoint(
    where: str, value_at: str, name: str, value: float, facts: PlantFacts
) -> Iterator[str]:
    loop = facts.loops.get(name)
    if loop is None:
        yield _unknown(where, facts)
    elif not loop.low <= value <= loop.high:
        yield _outside(value_at, value, loop)


def _feed(key: str, name: str, phase: Phase, law: FeedLaw, facts: PlantFacts) -> Iterator[str]:
    loop = facts.loops.get(name)
    if loop is None:
        yield _unknown(key, facts)
        return
    if not loop.doses:
        yield f"{key}: {name} in {loop.unit} does not dose; one of {_dosing(facts)}"
    if name in phase.setpoints:
        yield f"{key}: not allowed beside setpoints.{name}; one of them"
    for word in ("flow", "cap"):
        value: float | None = getattr(law, word)
        if value is not None and not loop.low <= value <= loop.high:
            yield _outside(f"{key}.{word}", value, loop)
    for j, (_, flow) in enumerate(law.table or ()):
        if not loop.low <= flow <= loop.high:
            yield _outside(f"{key}.table.{j}", flow, loop)
    if law.measured is not None:
        yield from _looks(key, law.measured, law, loop, facts)
    if law.feedback == "biomass" and "biomass_g_per_l" not in facts.estimates:
        yield f"{key}.feedback: biomass is not allowed; {facts.reactor} has no model to estimate it"
    if law.kind not in ("exponential", "pi"):
        return
    for word, unit in (("volume_l", "L"), ("feed_substrate_g_per_l", "g/L")):
        if getattr(law, word) is None and getattr(facts, word) is None:
            yield f"{key}.{word}: missing; {word} ({unit}) is required where the plant has no model"


def _looks(
    key: str, measured: str, law: FeedLaw, loop: LoopFacts, facts: PlantFacts
) -> Iterator[str]:
    """Yield what is wrong with what a feed law looks at."""
    given = {".setpoint": law.setpoint, ".above": law.above, ".below": law.below}
    limits = {word: value for word, value in given.items() if value is not None}
    yield from _measured(key, measured, limits, facts)
    tag = _tag(measured, facts)
    if tag is not None and law.answer is not None and not law.answer < tag.high - tag.low:
        span = f"less than its span, {tag.high - tag.low:g} {tag.unit}"
        yield f"{key}.answer: {law.answer:g} is not allowed; {tag.name} moves {span}"
    if not loop.falls_back:
        yield (
            f"{key}.measured: {measured} may be BAD; the plant file needs a fallback "
            f"({loop.unit}) in the feed's loop for that"
        )


def _dose(key: str, dose: Dose, fed: frozenset[str], facts: PlantFacts) -> Iterator[str]:
    loop = facts.loops.get(dose.loop)
    if loop is None:
        yield _unknown(f"{key}.loop", facts, dose.loop)
    elif not loop.doses:
        yield f"{key}.loop: {dose.loop} in {loop.unit} does not dose; one of {_dosing(facts)}"
    elif dose.loop in fed:
        yield f"{key}.loop: {dose.loop} is not allowed; a feed law moves it"
    elif dose.flow > loop.high:
        yield _outside(f"{key}.flow", dose.flow, loop)
    for word in ("fills_to_kg", "draws_to_kg"):
        weight: float | None = getattr(dose, word)
        if weight is not None:
            yield from _measured(f"{key}.{word}", "weight", {"": weight}, facts)


def _dosing(facts: PlantFacts) -> str:
    return ", ".join(name for name, loop in facts.loops.items() if loop.doses) or "none"


def _condition(key: str, until: Condition, facts: PlantFacts) -> Iterator[str]:
    for word in ("any", "all"):
        for j, part in enumerate(getattr(until, word) or ()):
            yield from _condition(f"{key}.{word}.{j}", part, facts)
    if until.estimate is not None and until.estimate not in facts.estimates:
        known = ", ".join(sorted(facts.estimates)) or f"{facts.reactor} has no model to estimate"
        yield f"{key}.estimate: {until.estimate} is not allowed; {known}"
    if until.spike is not None:
        spike = until.spike
        given = {".armed_below": spike.armed_below, ".armed_above": spike.armed_above}
        limits = {word: limit for word, limit in given.items() if limit is not None}
        yield from _measured(f"{key}.spike", until.spike.measured, limits, facts)
    if until.measured is not None:
        given = {".above": until.above, ".below": until.below}
        limits = {word: limit for word, limit in given.items() if limit is not None}
        yield from _measured(key, until.measured, limits, facts)
        tag = _tag(until.measured, facts)
        if until.f0_min is not None and tag is not None and tag.unit != "Cel":
            yield f"{key}.f0_min: {tag.name} in {tag.unit} is not allowed; a temperature in Cel"


def _tag(name: str, facts: PlantFacts) -> Tag | None:
    return facts.tags.get(facts.measured.get(name, name))


def _measured(key: str, name: str, limits: Mapping[str, float], facts: PlantFacts) -> Iterator[str]:
    """Yield what is wrong with a measurement and with what it is compared with."""
    tag = _tag(name, facts)
    if tag is None:
        known = ", ".join(sorted({*facts.tags, *facts.measured}))
        yield f"{key}.measured: {name} is not allowed; {known}"
        return
    for word, limit in limits.items():
        if limit not in tag:
            range_ = f"{tag.low:g} to {tag.high:g} {tag.unit}"
            yield f"{key}{word}: {limit:g} is not allowed; {tag.name} is {range_}"


def _unknown(where: str, facts: PlantFacts, name: str | None = None) -> str:
    given = where.rpartition(".")[2] if name is None else name
    return f"{where}: {given} is not allowed; a loop of {facts.reactor}: {', '.join(facts.loops)}"


def _outside(where: str, value: float, loop: LoopFacts) -> str:
    return f"{where}: {value:g} is not allowed; {loop.low:g} to {loop.high:g} {loop.unit}"
