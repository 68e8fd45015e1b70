"""The record of a batch, rebuilt from the events of the store alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from drivers.point import Quality, Sample, Tag
from historian.events import Event, Kind
from historian.sqlite import SqliteReader, SqliteStore

T0 = 1.79e9
H = 3600.0
RECIPE: dict[str, Any] = {
    "name": "short",
    "parameters": {"mu": {"value": 0.2, "unit": "1/h", "low": 0.1, "high": 0.3}},
    "phase": [{"name": "fill"}, {"name": "seed", "inoculates": True}, {"name": "grow"}],
}


def started(reactor: str, time: float, number: int) -> Event:
    data = {
        "batch": f"{reactor}-{number}",
        "state": "RUNNING",
        "version": 1,
        "recipe": RECIPE,
        "plant_file": {"name": "plant.toml", "text": 'site = "demo"\n'},
        "software": "fermloop 1",
    }
    return Event(time, "recipe", Kind.PHASE, reactor, f"batch {reactor}-{number} started", data)


def phase(reactor: str, time: float, **data: object) -> Event:
    return Event(time, "recipe", Kind.PHASE, reactor, str(data), data)


def audit(time: float, source: str, subject: str, what: str, **data: object) -> Event:
    all_ = {"what": what, "old": 30.0, "new": 35.0, "why": "acetate", **data}
    return Event(time, source, Kind.AUDIT, subject, f"{subject} {what}", all_)


def alarm(reactor: str, began: float, **data: object) -> Event:
    all_ = {"id": f"{reactor}.do.low", "reactor": reactor, "time": began, "priority": "high"}
    return Event(T0, "system", Kind.ALARM, f"{reactor}.do", "low", {**all_, **data})


def result(time: float, number: int, sampled: float, corrects: int = 0) -> Event:
    entered = {"number": number, "t_sampled": sampled, "corrects": corrects, "value": 1.0}
    return audit(time, "operator:bo", "R1.biomass", "sample", result=entered)


@pytest.fixture
def store(tmp_path: Path) -> SqliteReader:
    path = tmp_path / "store.sqlite"
    events = [
        result(T0 - H, 1, T0 - 2 * H),  # of no batch
        started("R1", T0, 1),
        started("R2", T0, 1),
        phase("R1", T0, phase="fill", index=0),
        phase("R1", T0 + H, inoculated=True),
        phase("R1", T0 + H, phase="grow", index=2),
        result(T0 + H, 2, T0 - H),  # of broth before it, entered late
        audit(T0 + 2 * H, "operator:ana", "R1.do", "setpoint", unit="%"),
        audit(T0 + 2 * H, "operator:ana", "R2.do", "setpoint"),
        audit(T0 + 2 * H, "operator:cy", "cy", "user login"),
        audit(T0 + 2 * H, "operator:ana", "R1.feed", "setpoint", refused="too much"),
        audit(T0 + 2 * H, "optimiser", "R1.feed", "setpoint"),
        alarm("R1", T0 + 3 * H, state="unacknowledged"),
        alarm("R2", T0 + 3 * H, state="unacknowledged"),
        alarm("R1", T0 + 3 * H, ended=T0 + 3.5 * H, seen=T0 + 3.6 * H, who="ana", comment="probe"),
        Event(T0 + 3 * H, "optimiser", Kind.ADVICE, "R1", "feed 5 % more"),
        Event(T0 + 3 * H, "system", Kind.GAP, "demo", "store queue full"),
        Event(T0 + 3 * H, "system", Kind.NOTE, "demo", "the controller was restarted"),
        phase("R1", T0 + 4 * H, state="HELD"),
        phase("R1", T0 + 5 * H, state="RUNNING"),
        phase("R1", T0 + 5 * H, recipe={**RECIPE, "organism": "ecoli"}, version=2),
        phase("R1", T0 + 6 * H, state="COMPLETE"),
        audit(T0 + 6.5 * H, "operator:ana", "R1.do", "mode"),  # after it
        started("R2", T0 + 7 * H, 2),  # nobody told how R2-1 ended
        result(T0 + 8 * H, 3, T0 + 5 * H),
        result(T0 + 9 * H, 4, T0 + 5 * H, corrects=3),
        result(T0 + 9 * H, 5, T0 + 8 * H),  # of broth after it
    ]
    with SqliteStore(path) as writer:
        writer.append([Sample(Tag("R1.do", "%", 0, 100), T0, 30.0, Quality.GOOD)])
        for event in events:
            writer.record(event)
    return SqliteReader(path)


def test_batches_are_found_with_state_and_times(store: SqliteReader) -> None:
    one, two, three = store.batches()
    assert (one.id, one.recipe, one.state) == ("R1-1", "short", "COMPLETE")
    assert (one.began, one.inoculated, one.ended) == (T0, T0 + H, T0 + 6 * H)
    assert one.age_h(T0 + 3 * H) == 2.0  # from the inoculation
    assert (two.id, two.state, two.ended) == ("R2-1", "UNFINISHED", T0 + 7 * H)
    assert (three.id, three.state, three.ended, three.inoculated) == ("R2-2", "RUNNING", None, None)
    assert [b.id for b in store.batches("R2")] == ["R2-1", "R2-2"]


def test_the_record_has_all_that_happened_to_its_reactor_and_nothing_else(
    store: SqliteReader,
) -> None:
    record = store.batch("R1-1")
    assert record.software == "fermloop 1"
    assert (record.plant_file.name, record.plant_file.text) == ("plant.toml", 'site = "demo"\n')
    assert record.parameters == {"mu": 0.2}
    assert [(r.number, r.time) for r in record.recipes] == [(1, T0), (2, T0 + 5 * H)]
    assert record.recipes[0].table == RECIPE
    assert record.recipes[0].hash != record.recipes[1].hash
    assert [(p.name, p.began, p.ended) for p in record.phases] == [
        ("fill", T0, T0 + H),
        ("grow", T0 + H, T0 + 6 * H),
    ]
    first, refused, planned = record.changes
    assert (first.source, first.subject, first.what) == ("operator:ana", "R1.do", "setpoint")
    assert (first.old, first.new, first.unit, first.why) == (30.0, 35.0, "%", "acetate")
    assert refused.refused == "too much"
    assert record.decisions == (planned,)
    (span,) = record.alarms
    assert (span.began, span.ended, span.acknowledged) == (T0 + 3 * H, T0 + 3.5 * H, T0 + 3.6 * H)
    assert (span.priority, span.who, span.comment) == ("high", "ana", "probe")
    assert [(s["number"], s.get("corrected_by")) for s in record.samples] == [(3, 4), (4, None)]
    assert [e["text"] for e in record.advice] == ["feed 5 % more"]
    assert [e["text"] for e in record.gaps] == ["store queue full"]
    assert [e["text"] for e in record.notes] == ["the controller was restarted"]
    told = json.loads(json.dumps(record.as_json()))
    assert (told["id"], told["recipes"][1]["number"]) == ("R1-1", 2)


def test_one_under_way_has_what_there_is_so_far(store: SqliteReader) -> None:
    record = store.batch("R2-2")
    assert (record.phases, record.samples, record.alarms) == ((), (), ())
    assert store.batch("R2-1").alarms[0].id == "R2.do.low"


def test_an_unknown_one_is_refused_with_those_there_are(store: SqliteReader) -> None:
    with pytest.raises(LookupError, match=r"R9-1: no such batch; .*: R1-1, R2-1, R2-2"):
        store.batch("R9-1")
