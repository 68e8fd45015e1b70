import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.point import Quality, Sample, Tag
from historian.sqlite import SqliteReader, SqliteStore, StoreError

T0 = 1.79e9 // 3600 * 3600  # a whole hour
DO = Tag("R1.do", "%", -5, 200)
PH = Tag("R1.ph", "[pH]", 0, 14)


def write(path: Path, rows: list[list[Sample]], group: int = 1000) -> None:
    with SqliteStore(path) as store:
        for first in range(0, len(rows), group):
            for row in rows[first : first + group]:
                store.append(row)
            store.flush()


def hour(tag: Tag, every: int = 1, of: int = 3600) -> list[list[Sample]]:
    return [[Sample(tag, T0 + i, i % 60, Quality.GOOD)] for i in range(0, of, every)]


def test_a_reader_may_be_made_before_the_store(tmp_path: Path) -> None:
    reader = SqliteReader(tmp_path / "store.sqlite")
    with pytest.raises(StoreError, match="no store here yet"):
        reader.tags()
    reader.path.touch()  # as it is while its writer makes it
    with pytest.raises(StoreError, match="no store here yet"):
        reader.tags()
    write(reader.path, hour(DO, of=3))
    assert reader.last("R1") == {"R1.do": Sample(DO, T0 + 2, 2.0, Quality.GOOD)}
    assert reader.last("R2") == {}


def test_a_reader_sees_the_store_while_it_is_written_and_after_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    reader = SqliteReader(path)
    with SqliteStore(path) as store:
        for i in range(3):
            store.append([Sample(DO, T0 + i, i, Quality.GOOD)])
            store.flush()
            assert reader.newest("R1")[0] == i + 1
    assert reader.newest("R1")[0] == 3
    reader.close()
    assert reader.newest("R1")[0] == 3  # opens again, although nobody writes
    assert SqliteReader(path).store_id() == reader.store_id()


@pytest.mark.parametrize(
    ("buckets", "width"), [(3600, 1), (600, 6), (60, 60), (12, 300), (1, 3600)]
)
def test_series_gives_least_greatest_and_mean(tmp_path: Path, buckets: int, width: float) -> None:
    path = tmp_path / "store.sqlite"
    write(path, hour(DO), group=777)
    series = SqliteReader(path).series(["R1.do"], T0, T0 + 3600, buckets)
    assert series.width_s == width
    assert series.times[0] == T0 + width / 2
    assert len(series.times) == 3600 / width
    trend = series.tags["R1.do"]
    for i, time in enumerate(series.times):
        begin = round(time - width / 2 - T0)
        inside = [j % 60 for j in range(begin, begin + round(width))]
        assert trend.low[i] == min(inside)
        assert trend.high[i] == max(inside)
        assert trend.mean[i] == pytest.approx(sum(inside) / len(inside))


@pytest.mark.parametrize("buckets", [3600, 60, 12])
def test_gaps_stay_gaps(tmp_path: Path, buckets: int) -> None:
    path = tmp_path / "store.sqlite"
    nan = math.nan
    rows = hour(DO)
    rows[600:1200] = [[Sample(DO, r[0].time, nan, Quality.BAD)] for r in rows[600:1200]]
    del rows[2400:3000]  # and nobody was there
    write(path, rows)
    series = SqliteReader(path).series(["R1.do", "R1.unknown"], T0, T0 + 3600, buckets)
    for time, mean in zip(series.times, series.tags["R1.do"].mean, strict=True):
        age = time - T0
        assert (mean is None) == (600 <= age < 1200 or 2400 <= age < 3000)
    assert set(series.tags["R1.unknown"].mean) == {None}


def test_a_slow_tag_has_no_gaps_between_its_samples_until_it_turns_bad(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    rows = hour(DO, of=300)
    for i in range(0, 200, 10):
        quality = Quality.BAD if i == 100 else Quality.GOOD
        rows[i].append(Sample(PH, T0 + i, math.nan if i == 100 else 7.0, quality))
    write(path, rows)
    mean = SqliteReader(path).series(["R1.ph"], T0, T0 + 300, 300).tags["R1.ph"].mean
    assert mean[:100] == [7.0] * 100
    assert mean[100:110] == [None] * 10
    assert mean[110:251] == [7.0] * 141  # held for a minute after the last one
    assert mean[252:] == [None] * 48


def test_windows_and_buckets_must_make_sense(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    write(path, hour(DO, of=3))
    reader = SqliteReader(path)
    for start, end, buckets in ((1.0, 1.0, 10), (2.0, 1.0, 10), (1.0, 2.0, 0), (math.nan, 1.0, 1)):
        with pytest.raises(ValueError, match="cannot bucket"):
            reader.series(["R1.do"], start, end, buckets)


def near_a_minute(minute: int, steps: int) -> float:
    """Return a time as near to a whole minute as a float of this size can be."""
    return minute * 60 + steps * 2.4e-7


@settings(max_examples=25, deadline=None)
@given(
    times=st.lists(
        st.one_of(
            st.integers(0, 900),
            st.builds(near_a_minute, st.integers(1, 15), st.integers(-2, 2)),
        ),
        min_size=1,
        max_size=80,
    ),
    group=st.integers(1, 30),
    restart=st.integers(0, 80),
)
def test_rollups_agree_with_the_rows_whatever_the_clock_does(
    tmp_path_factory: pytest.TempPathFactory, times: list[float], group: int, restart: int
) -> None:
    path = tmp_path_factory.mktemp("store") / "store.sqlite"
    rows = [[Sample(DO, T0 + t, i, Quality.GOOD)] for i, t in enumerate(times)]
    write(path, rows[:restart], group)
    write(path, rows[restart:], group)
    trend = SqliteReader(path).series(["R1.do"], T0, T0 + 960, 16).tags["R1.do"]
    for minute in range(16):
        low, high = T0 + minute * 60, T0 + (minute + 1) * 60
        inside = [i for i, t in enumerate(times) if low <= T0 + t < high]
        if not inside:
            assert trend.mean[minute] is None
        else:
            assert (trend.low[minute], trend.high[minute]) == (min(inside), max(inside))
            assert trend.mean[minute] == pytest.approx(sum(inside) / len(inside))


@settings(max_examples=25, deadline=None)
@given(
    start=st.floats(0, 1), length=st.floats(0.05, 40), buckets=st.integers(1, 300), data=st.data()
)
def test_every_value_of_a_window_is_in_some_bucket(
    tmp_path_factory: pytest.TempPathFactory,
    start: float,
    length: float,
    buckets: int,
    data: st.DataObject,
) -> None:
    path = tmp_path_factory.mktemp("store") / "store.sqlite"
    first, last = T0 + start, T0 + start + length
    times = data.draw(st.lists(st.floats(first, last), min_size=1, max_size=30))
    write(path, [[Sample(DO, time, i, Quality.GOOD)] for i, time in enumerate(times)])
    series = SqliteReader(path).series(["R1.do"], first, last, buckets)
    trend = series.tags["R1.do"]
    for i, time in enumerate(times):
        near = [
            (trend.low[b], trend.high[b])
            for b, middle in enumerate(series.times)
            if abs(middle - time) <= series.width_s * 0.5 + 1e-6
        ]
        inside = any(
            low is not None and high is not None and low <= i <= high for low, high in near
        )
        assert inside or time >= series.times[-1] + series.width_s / 2 - 1e-6
