"""Every status code there is, the bits beside it, and the age of a value."""

import pytest
from asyncua.ua.status_codes import code_to_name_doc

from drivers.opcua.quality import by_age, fading, quality, status_name
from drivers.point import Quality

BAD, UNCERTAIN, GOOD = Quality.BAD, Quality.UNCERTAIN, Quality.GOOD
LESS = {  # than their severity says
    "GoodLocalOverride": UNCERTAIN,
    "GoodNoData": BAD,
    "GoodFaultStateActive": UNCERTAIN,
    "GoodInitiateFaultState": UNCERTAIN,
    "UncertainInitialValue": BAD,
    "UncertainSimulatedValue": BAD,
}


def test_every_code_has_the_quality_of_its_name_or_less() -> None:
    assert len(code_to_name_doc) > 200
    for code, (name, _) in code_to_name_doc.items():
        by_name = next(q for q in Quality if name.upper().startswith(q.name))
        assert quality(code) is LESS.get(name, by_name), name
        assert status_name(code) == name
        assert quality(code) <= by_name
        assert fading(code) == name.endswith("LastUsableValue"), name
    assert quality(0xC0000000) is BAD  # reserved


@pytest.mark.parametrize("code", [0x80320000, 0x80310000, 0x808C0000, 0x80340000])
def test_bad_codes_stay_bad_with_any_bits(code: int) -> None:
    assert all(quality(code | bits) is BAD for bits in range(0, 0x10000, 0x80))


@pytest.mark.parametrize(
    ("status", "measured", "actuator"),
    [
        (0x00000480, GOOD, GOOD),  # overflow: some changes between two scans were not sent
        (0x00000500, UNCERTAIN, GOOD),  # at its low limit
        (0x00000600, UNCERTAIN, GOOD),  # at its high limit
        (0x00000700, UNCERTAIN, GOOD),  # cannot move
        (0x00000300, GOOD, GOOD),  # those bits mean something only in a value's status
        (0x00004000, UNCERTAIN, UNCERTAIN),  # unit or range has changed
        (0x00008000, UNCERTAIN, UNCERTAIN),  # structure has changed
        (0x40940600, UNCERTAIN, UNCERTAIN),
        (0x00300000, GOOD, GOOD),  # GoodClamped
    ],
)
def test_limit_and_change_bits(status: int, measured: Quality, actuator: Quality) -> None:
    assert quality(status) is measured
    assert quality(status, actuator=True) is actuator


def test_a_value_ages_to_uncertain_and_then_to_bad() -> None:
    assert [by_age(a, 10.0) for a in (-1.0, 10.0, 10.1, 20.0, 20.1)] == [
        GOOD,
        GOOD,
        UNCERTAIN,
        UNCERTAIN,
        BAD,
    ]
