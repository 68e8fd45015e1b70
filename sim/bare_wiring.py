"""Which tag of a plant file is which variable of somebody's model, in which unit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from controller.plant_file.config import ConfigError
from drivers.point import Tag
from drivers.third_party import LoadError
from models.model import Model, ModelError, Variable
from models.plain import named, started
from models.symbolic import autonomous, plant_step, trace
from sim.actuators import SWITCH
from sim.bare_settings import BareSettings, Moving, Number, Reading
from sim.fittings import Sheet, units
from sim.reactors import own_model

NUMBERS: Final = {"start": "states", "parameters": "parameters", "inputs": "inputs"}
PLACES: Final = {"x": "states", "y": "outputs", "u": "inputs"}
WORDS: Final = {
    "product_g": "g",
    "titre_g_per_l": "g/L",
    "biomass_g_per_l": "g/L",
    "volume_l": "L",
}
Numbers = tuple[tuple[str, tuple[tuple[str, float], ...]], ...]  # by part, then by name
_FLOWS: Final = tuple(units("L/h"))


@dataclass(frozen=True, slots=True)
class Lead:
    """What an actuator moves.

    Attributes:
        at: place of the input.
        scale: what 1 of the tag's unit is in the input's.
        low: least that it can give, in the tag's unit.
        high: the most.
        safe: likewise.
        like: what the drive is like.
        pump: what can fail of it: a pump or a valve.
    """

    at: int
    scale: float
    low: float
    high: float
    safe: float
    like: Moving
    pump: bool


@dataclass(frozen=True, slots=True)
class Wired:
    """A model that can stand behind the tags of a reactor.

    Attributes:
        model: with the plant's numbers as defaults.
        function: CasADi's ``(x, u, p, h) -> (x, y)``; a last state is time if the model names it.
        sheets: what each reading is like, by what is after the tag's dot; ``of`` says where.
        spans: the range of its tag.
        leads: what each actuator moves, likewise.
        words: where each word of the report is kept: ``x`` or ``y``, and the place.
    """

    model: Model
    function: Any
    sheets: Mapping[str, Sheet]
    spans: Mapping[str, float]
    leads: Mapping[str, Lead]
    words: Mapping[str, tuple[str, int]]


def wired(reactor: str, settings: BareSettings, tags: Sequence[Tag]) -> Wired:
    """Return the model of a reactor with its tags.

    Args:
        reactor: ``R1``.
        settings: its table.
        tags: those that it stands behind.

    Raises:
        ConfigError: the model is not fit to be run, or does not fit the plant file; a line each.
    """
    at, made = f"simulation.{reactor}", None
    try:
        own = own_model(settings.model)
        known = named(own)
    except (LoadError, ModelError) as error:
        raise ConfigError(_of_model(at, error)) from None
    found = _Fitting(at, type(own).__name__, known, settings, {_own(t): t for t in tags})
    lines: list[str] = []
    try:
        made = judged(settings.model, found.numbers())
    except ModelError as error:
        lines += _of_model(at, error)
    leads = {n: found.lead(t) for n, t in found.tags.items() if t.safe is not None}
    sheets = {
        n: found.sheet(t)
        for n, t in found.tags.items()
        if t.safe is None and n.removesuffix(SWITCH) not in leads
    }
    words = {w: found.word(w, v) for w, v in settings.report if v is not None}
    lines += [*found.wrong_numbers(), *found.wrong_names()]
    lines += [p for p in (*sheets.values(), *leads.values(), *words.values()) if isinstance(p, str)]
    lines += found.moved_twice(leads)
    if lines or made is None:
        raise ConfigError(lines)
    model, function = made
    return Wired(
        model,
        function,
        {n: s for n, s in sheets.items() if isinstance(s, Sheet)},
        {n: t.high - t.low for n, t in found.tags.items()},
        {n: lead for n, lead in leads.items() if isinstance(lead, Lead)},
        {w: place for w, place in words.items() if not isinstance(place, str)},
    )


def _of_model(at: str, error: Exception) -> list[str]:
    return [f"{at}.model: {line}" for line in str(error).splitlines()]


@lru_cache
def judged(name: str, numbers: Numbers) -> tuple[Model, Any]:
    """Return a model with a plant's numbers, fit to be run, and its step.

    Raises:
        ModelError: it is not; a line a fault.
    """
    model = started(own_model(name), {part: dict(values) for part, values in numbers})
    # one name for all: that of a class need not be one in C
    return model, plant_step(autonomous(trace(model)), "fl_own_plant")


def _own(tag: Tag) -> str:
    return tag.name.partition(".")[2]


@dataclass(frozen=True, slots=True)
class _Fitting:
    """A model and a plant file that are held against each other.

    Attributes:
        at: key of the table.
        model: name of the class.
        known: its variables, by part and name.
        settings: the table.
        tags: by what is after the dot.
    """

    at: str
    model: str
    known: Mapping[str, Mapping[str, Variable]]
    settings: BareSettings
    tags: Mapping[str, Tag]

    def _given(self) -> Iterator[tuple[str, str, str, Number]]:
        """Yield table, part, name and number of each that is given."""
        for table, part in NUMBERS.items():
            given: Mapping[str, Number] = getattr(self.settings, table)
            for name, number in given.items():
                yield table, part, name, number

    def numbers(self) -> Numbers:
        """Return the numbers that are given and allowed, by part."""
        found: dict[str, dict[str, float]] = {part: {} for part in NUMBERS.values()}
        for _, part, name, number in self._given():
            v = self.known[part].get(name)
            if v is not None and number.value is not None and v.low <= number.value <= v.high:
                found[part][name] = number.value
        for lead in (self.lead(t) for t in self.tags.values() if t.safe is not None):
            if isinstance(lead, Lead):
                found["inputs"][list(self.known["inputs"])[lead.at]] = lead.safe * lead.scale
        return tuple((part, tuple(values.items())) for part, values in found.items())

    def wrong_numbers(self) -> Iterator[str]:
        for table, part, name, number in self._given():
            key = f"{self.at}.{table}.{name}"
            v = self.known[part].get(name)
            if v is None:
                yield f"{key}: no such {part[:-1]} of {self.model}; {_list(self.known[part])}"
                continue
            value = v.default if number.value is None else number.value
            if not v.low <= value <= v.high:
                yield f"{key}: {value:g} is not allowed; {v.low:g} to {v.high:g} {v.unit}"
            elif number.spread and value == 0.0:
                yield f"{key}.spread: not allowed; it is a share of the value, which is 0"

    def wrong_names(self) -> Iterator[str]:
        """Yield a line for each name of a table that is no tag."""
        read = [n for n, t in self.tags.items() if t.safe is None]
        moved = [n for n, t in self.tags.items() if t.safe is not None]
        wanted = {"tags": list(self.tags), "readings": read, "drives": moved}
        for table, tags in wanted.items():
            for name in getattr(self.settings, table):
                if name not in tags:
                    what = {"tags": "tag", "readings": "measurement", "drives": "actuator"}[table]
                    yield f"{self.at}.{table}.{name}: no {what} of this reactor; {_list(tags)}"

    def moved_twice(self, leads: Mapping[str, Lead | str]) -> Iterator[str]:
        """Yield a line for each input that has two masters."""
        inputs = list(self.known["inputs"])
        by: dict[str, str] = {}
        for name, lead in leads.items():
            if isinstance(lead, str):
                continue
            moved, tag = inputs[lead.at], self.tags[name].name
            if moved in by:
                yield f"{tag}: {by[moved]} moves {moved} already ({self.at}: {self.model})"
            by.setdefault(moved, tag)
            if moved in self.settings.inputs:
                yield f"{self.at}.inputs.{moved}: not allowed; {tag} moves it"

    def lead(self, tag: Tag) -> Lead | str:
        """Return what an actuator moves, or what is wrong with it."""
        inputs, name = self.known["inputs"], self.settings.tags.get(_own(tag), _own(tag))
        v = inputs.get(name)
        if v is None:
            return self._unknown(tag, name, "input", _list(inputs), "an actuator moves an input")
        shown = units(v.unit).get(tag.unit)
        if shown is None:
            return self._wrong_unit(tag, v)
        scale = 1.0 / shown
        like = self.settings.drives.get(_own(tag)) or Moving.model_validate({})
        low, high = (
            limit * shown if abs(limit) != float("inf") else of_tag
            for limit, of_tag in ((v.low, tag.low), (v.high, tag.high))
        )
        safe = 0.0 if tag.safe is None else tag.safe
        if not low <= safe <= high:
            limits = f"{low:g} to {high:g} {tag.unit}"
            return f"{tag.name}: safe {safe:g} is not allowed; {v.name} is {limits} ({self._what})"
        pump = like.kind == "pump" if like.kind else v.unit in _FLOWS
        return Lead(list(inputs).index(name), scale, low, high, safe, like, pump)

    def sheet(self, tag: Tag) -> Sheet | str:
        """Return what a measurement shows and how, or what is wrong with it."""
        own = _own(tag)
        name = self.settings.tags.get(own, own)
        place = next((p for p, part in PLACES.items() if name in self.known[part]), None)
        if place is None:
            there = "; ".join(f"{part}: {_list(self.known[part])}" for part in PLACES.values())
            return self._unknown(tag, name, "state, output or input", there, "")
        v = self.known[PLACES[place]][name]
        scale = units(v.unit).get(tag.unit)
        if scale is None:
            return self._wrong_unit(tag, v)
        like = (self.settings.readings.get(own) or Reading.model_validate({})).model_dump()
        return Sheet(tag.unit, f"{place}.{name}", **like, scale=scale)

    def word(self, word: str, name: str) -> tuple[str, int] | str:
        """Return where a word of the report is kept, or what is wrong with it."""
        key = f"{self.at}.report.{word}"
        for place in ("x", "y"):
            there = self.known[PLACES[place]]
            if name in there:
                unit = there[name].unit
                if unit != WORDS[word]:
                    return f"{key}: {name} in {unit} is not allowed; one in {WORDS[word]} is"
                return place, list(there).index(name)
        allowed = _list([*self.known["states"], *self.known["outputs"]])
        return f"{key}: {name} is no state or output of {self.model}; {allowed}"

    @property
    def _what(self) -> str:
        return f"{self.at}: {self.model}"

    def _unknown(self, tag: Tag, name: str, what: str, allowed: str, why: str) -> str:
        told = f"; {why}" if why else ""
        return (
            f"{tag.name}: {name} is no {what} of {self.model}{told}; {allowed}; {self.at}.tags "
            "says which variable a tag of another name is"
        )

    def _wrong_unit(self, tag: Tag, v: Variable) -> str:
        allowed = " or ".join(units(v.unit))
        return (
            f"{tag.name}: unit {tag.unit} is not allowed; {v.name} can be in {allowed} "
            f"({self._what})"
        )


def _list(names: Any) -> str:
    return f"{', '.join(names) or 'none'} {'is' if len(names) == 1 else 'are'} allowed"
