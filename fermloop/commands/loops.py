"""``fermloop loops``: the health of each PID loop, from what the store has of it."""

import json
import math
import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.loops.health import Health, Trace, health
from controller.plant import Plant, load_plant
from drivers.point import Quality, Tag
from fermloop.failure import USAGE, FailureError
from historian.reader import SqliteReader
from historian.schema import StoreError

Floats = NDArray[np.float64]
HELD_S = 5.0  # how old a measurement may be that stands for a scan's


class Source(NamedTuple):
    """A loop's tags in a store and its band, NaN where nobody has said."""

    name: str
    measured: Tag
    setpoint: Tag
    output: Tag
    mode: Tag
    band: float


def run(
    source: Path, wanted: Sequence[str], hours: float, plant_file: Path | None, as_json: bool
) -> None:
    """Print how healthy each loop is.

    Raises:
        FailureError: there is no store, or no such loop in it.
    """
    plant, store = _found(source, plant_file)
    with SqliteReader(store) as reader:
        try:
            found = _sources(reader.tags(), plant)
            if not found:
                raise FailureError(f"{store}: no loop in it; let the plant run first")
            unknown = [name for name in wanted if name not in found]
            if unknown:
                raise FailureError(f"{unknown[0]}: no such loop; {', '.join(found)}", USAGE)
            chosen = [found[name] for name in wanted or found]
            result = {s.name: (s, health(trace(reader, s, hours))) for s in chosen}
        except StoreError as error:
            raise FailureError(str(error)) from None
    if as_json:
        print(json.dumps({n: _plain(s, h) for n, (s, h) in result.items()}, ensure_ascii=False))
        return
    for source_of, found_of in result.values():
        print("\n".join(lines(source_of, found_of)))


def trace(reader: SqliteReader, source: Source, hours: float) -> Trace:
    """Return the newest ``hours`` of a loop."""
    newest = reader.last(source.mode.reactor)
    end = max((s.time for s in newest.values()), default=0.0)
    start = end - hours * 3600.0
    times, mode, _ = _column(reader, source.mode, start, end)
    columns: list[Floats] = []
    for tag in (source.measured, source.setpoint, source.output):
        at, values, quality = _column(reader, tag, start, end)
        if not len(at):
            columns.append(np.full(len(times), math.nan))
            continue
        last = np.searchsorted(at, times, "right") - 1
        known = (last >= 0) & (times - at[last] <= HELD_S) & quality[last]
        columns.append(np.where(known, values[last], math.nan))
    measured, setpoint, output = columns
    whole = ~(np.isnan(setpoint) | np.isnan(output) | np.isnan(mode))
    return Trace(
        times[whole],
        measured[whole],
        setpoint[whole],
        output[whole],
        mode[whole],
        source.output.low,
        source.output.high,
        source.band,
    )


def lines(source: Source, h: Health) -> list[str]:
    """Return what a person reads of one loop."""
    unit = source.measured.unit
    modes = ", ".join(f"{m} {_percent(s)}" for m, s in h.modes.items())
    o = h.oscillation
    swing = f"index {_number(o.index)}, {_percent(h.oscillating)} of {h.judged_h:.1f} h"
    if o.index > 0:
        swing += f", ± {_number(o.amplitude)} {unit} every {_number(o.period_s)} s"
    return [
        f"{source.name}: {h.verdict}",
        f"  {h.hours:.1f} h: {modes or 'no data'}; measurement bad {_percent(h.bad)}",
        f"  in band {_percent(h.in_band)}, mean error {_number(h.error)} {unit}, "
        f"IAE {_number(h.iae)} {unit}·h",
        f"  output: travel {_number(h.travel)} % of span/h, {_number(h.reversals)} turns/h, at a "
        f"limit {_percent(h.saturated)}",
        f"  oscillation: {swing}; stiction index {_number(h.stiction)}",
    ]


def _found(source: Path, plant_file: Path | None) -> tuple[Plant | None, Path]:
    """Return the plant, if there is one, and the store."""
    plant = None if plant_file is None else load_plant(plant_file)
    if source.is_dir():
        source = source / "store.sqlite"
    if not source.exists():
        raise FailureError(f"{source}: no such file; a plant file or a store is required", USAGE)
    try:
        tomllib.loads(source.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        if source.suffix == ".toml":
            load_plant(source)  # says what is wrong with it
        return plant, source
    plant = load_plant(source)
    return plant, plant.store


def _sources(tags: dict[str, Tag], plant: Plant | None) -> dict[str, Source]:
    """Return the PID loops that a store has: those whose output is a share and is measured.

    Without the plant file a loop's measurement is the tag that has the loop's name.
    """
    found: dict[str, Source] = {}
    for name, mode in tags.items():
        loop, _, last = name.rpartition(".")
        output, setpoint = tags.get(f"{loop}.op"), tags.get(f"{loop}.sp")
        if last != "mode" or output is None or setpoint is None or output.unit != "%":
            continue
        measured, band = tags.get(loop), math.nan
        if plant is not None:
            reactor, _, short = loop.partition(".")
            settings = plant.settings.reactor.get(reactor)
            loop_settings = None if settings is None else settings.loop.get(short)
            if loop_settings is None or loop_settings.measured is None:
                continue
            measured = tags.get(loop_settings.measured)
            band = loop_settings.band or math.nan
        if measured is not None:
            found[loop] = Source(loop, measured, setpoint, output, mode, band)
    return found


def _column(
    reader: SqliteReader, tag: Tag, start: float, end: float
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    samples = reader.read(tag, start, end)
    good = [s.quality is not Quality.BAD for s in samples]
    return (
        np.array([s.time for s in samples], np.float64),
        np.array([s.value for s in samples], np.float64),
        np.array(good, np.bool_),
    )


def _plain(source: Source, h: Health) -> dict[str, Any]:
    """Return the figures with their units in the keys, NaN as null."""
    o = h.oscillation
    found: dict[str, Any] = {
        "unit": source.measured.unit,
        "band": source.band,
        "hours": h.hours,
        "verdict": h.verdict,
        "good": h.good,
        "automatic_share": h.automatic,
        "mode_share": h.modes,
        "bad_share": h.bad,
        "in_band_share": h.in_band,
        "iae_unit_h": h.iae,
        "mean_error": h.error,
        "travel_percent_per_h": h.travel,
        "reversals_per_h": h.reversals,
        "saturated_share": h.saturated,
        "judged_h": h.judged_h,
        "oscillating_share": h.oscillating,
        "oscillation": asdict(o),
        "stiction_index": h.stiction,
    }
    found["oscillation"].pop("stiction")
    return _without_nan(found)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType] (JSON)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _percent(share: float) -> str:
    return "–" if share != share else f"{100 * share:.3g} %"


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.3g}"
