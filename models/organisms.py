"""The organisms that the program knows, by the name that a plant file gives them."""

from collections.abc import Callable, Mapping
from typing import Final

from models.ecoli import EColi
from models.ecoli_twin import EColiTwin
from models.organism import Organism
from models.penicillin import Penicillin
from models.penicillin_structured import PenicillinStructured
from models.pensim import PenSim
from models.watched import WatchedOrganism
from models.yeast import Yeast
from models.yeast_twin import YeastTwin

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
