"""Cells that eat what they are fed: rates and limits as expressions, for the optimiser's problem.

Substrate is taken as eaten when it comes (``qS = F S_f / M``), so nothing is stiff.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from models.ecoli import M_O2, EColi
from models.fedbatch import FACTORS, Aeration
from models.heat import RESPIRATION
from models.symbolic import SYMBOLS, ca
from models.vessels import Stirred

FREE = 1e3  # g/(g.h): oxygen that limits nothing


class Situated(NamedTuple):
    """What is constant over the horizon; floats or symbols."""

    biomass_g: Any
    volume_l: Any
    product_g: Any
    kla_factor: Any
    feed_g_per_l: Any
    base_l_per_g: Any
    biomass_value: Any  # g of product that a g of biomass is worth at the end
    do_floor: Any
    factors: Any  # of the organism, in the order of ``FACTORS``


class Node(NamedTuple):
    """What is given at one node and for the stage that begins there; floats or symbols."""

    hours: Any
    expression: Any
    induced: Any
    acetate: Any
    acetate_eaten: Any  # what counts for its uptake, the rest of it may wait
    seen: Any  # ``induced`` for the limits: at induction itself those of before hold too
    oxygen_share: Any  # of what can be transferred that may be used
    uptake_share: Any  # of what can be respired that may be used


SITUATED_SIZE = 8 + len(FACTORS)
NODE_SIZE = len(Node._fields)


class Limits(NamedTuple):
    """What vessel and plant file allow."""

    stirrer_max: float  # 1/min
    air_max: float  # normal L/min
    temperature: float  # Cel
    volume_max: float  # L
    feed_min: float  # L/h
    feed_max: float  # L/h
    slope_max: float  # L/h per h
    do_min: float  # %
    do_max: float  # %
    heat_max: float  # W


class Cells:
    """Rates and limits of cells that eat what is fed, as expressions.

    Args:
        organism: whose rates.
        vessel: what it lives in.
        limits: what vessel and plant file allow.
    """

    def __init__(self, organism: EColi, vessel: Stirred, limits: Limits) -> None:
        self.organism, self.limits = organism, limits
        self.aeration = Aeration(organism, vessel)
        self._defaults = [v.default for v in organism.parameters]

    def strain(self, s: Situated) -> Sequence[Any]:
        """Return the organism's parameters with the learned factors."""
        return self.aeration.model.strain([*self._defaults, *s.factors])

    def slopes(self, y: Sequence[Any], feed: Any, do: Any, node: Node, s: Situated) -> list[Any]:
        """Return ``d/dt`` of biomass (g), volume (L) and product (g), per hour."""
        biomass = y[0]
        p = self.strain(s)
        cap = self.organism.oxygen_capacity(node.acetate, self.dissolved(do), p)
        r = self.organism.metabolism(
            feed * s.feed_g_per_l / biomass,
            *(node.acetate, cap, node.expression * node.induced, p, SYMBOLS),
        )
        grown = r.mu * biomass
        return [grown, feed + s.base_l_per_g * grown, r.qP * biomass]

    def dissolved(self, do: Any) -> Any:
        """Return ``do`` in % as g/L."""
        return do / 100.0 * self.aeration.calibration_g_per_l

    def shares(
        self, y: Sequence[Any], feed: Any, do: Any, node: Node, s: Situated
    ) -> tuple[Any, Any, Any]:
        """Return oxygen used over transferable, over respirable, and heat over removable.

        All from what cells would take up if respiration were not limited, which is smooth and
        grows with the feed: at a share of 1 something gives way.
        """
        biomass, volume, _ = y
        p = self.strain(s)
        expressed = node.expression * node.seen
        r = self.organism.metabolism(
            feed * s.feed_g_per_l / biomass,
            node.acetate,
            FREE + 0.0 * biomass,
            expressed,
            p,
            SYMBOLS,
        )
        our = r.qO * biomass / volume / M_O2 * 1e3
        w = self.limits
        a = self.aeration
        kla = s.kla_factor * a.kla_per_h(w.stirrer_max, w.air_max, volume, w.temperature, SYMBOLS)
        most = a.limit_mmol_per_l_h(kla, volume, do, w.air_max, w.temperature, SYMBOLS)
        cap = self.organism.oxygen_capacity(node.acetate, self.dissolved(do), p)
        shaft = a.shaft_w(w.stirrer_max, w.air_max, volume, w.temperature, SYMBOLS)
        heat = (RESPIRATION * our * volume / 3600.0 + shaft) / w.heat_max
        return our / most, r.qO / cap, heat

    def stage(self, y: Sequence[Any], feed: Any, slope: Any, do: Any, n: Node, s: Situated) -> Any:
        """Return biomass, volume and product at the end of a stage: one RK4 step."""
        h = n.hours
        loss = self.organism.capacity_loss(self.strain(s))

        def f(at: Any, z: Any) -> Any:
            left = n.expression * ca.exp(-loss * at * n.induced)
            values = ca.vertsplit(z) if hasattr(z, "shape") else z
            return ca.vertcat(
                *self.slopes(values, feed + slope * at, do, n._replace(expression=left), s)
            )

        z = ca.vertcat(*y)
        k1 = f(0.0 * h, z)
        k2 = f(0.5 * h, z + 0.5 * h * k1)
        k3 = f(0.5 * h, z + 0.5 * h * k2)
        k4 = f(h, z + h * k3)
        return z + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
