import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.protection.conditions import Condition, Window
from controller.protection.interlock import Demand, Interlock
from controller.protection.interlocks import Interlocks
from drivers.point import Quality, Sample, Tag, sample

DO = Tag("R1.do", "%", -5, 200)
PH = Tag("R1.ph", "[pH]", 0, 14)
WEIGHT = Tag("R1.weight", "kg", -0.5, 10)
STOP_FEED = {"R1.feed": 0.0}


def one(
    name: str, tag: Tag, above: float | None = None, below: float | None = None, **more: Any
) -> Interlock:
    return Interlock(name, Condition((Window(tag, above, below),)), **more)


def low_do(**changes: Any) -> Interlock:
    settings: dict[str, Any] = {"below": 12.0, "for_s": 20.0, "clear_s": 60.0, "force": STOP_FEED}
    return one("R1.low_do", DO, **(settings | changes))


def reading(time: float, value: float, quality: Quality = Quality.GOOD) -> dict[str, Sample]:
    return {"R1.do": sample(DO, time, value, quality)}


def run(locks: Interlocks, start: int, end: int, value: float, quality: Quality = Quality.GOOD):
    """Scan once a second from ``start`` to before ``end`` and return the events."""
    return [
        event
        for t in range(start, end)
        for event in locks.evaluate(float(t), reading(t, value, quality))
    ]


def test_it_says_what_it_does_in_words() -> None:
    assert low_do().text == "R1.do below 12 % for 20 s: R1.feed = 0"
    window = one("w", PH, above=8, below=6, force={"R1.acid": 0, "R1.base": 0})
    assert window.text == "R1.ph below 6 or above 8: R1.acid = 0, R1.base = 0"
    hot = one("h", Tag("R1.temperature", "Cel", 0, 150), above=40, force={"R1.heater": 0})
    assert hot.text == "R1.temperature above 40 °C: R1.heater = 0"
    slow = one("s", Tag("R1.agitation", "{r}/min", 0, 2000), below=150, force=STOP_FEED)
    assert slow.text == "R1.agitation below 150 r/min: R1.feed = 0"


def test_it_trips_when_its_reason_has_lasted_and_clears_when_it_has_been_gone() -> None:
    locks = Interlocks([low_do()])
    run(locks, 0, 10, 30.0)
    assert run(locks, 10, 30, 5.0) == []
    (trip,) = run(locks, 30, 31, 5.0)
    assert (trip.time, trip.name, trip.what, trip.order, trip.value) == (
        30.0, "R1.low_do", "tripped", 1, 5.0,
    )  # fmt: skip
    assert trip.text == "R1.do below 12 % for 20 s: R1.feed = 0"
    assert locks.demands == {"R1.feed": Demand(0.0, 0.0, trip.text, trip.text)}
    assert locks.tripped == ("R1.low_do",)
    assert run(locks, 31, 101, 5.0) == []
    assert run(locks, 101, 161, 30.0) == []
    (clear,) = run(locks, 161, 162, 30.0)
    assert (clear.what, clear.order) == ("cleared", 0)
    assert clear.text == "cleared: R1.do below 12 % for 20 s: R1.feed = 0"
    assert locks.demands == {}
    assert locks.tripped == ()


def test_the_limits_themselves_are_inside() -> None:
    locks = Interlocks([one("w", PH, above=8, below=6, force={"R1.acid": 0})])
    for t, ph in enumerate((6.0, 8.0)):
        assert locks.evaluate(t, {"R1.ph": sample(PH, t, ph)}) == []
    assert locks.evaluate(2.0, {"R1.ph": sample(PH, 2, 8.001)})


def test_a_short_dip_does_not_trip_and_starts_the_time_again() -> None:
    locks = Interlocks([low_do()])
    run(locks, 0, 1, 30.0)
    assert run(locks, 1, 20, 5.0) == []
    assert run(locks, 20, 21, 12.0) == []
    assert run(locks, 21, 41, 5.0) == []
    assert len(run(locks, 41, 42, 5.0)) == 1


def test_a_new_dip_starts_the_clearing_time_again() -> None:
    locks = Interlocks([low_do(for_s=0.0)])
    assert len(run(locks, 0, 5, 5.0)) == 1
    assert run(locks, 5, 64, 30.0) == []
    assert run(locks, 64, 65, 5.0) == []
    assert run(locks, 65, 125, 30.0) == []
    assert len(run(locks, 125, 126, 30.0)) == 1


def test_without_any_reading_it_is_tripped_from_the_start() -> None:
    locks = Interlocks([low_do()])
    (trip,) = locks.evaluate(0.0, {})
    assert trip.text == "R1.do BAD: R1.feed = 0"
    assert math.isnan(trip.value)
    assert locks.demands["R1.feed"].high == 0.0


def test_a_dead_sensor_trips_after_thirty_seconds() -> None:
    locks = Interlocks([low_do()])
    run(locks, 0, 10, 30.0)
    assert run(locks, 10, 40, math.nan, Quality.BAD) == []
    (trip,) = run(locks, 40, 41, math.nan, Quality.BAD)
    assert trip.text == "R1.do BAD for 30 s: R1.feed = 0"
    assert locks.status()["R1.low_do"][:3] == (True, 1, trip.text)
    assert run(locks, 41, 101, 30.0) == []  # clear_s after the reading is back
    assert len(run(locks, 101, 102, 30.0)) == 1
    assert locks.status()["R1.low_do"][:3] == (False, 0, low_do().text)


def test_a_dead_sensor_with_hold_keeps_what_it_was() -> None:
    locks = Interlocks([low_do(on_bad="hold")])
    run(locks, 0, 10, 30.0)
    assert run(locks, 10, 1000, math.nan, Quality.BAD) == []
    assert locks.demands == {}
    run(locks, 1000, 1050, 5.0)
    assert locks.tripped
    assert run(locks, 1050, 2000, math.nan, Quality.BAD) == []
    assert locks.tripped


def test_a_bad_reading_stops_no_time_that_runs_towards_a_trip() -> None:
    locks = Interlocks([low_do()])
    run(locks, 0, 1, 30.0)
    run(locks, 1, 6, 5.0)
    assert run(locks, 6, 21, math.nan, Quality.BAD) == []
    (trip,) = run(locks, 21, 22, math.nan, Quality.BAD)
    assert trip.text == low_do().text


@pytest.mark.parametrize("quality", [Quality.BAD, Quality.UNCERTAIN])
def test_only_good_readings_clear_it(quality: Quality) -> None:
    locks = Interlocks([low_do(for_s=0.0)])
    run(locks, 0, 1, 5.0)
    assert run(locks, 1, 500, 30.0, quality) == []
    assert run(locks, 500, 550, 30.0) == []
    run(locks, 550, 551, 30.0, quality)
    assert run(locks, 551, 611, 30.0) == []
    assert len(run(locks, 611, 612, 30.0)) == 1


def test_an_uncertain_reading_outside_counts_towards_a_trip() -> None:
    locks = Interlocks([low_do(for_s=2.0)])
    run(locks, 0, 1, 30.0)
    assert len(run(locks, 1, 4, 5.0, Quality.UNCERTAIN)) == 1


def test_a_reading_that_claims_to_be_good_and_is_nan_counts_as_outside() -> None:
    locks = Interlocks([low_do(for_s=0.0)])
    run(locks, 0, 1, 30.0)
    assert locks.evaluate(1.0, {"R1.do": Sample(DO, 1.0, math.nan, Quality.GOOD)})


def test_the_first_out_is_first_even_when_the_shorter_delay_hides_it() -> None:
    high = one("R1.high_weight", WEIGHT, above=4.4, for_s=5.0, force={"R1.base": 0})
    locks = Interlocks([low_do(), high])

    def scan(t: int, do: float, weight: float):
        readings = {"R1.do": sample(DO, t, do), "R1.weight": sample(WEIGHT, t, weight)}
        return locks.evaluate(float(t), readings)

    scan(0, 30.0, 3.0)
    events = [e for t in range(1, 40) for e in scan(t, 5.0, 4.5 if t >= 4 else 3.0)]
    assert [(e.time, e.name, e.order) for e in events] == [
        (9.0, "R1.high_weight", 1),
        (21.0, "R1.low_do", 2),
    ]
    assert locks.tripped == ("R1.high_weight", "R1.low_do")


def test_of_two_that_trip_in_one_scan_the_one_due_earlier_is_the_first_out() -> None:
    high = one("R1.high_weight", WEIGHT, above=4.4, for_s=5.0, force={"R1.base": 0})
    locks = Interlocks([low_do(), high])
    good = {"R1.do": sample(DO, 0, 30.0), "R1.weight": sample(WEIGHT, 0, 3.0)}
    broken = {"R1.do": sample(DO, 1, 5.0), "R1.weight": sample(WEIGHT, 1, 4.5)}
    locks.evaluate(0.0, good)
    locks.evaluate(1.0, broken)
    events = locks.evaluate(60.0, broken)  # a late scan: both are overdue
    assert [e.name for e in events] == ["R1.high_weight", "R1.low_do"]


def test_of_two_that_force_the_same_actuator_the_one_given_first_wins() -> None:
    stop = one("stop", DO, above=190, force={"R1.air": 0})
    least = one("least", DO, below=12, force={"R1.air": 1, "R1.feed": 0})
    both = one("both", DO, above=-1, force={"R1.air": 2})
    locks = Interlocks([stop, least, both])
    run(locks, 0, 1, 5.0)
    assert locks.tripped == ("least", "both")
    assert {name: d.high for name, d in locks.demands.items()} == {"R1.air": 1, "R1.feed": 0}


def test_a_latched_interlock_waits_for_a_person() -> None:
    locks = Interlocks([low_do(for_s=0.0, latch=True)])
    run(locks, 0, 5, 5.0)
    with pytest.raises(ValueError, match=r"^R1\.low_do: it cannot be reset while its reason lasts"):
        locks.reset("R1.low_do", 5.0)
    assert run(locks, 5, 1000, 30.0) == []
    assert locks.demands
    event = locks.reset("R1.low_do", 1000.0)
    assert event.what == "cleared"
    assert not locks.demands
    with pytest.raises(ValueError, match="it is not tripped; nothing to reset"):
        locks.reset("R1.low_do", 1000.0)
    with pytest.raises(ValueError, match=r"foam: no such interlock; R1\.low_do"):
        locks.reset("foam", 1000.0)


def test_a_latch_survives_a_restart_and_a_name_that_is_gone_does_not_matter() -> None:
    locks = Interlocks([low_do(for_s=0.0, latch=True)])
    run(locks, 0, 5, 5.0)
    again = Interlocks([low_do(for_s=0.0, latch=True)])
    state = locks.as_state()
    again.restore({"latched": [*state["latched"], "R1.gone"]}, 5.0)
    assert again.demands["R1.feed"].high == 0.0
    assert run(again, 100, 1000, 30.0) == []
    assert again.tripped == ("R1.low_do",)


def test_one_without_latch_is_not_kept_over_a_restart() -> None:
    locks = Interlocks([low_do(for_s=0.0)])
    run(locks, 0, 5, 5.0)
    assert locks.as_state() == {"latched": [], "bypassed": {}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"below": None}, "R1.do: below None and above None are not allowed"),
        ({"above": 10.0}, "R1.do: below 12.0 and above 10.0 are not allowed"),
        ({"above": math.nan}, "R1.do: below 12.0 and above nan are not allowed"),
        ({"for_s": -1.0}, "R1.low_do: for_s, clear_s, bad_s and bypass_max_s must be"),
        (
            {"clear_s": math.nan},
            "R1.low_do: for_s, clear_s, bad_s and bypass_max_s must be",
        ),
        (
            {"force": {}},
            "R1.low_do: force, at_most, at_least or no_start must name",
        ),
        (
            {"force": {"R1.feed": math.nan}},
            "R1.low_do: force, at_most, at_least or no_start must name",
        ),
    ],
)
def test_an_interlock_that_cannot_work_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        low_do(**changes)


def test_a_name_used_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"R1\.low_do: an interlock's name must be used once"):
        Interlocks([low_do(), low_do()])


SCANS = st.lists(
    st.tuples(st.sampled_from([5.0, 30.0]), st.sampled_from(list(Quality))), max_size=60
)


@given(scans=SCANS, for_s=st.integers(0, 8), clear_s=st.integers(0, 8))
def test_it_is_tripped_exactly_when_the_history_says_so(
    scans: list[tuple[float, Quality]], for_s: int, clear_s: int
) -> None:
    """The timers against a plain reading of the whole history, scan by scan."""
    locks = Interlocks([low_do(for_s=for_s, clear_s=clear_s, bad_s=10.0)])
    tripped = False
    outside = inside = None  # when the present stretch began
    silent: float | None = -math.inf
    for t, (value, quality) in enumerate(scans):
        locks.evaluate(float(t), reading(t, value, quality))
        if quality is Quality.BAD:
            silent = t if silent is None else silent
            inside = None
        else:
            silent = None
            if value < 12:
                outside, inside = (t if outside is None else outside), None
            else:
                outside = None
                inside = None if quality is not Quality.GOOD else t if inside is None else inside
        if tripped:
            tripped = not (inside is not None and t - inside >= clear_s)
        else:
            late = outside is not None and t - outside >= for_s
            tripped = late or (silent is not None and t - silent >= 10)
        assert bool(locks.demands) == tripped
        assert bool(locks.tripped) == tripped
