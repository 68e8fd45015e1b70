"""What a server says of unit and range, and whether the plant file agrees."""

import pytest

from drivers.opcua.units import (
    UNECE,
    Description,
    agree,
    contradiction,
    doubts,
    ucum,
    unece,
    written,
)


@pytest.mark.parametrize(  # UnitId and UNECE code from the OPC Foundation's UNECE_to_OPCUA.csv
    ("unit_id", "code", "name", "expected"),
    [
        (4408652, "CEL", "°C", "Cel"),
        (4732470, "H66", "mm/y", None),
        (19506, "L2", "l/min", "L/min"),
        (13361, "41", "ml/min", "mL/min"),
        (4666677, "G55", "ml/h", "mL/h"),
        (4933453, "KGM", "kg", "kg"),
        (4342098, "BAR", "bar", "bar"),
        (5066817, "MPA", "MPa", "MPa"),
        (14132, "74", "mPa", None),
        (5321520, "Q30", "pH", "[pH]"),
        (5394509, "RPM", "r/min", "{r}/min"),
        (18252, "GL", "g/l", "g/L"),
        (5059379, "M33", "mmol/l", "mmol/L"),
        (20529, "P1", "%", "%"),
        (0, "", "°C", "Cel"),
        (-1, "", "% ", "%"),
        (0, "", "U/min", "{r}/min"),
        (0, "", "furlong", None),
        (0, "", "mpa", None),  # mega or milli?
    ],
)
def test_units_of_servers_become_ucum(
    unit_id: int, code: str, name: str, expected: str | None
) -> None:
    assert unece(unit_id) == code
    assert ucum(UNECE, unit_id, name) == expected
    assert ucum("urn:vendor:units", unit_id, name) == written(name)


def test_two_names_of_one_unit_agree() -> None:
    assert agree("{r}/min", "/min")
    assert agree("g/L", "kg/m3")
    assert not agree("L/min", "mL/min")
    assert not agree("bar", "MPa")


def test_a_wrong_unit_contradicts_and_an_unknown_or_missing_one_does_not() -> None:
    text = contradiction("L/min", Description("m³/h", "m3/h"))
    assert text == "the server gives it in m³/h, the plant file in L/min"
    assert contradiction("L/min", Description()) is None
    assert contradiction("L/min", Description("Schritte", None)) is None
    assert contradiction("{r}/min", Description("1/min", "/min")) is None


def test_other_ranges_and_unknown_units_are_doubts_and_silence_is_none() -> None:
    assert doubts("L/min", 0, 10, Description()) == []
    assert doubts("L/min", 0, 10, Description("L/min", "L/min", (0.0, 10.0), (0.0, 20.0))) == []
    assert doubts("L/min", 0, 10, Description("L/min", "L/min", (0.0, 12.0))) == [
        "the server's range is 0 to 12, the plant file's 0 to 10 L/min"
    ]
    assert doubts("L/min", 0, 10, Description(instrument_range=(0.0, 5.0))) == [
        "the instrument reaches 0 to 5, the plant file 0 to 10 L/min"
    ]
    (unknown,) = doubts("L/min", 0, 10, Description("Schritte"))
    assert "in Schritte, which is not known here; is that L/min as in the plant file?" in unknown
    assert doubts("L/min", 0, 10, Description("m³/h", "m3/h", (0.0, 0.6))) == []  # not comparable
