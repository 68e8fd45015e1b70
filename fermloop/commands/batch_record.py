"""``fermloop batch list`` and ``show``: what the store knows of batches."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from fermloop.commands.stores import opened
from fermloop.failure import USAGE, FailureError
from historian.batch import BatchRecord
from historian.batches import Batch
from historian.schema import StoreError


def list_all(plant: Path | None, store: Path | None, reactor: str, as_json: bool) -> None:
    """Print a line a batch, oldest first."""
    with opened(plant, store) as reader:
        try:
            found = reader.batches(reactor)
        except StoreError as error:
            raise FailureError(str(error)) from None
    for batch in found:
        ended = "" if batch.ended is None else f"  {batch.age_h(batch.ended):7.2f} h"
        line = f"{batch.id}  {_clock(batch.began)}  {batch.recipe}  {batch.state}{ended}"
        print(json.dumps(_plain(batch), ensure_ascii=False) if as_json else line)


def show(id_: str, plant: Path | None, store: Path | None, as_json: bool) -> None:
    """Print the record of a batch."""
    with opened(plant, store) as reader:
        try:
            record = reader.batch(id_)
        except StoreError as error:
            raise FailureError(str(error)) from None
        except LookupError as error:
            raise FailureError(str(error.args[0]), USAGE) from None
    if as_json:
        print(json.dumps(record.as_json(), ensure_ascii=False, indent=1))
        return
    for line in lines(record):
        print(line)


def lines(record: BatchRecord) -> Iterator[str]:
    """Yield the record for a person; each line begins with the age in h where it has one."""
    batch, file = record.batch, record.plant_file
    end = "under way" if batch.ended is None else _clock(batch.ended)
    recipes = ", ".join(f"{r.number} ({r.hash})" for r in record.recipes)
    yield f"batch       {batch.id}  {batch.state}"
    yield f"time        {_clock(batch.began)} to {end}"
    yield f"recipe      {batch.recipe}, version {recipes}"
    for name, value in record.parameters.items():
        yield f"parameter   {name} = {value:g}"
    yield f"plant file  {file.name} ({file.version})" if file.text else "plant file  not kept"
    yield f"software    {record.software or 'not kept'}"
    parts = {
        "phases": [(p.began, f"{p.name}{_until(batch, p.ended)}") for p in record.phases],
        "changes": [
            (c.time, f"{c.source}  {c.text}{_because(c.why)}{_because(c.refused, 'REFUSED: ')}")
            for c in record.changes
        ],
        "alarms": [
            (a.began, f"{a.priority}  {a.text}{_until(batch, a.ended)}") for a in record.alarms
        ],
        "laboratory": [
            (float(s["t_sampled"]), f"{s['analyte']} {s['value']:g} {s['unit']}  {s['who']}")
            for s in record.samples
            if not s.get("corrected_by")
        ],
        "advice": [(e["time"], e["text"]) for e in record.advice],
        "gaps": [(e["time"], e["text"]) for e in record.gaps],
    }
    for title, rows in parts.items():
        yield f"{title} ({len(rows)})"
        for time, text in rows:
            yield f"  {batch.age_h(time):8.3f} h  {text}"


def _until(batch: Batch, time: float | None) -> str:
    return "" if time is None else f", until {batch.age_h(time):.3f} h"


def _because(why: str, word: str = "because ") -> str:
    return f"  {word}{why}" if why else ""


def _plain(batch: Batch) -> dict[str, object]:
    return {name: getattr(batch, name) for name in Batch.__slots__}


def _clock(time: float) -> str:
    return datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
