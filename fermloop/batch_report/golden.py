"""How far a batch is from good ones before it, at the same age (PROCESS 7).

What a deviation is says ``historian.golden``. The distance of a tag is the root of the mean square
of its deviations, and that of the batch the same over all tags.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from historian.batches import Batch
from historian.golden import LEAST, deviations
from historian.history import History
from historian.reader import SqliteReader

MOST: Final = 12  # the newest
POINTS: Final = 300
TAGS: Final = (
    "temperature", "ph", "do", "agitation", "air_flow", "feed", "weight", "our", "cer", "rq",
    "est.biomass", "est.substrate", "est.product",
)  # fmt: skip


@dataclass(frozen=True)
class Distance:
    """How far a batch was from its references.

    Attributes:
        references: their ids.
        whole: over all tags.
        tags: of each tag: its distance, and the share of the time outside of the range.
    """

    references: tuple[str, ...]
    whole: float
    tags: dict[str, tuple[float, float]]


def references_of(reader: SqliteReader, batch: Batch) -> list[str]:
    """Return the newest complete batches of the same recipe before a batch, of any vessel."""
    found = [
        b.id
        for b in reader.batches()
        if b.state == "COMPLETE" and b.recipe == batch.recipe and b.began < batch.began
    ]
    return found[-MOST:]


def distance(history: History, batch: Batch, references: Sequence[str]) -> Distance | None:
    """Return how far a batch was from some others; ``None`` where they are too few.

    Raises:
        LookupError: there is no such batch.
    """
    if len(references) < LEAST:
        return None
    known = {name.partition(".")[2] for name in history.tags() if name.startswith(batch.reactor)}
    found: dict[str, tuple[float, float]] = {}
    squares: list[float] = []
    names = [name for name in TAGS if name in known]
    if not names:
        return None
    aligned = history.aligned([batch.id, *references], names, start_h=0.0, points=POINTS)
    for name in names:
        own, others = aligned.values[name][0], aligned.values[name][1:]
        off = deviations(own, others)
        if off.size:
            square = float(np.mean(off**2))
            squares.append(square)
            found[name] = square**0.5, float(np.mean(np.abs(off) > 1.0))
    if not found:
        return None
    return Distance(tuple(references), float(np.mean(squares)) ** 0.5, found)
