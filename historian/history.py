"""The store for people who compute: NumPy arrays and pandas frames, by time or by batch age.

NumPy is imported when this module is, pandas when a frame is asked for.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from drivers.point import Sample, Tag
from historian.batch import BatchRecord
from historian.batches import HOUR_S, Batch
from historian.reader import SqliteReader
from historian.schema import split_name
from historian.trends import axis_of_age

if TYPE_CHECKING:
    import pandas as pd

Moment = float | str | datetime  # s since 1970 UTC, ISO 8601 or a datetime; without zone: local
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Aligned:
    """Several batches on one axis of age.

    Attributes:
        age_h: middle of each bucket, h since each batch's inoculation, shape (n,).
        batches: which, one a row.
        units: UCUM code of each name.
        values: mean of each bucket by name, in its unit, shape (batches, n); NaN is a gap, and
            what lies outside of a batch.
    """

    age_h: _Floats
    batches: tuple[Batch, ...]
    units: Mapping[str, str]
    values: Mapping[str, _Floats]


class History:
    """What happened, as arrays and frames; reads while the plant runs, and writes nothing.

    Args:
        path: the store (``store.sqlite``), or the ``data_dir`` that it is in.

    Every method raises ``StoreError`` where there is no store.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        self._reader = SqliteReader(path / "store.sqlite" if path.is_dir() else path)

    def close(self) -> None:
        """Close the store; it is opened again when it is asked."""
        self._reader.close()

    def __enter__(self) -> "History":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def tags(self) -> dict[str, Tag]:
        """Return every tag that was ever stored, by name."""
        return self._reader.tags()

    def last(self, reactor: str) -> dict[str, Sample]:
        """Return the newest samples of a reactor, by tag."""
        return self._reader.last(reactor)

    def batches(self, reactor: str = "") -> list[Batch]:
        """Return every batch of a reactor, or of all, oldest first."""
        return self._reader.batches(reactor)

    def batch(self, id_: str) -> BatchRecord:
        """Return the record of a batch.

        Raises:
            LookupError: there is no such batch.
        """
        return self._reader.batch(id_)

    def samples(
        self, name: str, start: Moment, end: Moment
    ) -> tuple[_Floats, _Floats, NDArray[np.int8]]:
        """Return every sample of a tag: times (s since 1970 UTC), values, qualities.

        A BAD sample is NaN with quality 0; 1 is UNCERTAIN, 2 GOOD.

        Raises:
            LookupError: no such tag was ever stored.
        """
        found = self._reader.read(self._tag(name), _seconds(start), _seconds(end))
        times = np.array([s.time for s in found], dtype=np.float64)
        values = np.array([s.value for s in found], dtype=np.float64)
        return times, values, np.array([int(s.quality) for s in found], dtype=np.int8)

    def trend(
        self, names: Sequence[str], start: Moment, end: Moment, points: int = 1000
    ) -> tuple[_Floats, dict[str, _Floats]]:
        """Return about ``points`` means of each tag, and their times (s since 1970 UTC).

        Raises:
            LookupError: no such tag was ever stored.
            ValueError: ``start`` is not before ``end``, or ``points`` is below 1.
        """
        for name in names:
            self._tag(name)
        found = self._reader.series(names, _seconds(start), _seconds(end), points)
        means = {name: _floats(found.tags[name].mean) for name in names}
        return np.array(found.times, dtype=np.float64), means

    def frame(
        self,
        names: Sequence[str],
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        batch: str = "",
        points: int = 1000,
    ) -> "pd.DataFrame":
        """Return a pandas frame, a column a tag; ``attrs["units"]`` has their units.

        Args:
            names: tags, ``R1.do``; of a batch ``do`` will do.
            start: from when on; not given: the first day of ``end``, or the start of the batch.
            end: until when; not given: the newest row.
            batch: its id, in place of ``start`` and ``end``: the index is then its age in h.
            points: how many rows are wanted; the frame has about as many.

        Raises:
            LookupError: there is no such tag or batch.
            ValueError: ``start`` is not before ``end``.
            ImportError: pandas is not installed.
        """
        import pandas as pd

        if batch:
            found = self.aligned([batch], [_suffix(name) for name in names], points=points)
            columns = {n: found.values[_suffix(n)][0] for n in names}
            units = {n: found.units[_suffix(n)] for n in names}
            index = pd.Index(found.age_h, name="age_h")
        else:
            last = self._newest({split_name(n)[0] for n in names}) if end is None else _seconds(end)
            first = last - 24 * HOUR_S if start is None else _seconds(start)
            times, columns = self.trend(names, first, last, points)
            units = {name: self._tag(name).unit for name in names}
            index = pd.to_datetime(times, unit="s", utc=True).rename("time")
        frame = pd.DataFrame(columns, index=index)
        frame.attrs["units"] = units
        return frame

    def aligned(
        self,
        batches: Iterable[str],
        names: Sequence[str],
        *,
        start_h: float | None = None,
        end_h: float | None = None,
        points: int = 1000,
    ) -> Aligned:
        """Return several batches, of any reactors, on one axis of age: for overlays and fits.

        The axis is exact for buckets up to 30 s; wider ones are whole minutes, shifted by 30 s at
        most.

        Args:
            batches: their ids.
            names: tags without the reactor: ``do``, ``do.sp``.
            start_h: age to begin at; not given: the earliest start.
            end_h: age to end at; not given: the latest end.
            points: how many buckets are wanted.

        Raises:
            LookupError: there is no such batch, or none of them has such a tag.
            ValueError: ``start_h`` is not before ``end_h``.
        """
        known = {b.id: b for b in self._reader.batches()}
        chosen = tuple(known.get(id_) or self.batch(id_).batch for id_ in batches)
        if not chosen:
            raise LookupError("no batch was named")
        ends = [self._ended(b) for b in chosen]
        first = min(b.age_h(b.began) for b in chosen) if start_h is None else start_h
        last = max(b.age_h(e) for b, e in zip(chosen, ends, strict=True))
        last = last if end_h is None else end_h
        tags = self._reader.tags()
        units: dict[str, str] = {}
        for name in names:
            of = [f"{b.reactor}.{name}" for b in chosen if f"{b.reactor}.{name}" in tags]
            if not of:
                raise LookupError(f"{name}: none of {', '.join(b.id for b in chosen)} has this tag")
            units[name] = tags[of[0]].unit
        rows: dict[str, list[_Floats]] = {name: [] for name in names}
        ages: _Floats = np.empty(0)
        for batch, ended in zip(chosen, ends, strict=True):
            along = axis_of_age(batch.zero, first * HOUR_S, last * HOUR_S, points)
            own = {name: f"{batch.reactor}.{name}" for name in names}
            found = self._reader.series_along(own.values(), along)
            half = 0.5 * along.width_s
            times = np.array(found.times)
            outside = (times + half < batch.began) | (times - half > ended)
            for name, tag in own.items():
                rows[name].append(np.where(outside, np.nan, _floats(found.tags[tag].mean)))
            begin = math.floor(first * HOUR_S / along.width_s)
            middles = np.arange(along.buckets, dtype=np.float64) + (begin + 0.5)
            ages = middles * (along.width_s / HOUR_S)
        return Aligned(ages, chosen, units, {n: np.array(row) for n, row in rows.items()})

    def _tag(self, name: str) -> Tag:
        tags = self._reader.tags()
        if name not in tags:
            near = [t for t in tags if _suffix(t).startswith(_suffix(name)[:2])] or list(tags)
            raise LookupError(f"{name}: no such tag in the store; there are {', '.join(near[:10])}")
        return tags[name]

    def _newest(self, reactors: Iterable[str]) -> float:
        """Return when the newest sample of these reactors was taken, and a second more."""
        times = [s.time for reactor in reactors for s in self.last(reactor).values()]
        if not times:
            raise LookupError(f"{', '.join(reactors)}: nothing of them is in the store")
        return max(times) + 1.0

    def _ended(self, batch: Batch) -> float:
        return self._newest([batch.reactor]) if batch.ended is None else batch.ended


def _floats(values: Sequence[float | None]) -> _Floats:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _suffix(name: str) -> str:
    return name.partition(".")[2] or name


def _seconds(moment: Moment) -> float:
    """Return s since 1970 UTC; a time without a zone is of this machine's."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if isinstance(moment, datetime):
        return moment.astimezone(UTC).timestamp()
    return float(moment)
