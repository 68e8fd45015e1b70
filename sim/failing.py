"""What to know of an integration that has left the numbers."""

from collections.abc import Iterable, Sequence

from models.model import Model, Variable


def failure(
    who: str,
    model: Model,
    age_s: float,
    step_s: float,
    numbers: tuple[Sequence[float], Sequence[float], Sequence[float]],
) -> str:
    """Return where the integration of a plant fails, with the state before.

    Args:
        who: the plant and its seed.
        model: its model.
        age_s: s since its start.
        step_s: the step that failed, s.
        numbers: states before, inputs, and what came after: states, or states and outputs.
    """
    before, inputs, after = numbers
    names = (*model.states, *model.outputs)
    lost = ", ".join(v.name for v, y in zip(names, after, strict=False) if y - y != 0.0)
    return (
        f"{who} at {age_s / 3600.0:.4f} h: the integration fails: {lost} no number after a step of "
        f"{step_s:g} s from {_values(model.states, before)} under {_values(model.inputs, inputs)}"
    )


def _values(names: Sequence[Variable], values: Iterable[float]) -> str:
    return ", ".join(f"{v.name} {y:.6g} {v.unit}" for v, y in zip(names, values, strict=False))
