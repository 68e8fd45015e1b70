"""What the report judges a batch by: good batches before it, and its alarms."""

from collections.abc import Iterator

import pytest

from drivers.point import Quality, Sample, Tag
from fermloop.batch_report.alarm_health import health, priorities
from fermloop.batch_report.golden import distance, references_of
from fermloop.batch_report.page import page
from historian.events import Event, Kind
from historian.history import History
from historian.sqlite import SqliteReader, SqliteStore

T0 = 1_790_000_040.0
DAY = 86_400.0
DO, FEED = Tag("R1.do", "%", 0, 100), Tag("R1.feed", "mL/h", 0, 200)
DOS = (28.0, 30.0, 34.0, 39.0)  # of the batches, always; range 28 to 34 around 30, half of it 3

ALARMS = (*range(0, 550, 50), 4000, 9000)  # eleven at once, then two


def alarm(time: float, *, seen: bool) -> Event:
    told = {"id": f"R1.a{time}", "priority": "high", "time": time, "reactor": "R1", "text": "x"}
    told |= {"ended": time + 9.0, "seen": time + 5.0} if seen else {}
    return Event(time, "system", Kind.ALARM, "R1.do", "x", told)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteReader]:
    path = tmp_path_factory.mktemp("judged") / "store.sqlite"
    with SqliteStore(path, wait_when_full=True) as store:
        for n, do in enumerate(DOS):
            began = T0 + n * DAY

            def phase(time: float, text: str, **data: object) -> None:
                store.record(Event(time, "recipe", Kind.PHASE, "R1", text, data))

            recipe = {"name": "ecoli", "phase": [{"name": "batch"}]}
            phase(began, "started", batch=f"R1-{n}", state="RUNNING", recipe=recipe)
            for minute in range(0, 300):
                time = began + 60.0 * minute
                fed = 10.0 if n < 3 or minute < 150 else 10.5
                feed = Sample(FEED, time, fed, Quality.GOOD)
                store.append([Sample(DO, time, do, Quality.GOOD), feed])
            for second in ALARMS if n == 3 else ():
                store.record(alarm(began + second, seen=second != 4000))
            phase(began + 300 * 60.0, "complete", state="COMPLETE")
    with SqliteReader(path) as reader:
        yield reader


def test_the_distance_to_good_batches_is_in_half_widths_of_their_range(
    reader: SqliteReader,
) -> None:
    last = reader.batch("R1-3").batch
    assert references_of(reader, last) == ["R1-0", "R1-1", "R1-2"]
    with History(reader.path) as history:
        found = distance(history, last, ["R1-0", "R1-1", "R1-2"])
        assert found is not None
        assert found.tags["do"] == (pytest.approx(3.0), 1.0)  # (39 - 30) / 3, always outside
        assert distance(history, last, ["R1-0", "R1-1"]) is None
        same = distance(history, reader.batch("R1-1").batch, ["R1-0", "R1-1", "R1-2"])
    assert same is not None
    assert same.whole == 0.0


def test_where_all_references_agree_the_band_is_a_hundredth_of_their_greatest(
    reader: SqliteReader,
) -> None:
    with History(reader.path) as history:
        found = distance(history, reader.batch("R1-3").batch, ["R1-0", "R1-1", "R1-2"])
    assert found is not None
    # 0.5 mL/h too much in the second half, of at most 10 mL/h: five hundredths
    assert found.tags["feed"][1] == pytest.approx(0.5, abs=0.01)
    assert found.tags["feed"][0] == pytest.approx(0.5**0.5 * 5.0, rel=0.02)


def test_the_health_of_the_alarms_is_counted_in_ten_minutes(reader: SqliteReader) -> None:
    record = reader.batch("R1-3")
    found = {h.key: (h.value, h.ok) for h in health(record, record.batch.began + 300 * 60.0)}
    assert found["alarms"] == (13, True)
    assert found["mean"] == (pytest.approx(13 / 30), True)
    assert found["peak"] == (11, False)
    assert found["flood"] == (pytest.approx(100 / 30), False)
    assert found["standing"] == (0, True)
    assert found["unseen"] == (1, False)
    assert priorities(record) == {"high": 13}
    quiet = reader.batch("R1-0")
    assert all(h.ok for h in health(quiet, quiet.batch.began + 3600.0))


def test_the_page_shows_both(reader: SqliteReader) -> None:
    text = page(reader, "R1-3", "both", T0, "ana")
    assert "Against 3 batches at the same age: R1-0, R1-1, R1-2" in text
    assert "100 %" in text
    few = page(reader, "R1-1", "both", T0, "ana")
    assert "Fewer than three complete batches" in few
    named = page(reader, "R1-1", "both", T0, "ana", ["R1-0", "R1-2", "R1-3"])
    assert "Against 3 batches at the same age: R1-0, R1-2, R1-3" in named
