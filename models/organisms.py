"""The organisms that the program knows, by the name that a plant file gives them."""

from collections.abc import Callable, Mapping
from typing import Final

from models.ecoli import EColi
from models.organism import Organism
from models.penicillin import Penicillin
from models.pensim import PenSim
from models.yeast import Yeast

ORGANISMS: Final[Mapping[str, Callable[[], Organism]]] = {
    EColi.name: EColi,
    Yeast.name: Yeast,
    Penicillin.name: Penicillin,
    PenSim.name: PenSim,
}
