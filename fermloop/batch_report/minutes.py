"""A batch minute by minute: what its figures, deviations and trends are made of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from controller.plant_file.settings import ReactorSettings
from drivers.point import Tag
from historian.batches import Batch
from historian.reader import SqliteReader
from historian.schema import split_name
from historian.trends import Trend

MINUTE_H: Final = 1.0 / 60.0
_GOOD = 2
_EMPTY = Trend([], [], [], [])


@dataclass(frozen=True)
class Minutes:
    """The tags of a batch in buckets of a minute.

    Attributes:
        batch: which.
        end: s since 1970 UTC: its end, or the newest row of one that is under way.
        times: middle of each minute, s since 1970 UTC.
        tags: by name without the reactor.
        trends: of each tag; ``None`` is a gap.
    """

    batch: Batch
    end: float
    times: Sequence[float]
    tags: dict[str, Tag]
    trends: dict[str, Trend]

    def has(self, name: str) -> bool:
        """Whether a tag has a value in this batch."""
        return any(v is not None for v in self.trends.get(name, _EMPTY).mean)

    def mean(self, name: str) -> Sequence[float | None]:
        """Return the mean of each minute; gaps only where there is no such tag."""
        found = self.trends.get(name)
        return found.mean if found else [None] * len(self.times)

    def last(self, name: str) -> float | None:
        """Return the last value, ``None`` if there is none."""
        return next((v for v in reversed(self.mean(name)) if v is not None), None)

    def integral(self, name: str) -> float | None:
        """Return the sum over time in unit times h; gaps count as 0."""
        if not self.has(name):
            return None
        return sum(v for v in self.mean(name) if v is not None) * MINUTE_H

    def rows(self, *names: str) -> Iterator[tuple[float, ...]]:
        """Yield the values of several tags in each minute in which all of them have one."""
        for values in zip(*(self.mean(name) for name in names), strict=True):
            row = tuple(v for v in values if v is not None)
            if len(row) == len(names):
                yield row

    def measured(self, settings: ReactorSettings | None, meaning: str) -> str | None:
        """Return the name, without the reactor, of the tag that measures something."""
        name = settings.measured.get(meaning) if settings else None
        suffix = name.partition(".")[2] if name else ""
        return suffix if suffix in self.tags else None

    def not_good_min(self, name: str) -> int:
        """Return in how many minutes the tag was UNCERTAIN, BAD or not there."""
        trend = self.trends.get(name, _EMPTY)
        pairs = zip(trend.mean, trend.worst, strict=True)
        return sum(1 for v, q in pairs if v is None or (q is not None and q < _GOOD))


def minutes(reader: SqliteReader, batch: Batch) -> Minutes:
    """Return the minutes of a batch."""
    end = batch.ended if batch.ended is not None else reader.newest(batch.reactor)[1]
    end = max(end, batch.began + 60.0)
    tags = {n: t for n, t in reader.tags().items() if t.reactor == batch.reactor}
    buckets = max(1, round((end - batch.began) / 60.0))
    found = reader.series(list(tags), batch.began, end, buckets)
    suffixes = {name: split_name(name)[1] for name in tags}
    return Minutes(
        batch,
        end,
        found.times,
        {suffixes[n]: t for n, t in tags.items()},
        {suffixes[n]: trend for n, trend in found.tags.items()},
    )
