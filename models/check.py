"""Is a model fit to be run? Its faults by name, before anything is computed with it.

Ours are held to the same by tests; whoever brings an organism or a plant of their own is told here.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from models.bioreactor import Bioreactor
from models.fn import SCALARS
from models.model import Model, ModelError, Variable
from models.organism import Composition, Exchange, Organism, Surroundings
from models.symbolic import trace
from models.vessel_variables import ACTUATORS, OWN
from models.vessels import Stirred

CARBON: Final = 0.01  # share of what turns over that may be lost
ELECTRONS: Final = 0.05  # likewise of electrons, and of nitrogen
MEDIUM: Final = {"broth": "1", "salting": "1", "c_base": "mmol/L", "c_acid": "mmol/L"}
WORDS: Final = ("biomass", "substrate", "product")
DISSOLVED: Final = {"NH3": "mmol/L", "PO4": "mmol/L", "strong": "mmol/L"}
ORGANISM: Final = (  # what an organism has; the protocol says what each is
    *("name", "temperature", "acidity", "species", "feeds", "parameters", "medium", "salts"),
    *("acid", "composition", "kla_law", "called", "exchange", "kla_factor"),
)
MODEL: Final = ("time_unit", "states", "inputs", "parameters", "outputs", "rhs", "output")
_ATOM: Final = re.compile(
    r"(1|%|\[pH\]|\{r\}|[kmu]?g|[mu]?L|[kcm]?m|m?mol|Cel|K|d|h|min|s|bar|[kMm]?Pa|[kM]?W|k?J|cal|V)"
    r"(-?\d)?"
)
_GROUP: Final = re.compile(r"\(([^()]+)\)(-?\d)?")


def check_model(model: Model) -> None:
    """Refuse a model that cannot be run as it says.

    Raises:
        ModelError: a line a fault: a name twice, a unit that nobody knows, limits that a default
            breaks, equations of another number of values, that fail, that are not finite at the
            start, or that cannot be used on symbols.
    """
    name = type(model).__name__
    _refuse(_lacking(name, model, MODEL))
    _refuse(
        line
        for part in ("states", "inputs", "parameters", "outputs")
        for line in _variables(f"{name}.{part}", getattr(model, part))
    )
    if model.time_unit not in ("h", "s"):
        raise ModelError(f"{name}.time_unit: {model.time_unit!r} is not allowed; h or s is")
    own = [v.default for v in model.parameters]
    x = model.start(own) if isinstance(model, Bioreactor) else [v.default for v in model.states]
    u = [v.default for v in model.inputs]
    _refuse(_numbers(f"{name}.start", model.states, lambda: x))
    _refuse(
        line
        for part, method, wanted in (
            ("rhs", model.rhs, model.states),
            ("output", model.output, model.outputs),
        )
        for line in _numbers(f"{name}.{part}", wanted, _bound(method, x, u, own))
    )
    trace(model)


def check_plant(plant: Bioreactor) -> None:
    """Refuse a whole plant that lacks what drives, probes and reports of a vessel look for.

    Raises:
        ModelError: a line a fault, of the organism too.
    """
    check_organism(plant.organism, plant.vessel)
    name = type(plant).__name__
    inputs = {n: a.unit for n, a in plant.actuators.items()}
    outputs = {v.name: v.unit for v in Bioreactor.outputs}
    for part, wanted in (
        ("states", {v.name: v.unit for v in (*plant.organism.species, *OWN)}),
        ("inputs", inputs),
        ("outputs", outputs),
    ):
        found = {v.name: v.unit for v in getattr(plant, part)}
        _refuse(
            f"{name}.{part}: {n} in {unit} is missing; "
            f"{f'it is there in {found[n]}' if n in found else f'there are {_list(found)}'}"
            for n, unit in wanted.items()
            if found.get(n) != unit
        )
        first = list(found)[: len(wanted)]
        if first != list(wanted):
            raise ModelError(
                f"{name}.{part}: {_list(first)} come first; {_list(wanted)} are required, and "
                "what is added comes after them"
            )
    check_model(plant)


def check_organism(organism: Organism, vessel: Stirred) -> None:
    """Refuse an organism that a vessel cannot hold, or that makes matter of nothing.

    Raises:
        ModelError: a line a fault: what is not there, what is named but not declared, units that
            do not fit, and carbon, electrons or nitrogen that do not close.
    """
    name = type(organism).__name__
    _refuse(_lacking(name, organism, ORGANISM))
    _refuse(
        line
        for part in ("species", "parameters", "medium")
        for line in _variables(f"{name}.{part}", getattr(organism, part))
    )
    _refuse(_names(name, organism, vessel))
    _refuse(_balances(name, organism))


def _refuse(lines: Iterator[str]) -> None:
    found = list(lines)
    if found:
        raise ModelError("\n".join(found))


def _bound(method: Any, x: Any, u: Any, p: Any) -> Callable[[], Sequence[Any]]:
    return lambda: method(0.0, x, u, p, SCALARS)


def _list(names: Any) -> str:
    return ", ".join(names) or "none"


def _lacking(name: str, thing: object, wanted: Sequence[str]) -> Iterator[str]:
    missing = [n for n in wanted if not hasattr(thing, n)]
    if missing:
        yield f"{name}: it has no {_list(missing)}; {_list(wanted)} are required"


def known_unit(unit: str) -> bool:
    """Whether ``unit`` is made of units that this room knows: ``g/(g.h)``, ``[pH]``, ``1``."""
    while group := _GROUP.search(unit):
        if not known_unit(group[1]):
            return False
        unit = f"{unit[: group.start()]}1{unit[group.end() :]}"
    return all(_ATOM.fullmatch(part) for part in re.split(r"[./]", unit))


def _variables(where: str, variables: Any) -> Iterator[str]:
    seen: set[str] = set()
    for k, v in enumerate(variables):
        if not isinstance(v, Variable):
            yield f"{where}[{k}]: {v!r} is not allowed; a models.model.Variable is required"
            continue
        at = f"{where}.{v.name}"
        if v.name in seen:
            yield f"{at}: it is there twice; each name once is allowed"
        seen.add(v.name)
        if not known_unit(v.unit):
            yield (
                f"{at}: unit {v.unit!r} is not known; products and quotients of g, mol, L, h, s, "
                "Cel, bar, Pa, W, J, %, [pH] and 1 are allowed, such as g/(g.h)"
            )
        if math.isnan(v.low) or math.isnan(v.high) or v.low > v.high:
            yield f"{at}: limits {v.low:g} to {v.high:g}; low <= high is required"
        elif not math.isfinite(v.default):
            yield f"{at}: default {v.default:g}; a number is required"
        elif not v.low <= v.default <= v.high:
            yield f"{at}: default {v.default:g} is outside {v.low:g} to {v.high:g} {v.unit}"


def _numbers(
    where: str, names: Sequence[Variable], compute: Callable[[], Sequence[Any]]
) -> Iterator[str]:
    """Yield what is wrong with values that belong to ``names``."""
    try:
        values = list(compute())
    except Exception as error:  # noqa: BLE001 (whatever somebody's equations raise)
        yield f"{where}: fails at the defaults: {type(error).__name__}: {error}"
        return
    if len(values) != len(names):
        declared = _list(v.name for v in names)
        yield f"{where}: {len(values)} values for {len(names)} names: {declared}"
        return
    for v, value in zip(names, values, strict=True):
        try:
            fine = math.isfinite(float(value))
        except (TypeError, ValueError):
            fine = False
        if not fine:
            yield f"{where}: {v.name} is {value} at the defaults; a number is required"


def _names(name: str, organism: Organism, vessel: Stirred) -> Iterator[str]:
    """Yield what is named and not there, and units that do not fit."""
    species = {v.name: v.unit for v in organism.species}
    numbers = {v.name: v.unit for v in (*organism.parameters, *organism.medium)}
    medium = {v.name: v.unit for v in organism.medium}
    for word in WORDS:
        if word not in organism.called:
            yield f"{name}.called: {word} is missing; {_list(WORDS)} are required"
    for word, what in organism.called.items():
        if species.get(what) != "g/L":
            yield f"{name}.called: {word} = {what!r} is not allowed; a species in g/L is required"
    for n, unit in MEDIUM.items():
        if n not in medium:
            yield f"{name}.medium: {n} ({unit}) is missing; {_list(MEDIUM)} are required"
        elif medium[n] != unit:
            yield f"{name}.medium.{n}: {medium[n]} is not allowed; {unit} is required"
    if not organism.name.isidentifier():
        yield f"{name}.name: {organism.name!r} is not allowed; letters, digits and _ are"
    if not organism.feeds:
        yield f"{name}.feeds: there is none; the feed of substrate is required, first"
    pumps = [p for p in ("feed", "dose") if p in vessel.actuators]
    for k, feed in enumerate(organism.feeds):
        at = f"{name}.feeds.{feed.name}"
        if feed.name in ACTUATORS:
            yield f"{at}: the name is taken; the vessel has {_list(ACTUATORS)}"
        if feed.pump not in pumps:
            yield f"{at}: pump {feed.pump!r} is not allowed; {_list(pumps)} are"
        if k == 0 and organism.called.get("substrate") not in feed.brings:
            yield f"{at}: brings no substrate; the first feed is that of substrate"
        for what, concentration in feed.brings.items():
            wanted = (species | DISSOLVED).get(what)
            if wanted is None:
                yield f"{at}: brings {what}; {_list([*species, *DISSOLVED])} are allowed"
            elif numbers.get(concentration) != wanted:
                has = f"{concentration} of {what} is {numbers.get(concentration, 'not there')}"
                yield f"{at}: {has}; a parameter in {wanted} is required"
        if feed.density and numbers.get(feed.density) != "kg/L":
            has = numbers.get(feed.density, "not there")
            yield f"{at}: {feed.density} is {has}; a parameter in kg/L is required"
    if organism.acid is not None and species.get(organism.acid.species) != "g/L":
        yield f"{name}.acid: {organism.acid.species} is not allowed; a species in g/L is required"
    for what in organism.composition:
        if what not in species:
            yield f"{name}.composition: {what} is no species; {_list(species)} are allowed"
    taken = {v.name for v in OWN} & set(species)
    if taken:
        yield f"{name}.species: {_list(sorted(taken))}: the vessel has a state of that name"


def balance(organism: Organism, e: Exchange) -> dict[str, tuple[float, float]]:
    """Return of carbon, electrons and nitrogen what is lost and what turns over, mmol/(L.h).

    Args:
        organism: whose species.
        e: its rates, in numbers.
    """
    nothing = Composition(0.0, 0.0, 0.0)
    made = [
        (organism.composition.get(v.name, nothing), float(rate))
        for v, rate in zip(organism.species, e.species, strict=True)
    ]
    parts = {
        "carbon": [*(1e3 * c.carbon * r for c, r in made), float(e.cer)],
        "electrons": [*(1e3 * c.electrons * r for c, r in made), 4.0 * float(e.our)],
        "nitrogen": [*(1e3 * c.nitrogen * r for c, r in made), -float(e.ammonia)],
    }
    return {n: (sum(v), 0.5 * sum(abs(r) for r in v)) for n, v in parts.items()}


def _balances(name: str, organism: Organism) -> Iterator[str]:
    """Yield what is wrong at the first state of a few dozen where something is."""
    p = [v.default for v in (*organism.parameters, *organism.medium)]
    chance = np.random.default_rng(1)
    for k in range(60):
        x = [_any(v, chance) for v in organism.species]
        if k >= 40:  # without one of them
            x[k % len(x)] = 0.0
        at = Surroundings(
            O=float(10.0 ** chance.uniform(-5.0, -2.0)),
            T=organism.temperature + float(chance.uniform(-2.0, 2.0)),
            pH=organism.acidity + float(chance.uniform(-0.3, 0.3)),
            NH3=float(chance.uniform(20.0, 150.0)),
            CO2=float(chance.uniform(0.0, 3.0)),
        )
        lines = list(_unbalanced(name, organism, x, at, p))
        if lines:
            named = dict(zip((v.name for v in organism.species), x, strict=True))
            here = _list(f"{n} {v:.3g}" for n, v in (named | at._asdict()).items())
            yield from (f"{line} (at {here})" for line in lines)
            return


def _any(v: Variable, chance: Any) -> float:
    """Return a value that a species can have."""
    if v.unit.endswith("/L"):
        return float(10.0 ** chance.uniform(-3.0, 1.3))
    high = v.high if math.isfinite(v.high) else max(2.0 * v.default, 1.0)
    return float(chance.uniform(max(v.low, 0.0), high))


def _unbalanced(
    name: str, organism: Organism, x: Sequence[float], at: Surroundings, p: Sequence[float]
) -> Iterator[str]:
    try:
        e = organism.exchange(x, at, p, SCALARS)
    except Exception as error:  # noqa: BLE001 (whatever somebody's equations raise)
        yield f"{name}.exchange: fails: {type(error).__name__}: {error}"
        return
    if len(e.species) != len(x):
        yield f"{name}.exchange: {len(e.species)} rates for {len(x)} species"
        return
    fields: Mapping[str, Any] = e._asdict()
    rates = {v.name: r for v, r in zip(organism.species, e.species, strict=True)}
    numbers = {n: v for n, v in fields.items() if n != "species"} | rates
    bad = [f"{n} is {v}" for n, v in numbers.items() if not math.isfinite(v)]
    if bad:
        yield f"{name}.exchange: {_list(bad)}; numbers are required"
        return
    for v, amount in zip(organism.species, x, strict=True):
        if amount == 0.0 and v.low >= 0.0 and rates[v.name] < -1e-9:
            yield f"{name}.exchange: {v.name} is taken at {-rates[v.name]:.3g} where there is none"
    for what, (lost, turned) in balance(organism, e).items():
        share = CARBON if what == "carbon" else ELECTRONS
        if abs(lost) > share * turned + 1e-6:
            made = "made" if lost > 0 else "lost"
            yield (
                f"{name}.exchange: {what} does not close: {abs(lost):.3g} of {turned:.3g} "
                f"mmol/(L.h) are {made}; {100 * share:g} % is allowed"
            )
