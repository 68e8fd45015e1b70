"""The report of a batch: one table of keys, used to assemble it, to check it and to explain it.

The unit is in each key; shares are fractions 0..1; what nobody knows is null. ``truth`` comes from
the simulated plant itself, never from its instruments; ``control`` from the controller.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from fermloop.failure import USAGE, FailureError

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the report.

    Attributes:
        name: with dots where tables are inside each other; ``*`` is each loop's name.
        unit: as people read it; empty where there is none.
        meaning: one line.
        kind: what its value is; ``None`` is always allowed where nobody knows.
    """

    name: str
    unit: str
    meaning: str
    kind: type = float


RUN = (
    Key("hours", "h", "batch time that was run"),
    Key("seed", "", "what the simulated plant was drawn from", int),
    Key("reactor", "", "the reactor's name", str),
    Key("recipe", "", "the recipe's name", str),
    Key("optimiser", "", "off, shadow or on", str),
)
TRUTH = (
    Key("product_g", "g", "product in the vessel at the end and harvested before, true"),
    Key("harvested_product_g", "g", "of it, what was harvested before the end, true"),
    Key(
        "sampled_product_g", "g", "what the laboratory's samples took, made but no part of it, true"
    ),
    Key("sampled_l", "L", "broth that the laboratory's samples took, true"),
    Key("titre_g_per_l", "g/L", "product per volume of broth at the end, true"),
    Key("biomass_g_per_l", "g/L", "dry biomass at the end, true"),
    Key("volume_l", "L", "volume of broth at the end, true"),
    Key(
        "yield_product_per_substrate_g_per_g",
        "g/g",
        "product made per substrate (sugar and oil) fed plus batched minus left, true",
    ),
    Key(
        "space_time_yield_g_per_l_h",
        "g/(L·h)",
        "product per volume that the vessel may hold and time, turnaround included, true",
    ),
    Key("qp_mean_g_per_g_h", "g/(g·h)", "product made over the integral of biomass, true"),
    Key("do_below_limit_min", "min", "true dissolved oxygen below its limit (20 %)"),
    Key("by_product", "", "acetate or ethanol; empty where none has a limit", str),
    Key(
        "by_product_above_limit_min",
        "min",
        "true by-product above its limit (acetate 2 g/L, ethanol 1 g/L); null without one",
    ),
    Key("volume_above_limit_min", "min", "true volume above the plant file's volume_max_l"),
    Key(
        "do_above_limit_share",
        "0..1",
        "share of the time with DO at its limit or above after the first hour, true",
    ),
    Key(
        "by_product_below_limit_share",
        "0..1",
        "share of the time with the by-product up to its limit after the first hour, true",
    ),
    Key("energy_kwh", "kWh", "stirrer, aeration, heating and cooling"),
    Key("energy_stirring_kwh", "kWh", "of it, the stirrer's motor"),
    Key("energy_aeration_kwh", "kWh", "of it, the air compressor"),
    Key("energy_heating_kwh", "kWh", "of it, the jacket's heater"),
    Key("energy_chilling_kwh", "kWh", "of it, the chiller (COP 4)"),
    Key("energy_per_product_kwh_per_kg", "kWh/kg", "energy per product; null without product"),
    Key("substrate_kg", "kg", "sugar and oil, batched and fed"),
    Key("ammonia_kg", "kg", "ammonia in base and feeds"),
    Key(
        "co2e_per_product_kg_per_kg",
        "kg/kg",
        "CO2e of electricity, substrate and ammonia by the four factors below, per product",
    ),
    Key(
        "biogenic_co2_per_product_kg_per_kg",
        "kg/kg",
        "CO2 that the cells gave off, per product; not in the line above",
    ),
    Key("faults", "", "faults that were simulated: each its name, size, start_h and end_h", list),
    Key("turnaround_h", "h", "from a harvest to the next start, as the plant file says"),
    Key("grid_co2e_kg_per_kwh", "kg/kWh", "factor of electricity, likewise"),
    Key("substrate_co2e_kg_per_kg", "kg/kg", "factor of sugar and oil, likewise"),
    Key("ammonia_co2e_kg_per_kg", "kg/kg", "factor of ammonia, likewise"),
)
REACTOR = (
    Key("estimated.product_g", "g", "the product in the vessel, as the controller estimates it"),
    Key("estimated.titre_g_per_l", "g/L", "the same as above, as the controller estimates it"),
    Key("estimated.biomass_g_per_l", "g/L", "the same, as the controller estimates it"),
    Key("estimated.volume_l", "L", "the same, as the controller estimates it"),
    Key(
        "estimated.yield_product_per_substrate_g_per_g",
        "g/g",
        "the same, as the controller estimates it",
    ),
    Key(
        "loops.*.in_band",
        "0..1",
        "share of the time within the loop's band (T 0.2 °C, pH 0.05, DO 5 points) "
        "of its setpoint, after the first hour",
    ),
    Key("loops.*.iae", "measured unit × h", "integral of the absolute control error"),
    Key("interlock_trips", "", "times that an interlock tripped during the batch", int),
    Key("optimiser_plans", "", "plans that were accepted", int),
    Key("optimiser_sheds", "", "times that the optimiser gave the loops back to the recipe", int),
    Key("optimiser_late", "", "plans that missed their deadline", int),
)
CONTROL = (
    Key("scans", "", "scans done", int),
    Key("scans_missed", "", "scans skipped because an earlier one was late", int),
    Key("samples_stored", "", "samples committed to the local store", int),
    Key("samples_forwarded", "", "samples that InfluxDB acknowledged", int),
    Key("samples_lost", "", "samples dropped because the queue to the store was full", int),
)
KEYS = (*RUN, *TRUTH, *REACTOR, *CONTROL)
FROM_TRUTH = tuple(key.name for key in TRUTH)
FROM_REACTOR = tuple(dict.fromkeys(key.name.partition(".")[0] for key in REACTOR))
FROM_CONTROL = tuple(key.name for key in CONTROL)


def write(report: Values, path: Path) -> None:
    """Write the report as strict JSON, whole or not at all.

    Raises:
        FailureError: it cannot be written there.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text(report) + "\n", encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise FailureError(f"{path}: the report cannot be written: {error.strerror}") from None


def require_writable(path: Path | None) -> None:
    """Refuse a report file that could not be written, before a day of plant time is spent.

    Raises:
        FailureError: with what is wrong.
    """
    if path is None:
        return
    folder = next(p for p in path.absolute().parents if p.exists())
    if path.is_dir():
        raise FailureError(f"--report: {path} is not allowed; it is a folder", USAGE)
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise FailureError(f"--report: {path} is not allowed; {folder} cannot be written", USAGE)


def text(report: Values) -> str:
    """Return the report as strict JSON."""
    return json.dumps(_finite(report), indent=1, ensure_ascii=False, allow_nan=False)


def problems(report: Values) -> Iterator[str]:
    """Yield what is wrong with a report: keys missing, unknown or of the wrong kind."""
    known: set[str] = set()
    for key in KEYS:
        found = list(_find(report, key.name.split(".")))
        if not found:
            yield f"{key.name}: is missing"
        for name, value in found:
            known.add(name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            right = isinstance(value, key.kind) or (key.kind is float and whole)
            if value is not None and not right:
                yield f"{name}: {value!r} is not allowed; {key.kind.__name__} is required"
            elif key.unit == "0..1" and value is not None and not 0 <= value <= 1:
                yield f"{name}: {value!r} is not allowed; 0 to 1 is required"
    for name in _leaves(report):
        if name not in known:
            yield f"{name}: is not documented"


def table() -> str:
    """Return the keys as a Markdown table, for the README."""
    rows = [f"| `{k.name}` | {k.unit} | {k.meaning} |" for k in KEYS]
    return "\n".join(["| key | unit | meaning |", "| --- | --- | --- |", *rows])


def _find(report: Any, parts: list[str], at: str = "") -> Iterator[tuple[str, Any]]:
    if not parts:
        yield at.removeprefix("."), report
        return
    if not isinstance(report, Mapping):
        return
    inner = cast("Values", report)
    names = list(inner) if parts[0] == "*" else [parts[0]]
    for name in names:
        if name in inner:
            yield from _find(inner[name], parts[1:], f"{at}.{name}")


def _leaves(report: Any, at: str = "") -> Iterator[str]:
    if isinstance(report, Mapping):
        inner = cast("Values", report)
        for name, value in inner.items():
            yield from _leaves(value, f"{at}.{name}")
    else:
        yield at.removeprefix(".")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        inner = cast("Values", value)
        return {name: _finite(item) for name, item in inner.items()}
    return value


def assemble(
    truth: Values, control: Values, *, reactor: str, hours: float, seed: int, optimiser: str
) -> dict[str, Any]:
    """Return the report of one reactor's batch.

    Args:
        truth: the simulated vessel's own figures, as ``sim.truth.Truth.as_report``.
        control: ``Controller.report``.
        reactor: whose batch.
        hours: batch time that was run, h.
        seed: what the simulated plant was drawn from.
        optimiser: what was asked for: off, shadow or on.
    """
    seen: Values = control["reactors"][reactor]
    facts: dict[str, Any] = {
        "hours": hours,
        "seed": seed,
        "reactor": reactor,
        "recipe": seen.get("recipe", ""),
        "optimiser": optimiser,
    }
    facts |= {name: truth.get(name) for name in FROM_TRUTH}
    facts |= {name: seen.get(name) for name in FROM_REACTOR}
    facts |= {name: control.get(name) for name in FROM_CONTROL}
    return {
        name: _finite(facts[name]) for name in dict.fromkeys(k.name.split(".")[0] for k in KEYS)
    }


def summary(report: Values) -> list[str]:
    """Return the report as a few lines for people."""
    estimated: Values = report["estimated"]
    loops: Values = report["loops"]
    held = ", ".join(
        f"{name} {share * 100:.1f} %"
        for name, loop in loops.items()
        if (share := loop.get("in_band")) is not None
    )
    return [
        f"{report['recipe']}, {_of(report, 'hours', 'h', 2)}, seed {report['seed']}, "
        f"optimiser {report['optimiser']}",
        f"product   {_mass(report, 'product_g')} (estimated {_mass(estimated, 'product_g')}), "
        f"{_of(report, 'titre_g_per_l', 'g/L')}, "
        f"{_of(report, 'yield_product_per_substrate_g_per_g', 'g/g substrate', 3)}",
        f"biomass   {_of(report, 'biomass_g_per_l', 'g/L')} "
        f"(estimated {_of(estimated, 'biomass_g_per_l', 'g/L')}), "
        f"volume {_of(report, 'volume_l', 'L')}, energy {_of(report, 'energy_kwh', 'kWh')}",
        f"in band   {held or 'nothing judged: the first hour is not'}",
        f"per kg    {_of(report, 'energy_per_product_kwh_per_kg', 'kWh', 1)}, "
        f"{_of(report, 'co2e_per_product_kg_per_kg', 'kg CO2e', 1)}",
        f"limits    DO: {_of(report, 'do_below_limit_min', 'min', 1)}, "
        f"{report.get('by_product') or 'by-product'}: "
        f"{_of(report, 'by_product_above_limit_min', 'min', 1)}, "
        f"volume: {_of(report, 'volume_above_limit_min', 'min', 1)}; "
        f"interlock trips: {_of(report, 'interlock_trips', '', 0)}",
        f"optimiser {_of(report, 'optimiser_plans', 'plans', 0)}, "
        f"{_of(report, 'optimiser_sheds', 'sheds', 0)}, {_of(report, 'optimiser_late', 'late', 0)}",
        f"scans     {_of(report, 'scans', '', 0)}, missed {_of(report, 'scans_missed', '', 0)}; "
        f"samples stored {_of(report, 'samples_stored', '', 0)}, "
        f"lost {_of(report, 'samples_lost', '', 0)}",
    ]


def _mass(values: Values, name: str) -> str:
    """Return a mass in g as people write it: from 10 kg on in kg."""
    value = values.get(name)
    if isinstance(value, int | float) and value >= 1e4:
        return f"{value / 1e3:.1f} kg"
    return _of(values, name, "g")


def _of(values: Values, name: str, unit: str, digits: int = 2) -> str:
    value = values.get(name)
    if not isinstance(value, int | float):
        return f"– {unit}".rstrip()
    return f"{value:.{digits}f} {unit}".rstrip()
