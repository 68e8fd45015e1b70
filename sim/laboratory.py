"""The laboratory of a simulated plant: broth is taken, results come later, and some are wrong.

A sample has three times: taken, result available, result entered. Assays that share a bench
come together. Delays, scatter and limits are those of the process notes (3), the rest is ours.
"""

import csv
import io
import math
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field

from controller.plant_file.config import Settings
from models.organism import Organism
from sim.fittings import CELLS, Range
from sim.vessel import Vessel

Rows = Sequence[Mapping[str, Any]]
Enter = Callable[[str, Rows], None]  # what a bench found in a sample, by the name of both
Mistake = Literal["", "dilution", "timestamp", "swapped"]
COLUMNS: Final = (
    *("reactor", "sample", "bench", "analyte", "value", "unit", "below_limit"),
    *("t_sampled", "t_available", "t_entered"),
)
EVERY_H: Final = {"5l": 2.0, "300l": 4.0, "100m3": 8.0}
VOLUME_ML: Final = {"5l": 15.0, "300l": 50.0, "100m3": 500.0}  # with what is flushed
ENTRY_H: Final = (0.05, 1.0)  # from the result to its entry
OD_PER_G_PER_L: Final = 2.5  # ours: E. coli about 2.2 to 3
FACTORS: Final = (2.0, 0.5, 10.0, 0.1)  # a dilution forgotten, or made twice
SHIFT_S: Final = (1200.0, 3600.0)  # a wrong timestamp, either way


@dataclass(frozen=True, slots=True)
class Assay:
    """One analyte.

    Attributes:
        unit: of the result.
        cv: standard deviation of a result, as a share.
        limit: of detection; below it a result says so and gives the limit.
        bench: where it is measured.
    """

    unit: str
    cv: float
    limit: float
    bench: str


BENCHES: Final[Mapping[str, Range]] = {  # h from the sample to its results
    "photometer": (5.0 / 60.0, 0.5),
    "analyser": (5.0 / 60.0, 0.25),
    "balance": (4.0, 24.0),
    "hplc": (1.0, 24.0),
    "elisa": (24.0, 72.0),
}
ASSAYS: Final[Mapping[str, Assay]] = {
    "od": Assay("1", 0.04, 0.05, "photometer"),
    "dry_weight": Assay("g/L", 0.05, 0.2, "balance"),
    "glucose": Assay("g/L", 0.04, 0.05, "analyser"),
    "nitrogen": Assay("mmol/L", 0.05, 0.5, "analyser"),
    "acetate": Assay("g/L", 0.035, 0.05, "hplc"),
    "ethanol": Assay("g/L", 0.035, 0.05, "hplc"),
    "paa": Assay("g/L", 0.035, 0.02, "hplc"),
    "product": Assay("g/L", 0.035, 0.02, "hplc"),
}
PROTEIN: Final = Assay("g/L", 0.15, 0.005, "elisa")  # the product of cells that make a protein


class LaboratorySettings(Settings):
    """The plant file's ``[simulation.R1.laboratory]``; an empty table is what is usual."""

    every_h: float | None = Field(None, gt=0, description="between samples, h")
    first_h: float = Field(0.5, ge=0, description="first sample, h after inoculation")
    volume_ml: float | None = Field(None, ge=0, description="taken each time, mL")
    assays: tuple[str, ...] | None = Field(None, description="all that fit the organism, or these")
    mistakes: float = Field(0.01, ge=0, le=1, description="share of results with a mistake")


def assays(organism: Organism) -> dict[str, Assay]:
    """Return what can be measured in an organism's broth."""
    called = {"glucose": "substrate", "paa": "precursor"}
    found = {
        name: assay
        for name, assay in ASSAYS.items()
        if name in ("od", "dry_weight", "nitrogen") or called.get(name, name) in organism.called
    }
    if organism.called["product"] == organism.called["biomass"]:
        del found["product"]
    elif organism.name.startswith("ecoli"):
        found["product"] = PROTEIN
    return found


def unknown_assays(organism: Organism, settings: LaboratorySettings) -> list[str]:
    """Return a line for each assay that is asked for and that this broth has not."""
    known = assays(organism)
    return [
        f"{name}: no assay for this broth; there are {', '.join(known)}"
        for name in settings.assays or ()
        if name not in known
    ]


class Laboratory:
    """Samples one vessel by its schedule, from the vessel's start on.

    Attributes:
        records: every result, also those that are still to be entered: reactor, sample (its
            number), bench, analyte, value, unit, below_limit (value is the limit of detection),
            t_sampled, t_available, t_entered (s since 1970 UTC).
        mistakes: what is wrong with which records, by their place there; nobody is told.

    Args:
        vessel: sampled as its time passes.
        settings: of its laboratory.
        enter: gets what each bench found in each sample when it is entered.

    Raises:
        ValueError: an assay is unknown.
    """

    def __init__(
        self, vessel: Vessel, settings: LaboratorySettings, enter: Enter = lambda _, rows: None
    ) -> None:
        if unknown := unknown_assays(vessel.model.organism, settings):
            raise ValueError("\n".join(unknown))
        known = assays(vessel.model.organism)
        wanted = known if settings.assays is None else settings.assays
        self.records: list[dict[str, Any]] = []
        self.mistakes: dict[int, Mistake] = {}
        self._assays = {name: assay for name, assay in known.items() if name in wanted}
        size = vessel.model.vessel.name
        self._every_s = 3600.0 * (settings.every_h or EVERY_H[size])
        volume = VOLUME_ML[size] if settings.volume_ml is None else settings.volume_ml
        self._litres = 1e-3 * volume
        self._share = settings.mistakes
        self._vessel = vessel
        self._enter = enter
        self._due = vessel.time + 3600.0 * settings.first_h
        self._entries: list[tuple[float, str, list[dict[str, Any]]]] = []
        self._last: dict[str, float] = {}
        self._samples = 0
        seed = vessel.seed
        self._chance = {
            bench: np.random.default_rng([seed, 5, zlib.crc32(bench.encode())])
            for bench in dict.fromkeys(a.bench for a in self._assays.values())
        }
        vessel.watch(self.look)

    def look(self) -> None:
        """Take a sample if it is time, and enter what is due."""
        now = self._vessel.time
        if now >= self._due:
            self._due += self._every_s
            self._sample(now)
        while self._entries and self._entries[0][0] <= now:
            self._enter(*self._entries.pop(0)[1:])

    def _sample(self, now: float) -> None:
        vessel = self._vessel
        self._samples += 1
        truths = _contents(vessel)
        vessel.take(self._litres)
        for bench, chance in self._chance.items():
            available = now + 3600.0 * float(chance.uniform(*BENCHES[bench]))
            entered = available + 3600.0 * float(chance.uniform(*ENTRY_H))
            rows: list[dict[str, Any]] = []
            for name, assay in self._assays.items():
                if assay.bench != bench:
                    continue
                value, sampled, mistake = self._result(name, truths[name], now, assay, chance)
                if mistake:
                    self.mistakes[len(self.records)] = mistake
                row: dict[str, Any] = {
                    "reactor": vessel.prefix,
                    "sample": self._samples,
                    "bench": bench,
                    "analyte": name,
                    "value": max(value, assay.limit),
                    "unit": assay.unit,
                    "below_limit": value < assay.limit,
                    "t_sampled": sampled,
                    "t_available": available,
                    "t_entered": entered,
                }
                rows.append(row)
                self.records.append(row)
            name = f"{vessel.prefix}-{self._samples:03d}-{bench}"
            self._entries.append((entered, name, rows))
        self._entries.sort(key=lambda entry: entry[0])

    def _result(
        self, name: str, truth: float, now: float, assay: Assay, chance: np.random.Generator
    ) -> tuple[float, float, Mistake]:
        """Return value, time of sampling as written down, and what is wrong with them."""
        scatter, wrong, which = (float(chance.uniform()) for _ in range(3))
        normal = float(chance.standard_normal())
        previous, self._last[name] = self._last.get(name, truth), truth
        sampled, mistake = now, _mistake(scatter < self._share, wrong)
        if mistake == "swapped":
            truth = previous
        value = truth * math.exp(assay.cv * normal) + 0.3 * assay.limit * normal
        if mistake == "dilution":
            value *= FACTORS[int(which * len(FACTORS))]
        if mistake == "timestamp":
            shift = SHIFT_S[0] + which * (SHIFT_S[1] - SHIFT_S[0])
            sampled += shift if wrong > 0.8 else -shift
        digits = 3 - math.ceil(math.log10(max(abs(value), assay.limit)))
        return round(value, digits), sampled, mistake


def _mistake(made: bool, which: float) -> Mistake:
    if not made:
        return ""
    return "dilution" if which < 0.4 else "swapped" if which < 0.6 else "timestamp"


def _contents(vessel: Vessel) -> dict[str, float]:
    """Return what perfect assays would find."""
    state, organism = vessel.state(), vessel.model.organism
    called = {word: state[name] for word, name in organism.called.items()}
    dry = called["biomass"] + sum(state[s] for s in CELLS.get(organism.name, ()))
    return {
        **called,
        "od": OD_PER_G_PER_L * dry,
        "dry_weight": dry,
        "glucose": called["substrate"],
        "paa": called.get("precursor", 0.0),
        "nitrogen": state["NH3"],
    }


def files(folder: Path) -> Enter:
    """Return what enters results as CSV files in a folder, as a laboratory's system does."""
    return lambda name, rows: _write(folder / f"{name}.csv", rows)


def _write(path: Path, rows: Rows) -> None:
    """Write a file that is either not there or whole."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    for row in rows:
        stamps = {t: _stamp(row[t]) for t in ("t_sampled", "t_available", "t_entered")}
        table.writerow({**row, **stamps, "below_limit": int(row["below_limit"])})
    part = path.with_suffix(".part")
    part.write_text(text.getvalue(), encoding="utf-8")
    os.replace(part, path)


def _stamp(time: float) -> str:
    return datetime.fromtimestamp(round(time), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
