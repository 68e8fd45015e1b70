"""``fermloop influx``: makes the bucket, compares it with the store, fills it again."""

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from controller.plant import Plant, load_plant
from controller.plant_file.settings import influx_token
from drivers.clock import wall
from fermloop.failure import USAGE, WORLD, FailureError
from historian.bucket import Bucket
from historian.compare import Comparison, Difference, compare
from historian.delivery import UnavailableError
from historian.influx import InfluxSettings, InfluxWriter
from historian.progress import load_cursor
from historian.reader import SqliteReader
from historian.schema import StoreError

_DAY_S = 86_400.0
_SHOWN = 40  # differences


def init(plant_file: Path, keep_s: float) -> None:
    """Make the bucket and say what was done."""
    plant, settings = _open(plant_file)
    with Bucket(settings) as bucket:
        try:
            print(bucket.make(keep_s))
        except UnavailableError as error:
            raise FailureError(str(error), WORLD) from None
    print(f"{plant.path.name}: run fermloop run; fermloop influx verify says what has arrived")


def verify(plant_file: Path, begin: float | None, end: float | None, as_json: bool) -> None:
    """Print what differs.

    Raises:
        FailureError: something differs and nothing explains it, or one of both cannot be read.
    """
    plant, settings = _open(plant_file)
    now = wall()
    last = _moment(end, now)
    first = last - _DAY_S if begin is None else _moment(begin, now)
    if first >= last:
        raise FailureError("--from, --to: the beginning must be before the end", USAGE)
    cursor_path = plant.data_dir / "cursor.json"
    quarantine = plant.data_dir / "cursor.json.refused"
    with SqliteReader(plant.store) as reader, Bucket(settings) as bucket:
        try:
            cursor = load_cursor(cursor_path)
            site = plant.settings.site
            found = compare(reader, bucket, site, first, last, now, cursor, quarantine)
        except (UnavailableError, StoreError) as error:
            raise FailureError(str(error), WORLD) from None
    if as_json:
        print(json.dumps({"ok": not (found.unexplained or found.forged), **asdict(found)}))
    else:
        _show(found)
    if found.unexplained or found.forged:
        lines = [f"{len(found.unexplained)} differences are not explained"]
        lines += found.forged
        if found.unexplained:
            lines.append(f"fermloop influx backfill {plant_file} --from TIME sends them again")
        raise FailureError(lines, WORLD)


def backfill(plant_file: Path, begin: float | None, end: float | None) -> None:
    """Send a stretch again and say how much."""
    from historian.backfill import backfill as send

    plant, settings = _open(plant_file)
    now = wall()
    first, last = _moment(begin, now), _moment(end, now)
    if begin is None or first >= last:
        raise FailureError("--from is required, and must be before --to", USAGE)
    quarantine = plant.data_dir / "backfill.refused"
    writer = InfluxWriter(settings)
    rows = refused = 0
    with SqliteReader(plant.store) as reader:
        try:
            site = plant.settings.site
            for sent, lost in send(reader, writer.post, site, first, last, quarantine):
                rows, refused = sent, refused + lost
        except (UnavailableError, StoreError) as error:
            raise FailureError([str(error), f"{rows} rows were sent; send all again"]) from None
        finally:
            writer.close()
    print(f"{rows} rows from {_clock(first)} to {_clock(last)} sent")
    if refused:
        raise FailureError(f"{refused} fields were refused: see {quarantine}", WORLD)


def _open(plant_file: Path) -> tuple[Plant, InfluxSettings]:
    plant = load_plant(plant_file)
    s = plant.settings.influx
    if not s.enabled:
        raise FailureError(
            f"{plant_file.name}: influx.enabled: false; true, with url, org, bucket and a token, "
            "is required",
            USAGE,
        )
    return plant, InfluxSettings(s.url, s.org, s.bucket, influx_token(s))


def _show(found: Comparison) -> None:
    print(f"{found.values} values of {found.tags} tags in {found.hours} hours compared")
    for difference in found.differences[:_SHOWN]:
        print(_line(difference))
    if (more := len(found.differences) - _SHOWN) > 0:
        print(f"and {more} more; --json shows all")
    if not found.differences:
        print("the server has all of them")


def _line(d: Difference) -> str:
    numbers = f"store {d.store}, server {d.server}"
    return f"{_clock(d.hour)}  {d.tag}  {numbers}: {d.why or 'NOT EXPLAINED'}"


def _moment(time: float | None, now: float) -> float:
    """Return s since 1970 UTC; negative is so long ago, ``None`` is now."""
    return now if time is None else time + now if time < 0 else time


def _clock(time: float) -> str:
    return datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M")
