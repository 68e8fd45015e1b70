"""``[accept]`` in a recipe file: what a campaign must show for the recipe to be accepted.

The controller never reads the table, as it never reads a plant file's ``[simulation]``: the recipe
that a plant runs is the one that was judged.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from controller.plant_file.config import ConfigError, Settings, read_toml, validate
from fermloop.campaign import junit
from fermloop.campaign.charts import number
from fermloop.campaign.finished import Finished
from fermloop.campaign.results import Row
from fermloop.campaign.statistics import (
    ENOUGH,
    FIGURES,
    compare,
    failed,
    finished,
    spread,
    values,
)
from fermloop.failure import USAGE, FailureError

MET: Final = 0
NOT_MET: Final = 1
COULD_NOT_RUN: Final = 2
JUNIT: Final = "junit.xml"
PRODUCT: Final = FIGURES[0]


class Accept(Settings):
    """The limits of a recipe; those on single batches hold for each of them."""

    product_p5_min_g: float | None = Field(
        None, gt=0, description="5th percentile of product, true, g"
    )
    do_minutes_max: float | None = Field(None, ge=0, description="DO too low, min")
    by_product_minutes_max: float | None = Field(None, ge=0, description="by-product too high, min")
    volume_minutes_max: float | None = Field(None, ge=0, description="volume too high, min")
    interlock_trips_max: int = Field(0, ge=0, description="of each batch")
    energy_p95_max_kwh_per_kg: float | None = Field(
        None, gt=0, description="95th percentile of energy per product, kWh/kg"
    )
    baseline: str | None = Field(
        None, description="a recipe file, by its path from this one, that it is no worse than"
    )
    tolerance: float = Field(
        0.0, ge=0, lt=1, description="share of the baseline's product that may be missing"
    )


class _File(Settings):
    accept: Accept


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one limit.

    Attributes:
        recipe: the recipe file's name without ending.
        limit: key of ``[accept]``.
        allowed: what was allowed, with unit.
        found: what was found.
        state: met, not met, or not judged.
        why: one sentence where it is not met or not judged.
        command: repeats the worst batch, where there is one.
    """

    recipe: str
    limit: str
    allowed: str
    found: str
    state: Literal["met", "not met", "not judged"]
    why: str = ""
    command: str = ""


def limits(recipe_file: Path) -> Accept | None:
    """Return the limits beside a recipe, or ``None`` where it has no ``[accept]``.

    Raises:
        ConfigError: the file cannot be read, or the table is wrong; a line a mistake.
    """
    table = read_toml(recipe_file)
    if "accept" not in table:
        return None
    accept = validate(_File, {"accept": table["accept"]}, recipe_file.name).accept
    if accept.baseline is not None and not (recipe_file.parent / accept.baseline).is_file():
        raise ConfigError(
            [f"{recipe_file.name}: accept.baseline: {accept.baseline}: no such recipe file"]
        )
    return accept


def with_baselines(recipe_files: Sequence[Path]) -> list[Path]:
    """Return the recipes that must run so that each can be judged: baselines come along.

    Raises:
        ConfigError: a recipe has no limits and is nobody's baseline, or its limits are wrong.
    """
    found = {file.resolve(): file for file in recipe_files}
    baselines: dict[Path, Path] = {}
    without: list[Path] = []
    for file in recipe_files:
        accept = limits(file)
        if accept is None:
            without.append(file)
        elif accept.baseline is not None:
            other = file.parent / accept.baseline
            baselines.setdefault(other.resolve(), other)
    lines = [
        f"{file.name}: accept: missing; --accept needs a table [accept] with limits in it"
        for file in without
        if file.resolve() not in baselines
    ]
    if lines:
        raise ConfigError(lines)
    return [*(baselines | found).values()] if baselines else list(recipe_files)


def judge(campaign: Finished, recipe_files: Sequence[Path]) -> list[Verdict]:
    """Return a verdict for every limit of the recipes, in the order of their files."""
    verdicts: list[Verdict] = []
    for file in recipe_files:
        accept = limits(file)
        if accept is not None:
            verdicts += _judged(campaign, file, accept)
    if not verdicts:
        raise FailureError("--accept: no recipe has a table [accept]", USAGE)
    return verdicts


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """Return 0 if all are met, 2 if one could not be judged, else 1."""
    states = {verdict.state for verdict in verdicts}
    if "not judged" in states:
        return COULD_NOT_RUN
    return NOT_MET if "not met" in states else MET


def keep(campaign: Finished, verdicts: Sequence[Verdict]) -> None:
    """Write ``junit.xml`` beside the results."""
    seconds = {
        name: sum(row.get("took_s") or 0.0 for row in rows)
        for name, rows in campaign.recipes.items()
    }
    junit.write(campaign.folder / JUNIT, verdicts, seconds, campaign.command())


def tell(verdicts: Sequence[Verdict]) -> None:
    """Print the verdicts, a table on a terminal; then why, and how to repeat the worst batch."""
    if verdicts and sys.stdout.isatty():
        _table(verdicts)
    else:
        for v in verdicts:
            print(f"{v.recipe}: {v.limit}: {v.found}, allowed {v.allowed}: {v.state}")
    for v in verdicts:
        if v.state != "met":
            print(f"{v.recipe}: {v.limit}: {': '.join(w for w in (v.why, v.command) if w)}")


def _judged(campaign: Finished, file: Path, accept: Accept) -> Iterator[Verdict]:
    rows = campaign.recipes.get(file.stem, ())
    seeds = {int(row["seed"]) for row in rows}
    missing = [seed for seed in campaign.manifest["seeds"] if seed not in seeds]
    lost = [int(row["seed"]) for row in failed(rows)]
    yield _all_ran(campaign, file.stem, missing, lost)
    if not finished(rows):
        return
    one = _Recipe(campaign, file.stem, rows)
    if accept.product_p5_min_g is not None:
        known = spread(rows, PRODUCT.key).p5
        yield one.verdict("product_p5_min_g", PRODUCT.key, known, accept.product_p5_min_g, "g", min)
    for limit, key, most, unit in (
        ("do_minutes_max", "do_below_limit_min", accept.do_minutes_max, "min"),
        (
            "by_product_minutes_max",
            "by_product_above_limit_min",
            accept.by_product_minutes_max,
            "min",
        ),
        ("volume_minutes_max", "volume_above_limit_min", accept.volume_minutes_max, "min"),
        ("interlock_trips_max", "interlock_trips", accept.interlock_trips_max, ""),
    ):
        if most is not None:
            worst = max(values(rows, key).values(), default=None)
            yield one.verdict(limit, key, worst, most, unit, max)
    if accept.energy_p95_max_kwh_per_kg is not None:
        key = "energy_per_product_kwh_per_kg"
        p95, most = spread(rows, key).p95, accept.energy_p95_max_kwh_per_kg
        yield one.verdict("energy_p95_max_kwh_per_kg", key, p95, most, "kWh/kg", max)
    if accept.baseline is not None:
        yield one.against(Path(accept.baseline).stem, accept.tolerance)


def _all_ran(
    campaign: Finished, recipe: str, missing: Sequence[int], lost: Sequence[int]
) -> Verdict:
    """Return the verdict that every batch has a result: without it nothing is accepted."""
    count = len(campaign.manifest["seeds"])
    found = f"{count - len(missing) - len(lost)} of {count}"
    if not missing and not lost:
        return Verdict(recipe, "batches", "all", found, "met")
    why = ", ".join(
        f"{len(seeds)} {what} (seed {seeds[0]})"
        for seeds, what in ((lost, "failed"), (missing, "did not run"))
        if seeds
    )
    command = campaign.one(recipe, (*lost, *missing)[0])
    return Verdict(recipe, "batches", "all", found, "not judged", why, command)


@dataclass(frozen=True, slots=True)
class _Recipe:
    """The batches of a recipe, to be held against its limits."""

    campaign: Finished
    name: str
    rows: Sequence[Row]

    def verdict(
        self,
        limit: str,
        key: str,
        found: float | None,
        allowed: float,
        unit: str,
        worst_of: Callable[..., int],
    ) -> Verdict:
        """Return the verdict on a figure; ``worst_of`` is min if more is better, else max."""
        known = values(self.rows, key)
        word = "≥" if worst_of is min else "≤"
        may = f"{word} {_of(allowed, unit)}"
        lacking = [int(r["seed"]) for r in finished(self.rows) if int(r["seed"]) not in known]
        if lacking or found is None:
            why = f"seed {lacking[0]} has no {key}"
            if not known:
                why = f"no batch has {key}; nobody knows it of this plant"
            return Verdict(self.name, limit, may, "–", "not judged", why)
        if found >= allowed if worst_of is min else found <= allowed:
            return Verdict(self.name, limit, may, _of(found, unit), "met")
        seed = worst_of(known, key=known.__getitem__)
        why = f"worst is seed {seed} with {_of(known[seed], unit)}"
        command = self.campaign.one(self.name, seed)
        return Verdict(self.name, limit, may, _of(found, unit), "not met", why, command)

    def against(self, baseline: str, tolerance: float) -> Verdict:
        """Return whether product is no worse than a baseline's: the low end of its interval."""
        others = self.campaign.recipes.get(baseline, ())
        may = f"≥ {baseline} less {100 * tolerance:g} %"
        c = compare((baseline, others), (self.name, self.rows), PRODUCT)
        if c.relative is None or c.relative_interval is None or c.left_out:
            why = f"{c.n} pairs of batches, {c.left_out} incomplete; {ENOUGH} whole ones are needed"
            return Verdict(self.name, "baseline", may, "–", "not judged", why)
        low, high = (100 * end for end in c.relative_interval)
        found = f"{100 * c.relative:+.1f} % (95 %: {low:+.1f} to {high:+.1f})"
        if c.relative_interval[0] >= -tolerance:
            return Verdict(self.name, "baseline", may, found, "met")
        a, b = values(others, PRODUCT.key), values(self.rows, PRODUCT.key)
        seed = min(b, key=lambda s: b[s] - a[s])
        why = f"worst is seed {seed} with {_of(b[seed], 'g')} instead of {_of(a[seed], 'g')}"
        command = self.campaign.one(self.name, seed)
        return Verdict(self.name, "baseline", may, found, "not met", why, command)


def _of(value: float, unit: str) -> str:
    return f"{number(value, 4)} {unit}".rstrip()


def _table(verdicts: Sequence[Verdict]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("recipe", "limit", "allowed", "found", "", box=None, title_justify="left")
    colour: dict[str, Any] = {"met": "", "not met": "bold red", "not judged": "bold yellow"}
    for v in verdicts:
        table.add_row(v.recipe, v.limit, v.allowed, v.found, v.state, style=colour[v.state])
    Console().print(table)
