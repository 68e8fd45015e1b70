"""What a night is: a story that is played on virtual time, and what is promised of its end."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from historian.events import Event
from historian.store import NullHistorian


class Record(NullHistorian):
    """Keeps all events of a night."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        self.events.append(event)


class Text(NamedTuple):
    """A text in both languages."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Promise:
    """One figure of a night and what is promised of it.

    Attributes:
        key: of the figure in what was played.
        text: what is promised, without the number.
        limit: the number.
        unit: of it, as people write it.
        least: the figure must not be below the limit; else not above.
    """

    key: str
    text: Text
    limit: float
    unit: str = ""
    least: bool = False

    def kept(self, figure: float | None) -> bool:
        """Return whether a figure keeps the promise; one that is missing or NaN breaks it."""
        if figure is None or math.isnan(figure):
            return False
        return figure >= self.limit if self.least else figure <= self.limit

    def worst(self, figures: Sequence[float]) -> float:
        """Return the figure that is nearest to breaking the promise, or breaks it most."""
        return min(figures) if self.least else max(figures)


Figures = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Night:
    """A night at the plant.

    Attributes:
        name: of the command line and in the results.
        title: for people.
        story: what happens, when.
        cases: the plants that it is played on.
        promises: what must be so in each.
        play: plays a case with a seed and returns its figures, by the promises' keys and more.
    """

    name: str
    title: Text
    story: Text
    cases: tuple[str, ...]
    promises: tuple[Promise, ...]
    play: Callable[[str, int], Figures]

    def broken(self, figures: Figures) -> list[str]:
        """Return a line for each promise that these figures break."""
        return [
            f"{p.text.en}: {_told(figures.get(p.key))} {p.unit}, "
            f"{'at least' if p.least else 'at most'} {p.limit:g} allowed"
            for p in self.promises
            if not p.kept(figures.get(p.key))
        ]


def _told(figure: float | None) -> str:
    return "none" if figure is None or math.isnan(figure) else f"{figure:.4g}"
