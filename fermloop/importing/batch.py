"""A file and its mapping become a batch: everything is checked before anything is written."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import pairwise
from statistics import median
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from controller.plant_file.config import ConfigError
from drivers.point import Quality, Tag
from fermloop.importing.mapping import ColumnSettings, MappingSettings, conversion, fitting
from fermloop.importing.source import Source
from historian.rows import Scan

MOST_OUTSIDE: Final = 0.1  # share of the values outside of their tag's range; more: a wrong unit
TOLD: Final = 10  # mistakes of a kind that are named
GAP: Final = 10.0  # times the usual step
AGES: Final = {"s": 1.0, "min": 60.0, "h": 3600.0}
QUALITIES: Final = {q.name: q for q in Quality} | {"": Quality.GOOD, "None": Quality.GOOD}


@dataclass(frozen=True, slots=True)
class Column:
    """What becomes of a column.

    Attributes:
        name: of the column.
        tag: that it becomes.
        unit: of the column.
        values: how many there are, in the tag's unit.
        missing: rows without one.
        bad: rows whose value is BAD: it says so, or is outside of the tag's range.
        low: the least value.
        high: the greatest.
    """

    name: str
    tag: Tag
    unit: str
    values: int
    missing: int
    bad: int
    low: float
    high: float


@dataclass(frozen=True)
class Import:
    """A batch that can be written.

    Attributes:
        mapping: what was asked.
        source: name of the file.
        columns: what becomes of each.
        scans: the rows, by time.
        inoculated: s since 1970 UTC.
        moved: rows that stood in another order in the file.
        gaps: stretches without rows, s since 1970 UTC.
    """

    mapping: MappingSettings
    source: str
    columns: tuple[Column, ...]
    scans: tuple[Scan, ...]
    inoculated: float
    moved: int
    gaps: tuple[tuple[float, float], ...]

    @property
    def began(self) -> float:
        """When the first row was, s since 1970 UTC."""
        return self.scans[0].time

    @property
    def ended(self) -> float:
        """When the last row was, s since 1970 UTC."""
        return self.scans[-1].time


def prepare(
    source: Source, mapping: MappingSettings, map_file: str, known: Mapping[str, Tag]
) -> Import:
    """Return the batch that a file is.

    Args:
        source: the file.
        mapping: what its columns are.
        map_file: name of the mapping file, for messages.
        known: tags that have a unit and a range already, by name.

    Raises:
        ConfigError: a line a mistake: where, what, what was allowed.
    """
    lines = list(_wrong_columns(source, mapping, map_file, known))
    if lines:
        raise ConfigError(lines)
    tags = {name: _tag(column, known) for name, column in mapping.columns.items()}
    times = _times(source, mapping, map_file)
    order = sorted(range(len(times)), key=times.__getitem__)
    _require_apart(source, times, order)
    read = [_column(source, mapping, name, tags[name]) for name in mapping.columns]
    if lines := [line for _, _, _, wrong in read for line in wrong]:
        raise ConfigError(lines)
    values = [column for _, column, _, _ in read]
    codes = [column for _, _, column, _ in read]
    own = list(tags.values())
    scans: list[Scan] = []
    for i in order:
        picked = [(n, code) for n, c in enumerate(codes) if (code := c[i]) is not None]
        if picked:
            row = tuple(values[n][i] for n, _ in picked)
            quality = bytes(code for _, code in picked)
            scans.append(Scan(tuple(own[n] for n, _ in picked), times[i], row, quality))
    if not scans:
        raise ConfigError([f"{source.name}: no row has a value"])
    inoculated = scans[0].time
    if mapping.inoculated:
        inoculated = _moment(mapping.inoculated, _zone(mapping, map_file), map_file, "inoculated")
        if not scans[0].time <= inoculated <= scans[-1].time:
            raise ConfigError(
                [f"{map_file}: inoculated: {mapping.inoculated} is not within the file's rows"]
            )
    moved = sum(1 for a, b in pairwise(order) if b < a)
    columns = tuple(column for column, _, _, _ in read)
    gaps = _gaps([scan.time for scan in scans])
    return Import(mapping, source.name, columns, tuple(scans), inoculated, moved, gaps)


def _wrong_columns(
    source: Source, mapping: MappingSettings, map_file: str, known: Mapping[str, Tag]
) -> Iterator[str]:
    there = ", ".join(repr(name) for name in source.columns)
    if mapping.time.column not in source.columns:
        yield f"{map_file}: time.column: {mapping.time.column!r} is not in {source.name}; {there}"
    taken: dict[str, str] = {}
    for name, column in mapping.columns.items():
        key = f"{map_file}: columns.{name!r}"
        for wanted in (name, column.quality):
            if wanted is not None and wanted not in source.columns:
                yield f"{key}: {wanted!r} is not in {source.name}; {there}"
        if column.tag.partition(".")[0] != mapping.reactor or not column.tag.partition(".")[2]:
            yield f"{key}.tag: {column.tag} is not allowed; a tag of {mapping.reactor}"
        if column.tag in taken:
            yield f"{key}.tag: {column.tag} is that of {taken[column.tag]!r} already"
        taken[column.tag] = name
        tag = known.get(column.tag)
        if tag is None and (column.low is None or column.high is None):
            yield f"{key}: {column.tag} is not known yet; its low and high are required"
        elif tag is None and not column.low < column.high:  # pyright: ignore[reportOperatorIssue] (not None here)
            yield f"{key}: low {column.low:g} must be below high {column.high:g}"
        elif tag is not None and conversion(column.unit, tag.unit) is None:
            units = ", ".join(fitting(tag.unit))
            yield f"{key}.unit: {column.unit} cannot become {tag.unit} of {tag.name}; {units} can"


def _tag(column: ColumnSettings, known: Mapping[str, Tag]) -> Tag:
    if column.tag in known:
        return known[column.tag]
    assert column.low is not None  # both were checked
    assert column.high is not None
    return Tag(column.tag, column.unit, column.low, column.high)


def _times(source: Source, mapping: MappingSettings, map_file: str) -> list[float]:
    """Return the times, s since 1970 UTC."""
    of = _clock(mapping, map_file)
    times: list[float] = []
    lines: list[str] = []
    for line, text in enumerate(source.columns[mapping.time.column], source.first_line):
        try:
            times.append(of(text))
        except (ValueError, TypeError, OverflowError):
            lines.append(
                f"{source.name}: line {line}: {text!r} is no time like {mapping.time.form}"
            )
            if len(lines) == TOLD:
                break
    if lines:
        raise ConfigError(lines)
    return times


def _clock(mapping: MappingSettings, map_file: str) -> Callable[[Any], float]:
    zone = _zone(mapping, map_file)
    form, began = mapping.time.form, mapping.time.began
    if began is not None:
        if form not in AGES:
            raise ConfigError(
                [f"{map_file}: time.form: {form} is not allowed with began; s, min, h"]
            )
        start = _moment(began, zone, map_file, "time.began")
        return lambda text: start + _finite(text, mapping.decimal) * AGES[form]
    if form == "s":
        return lambda text: _finite(text, mapping.decimal)
    if form in AGES:
        raise ConfigError([f"{map_file}: time.began: required where time.form is {form}"])

    def stamp(text: Any) -> float:
        if isinstance(text, datetime):  # Parquet has them as such
            found = text
        elif form == "iso":
            found = datetime.fromisoformat(str(text).strip())
        else:
            found = datetime.strptime(str(text).strip(), form)  # noqa: DTZ007  its zone follows
        return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()

    return stamp


def _zone(mapping: MappingSettings, map_file: str) -> tzinfo | None:
    """Return the zone of times without one; ``None``: this machine's."""
    if mapping.time.zone is None:
        return None
    try:
        return ZoneInfo(mapping.time.zone)
    except (ZoneInfoNotFoundError, ValueError):
        name = mapping.time.zone
        raise ConfigError(
            [f"{map_file}: time.zone: no zone {name!r}; such as Asia/Shanghai is required"]
        ) from None


def _moment(text: str, zone: tzinfo | None, map_file: str, key: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            [f"{map_file}: {key}: {text!r} is not allowed; 2024-03-01T08:00 is"]
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()


def _require_apart(source: Source, times: Sequence[float], order: Sequence[int]) -> None:
    first = source.first_line
    lines = [
        f"{source.name}: line {b + first}: the same time as line {a + first}"
        for a, b in pairwise(order)
        if round(times[a] * 1e6) == round(times[b] * 1e6)
    ]
    if lines:
        more = [f"and {len(lines) - TOLD} more"] if len(lines) > TOLD else []
        raise ConfigError([*lines[:TOLD], *more])


def _column(
    source: Source, mapping: MappingSettings, name: str, tag: Tag
) -> tuple[Column, list[float | None], list[Quality | None], list[str]]:
    """Return what becomes of a column, its values, their qualities and its mistakes.

    A row without a value and without a quality has neither: it was not sampled.
    """
    column = mapping.columns[name]
    factor, offset = conversion(column.unit, tag.unit) or (1.0, 0.0)
    told = source.columns[column.quality] if column.quality else None
    values: list[float | None] = []
    codes: list[Quality | None] = []
    lines: list[str] = []
    outside: list[float] = []
    for i, text in enumerate(source.columns[name]):
        line = i + source.first_line
        quality = QUALITIES.get(str(told[i]).strip()) if told else Quality.GOOD
        if quality is None:
            quality = Quality.BAD
            lines.append(f"{source.name}: line {line}: {told[i] if told else ''!r} is no quality")
        value: float | None = None
        if text is not None and str(text).strip() not in mapping.missing:
            try:
                value = _number(text, mapping.decimal) * factor + offset
            except ValueError:
                lines.append(f"{source.name}: line {line}: {name}: {text!r} is no number")
        if value is not None and value not in tag:
            if math.isfinite(value):
                outside.append(value)
            value, quality = None, Quality.BAD
        elif value is None and quality is not Quality.BAD:
            values.append(None)
            codes.append(None)
            continue
        values.append(value if quality else None)
        codes.append(quality)
    seen = [v for v in values if v is not None]
    if len(outside) > MOST_OUTSIDE * (len(seen) + len(outside)):
        share = 100.0 * len(outside) / (len(seen) + len(outside))
        lines.append(
            f"{source.name}: {name}: {share:.0f} % of the values are outside {tag.low:g} to "
            f"{tag.high:g} {tag.unit} of {tag.name} ({outside[0]:g}, ...): is its unit "
            f"{column.unit}?"
        )
    bad = sum(1 for c in codes if c is Quality.BAD)
    low, high = (min(seen), max(seen)) if seen else (math.nan, math.nan)
    missing = sum(1 for c in codes if c is None)
    found = Column(name, tag, column.unit, len(seen), missing, bad, low, high)
    return found, values, codes, lines[:TOLD]


def _number(text: Any, decimal: str) -> float:
    if isinstance(text, int | float):
        return float(text)
    return float(str(text).strip().replace(decimal, ".") if decimal != "." else str(text))


def _finite(text: Any, decimal: str) -> float:
    value = _number(text, decimal)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _gaps(times: Sequence[float]) -> tuple[tuple[float, float], ...]:
    steps = [b - a for a, b in pairwise(times)]
    usual = median(steps) if steps else 0.0
    return tuple((a, b) for a, b in pairwise(times) if b - a > GAP * usual)
