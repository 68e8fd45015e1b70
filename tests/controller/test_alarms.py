"""An alarm begins, ends and is acknowledged; each change is told, and survives a restart."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.alarms.alarm import Definition, Priority, State
from controller.alarms.alarms import Alarms
from controller.alarms.texts import CHINESE, ENGLISH, TEXTS
from controller.loops.loop import RefusedError
from historian.event_rows import EventRow
from historian.events import Event, Kind


def definition(
    name: str = "R1.x.high", on: float = 0.0, off: float = 0.0, group: str = "R1"
) -> Definition:
    params = {"limit": 38.0, "unit": " °C", "code_unit": "Cel"}
    return Definition(name, "R1.x", "high", Priority.HIGH, "R1", group, on, off, params)


class Register(Alarms):
    """Alarms with what they told."""

    def __init__(self, *definitions: Definition) -> None:
        self.told: list[Event] = []
        super().__init__(definitions, self.told.append)

    def see(self, pattern: str, name: str = "R1.x.high", start: float = 0.0) -> list[State]:
        """Say each second whether it is so: ``#`` it is, ``.`` it is not, ``?`` nobody knows."""
        states: list[State] = []
        for second, mark in enumerate(pattern):
            if mark != "?":
                self.set(name, mark == "#", start + second, 38.4)
            states.append(self[name].state)
        return states


def letters(states: Sequence[State]) -> str:
    return "".join(
        {"normal": "n", "unacknowledged": "U", "acknowledged": "A", "returned": "r"}[s]
        for s in states
    )


def test_each_beginning_and_end_is_told_once_in_both_languages() -> None:
    alarms = Register(definition())
    assert letters(alarms.see("..##..")) == "nnUUrr"
    begun, ended = alarms.told
    assert begun == Event(2.0, "system", Kind.ALARM, "R1.x", "high: 38.4 above 38 °C", begun.data)
    assert begun.data["text_zh"] == "高：38.4，超过 38 °C"
    wanted = {"id": "R1.x.high", "code": "high", "priority": "high", "severity": 700, "limit": 38.0}
    wanted |= {"state": "unacknowledged", "active": True, "value": 38.4, "unit": "Cel", "count": 1}
    assert wanted.items() <= begun.data.items()
    assert ended.text == "over after 2 s: high: 38.4 above 38 °C"
    assert (ended.data["state"], ended.data["time"], ended.data["ended"]) == ("returned", 2.0, 4.0)


@pytest.mark.parametrize(
    ("seen", "states"),
    [
        ("####", "nnnU"),  # after 3 s
        ("##.###.", "nnnnnnn"),  # the delay begins again when it is not so for once
        ("#??#", "nnnU"),  # what nobody knows stops no delay
        ("#???", "nnnn"),  # but nothing begins with it
        ("####.....", "nnnUUUUUU"),
        ("####......", "nnnUUUUUUr"),  # 5 s later
        ("####....#.....#", "nnnUUUUUUUUUUUU"),
        ("####.????.", "nnnUUUUUUr"),
        ("####.?????", "nnnUUUUUUU"),
    ],
)
def test_delays(seen: str, states: str) -> None:
    alarms = Register(definition(on=3.0, off=5.0))
    assert letters(alarms.see(seen)) == states


def test_an_acknowledged_alarm_is_normal_when_it_returns() -> None:
    alarms = Register(definition())
    alarms.see(".#")
    done = alarms.acknowledge("R1.x.high", 5.0, "ana", "cooling valve opened")
    assert [a.definition.id for a in done] == ["R1.x.high"]
    assert alarms["R1.x.high"].state is State.ACKNOWLEDGED
    told = alarms.told[-1]
    assert (told.source, told.text) == (
        "operator:ana",
        "acknowledged: cooling valve opened: high: 38.4 above 38 °C",
    )
    assert {
        "who": "ana",
        "comment": "cooling valve opened",
        "seen": 5.0,
    }.items() <= told.data.items()
    alarms.see(".", start=9.0)
    assert (alarms["R1.x.high"].state, alarms.listed) == (State.NORMAL, {})


def test_a_returned_alarm_stays_until_somebody_has_seen_it() -> None:
    alarms = Register(definition())
    alarms.see("#.")
    assert list(alarms.listed) == ["R1.x.high"]
    assert alarms.active == {}
    alarms.acknowledge("R1.x.high", 5.0, "ana", "")
    assert alarms.listed == {}
    assert alarms.told[-1].text == "acknowledged: high: 38.4 above 38 °C"


def test_one_that_begins_again_is_to_be_acknowledged_again() -> None:
    alarms = Register(definition())
    alarms.see("#.#.")
    assert alarms["R1.x.high"].count == 2
    alarms.see("#", start=10.0)
    alarms.acknowledge("R1", 11.0, "ana", "")
    alarms.see(".#", start=12.0)
    alarm = alarms["R1.x.high"]
    assert (alarm.state, alarm.count, alarm.began, alarm.who) == (State.UNACKNOWLEDGED, 1, 13.0, "")


def test_what_cannot_be_acknowledged_is_refused_with_a_reason() -> None:
    alarms = Register(definition(), definition("R1.y.high"))
    with pytest.raises(LookupError, match=r"R9: no such alarm or reactor; .* acknowledged: none"):
        alarms.acknowledge("R9", 0.0, "ana", "")
    with pytest.raises(RefusedError, match=r"R1\.x\.high: it is normal; there is nothing to"):
        alarms.acknowledge("R1.x.high", 0.0, "ana", "")
    with pytest.raises(RefusedError, match="R1: no alarm of it is to be acknowledged"):
        alarms.acknowledge("R1", 0.0, "ana", "")
    alarms.see("#")
    with pytest.raises(LookupError, match=r"R9: .* acknowledged: R1\.x\.high"):
        alarms.acknowledge("R9", 0.0, "ana", "")
    alarms.acknowledge("R1.x.high", 1.0, "ana", "")
    with pytest.raises(RefusedError, match=r"R1\.x\.high: it was acknowledged by ana already"):
        alarms.acknowledge("R1.x.high", 2.0, "ben", "")


def test_a_reactor_is_acknowledged_at_once_and_no_other() -> None:
    other = Definition("R2.x.high", "R2.x", "bad", Priority.LOW, "R2", "R2")
    alarms = Register(definition(), definition("R1.y.high"), other)
    for name in ("R1.x.high", "R1.y.high", "R2.x.high"):
        alarms.see("#", name)
    done = alarms.acknowledge("R1", 5.0, "ana", "")
    assert [a.definition.id for a in done] == ["R1.x.high", "R1.y.high"]
    assert alarms["R2.x.high"].state is State.UNACKNOWLEDGED


def test_the_first_of_a_burst_is_marked_until_all_is_normal_and_acknowledged() -> None:
    names = ["R1.a.high", "R1.b.high", "R1.c.high"]
    alarms = Register(*map(definition, names), definition("R1.d.high", group="jacket"))

    def first() -> list[str]:
        return [n for n, a in alarms.listed.items() if a.first_out]

    alarms.see("#", "R1.b.high", 1.0)
    alarms.see("#", "R1.a.high", 2.0)
    alarms.see("#", "R1.d.high", 3.0)
    assert first() == ["R1.b.high", "R1.d.high"]
    alarms.see(".", "R1.b.high", 4.0)
    alarms.acknowledge("R1.b.high", 5.0, "ana", "")
    assert alarms["R1.b.high"].state is State.NORMAL
    assert first() == ["R1.b.high", "R1.d.high"]  # the cause is still shown
    alarms.acknowledge("R1.a.high", 6.0, "ana", "")
    alarms.see("#", "R1.c.high", 7.0)  # all that stands was seen: another burst
    assert first() == ["R1.b.high", "R1.d.high", "R1.c.high"]
    for name in names:
        alarms.see(".", name, 8.0)
    assert first() == ["R1.b.high", "R1.d.high", "R1.c.high"]
    alarms.acknowledge("R1.c.high", 9.0, "ana", "")
    assert first() == ["R1.d.high"]
    assert list(alarms.listed) == ["R1.d.high"]


def test_people_see_what_is_to_be_acknowledged_first_then_by_priority() -> None:
    alarms = Register(
        Definition("low", "R1", "bad", Priority.LOW),
        Definition("high", "R1", "bad", Priority.HIGH),
        Definition("over", "R1", "bad", Priority.CRITICAL),
        Definition("seen", "R1", "bad", Priority.CRITICAL),
        Definition("young", "R1", "bad", Priority.LOW),
    )
    for name in ("low", "high", "over", "seen"):
        alarms.set(name, True, 1.0)
    alarms.set("young", True, 2.0)
    alarms.set("over", False, 3.0)
    alarms.acknowledge("seen", 3.0, "ana", "")
    assert [a.definition.id for a in alarms.sorted()] == ["high", "young", "low", "over", "seen"]


def test_a_restart_brings_every_state_back_with_its_time() -> None:
    names = ["R1.seen.high", "R1.new.high", "R1.over.high", "R1.gone.high"]
    before = Register(*map(definition, names))
    for name in names:
        before.see("#", name, 100.0)
    before.see(".", "R1.over.high", 150.0)
    before.acknowledge("R1.seen.high", 160.0, "ana", "on it")
    kept = json.loads(json.dumps(before.as_state()))

    after = Register(*map(definition, names[:3]))
    assert after.restore(kept) == [
        "R1.gone.high: no longer in the plant file; its alarm is forgotten"
    ]
    assert [a.state for a in after.listed.values()] == [
        "acknowledged",
        "unacknowledged",
        "returned",
    ]
    assert {a.began for a in after.listed.values()} == {100.0}
    seen = after["R1.seen.high"]
    assert (seen.who, seen.comment, seen.seen, seen.first_out) == ("ana", "on it", 160.0, True)
    assert seen.text == "high: 38.4 above 38 °C"
    for name in names[:2]:
        after.see("#", name, 200.0)  # it is still so
    assert after.told == []
    after.see(".", "R1.seen.high", 300.0)
    assert after.told[0].text.startswith("over after 200 s: ")


@pytest.mark.parametrize("damage", [{"count": None}, {"began": "x"}, {"params": 3}])
def test_a_damaged_alarm_begins_anew_and_is_named(damage: dict[str, object]) -> None:
    before = Register(definition(), definition("R1.y.high"))
    before.see("#")
    before.see("#", "R1.y.high")
    kept = json.loads(json.dumps(before.as_state()))
    kept["R1.x.high"] |= damage
    after = Register(definition(), definition("R1.y.high"))
    (line,) = after.restore(kept)
    assert line.startswith("R1.x.high: begins anew; what was kept is damaged: ")
    assert list(after.listed) == ["R1.y.high"]


def test_every_text_is_there_in_both_languages_with_the_same_names() -> None:
    def names(text: str) -> set[str]:
        return {part.partition("}")[0] for part in text.split("{")[1:]}

    assert ENGLISH.keys() == CHINESE.keys()
    for code, text in ENGLISH.items():
        assert names(text) == names(CHINESE[code]), code
    assert set(TEXTS) == {"en", "zh"}


steps = st.lists(st.tuples(st.sampled_from("#.?a"), st.floats(0.1, 30.0)), max_size=60)


@settings(deadline=None, max_examples=150)
@given(steps, st.floats(0, 20), st.floats(0, 20))
def test_no_alarm_begins_or_ends_sooner_than_its_delays_allow(
    script: list[tuple[str, float]], on_s: float, off_s: float
) -> None:
    alarms = Register(definition(on=on_s, off=off_s))
    now, since, was = 0.0, math.inf, "."  # since when what is known has not changed
    for mark, dt in script:
        now += dt
        before = alarms["R1.x.high"].active
        if mark == "a":
            if not alarms["R1.x.high"].acknowledged:
                alarms.acknowledge("R1", now, "ana", "")
        elif mark != "?":
            since = now if mark != was else since
            was = mark
            alarms.set("R1.x.high", mark == "#", now, 39.0)
        alarm = alarms["R1.x.high"]
        if alarm.active != before:
            assert mark in "#."
            assert alarm.active == (mark == "#")
            assert now - since >= (on_s if alarm.active else off_s)
        assert ("R1.x.high" in alarms.listed) == (alarm.state is not State.NORMAL)
        assert json.loads(json.dumps(alarms.as_state())) == alarms.as_state()


def test_every_field_that_opc_ua_part_9_asks_for_is_in_the_record_of_a_change() -> None:
    readme = Path(__file__).parents[2] / "controller" / "README.md"
    table = readme.read_text(encoding="utf-8").partition("**OPC UA Part 9.**")[2]
    table = table.partition("\n## ")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| ")][2:]
    named = {name.strip() for names, _ in rows for name in names.split(",")}
    assert {
        "EventId", "ConditionId", "BranchId", "Severity", "Message", "Time", "Retain",
        "ActiveState", "AckedState", "ConfirmedState", "ShelvingState", "SuppressedState",
        "OutOfServiceState", "EnabledState", "Comment", "ClientUserId", "FirstInGroup",
    } <= named  # fmt: skip
    told: list[Event] = []
    alarms = Alarms([Definition("R1.t.high", "R1.t", "high", Priority.HIGH)], told.append)
    alarms.set("R1.t.high", True, 1.0, 39.0, limit=38, unit=" °C")
    alarms.acknowledge("R1.t.high", 2.0, "ana", "seen")
    alarms.set("R1.t.high", False, 3.0)
    begun, seen, over = (event.data for event in told)
    fields = {field for _, where in rows for field in re.findall(r"`data\.(\w+)`", where)}
    assert len(fields) > 15
    assert fields <= set(begun)
    columns = {c for _, where in rows for c in re.findall(r"`(\w+)`", where)}
    assert columns <= set(EventRow.__annotations__)
    assert [data["retain"] for data in (begun, seen, over)] == [True, True, False]
    assert [data["severity"] for data in (begun, seen, over)] == [700] * 3
