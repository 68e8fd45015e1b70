"""The instruments of one simulated plant, all that somebody wants to see."""

import zlib
from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from sim.bench import Bench, Place
from sim.calibration import PROBES, instrument, pieces
from sim.faulty import Probe
from sim.fittings import Sheet, fitted, in_unit, wrong
from sim.instruments import Instrument
from sim.sights import Bottle, Sight, View, look
from sim.variation import Draws

NOISE_BLOCK: Final = 2048

Seen = tuple[Place | Sight, Callable[[float], Probe]]  # what is looked at, by what, settled there


class Panel:
    """What instruments show.

    Attributes:
        instruments: by tag; a fault stands before the one that it spoils.

    Args:
        prefix: of the tags.
        seed: makes the noise.
        seen: the instruments, by name.
    """

    def __init__(self, prefix: str, seed: int, seen: Mapping[str, Seen]) -> None:
        self.instruments: dict[str, Probe] = {}
        self._sights: list[Sight] = []
        self._seen = array("d")
        self._looks: list[Place] = []
        for name, (sight, probe) in seen.items():
            numbers, k = self._look_at(sight)
            self.instruments[f"{prefix}.{name}"] = probe(numbers[k])
        self._places = {tag: k for k, tag in enumerate(self.instruments)}
        self._noise = Noise(seed, tuple(seen))
        made = list(self.instruments.values())
        self._plain = {k: i for k, i in enumerate(made) if isinstance(i, Instrument) and i.plain}
        self._bench = Bench(self._plain, self._looks)
        self._readings = self._bench.readings
        self._fitted: Sequence[Probe] = made  # what stands in the place of each now
        self._fit(made)

    def _look_at(self, sight: Place | Sight) -> Place:
        """Return where the numbers of an instrument are, in each step."""
        if callable(sight):
            self._sights.append(sight)
            self._seen.append(sight(0.0))
            sight = self._seen, len(self._seen) - 1
        self._looks.append(sight)
        return sight

    @property
    def shown(self) -> dict[str, float]:
        """The latest readings, by tag."""
        return dict(zip(self.instruments, self._readings, strict=True))

    def reader(self, tag: str) -> Callable[[], float] | None:
        """Return what gives the latest reading of a tag, again and again; ``None``: not here."""
        place = self._places.get(tag)
        return None if place is None else partial(self._readings.__getitem__, place)

    def look(self, age: float, dt: float) -> None:
        """Read every instrument, ``age`` s after the start and ``dt`` s after the last time."""
        for k, sight in enumerate(self._sights):
            self._seen[k] = sight(dt)
        fitted = [*self.instruments.values()]
        if fitted != self._fitted:
            self._fit(fitted)
        normal = self._noise.row()
        self._bench.show(normal, age, dt)
        for k, probe in self._alone:
            numbers, at = self._looks[k]
            self._readings[k] = probe.show(numbers[at], age, dt, normal[k])

    def _fit(self, fitted: Sequence[Probe]) -> None:
        """Take what is fitted now: what a fault spoils is read by itself, from where it is."""
        for j, (k, made) in enumerate(self._plain.items()):
            before, now = self._fitted[k] is made, fitted[k] is made
            if before and not now:
                self._bench.give(j)
            elif now and not before:
                self._bench.take(j)
        self._fitted = fitted
        self._alone = [
            (k, probe) for k, probe in enumerate(fitted) if probe is not self._plain.get(k)
        ]


def panel(
    view: View, feed: Bottle, draw: Draws, seed: int, prefix: str, wanted: Mapping[str, str]
) -> Panel:
    """Return the instruments of a vessel that are wanted.

    Args:
        view: of the vessel.
        feed: the bottle of the main feed.
        draw: makes the calibrations.
        seed: makes the noise.
        prefix: of the tags.
        wanted: unit that each instrument is set to show, by name; its own where it is empty.

    Raises:
        ValueError: the vessel has no such instrument, or it cannot show the unit.
    """
    sheets = fitted(view.reactor)
    kept = _chosen(sheets, prefix, wanted)
    sheets = {name: s for name, s in (sheets | kept).items() if name in {*PROBES, *kept}}
    found, line_s = pieces(draw, sheets, view.reactor.vessel.name)
    return Panel(
        prefix,
        seed,
        {
            name: (
                look(sheet.of, view, feed),
                partial(instrument, name, sheet, found[name], line_s, view.moved),
            )
            for name, sheet in kept.items()
        },
    )


def _chosen(
    sheets: Mapping[str, Sheet], prefix: str, wanted: Mapping[str, str]
) -> dict[str, Sheet]:
    """Return the sheets that are wanted, set to their units, in the order of ``sheets``."""
    found: dict[str, Sheet] = {}
    for name, unit in wanted.items():
        sheet = sheets.get(name)
        fits = sheet and in_unit(sheet, unit or sheet.unit)
        if fits is None:
            raise ValueError(f"{prefix}.{name}: {wrong(sheets, name, unit)}")
        found[name] = fits
    return {name: found[name] for name in sheets if name in found}


class Noise:
    """Standard normal numbers for the instruments of a vessel, a row a step.

    Those of ``PROBES`` come from one generator for all, each of the others' from its own: so the
    noise of one does not depend on which others are there.

    Args:
        seed: of the vessel.
        names: of the instruments.
    """

    def __init__(self, seed: int, names: Sequence[str]) -> None:
        self._common = np.random.default_rng([seed, 1])
        self._own = {
            name: np.random.default_rng([seed, 4, zlib.crc32(name.encode())])
            for name in names
            if name not in PROBES
        }
        self._names = names
        self._rows: list[Sequence[float]] = []

    def row(self) -> Sequence[float]:
        """Return one number for each instrument, in an array."""
        if not self._rows:
            block = self._common.standard_normal((NOISE_BLOCK, len(PROBES)))
            columns = [
                self._own[name].standard_normal(NOISE_BLOCK)
                if name in self._own
                else block[:, PROBES.index(name)]
                for name in self._names
            ]
            stack = np.column_stack(columns) if columns else np.empty((NOISE_BLOCK, 0))
            self._rows = [array("d", row.tobytes()) for row in stack]
        return self._rows.pop()
