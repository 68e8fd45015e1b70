"""The organisms that the program knows, by the name that a plant file gives them."""

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from typing import Final, TypeVar

from models.ecoli import EColi
from models.ecoli_twin import EColiTwin
from models.organism import Organism
from models.penicillin import Penicillin
from models.penicillin_structured import PenicillinStructured
from models.pensim import PenSim
from models.watched import WatchedOrganism
from models.yeast import Yeast
from models.yeast_twin import YeastTwin

Grown = TypeVar("Grown", bound=Organism)
ORGANISMS: Final[Mapping[str, Callable[[], Organism]]] = {
    EColi.name: EColi,
    Yeast.name: Yeast,
    Penicillin.name: Penicillin,
    PenicillinStructured.name: PenicillinStructured,
    PenSim.name: PenSim,
    EColiTwin.name: EColiTwin,
    YeastTwin.name: YeastTwin,
}
# of other structure, for tests of what believes in the first; with the same feeds and words
TWINS: Final[Mapping[str, str]] = {
    EColi.name: EColiTwin.name,
    Yeast.name: YeastTwin.name,
    Penicillin.name: PenicillinStructured.name,
}
# what a soft sensor can watch
WATCHED: Final[Mapping[str, Callable[[], WatchedOrganism]]] = {
    EColi.name: EColi,
    Yeast.name: Yeast,
    Penicillin.name: Penicillin,
}


def of_strain(organism: Grown, strain: Mapping[str, float]) -> Grown:
    """Return the organism with its strain's own numbers, as they were fitted to its batches.

    Args:
        organism: not changed.
        strain: parameters by name; the others stay.

    Raises:
        ValueError: one is no parameter of the strain, or not allowed; a line each.
    """
    known = {v.name: v for v in organism.parameters}
    lines = [
        f"{name}: no parameter of {organism.name}; {', '.join(known)} are"
        for name in strain
        if name not in known
    ]
    lines += [
        f"{v.name}: {strain[v.name]:g} is not allowed; {v.low:g} to {v.high:g} {v.unit}"
        for v in known.values()
        if v.name in strain and not v.low <= strain[v.name] <= v.high
    ]
    if lines:
        raise ValueError("\n".join(lines))
    other = copy(organism)
    # the copy's own, before that of its class
    vars(other)["parameters"] = tuple(
        replace(v, default=strain.get(v.name, v.default)) for v in organism.parameters
    )
    return other
