"""A model that stands alone, as somebody brings it: given the numbers of a plant, and judged."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from models.check import check_model
from models.model import Model, ModelError, Variable

PARTS: Final = ("states", "inputs", "parameters", "outputs")
NEEDED: Final = ("time_unit", *PARTS, "rhs")


def named(model: object) -> dict[str, dict[str, Variable]]:
    """Return the variables of each of ``PARTS`` by name, of a model that has them all.

    Raises:
        ModelError: a line a fault: what is not there, or holds something else.
    """
    name = type(model).__name__
    needed = (*NEEDED, *(("output",) if getattr(model, "outputs", ()) else ()))
    missing = [n for n in needed if not hasattr(model, n)]
    if missing:
        raise ModelError(
            f"{name}: it has no {', '.join(missing)}; {', '.join(NEEDED)} are required, and output "
            "where there are outputs"
        )
    lines: list[str] = []
    for part in PARTS:
        held: Any = getattr(model, part)
        if not isinstance(held, Sequence) or not all(isinstance(v, Variable) for v in held):  # pyright: ignore[reportUnknownVariableType]  # whatever somebody has put there
            lines.append(
                f"{name}.{part}: {held!r} is not allowed; a sequence of models.model.Variable is "
                "required"
            )
        elif part == "states" and not held:
            lines.append(f"{name}.states: there is none; a plant has at least one")
    if lines:
        raise ModelError("\n".join(lines))
    return {part: {v.name: v for v in getattr(model, part)} for part in PARTS}


def started(model: Any, numbers: Mapping[str, Mapping[str, float]]) -> Model:
    """Return a model with a plant's numbers in place of its defaults, fit to be run.

    Args:
        model: with all of ``NEEDED``.
        numbers: by part and by name; what is not there keeps its default.

    Raises:
        ModelError: a line a fault, see ``check_model``.
    """
    parts = {
        part: tuple(
            replace(v, default=numbers.get(part, {}).get(v.name, v.default))
            for v in getattr(model, part)
        )
        for part in PARTS
    }
    equations = {n: staticmethod(getattr(model, n, _none)) for n in ("rhs", "output")}
    # of the same name, by which a fault is told
    own: Any = type(type(model).__name__, (), {**parts, **equations, "time_unit": model.time_unit})
    found: Model = own()
    check_model(found)
    return found


def _none(*_arguments: Any) -> Sequence[Any]:
    return ()
