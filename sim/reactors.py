"""What stands in a simulated vessel: one of our organisms, or a class that a plant file names.

Somebody's own class is imported here, which runs the code of whoever wrote it, and is held to what
a vessel needs before anything is computed with it.
"""

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from drivers.third_party import find, names_class, words
from models.bioreactor import Bioreactor
from models.check import check_organism, check_plant
from models.model import ModelError
from models.organisms import ORGANISMS
from models.vessels import VESSELS

FORM: Final = "package.module:Class"


def wrong_organism(name: str) -> str:
    """Return why ``name`` can be no organism's, or nothing; imports nothing."""
    if name in ORGANISMS or names_class(name):
        return ""
    return f"{name} is not allowed; one of {', '.join(ORGANISMS)} or {FORM}"


@lru_cache
def reactor(organism: str, vessel: str) -> Bioreactor:
    """Return an organism in a vessel.

    Args:
        organism: key of ``ORGANISMS``; or ``package.module:Class``, where the class is an organism
            (``models.organism.Organism``, made without arguments) or a whole plant (a subclass
            of ``models.bioreactor.Bioreactor``, made with the vessel's numbers).
        vessel: key of ``VESSELS``.

    Raises:
        LoadError: there is no such class, or importing it fails.
        ModelError: the class is neither, cannot be made or is not consistent; a line a fault.
        ValueError: a name is unknown.
    """
    if why := wrong_organism(organism):
        raise ValueError(f"organism: {why}")
    if vessel not in VESSELS:
        raise ValueError(f"vessel: {vessel} is not allowed; {', '.join(VESSELS)} are")
    w = VESSELS[vessel]
    if organism in ORGANISMS:
        return Bioreactor(ORGANISMS[organism](), w)
    found = find(organism, organism)
    if isinstance(found, type) and issubclass(found, Bioreactor):
        plant: Bioreactor = _made(organism, found, w)
    elif isinstance(found, type) and callable(getattr(found, "exchange", None)):
        mine = _made(organism, found)
        check_organism(mine, w)
        plant = _made(organism, lambda: Bioreactor(mine, w))
    else:
        raise ModelError(
            f"{organism} is not allowed; it must be a class with exchange, an organism as "
            "models.organism.Organism says, or a subclass of models.bioreactor.Bioreactor with an "
            "rhs of its own, a whole plant; one with rhs alone is named by model, without vessel"
        )
    check_plant(plant)
    return plant


@lru_cache
def own_model(name: str) -> Any:
    """Return somebody's plain model, made without arguments and not judged yet.

    Args:
        name: ``package.module:Class``, see ``models.model.Model``.

    Raises:
        LoadError: there is no such class, or importing it fails.
        ModelError: it is none, cannot be made, or stands in a vessel.
    """
    found: Any = find(name, name)
    if not inspect.isclass(found):
        raise ModelError(
            f"{name} is not allowed; it must be a class with states, inputs, parameters, outputs, "
            "time_unit and rhs, as models.model.Model says"
        )
    if issubclass(found, Bioreactor) or callable(getattr(found, "exchange", None)):
        raise ModelError(
            f"{name} is not allowed; it stands in one of our vessels: name it by organism, with "
            "vessel beside it"
        )
    return _made(name, found)


def _made(name: str, make: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return make(*arguments)
    except Exception as error:
        given = ", ".join(type(a).__name__ for a in arguments) or "nothing"
        raise ModelError(f"{name}: cannot be made of {given}: {words(error)}") from error
