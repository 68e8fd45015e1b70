"""What a recipe may know of a plant: names, ranges and nominal numbers, no device and no state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Protocol

from controller.plant import Plant
from controller.plant_file.loop_settings import LoopSettings
from controller.plant_file.units import ML_PER_H
from controller.sensing.estimate import reported
from drivers.point import Tag


@dataclass(frozen=True, slots=True)
class LoopFacts:
    """A loop as a recipe sees it.

    Attributes:
        unit: of its setpoint.
        low: least setpoint.
        high: greatest setpoint.
        modes: names of the modes that it has.
        doses: a recipe may feed or dose through it.
        falls_back: it has a fall-back for when what a feed law looks at is BAD.
    """

    unit: str
    low: float
    high: float
    modes: frozenset[str]
    doses: bool = False
    falls_back: bool = False


@dataclass(frozen=True, slots=True)
class PlantFacts:
    """A reactor as a recipe sees it.

    Attributes:
        reactor: ``R1``.
        organism: what grows in it; empty where the plant file has no model.
        loops: by name inside the reactor.
        tags: measurements of the reactor by tag name.
        measured: tag name by meaning or loop: ``do`` is ``R1.do``.
        estimates: names that the estimator gives; empty where there is none.
        feed_loop: the loop of the main feed.
        biomass_g_per_l: nominal biomass when the batch sugar is gone, g/L.
        volume_l: nominal volume, L; ``None`` where the plant file has no model.
        feed_substrate_g_per_l: substrate in the main feed, g/L; likewise.
        yield_g_per_g: biomass formed per substrate eaten.
        maintenance_g_per_g_h: substrate burnt without growth, g/g/h.
    """

    reactor: str
    organism: str = ""
    loops: Mapping[str, LoopFacts] = field(default_factory=dict[str, LoopFacts])
    tags: Mapping[str, Tag] = field(default_factory=dict[str, Tag])
    measured: Mapping[str, str] = field(default_factory=dict[str, str])
    estimates: frozenset[str] = frozenset()
    feed_loop: str = "feed"
    biomass_g_per_l: float = 5.0
    volume_l: float | None = None
    feed_substrate_g_per_l: float | None = None
    yield_g_per_g: float = 0.51
    maintenance_g_per_g_h: float = 0.04


class ModedLoop(Protocol):
    """What ``facts_of`` needs of a loop."""

    @property
    def unit(self) -> str: ...
    @property
    def settings(self) -> LoopSettings: ...
    @property
    def modes(self) -> Sequence[IntEnum]: ...


def facts_of(name: str, plant: Plant, loops: Mapping[str, ModedLoop]) -> PlantFacts:
    """Return what a recipe may know of reactor ``name``.

    Args:
        name: the reactor.
        plant: the checked plant file.
        loops: its loops, as ``assemble.build_loops`` returns them.
    """
    reactor = plant.settings.reactor[name]
    feed = reactor.optimiser.feed_loop if reactor.optimiser else "feed"
    meanings = {key: s.measured for key, s in reactor.loop.items() if s.measured is not None}
    facts = PlantFacts(
        reactor=name,
        loops={
            key: LoopFacts(
                loop.unit,
                loop.settings.setpoint_low,
                loop.settings.setpoint_high,
                frozenset(mode.name for mode in loop.modes),
                loop.unit in ML_PER_H and (loop.settings.dosing or key == feed),
                loop.settings.fallback is not None,
            )
            for key, loop in loops.items()
        },
        tags={
            t.name: t
            for t in (*plant.tags.values(), *plant.gas[name].tags.values())
            if t.reactor == name and t.safe is None
        },
        measured=meanings | dict(reactor.measured),
        feed_loop=feed,
    )
    model = reactor.model
    if model is None:
        return facts
    return replace(
        facts,
        organism=model.organism,
        estimates=frozenset(reported(model.organism)),
        biomass_g_per_l=model.biomass_g_per_l + facts.yield_g_per_g * model.substrate_g_per_l,
        volume_l=model.volume_l,
        feed_substrate_g_per_l=model.feed_substrate_g_per_l,
    )
