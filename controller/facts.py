"""What a recipe may know of a plant: names, ranges and nominal numbers, no device and no state."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.point import Tag

ML_PER_MIN = {"mL/min": 1.0, "mL/h": 1 / 60, "L/h": 1000 / 60}  # of one of a dosing loop's units
# What the estimator always knows (its states and factors), and so a recipe may wait for.
ESTIMATES = frozenset(
    {
        "biomass_g_per_l",
        "substrate_g_per_l",
        "acetate_g_per_l",
        "product_g_per_l",
        "volume_l",
        "qomax_factor",
        "kla_factor",
    }
)


@dataclass(frozen=True, slots=True)
class LoopFacts:
    """A loop as a recipe sees it.

    Attributes:
        unit: of its setpoint.
        low: least setpoint.
        high: greatest setpoint.
        modes: names of the modes that it has.
    """

    unit: str
    low: float
    high: float
    modes: frozenset[str]


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
        feed_loop: the loop that a feed law moves.
        biomass_g_per_l: nominal biomass when the batch sugar is gone, g/L.
        volume_l: nominal volume, L.
        feed_substrate_g_per_l: substrate in the feed, g/L.
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
    volume_l: float = 1.0
    feed_substrate_g_per_l: float = 500.0
    yield_g_per_g: float = 0.51
    maintenance_g_per_g_h: float = 0.04
