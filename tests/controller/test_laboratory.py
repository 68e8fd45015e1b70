"""Results of the laboratory: what is taken, what is refused and in which words."""

import json
import math
from dataclasses import replace

import pytest

from controller.plant_file.settings import AnalyteSettings
from controller.sensing.laboratory import Entry, Laboratory, Result
from drivers.point import RangeError

NOW = 1_767_225_600.0
HOUR = 3600.0
BEGAN = NOW - 10 * HOUR
TAKEN = NOW - HOUR
ACETATE = Entry("acetate", 1.2, "g/L", TAKEN)


@pytest.fixture
def laboratory() -> Laboratory:
    return Laboratory(
        "R1",
        {
            "acetate": AnalyteSettings.model_validate(
                {"unit": "g/L", "high": 10.0, "max_age_h": 24.0}
            ),
            "od": AnalyteSettings.model_validate({"unit": "1", "high": 300.0}),
        },
    )


def enter(laboratory: Laboratory, entry: Entry, now: float = NOW) -> Result:
    return laboratory.enter(entry, now, "R1-20260101", BEGAN, "ana")


def test_a_result_keeps_its_three_times_and_who_entered_it(laboratory: Laboratory) -> None:
    found = enter(laboratory, replace(ACETATE, t_available=NOW - 600.0))
    assert (found.t_sampled, found.t_available, found.t_entered) == (TAKEN, NOW - 600.0, NOW)
    assert (found.number, found.batch, found.who) == (1, "R1-20260101", "ana")
    assert laboratory.valid() == [found]


def test_a_unit_of_the_same_kind_is_converted_and_another_refused(laboratory: Laboratory) -> None:
    found = enter(laboratory, replace(ACETATE, value=1200.0, unit="mg/L"))
    assert (found.value, found.unit) == (pytest.approx(1.2), "g/L")
    with pytest.raises(RangeError, match="acetate: unit mmol/L is not allowed; mg/L, g/L, kg/m3"):
        enter(laboratory, replace(ACETATE, unit="mmol/L"))


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (replace(ACETATE, analyte="acetat"), "R1: no analyte acetat; those of the plant file are"),
        (replace(ACETATE, value=12.0), "acetate: 12 g/L is outside 0 to 10 g/L; check dilution"),
        (replace(ACETATE, value=-0.1), "acetate: -0.1 g/L is outside"),
        (replace(ACETATE, value=math.nan), "acetate: nan g/L is outside"),
        (replace(ACETATE, t_sampled=NOW + 60.0), "the sample is 1 min in the future"),
        (replace(ACETATE, t_available=NOW + 60.0), "the sample is 1 min in the future"),
        (replace(ACETATE, t_sampled=math.inf), "a time of the sample is missing or no time"),
        (replace(ACETATE, t_available=TAKEN - 1.0), "the result was there before the sample"),
        (replace(ACETATE, t_sampled=NOW - 25 * HOUR), "the sample is 25 h old; at most 24 h"),
        (replace(ACETATE, corrects=1), "result 1: there is none"),
    ],
)
def test_what_cannot_be_right_is_refused_and_nothing_changes(
    laboratory: Laboratory, entry: Entry, why: str
) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        enter(laboratory, entry)
    assert why in str(refused.value)
    assert laboratory.valid() == []


def test_a_second_result_of_one_sample_is_refused_and_a_correction_replaces(
    laboratory: Laboratory,
) -> None:
    enter(laboratory, ACETATE)
    with pytest.raises(ValueError, match=r"was entered by ana: 1\.2 g/L, result 1; correct it"):
        enter(laboratory, replace(ACETATE, t_sampled=TAKEN + 20.0))
    with pytest.raises(ValueError, match="result 1 is of acetate; only a result of the same"):
        enter(laboratory, Entry("od", 10.0, "1", TAKEN, corrects=1))
    second = enter(laboratory, replace(ACETATE, value=0.12, corrects=1))
    assert laboratory.valid("acetate") == [second]
    assert laboratory[1].corrected_by == 2
    assert laboratory[1].value == 1.2  # what was said before is never lost
    with pytest.raises(ValueError, match="result 1 of ana has been corrected already, by result 2"):
        enter(laboratory, replace(ACETATE, value=0.2, corrects=1))


def test_broth_of_the_batch_before_is_not_of_this_one(laboratory: Laboratory) -> None:
    assert enter(laboratory, replace(ACETATE, t_sampled=BEGAN - 1.0)).batch == ""


def test_a_restart_keeps_results_and_numbers_and_a_new_batch_forgets_the_old(
    laboratory: Laboratory,
) -> None:
    enter(laboratory, ACETATE)
    enter(laboratory, replace(ACETATE, value=0.12, corrects=1))
    again = Laboratory("R1", laboratory.analytes)
    again.restore(json.loads(json.dumps(laboratory.as_state())))
    assert again.valid() == laboratory.valid()
    again.forget(NOW + 23 * HOUR)
    assert again.valid() == laboratory.valid()
    later = NOW + 48 * HOUR
    again.forget(later)
    assert again.valid() == []
    assert enter(again, replace(ACETATE, t_sampled=later - 60.0), later).number == 3


def test_results_are_in_the_order_of_their_samples(laboratory: Laboratory) -> None:
    for ago in (1.0, 5.0, 3.0):
        enter(laboratory, replace(ACETATE, t_sampled=NOW - ago * HOUR))
    assert [(NOW - r.t_sampled) / HOUR for r in laboratory.valid()] == [5.0, 3.0, 1.0]
