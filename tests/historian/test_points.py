"""What is forwarded beside the rows: minutes, events, audit heads, units; and of which batch."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.point import Quality, Sample, Tag
from historian.events import Event, Kind
from historian.outbox import Outbox
from historian.progress import Cursor
from historian.sqlite import SqliteReader, SqliteStore

T0 = 1_790_000_040  # a whole minute
DO = Tag("R1.do", "%", 0, 100)
PH = Tag("R1.ph", "[pH]", 0, 14)


class Plant:
    """A store and what is forwarded of it."""

    def __init__(self, path: Path) -> None:
        self.store = SqliteStore(path)
        self.reader = SqliteReader(path)
        self.outbox = Outbox(self.reader, "demo")
        self.cursor = Cursor()

    def scan(self, second: int, do: float = 30.0, quality: Quality = Quality.GOOD) -> None:
        ph = Sample(PH, T0 + second, 7.0, Quality.GOOD)
        self.store.append([Sample(DO, T0 + second, do, quality), ph])

    def told(self, second: float, kind: Kind, text: str, **data: object) -> None:
        self.store.record(Event(T0 + second, "recipe", kind, "R1", text, data))

    def sent(self, measurement: str, rows: int = 1000) -> list[str]:
        """Acknowledge everything that is new; return the lines of one measurement."""
        self.store.flush()
        portion = self.outbox.newest(self.cursor, rows)
        self.cursor = portion.then
        return [line.text for line in portion.lines if line.text.startswith(measurement + ",")]


class Bilingual(str):
    """A line as the controller's are."""

    __slots__ = ()

    def told(self, language: str) -> str:
        return f"{language}: {self}"


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    plant = Plant(tmp_path / "store.sqlite")
    yield plant
    plant.reader.close()
    plant.store.close()


def test_a_minute_follows_when_it_is_over_and_shows_its_worst_quality(plant: Plant) -> None:
    for second in range(60):
        quality = Quality.UNCERTAIN if second == 7 else Quality.GOOD
        plant.scan(second, 30.0 + second, quality)
    assert plant.sent("fermloop_1m") == []
    plant.scan(60)
    assert plant.sent("fermloop_1m") == [
        "fermloop_1m,batch=none,reactor=R1,site=demo"
        " do=59.5,do_min=30.0,do_max=89.0,do_n=60i,do_q=1i,ph=7.0,ph_min=7.0,ph_max=7.0,ph_n=60i"
        f" {T0}000000"
    ]
    plant.scan(61)
    assert plant.sent("fermloop_1m") == []


def test_a_minute_without_a_good_value_has_a_quality_and_no_number(plant: Plant) -> None:
    for second in range(61):
        plant.scan(second, math.nan, Quality.BAD)
    (line,) = plant.sent("fermloop_1m")
    assert " do_q=0i,ph=7.0," in line


def test_a_minute_is_sent_again_when_a_clock_that_stepped_back_has_changed_it(plant: Plant) -> None:
    plant.scan(0)
    plant.scan(60)
    assert " do=30.0,do_min=30.0,do_max=30.0,do_n=1i," in plant.sent("fermloop_1m")[0]
    plant.scan(30, 40.0)
    plant.sent("fermloop_1m")
    plant.scan(61)
    plant.scan(120)
    first, second = plant.sent("fermloop_1m")
    assert " do=35.0,do_min=30.0,do_max=40.0,do_n=2i," in first
    assert "do_n=2i" in second


def test_rows_events_and_minutes_are_told_of_their_batch(plant: Plant) -> None:
    plant.scan(0)
    plant.told(1, Kind.PHASE, "batch R1-1 started", batch="R1-1", state="RUNNING")
    plant.scan(1)
    plant.told(2, Kind.PHASE, "held", state="HELD")
    plant.scan(2)
    plant.told(3, Kind.PHASE, "complete", state="COMPLETE")
    plant.scan(3)
    plant.told(60, Kind.PHASE, "batch R1-2 started", batch="R1-2", version=1)
    for second in (60, 61, 120):
        plant.scan(second)
    plant.store.flush()
    lines = [line.text for line in plant.outbox.newest(plant.cursor, 1000).lines]

    def batches(measurement: str) -> list[str]:
        here = (t for t in lines if t.startswith(measurement + ",") and "kind=gap" not in t)
        return [t.partition("batch=")[2].partition(",")[0] for t in here]

    assert batches("fermloop") == ["none", "R1-1", "R1-1", "none", "R1-2", "R1-2", "R1-2"]
    assert batches("event") == ["R1-1", "R1-1", "none", "R1-2"]
    assert batches("fermloop_1m") == ["none", "R1-2"]


def test_events_of_one_moment_do_not_replace_each_other(plant: Plant) -> None:
    plant.scan(0)
    plant.told(0, Kind.AUDIT, 'R1.do: setpoint 30 → "35" %', why="as the recipe\nhas it")
    plant.told(0, Kind.AUDIT, "R1.ph: mode MANUAL → AUTO")
    head = "event,batch=none,kind=audit,reactor=R1,site=demo"
    assert plant.sent("event") == [
        rf'{head} id=1i,source="recipe",subject="R1",text="R1.do: setpoint 30 → \"35\" %",'
        rf'text_zh="R1.do: setpoint 30 → \"35\" %",why="as the recipe has it" {T0}000001',
        f'{head} id=2i,source="recipe",subject="R1",text="R1.ph: mode MANUAL → AUTO",'
        f'text_zh="R1.ph: mode MANUAL → AUTO" {T0}000002',
    ]


def test_a_sentence_that_can_be_told_in_chinese_is_sent_in_both(plant: Plant) -> None:
    plant.scan(0)
    plant.told(0, Kind.PHASE, Bilingual("phase fed began"), index=1)
    # of an alarm: what is wrong, and not that it is over
    over = {"text": "low: 19", "text_zh": "低：19"}
    for second, text in enumerate(("low: 19", "over after 3 s: low: 19"), 1):
        plant.store.record(Event(T0 + second, "system", Kind.ALARM, "R1", text, over))
    told = [line.partition("text_zh=")[2].split('"')[1] for line in plant.sent("event")]
    assert told == ["zh: phase fed began", "低：19", "over after 3 s: low: 19"]


def test_the_newest_link_of_the_audit_trail_is_sent_once(plant: Plant) -> None:
    plant.scan(0)
    plant.told(0, Kind.AUDIT, "a")
    plant.told(5, Kind.AUDIT, "b")
    (line,) = plant.sent("audit_head")
    sha256 = plant.reader.verify().head
    stamp = f"{T0 + 5}000000"
    assert line == f'audit_head,reactor=plant,site=demo hash="{sha256}",seq=2i {stamp}'
    plant.told(6, Kind.NOTE, "no audit")
    assert plant.sent("audit_head") == []


def test_units_are_told_once_a_day_and_when_a_tag_comes(plant: Plant) -> None:
    plant.scan(0)
    assert plant.sent("tag") == [
        f'tag,field=do,reactor=R1,site=demo high=100.0,low=0.0,unit="%" {T0}000000',
        f'tag,field=ph,reactor=R1,site=demo high=14.0,low=0.0,unit="[pH]" {T0}000000',
    ]
    plant.scan(1)
    assert plant.sent("tag") == []
    plant.outbox = Outbox(plant.reader, "demo")  # a restart tells nothing twice
    plant.scan(2)
    assert plant.sent("tag") == []
    plant.store.append([Sample(Tag("R1.od", "1", 0, 9), T0 + 3, 1.0, Quality.GOOD)])
    assert len(plant.sent("tag")) == 3
    plant.scan(86_400)
    assert len(plant.sent("tag")) == 3


def test_the_newest_rows_go_first_and_what_was_missed_between_them(plant: Plant) -> None:
    for second in range(5000):
        plant.scan(second)
    first = plant.sent("fermloop", 100)
    assert [int(line[-16:-6]) - T0 for line in (first[0], first[-1])] == [4940, 4999]
    assert plant.cursor.gaps == {"R1": [[0, 4940]]}
    assert plant.outbox.behind(plant.cursor) == (4940, 0.0)
    for second in range(5000, 7000):
        plant.scan(second)
    assert len(plant.sent("fermloop", 100)) == 60  # again far behind: another gap
    assert plant.cursor.gaps == {"R1": [[0, 4940], [5000, 6940]]}
    times: list[int] = []
    minutes: list[str] = []
    while any(plant.cursor.gaps.values()):
        portion = plant.outbox.missed(plant.cursor, 300)
        plant.cursor = portion.then
        rows = [line.text for line in portion.lines if line.seq]
        times += [int(text[-16:-6]) - T0 for text in rows]
        minutes += [line.text for line in portion.lines if not line.seq]
    assert times == [*range(4940), *range(5000, 6940)]
    assert plant.outbox.behind(plant.cursor) == (0, 0.0)
    starts = {int(text[-16:-6]) for text in minutes}
    assert {T0 + 60 * i for i in range(115)} <= starts
    assert plant.cursor.minutes == {"R1": [(T0 + 6999) // 60]}


def test_each_start_tells_which_software_runs(plant: Plant) -> None:
    plant.scan(0)
    plant.told(1, Kind.NOTE, "started", versions={"fermloop": "1.2", "device.R1-io": 'a "PLC"'})
    assert plant.sent("software") == [
        'software,reactor=plant,site=demo device.R1-io="a \\"PLC\\"",fermloop="1.2"'
        " 1790000041000000"
    ]


RESULT = {
    "number": 3,
    "analyte": "dry_weight",
    "value": 5.5,
    "unit": "g/L",
    "below_limit": False,
    "t_sampled": T0 + 10.0,
}


def test_a_result_of_the_laboratory_stands_at_its_sample_and_a_correction_replaces_it(
    plant: Plant,
) -> None:
    plant.scan(0)
    plant.told(60, Kind.AUDIT, "entered", result=RESULT)
    plant.told(90, Kind.AUDIT, "corrected", result={**RESULT, "number": 4, "value": 6.0})
    first, second = plant.sent("laboratory")
    assert first == (
        "laboratory,analyte=dry_weight,reactor=R1,site=demo"
        ' below_limit=0i,number=3i,unit="g/L",value=5.5 1790000050000000'
    )
    assert second.split(" ")[0] == first.split(" ")[0]
    assert second.split(" ")[-1] == first.split(" ")[-1]


def test_what_a_plan_foresees_stands_at_the_times_that_it_foresees(plant: Plant) -> None:
    plant.scan(0)
    foreseen = {"feed.sp": [10.0, 11.0, 12.0], "est.biomass_low": [1.0, 2.0, 3.0]}
    times = [T0 + 600.0, T0 + 1200.0, T0 + 1800.0]
    plant.told(0, Kind.PLAN, "plan", made=T0, times=times, early_s=1200.0, foreseen=foreseen)
    lines = plant.sent("foreseen")
    made = f"made={T0 * 1000}i"
    assert lines[0] == (
        f"foreseen,reactor=R1,site=demo {made},feed.sp=10.0,est.biomass_low=1.0 1790000640000000"
    )
    early = [line for line in lines if "_early" in line]
    assert early == [
        f"foreseen,reactor=R1,site=demo {made},feed.sp=11.0,feed.sp_early=11.0,"
        "est.biomass_low=2.0,est.biomass_low_early=2.0 1790001240000000"
    ]


def test_an_event_of_a_phase_has_its_name_and_how_a_batch_ended(plant: Plant) -> None:
    plant.scan(0)
    plant.told(1, Kind.PHASE, "began", phase="feed", index=1)
    plant.told(2, Kind.PHASE, "held", state="HELD")
    plant.told(3, Kind.PHASE, "complete", state="COMPLETE")
    sent = plant.sent("event")
    assert [line.partition('phase="')[2].partition('"')[0] for line in sent] == [
        "feed",
        "",
        "COMPLETE",
    ]
