"""A warning is told when it begins and when it ends, and not in between."""

from controller.alarms.notices import Notices
from historian.events import Event, Kind


def test_a_warning_is_told_when_it_begins_and_when_it_ends() -> None:
    told: list[Event] = []
    notices = Notices(told.append)
    clock, plain = "the server's clock is 7.3 s behind", "no encryption"
    notices.take("R1-gas", (), 0.0)
    notices.take("R1-gas", (plain,), 1.0)
    notices.take("R1-gas", (plain,), 2.0)
    notices.take("R1-gas", [plain, clock], 3.0)
    notices.take("R1-gas", [clock], 4.0)
    notices.take("R1-gas", [], 5.0)
    assert [(e.time, e.text, e.data["active"]) for e in told] == [
        (1.0, f"R1-gas: warning: {plain}", True),
        (3.0, f"R1-gas: warning: {clock}", True),
        (4.0, f"R1-gas: no longer: {plain}", False),
        (5.0, f"R1-gas: no longer: {clock}", False),
    ]
    assert {(e.kind, e.source, e.subject) for e in told} == {(Kind.NOTE, "system", "R1-gas")}


def test_a_number_that_changes_makes_no_new_warning() -> None:
    told: list[Event] = []
    notices = Notices(told.append)
    for day in range(30, 0, -1):
        notices.take("R1-gas", [f"certificate ends in {day} days"], 86_400.0 * day)
    notices.take("R1-gas", [], 0.0)
    assert [e.text for e in told] == [
        "R1-gas: warning: certificate ends in 30 days",
        "R1-gas: no longer: certificate ends in 1 days",
    ]


def test_each_device_has_its_own_warnings() -> None:
    told: list[Event] = []
    notices = Notices(told.append)
    notices.take("R1-gas", ["no encryption"], 1.0)
    notices.take("R2-gas", ["no encryption"], 1.0)
    notices.take("R1-gas", [], 2.0)
    assert [e.subject for e in told] == ["R1-gas", "R2-gas", "R1-gas"]
