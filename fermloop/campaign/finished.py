"""A campaign's results as they lie in their folder, for statistics, the page and ``[accept]``."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fermloop.campaign.results import Row
from fermloop.campaign.statistics import finished
from fermloop.campaign.tables import columns

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Finished:
    """A campaign that is over.

    Attributes:
        folder: where its files are.
        manifest: what it was made with, ``campaign`` of ``results.json``.
        recipes: rows by the recipe's file name without ending, in the order given.
    """

    folder: Path
    manifest: Mapping[str, Any]
    recipes: Mapping[str, Sequence[Row]]

    @property
    def rows(self) -> list[Row]:
        """All rows."""
        return [row for rows in self.recipes.values() for row in rows]

    def trajectories(self, recipe: str) -> dict[str, Floats]:
        """Return what is known of the finished batches of a recipe over time.

        Returns:
            ``age_h`` (points,) and each other name (batches, points); NaN where a batch has none.
        """
        read: list[Mapping[str, Sequence[float | None]]] = []
        for row in finished(self.recipes[recipe]):
            path = self.folder / "trajectories" / f"{recipe}-{row['seed']}.parquet"
            if path.exists():
                read.append(columns(path))
        if not read:
            return {}
        longest = max(read, key=lambda one: len(one["age_h"]))
        points = len(longest["age_h"])
        found = {"age_h": np.array(longest["age_h"], float)}
        for name in longest:
            if name == "age_h":
                continue
            table = np.full((len(read), points), np.nan)
            for k, one in enumerate(read):
                values = one.get(name, ())
                table[k, : len(values)] = np.array(values, float)
            found[name] = table
        return found

    def command(self) -> str:
        """Return the command that makes these results again."""
        m = self.manifest
        words = ["fermloop", "campaign", m["plant"]["file"]]
        for recipe in self.recipes:
            words += ["--recipe", m["recipes"][recipe]["file"]]
        words += ["--seeds", ranges(m["seeds"]), *self._how(), "--report", str(self.folder)]
        return shlex.join(str(word) for word in words)

    def one(self, recipe: str, seed: int) -> str:
        """Return the command that runs one of the batches again."""
        m = self.manifest
        words = ["fermloop", "batch", m["plant"]["file"], "--recipe", m["recipes"][recipe]["file"]]
        return shlex.join(str(word) for word in [*words, "--seed", seed, *self._how()])

    def _how(self) -> list[str]:
        off = self.manifest["optimiser"] == "off"
        optimiser = [] if off else ["--optimiser", str(self.manifest["optimiser"])]
        return ["--hours", f"{self.manifest['hours']:g}", *optimiser]


def ranges(seeds: Sequence[int]) -> str:
    """Return seeds as ``--seeds`` takes them: ``0:300,305``; 300 is not in that range."""
    parts: list[list[int]] = []
    for seed in seeds:
        if parts and parts[-1][1] == seed:
            parts[-1][1] = seed + 1
        else:
            parts.append([seed, seed + 1])
    return ",".join(f"{a}:{b}" if b > a + 1 else str(a) for a, b in parts)
