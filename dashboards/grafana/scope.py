"""What boards are built for: a language, and what the plant file knows of its quantities."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from controller.assemble import build_loops
from controller.consistency.alarms import measured_by
from controller.loops.loops import PidLoop
from controller.plant import Plant
from controller.plant_file.settings import ReactorSettings
from controller.protection.conditions import shown
from controller.sensing.estimate import layout, reported
from controller.sensing.sensing import estimated
from controller.tags import Derived
from controller.texts.said import Language
from dashboards.grafana.names import NAMES
from dashboards.grafana.texts import TEXTS

# Grafana's own units where it has one that does not change the number's scale
UNITS = {
    "%": "percent",
    "Cel": "celsius",
    "[pH]": "pH",
    "1": "none",
    "mmol/(L.h)": "suffix:mmol/(L·h)",
}


@dataclass(frozen=True, slots=True)
class LoopFacts:
    """A loop as boards see it.

    Attributes:
        name: ``do``.
        measured: the field of its measurement; empty of a station.
        low: least output, in its own unit.
        high: greatest output.
        band: half width of its band, in the measured unit; 0 where nobody has said.
    """

    name: str
    measured: str
    low: float
    high: float
    band: float


@dataclass(frozen=True, slots=True)
class Scope:
    """One language, and a plant: fields are the plant's tags without their reactor.

    Attributes:
        language: ``en`` or ``zh``.
        site: name of the plant.
        console: address of the web console.
        reactors: their names.
        loops: of all reactors, each name once.
        units: of every field, UCUM.
        measured: fields by meaning: ``pressure`` is ``head_pressure``.
        limits: least and greatest value that is no alarm, by field.
        estimates: what the estimators tell, without ``est.``.
        assays: the laboratory's analyte of an estimate, where it has one.
        devices: their names.
    """

    language: Language
    site: str
    console: str
    reactors: tuple[str, ...]
    loops: tuple[LoopFacts, ...]
    units: Mapping[str, str]
    measured: Mapping[str, str]
    limits: Mapping[str, tuple[float | None, float | None]]
    estimates: tuple[str, ...]
    assays: Mapping[str, str]
    devices: tuple[str, ...]

    @property
    def told(self) -> str:
        """The column of an event's sentence."""
        return "text" if self.language == "en" else "text_zh"

    def say(self, key: str) -> str:
        """Return a text of the catalogue."""
        return TEXTS[key][("en", "zh").index(self.language)]

    def name(self, field: str) -> str:
        """Return what people call a quantity; one that only the plant file knows as it stands."""
        key = field.removeprefix("est.")
        found = NAMES.get(key)
        return found[("en", "zh").index(self.language)] if found else key.replace("_", " ")

    def unit(self, field: str) -> str:
        """Return Grafana's unit of a field; ``none`` where it has none."""
        code = self.units.get(field, "1")
        return UNITS.get(code) or f"suffix:{shown(code).strip()}"

    def named(self, field: str) -> str:
        """Return a quantity's name with its unit."""
        unit = shown(self.units.get(field, "1")).strip().replace("L.h", "L·h")
        return f"{self.name(field)} ({unit})" if unit else self.name(field)

    def field(self, meaning: str) -> str:
        """Return the field that has a meaning; the meaning itself where the plant has none."""
        return self.measured.get(meaning, meaning)


def scope_of(plant: Plant, language: Language, site: str = "") -> Scope:
    """Return the scope of a checked plant.

    Args:
        plant: the plant.
        language: ``en`` or ``zh``.
        site: its name, if not that of the plant file.
    """
    settings = plant.settings
    loops: dict[str, LoopFacts] = {}
    units = {_field(t.name): t.unit for t in (*plant.tags.values(), *plant.calculated.values())}
    measured: dict[str, str] = {}
    estimates: dict[str, None] = {}
    assays: dict[str, str] = {}
    for name, reactor in settings.reactor.items():
        built, own = build_loops(name, plant), estimated(reactor)
        units |= {_field(t.name): t.unit for t in Derived(name, built, own).tags}
        estimates |= {suffix: None for suffix, _ in own.values()}
        assays = dict(_assays(reactor)) | assays
        measured = {m: _field(t) for m, t in reactor.measured.items()} | measured
        for key, loop in built.items():
            s = loop.settings
            pv = _field(s.measured) if s.measured and isinstance(loop, PidLoop) else ""
            facts = LoopFacts(key, pv, loop.output_low, loop.output_high, s.band or 0.0)
            loops.setdefault(key, facts)
    scheme = "https" if settings.console.certificate else "http"
    return Scope(
        language,
        site or settings.site,
        f"{scheme}://{settings.console.address}",
        tuple(settings.reactor),
        tuple(loops.values()),
        units,
        measured,
        dict(_limits(plant)),
        tuple(estimates),
        assays,
        tuple(settings.device),
    )


def _assays(reactor: ReactorSettings) -> Iterator[tuple[str, str]]:
    """Yield each estimate that the laboratory measures too, and its analyte."""
    if reactor.model is None or reactor.laboratory is None:
        return
    known, of = reported(reactor.model.organism), layout(reactor.model.organism)
    for analyte in reactor.laboratory.analyte:
        found = (name for name in known if of.places[name] == of.assays.get(analyte))
        if (name := next(found, None)) is not None:
            yield known[name][0], analyte


def _limits(plant: Plant) -> Iterator[tuple[str, tuple[float | None, float | None]]]:
    """Yield the innermost limits of what alarms judge; the last reactor's, where they differ."""
    for reactor in plant.settings.reactor.values():
        for alarm in reactor.alarm.values():
            low, high = alarm.low or alarm.low_low, alarm.high or alarm.high_high
            if low is not None or high is not None:
                yield (
                    _field(measured_by(alarm, reactor)),
                    (None if low is None else low.limit, None if high is None else high.limit),
                )


def _field(tag: str) -> str:
    return tag.partition(".")[2]
