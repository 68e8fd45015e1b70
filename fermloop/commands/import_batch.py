"""``fermloop import``: a batch of the past, checked whole, then written whole or not at all."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from controller.plant import load_plant
from controller.plant_file.config import read_toml, validate
from drivers.point import Tag
from fermloop.failure import USAGE, FailureError
from fermloop.importing.batch import Import, prepare
from fermloop.importing.mapping import MappingSettings
from fermloop.importing.source import read
from fermloop.importing.writing import clock, events, require_room, span, write
from historian.reader import SqliteReader
from historian.schema import StoreError

_HOUR_S = 3600.0


def run(
    file: Path, map_file: Path, plant: Path | None, store: Path | None, dry: bool, as_json: bool
) -> None:
    """Import the file, or with ``dry`` only say what would be done.

    Raises:
        FailureError: it cannot be; nothing was written.
        ConfigError: a line a mistake in the file or its mapping; nothing was written.
    """
    if (plant is None) is (store is None):
        raise FailureError("--plant, --store: one of them is required", USAGE)
    mapping = validate(MappingSettings, read_toml(map_file), map_file.name)
    site = None if plant is None else load_plant(plant)
    path = store if site is None else site.store
    if path is None:
        raise AssertionError("one of both is there")
    with SqliteReader(path) as reader:
        try:
            known = dict(reader.tags()) if path.exists() else dict[str, Tag]()
            known |= {} if site is None else site.tags
            batch = prepare(read(file, mapping), mapping, map_file.name, known)
            if path.exists():
                require_room(reader, batch)
        except StoreError as error:
            raise FailureError(str(error), USAGE) from None
    if not dry:
        write(path, batch, events(batch, file))
    _tell(batch, path, dry, as_json)


def _tell(batch: Import, path: Path, dry: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_json(batch, dry), ensure_ascii=False))
        return
    for line in _report(batch):
        print(line)
    print("nothing was written (--dry-run)" if dry else f"{path}: {batch.mapping.batch} written")


def _report(batch: Import) -> Iterator[str]:
    m = batch.mapping
    yield f"{batch.source}: {len(batch.scans)} rows as {m.batch} of {m.reactor}, {span(batch)}"
    yield f"inoculated {clock(batch.inoculated)}"
    if batch.moved:
        yield f"rows in another order than time: {batch.moved}; sorted"
    for c in batch.columns:
        unit = c.tag.unit if c.unit == c.tag.unit else f"{c.unit} -> {c.tag.unit}"
        yield (
            f"  {c.name} -> {c.tag.name} [{unit}]: {c.values} values {c.low:g} to {c.high:g}, "
            f"{c.missing} missing, {c.bad} BAD"
        )
    for first, last in batch.gaps:
        yield f"  gap of {(last - first) / _HOUR_S:.2f} h from {clock(first)}"


def _json(batch: Import, dry: bool) -> Mapping[str, object]:
    return {
        "batch": batch.mapping.batch,
        "rows": len(batch.scans),
        "began": batch.began,
        "ended": batch.ended,
        "inoculated": batch.inoculated,
        "moved": batch.moved,
        "gaps": batch.gaps,
        "written": not dry,
        "columns": [
            {
                **{"column": c.name, "tag": c.tag.name, "unit": c.unit, "tag_unit": c.tag.unit},
                **{"values": c.values, "missing": c.missing, "bad": c.bad},
                **({"low": c.low, "high": c.high} if c.values else {}),
            }
            for c in batch.columns
        ],
    }
