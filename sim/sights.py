"""What instruments look at: states, inputs and outputs of the model, and what follows from them."""

from collections.abc import Callable, Mapping, MutableSequence, Sequence
from typing import NamedTuple

from models import penicillin
from models.bioreactor import Bioreactor
from models.fn import SCALARS
from models.vessels import DENSITY, LIQUID_L_PER_H
from sim.fittings import ALIVE, CELLS
from sim.instruments import Drive

Sight = Callable[[float], float]  # of the length of the step, s


class View(NamedTuple):
    """A simulated vessel's numbers, as the compiled step keeps them: they change in place.

    ``x`` states, ``u`` inputs, ``y`` outputs, ``p`` parameters; ``moved`` the drives by name.
    """

    reactor: Bioreactor
    x: Sequence[float]
    u: MutableSequence[float]
    y: Sequence[float]
    p: Sequence[float]
    moved: Mapping[str, Drive]
    age: Callable[[], float]

    def state(self, name: str) -> int:
        """Return where a state is."""
        return next(k for k, v in enumerate(self.reactor.states) if v.name == name)

    def parameter(self, name: str) -> float:
        """Return a parameter as it is now."""
        return self.p[next(k for k, v in enumerate(self.reactor.parameters) if v.name == name)]


class Bottle:
    """What a pump takes from, on a balance.

    Attributes:
        kg: when it is full.
        drawn_l: what was taken from it.
        full_l: what can be.
    """

    __slots__ = ("_at", "_litres", "_u", "drawn_l", "full_l", "kg", "kg_per_l")

    def __init__(self, view: View, name: str) -> None:
        reactor = view.reactor
        density = next((f.density for f in reactor.organism.feeds if f.name == name), "")
        self.kg = 0.5 * reactor.vessel.working_volume_l
        self.kg_per_l = view.parameter(density) if density else DENSITY
        self.drawn_l = 0.0
        self.full_l = 0.96 * self.kg / self.kg_per_l
        self._u = view.u
        self._at = next(k for k, v in enumerate(reactor.inputs) if v.name == name)
        self._litres = LIQUID_L_PER_H[reactor.actuators[name].unit] / 3600.0  # L in 1 s of 1

    @property
    def empty(self) -> bool:
        return self.drawn_l >= self.full_l

    def draw(self, dt: float) -> None:
        """Take what the pump gave in ``dt`` s."""
        self.drawn_l += self._u[self._at] * self._litres * dt

    def left(self, _dt: float) -> float:
        """Return what is left, kg."""
        return self.kg - self.drawn_l * self.kg_per_l

    def exchanged(self, dt: float) -> float:
        """Return what is left of a bottle that somebody exchanges before it is empty, kg."""
        self.draw(dt)
        if self.empty:
            self.drawn_l = 0.0
        return self.left(dt)


def look(of: str, view: View, feed: Bottle) -> tuple[Sequence[float], int] | Sight:
    """Return where a ``Sheet.of`` is kept, or what works it out once in a step.

    Args:
        of: see ``Sheet``.
        view: of the vessel.
        feed: the bottle of the main feed, which the vessel itself draws from.
    """
    kind, _, name = of.partition(".")
    reactor, x, u, y = view.reactor, view.x, view.u, view.y
    if kind == "x":
        return x, view.state(name)
    if kind == "u":
        return u, next(k for k, v in enumerate(reactor.inputs) if v.name == name)
    if kind == "y":
        return y, next(k for k, v in enumerate(reactor.outputs) if v.name == name)
    called = reactor.organism.called
    if kind == "called":
        return x, view.state(called[name])
    if kind == "cells":
        dead = [view.state(s) for s in CELLS.get(reactor.organism.name, ()) if name == "all"]
        alive = view.state(called["biomass"])
        shares = [view.state(s) for s in ALIVE.get(reactor.organism.name, ()) if name == "alive"]
        if shares:
            return lambda _: x[alive] * sum(x[k] for k in shares)
        return (lambda _: x[alive] + sum(x[k] for k in dead)) if dead else (x, alive)
    if kind == "percent":
        at = view.state(name)
        return lambda _: 100.0 * x[at]
    if kind == "speed":  # a pump shows what its speed should give, whatever its tubing is like
        drive, age = view.moved[name], view.age
        return lambda _: drive.value / (drive.gain - drive.wear * age())
    if kind == "left":
        own = name == reactor.organism.feeds[0].name
        return feed.left if own else Bottle(view, name).exchanged
    return _rarer(kind, view)


def _rarer(kind: str, view: View) -> Sight:
    reactor, x, y, p = view.reactor, view.x, view.y, view.p
    if kind == "motor":
        at = next(k for k, v in enumerate(reactor.outputs) if v.name == "shaft")
        return lambda _: y[at] / reactor.vessel.motor_efficiency
    if kind == "coolant":
        return lambda _: view.parameter("T_coolant")
    eta = next((k for k, v in enumerate(reactor.states) if v.name == "eta"), None)
    if kind == "viscosity" and eta is not None:
        return lambda _: x[eta]
    cells, n = reactor.organism, len(reactor.organism.parameters)
    if kind == "viscosity" and isinstance(cells, penicillin.Penicillin):
        many = len(cells.species)
        return lambda _: cells.viscosity(penicillin.Species(*x[:many]), p[:n], SCALARS)
    raise ValueError(f"{kind}: nothing that an instrument can look at")
