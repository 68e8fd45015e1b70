"""What may change in a recipe that is running, and what has changed between two versions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from controller.recipes.file import Recipe

AT_ONCE = ("doses", "induces", "inoculates")  # of a phase, what is done when it begins


def forbidden(old: Recipe, new: Recipe, index: int) -> list[str]:
    """Return what keeps ``new`` from taking over in phase ``index`` of ``old``, a line each."""
    return list(_forbidden(old, new, index))


def _forbidden(old: Recipe, new: Recipe, index: int) -> Iterator[str]:
    for key in ("name", "organism", "start"):
        if getattr(old, key) != getattr(new, key):
            yield f"{key}: not allowed to change while a batch runs by the recipe"
    for i, phase in enumerate(old.phase[: index + 1]):
        if i >= len(new.phase) or new.phase[i].name != phase.name:
            yield f"phase.{i}: {phase.name} has begun; it must stay where it was"
        elif i < index and new.phase[i] != phase:
            yield f"phase.{i} ({phase.name}): it is over; not allowed to change"
        elif i == index:
            for key in AT_ONCE:
                if getattr(phase, key) != getattr(new.phase[i], key):
                    yield f"phase.{i} ({phase.name}).{key}: not allowed to change once it has begun"


def changes(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[tuple[str, object | None, object | None]]:
    """Return what differs between two recipes' tables: key, old and new; ``None``: not there.

    A phase is called by its name: ``phase.feed.until.batch_h``.
    """
    before, after = dict(_leaves(old)), dict(_leaves(new))
    keys = [*before, *(key for key in after if key not in before)]
    return [
        (key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)
    ]


def _leaves(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Yield every number, word and list of a table by its dotted key."""
    if isinstance(value, Mapping):
        for name, inner in cast("Mapping[str, object]", value).items():
            yield from _leaves(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list | tuple) and key == "phase":
        for phase in cast("Sequence[Mapping[str, object]]", value):
            rest = {k: v for k, v in phase.items() if k != "name"}
            yield f"{key}.{phase['name']}", "there"
            yield from _leaves(rest, f"{key}.{phase['name']}")
    else:
        yield key, value
