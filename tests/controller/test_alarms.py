"""An alarm is told when it begins and when it ends, and shown in between."""

from controller.alarms import Alarm, Alarms
from historian.events import Event, Kind


def test_an_alarm_is_told_once_at_its_beginning_and_once_at_its_end() -> None:
    told: list[Event] = []
    alarms = Alarms(told.append)
    for now in (10.0, 11.0, 12.0):
        alarms.set("device R1-io", True, now, "R1-io", f"no reply at {now:g}")
    assert alarms.active == {"device R1-io": Alarm(10.0, "R1-io", "no reply at 10")}
    for now in (70.0, 71.0):
        alarms.set("device R1-io", False, now, "R1-io", "")
    assert alarms.active == {}
    assert [(e.time, e.kind, e.subject, e.text, e.data) for e in told] == [
        (10.0, Kind.ALARM, "R1-io", "no reply at 10", {"active": True}),
        (70.0, Kind.ALARM, "R1-io", "over after 60 s: no reply at 10", {"active": False}),
    ]


def test_alarms_do_not_disturb_each_other_and_may_come_again() -> None:
    told: list[Event] = []
    alarms = Alarms(told.append)
    alarms.set("a", True, 1.0, "R1", "first")
    alarms.set("b", True, 2.0, "R1", "second")
    alarms.set("a", False, 3.0, "R1", "")
    assert list(alarms.active) == ["b"]
    alarms.set("a", True, 4.0, "R1", "again")
    assert [a.text for a in alarms.active.values()] == ["second", "again"]
    assert len(told) == 4
