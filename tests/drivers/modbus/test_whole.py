"""Ranges that a device answers only as a whole: never torn, never joined, never too long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus import Cell, Limits, ReadPlan, Register
from drivers.point import Tag


def held(address: int, kind: str = "uint16") -> Register:
    tag = Tag(f"R1.x{address}", "1", 0, 0xFFFF if kind == "uint16" else 0xFFFFFFFF)
    return Register(tag, "holding", address, kind)  # pyright: ignore[reportArgumentType]


def ranges(*spans: tuple[int, int]) -> tuple[Cell, ...]:
    return tuple(Cell("holding", first, "string", length=count) for first, count in spans)


def asked(addresses: list[int], limits: Limits) -> list[tuple[int, int]]:
    return [(r.start, r.count) for r in ReadPlan([held(a) for a in addresses], limits).reads]


def test_a_range_is_read_whole_beside_its_neighbours() -> None:
    limits = Limits(whole=ranges((10, 10)))
    assert sorted(asked([8, 9, 12, 15, 20], limits)) == [(8, 2), (10, 10), (20, 1)]


def test_what_is_before_and_behind_a_value_does_not_shift_it() -> None:
    plan = ReadPlan([held(12, "uint32")], Limits(whole=ranges((10, 6))))
    reply = bytes((3, 12)) + bytes(range(12))
    assert plan.samples([reply], 0.0)["R1.x12"].value == 0x04050607
    assert plan.reads[0].unused == 4


def test_input_registers_of_the_same_numbers_are_not_meant() -> None:
    whole = (Cell("input", 10, "string", length=10),)
    assert asked([12], Limits(whole=whole)) == [(12, 1)]


@pytest.mark.parametrize("first", [9, 19])
def test_a_number_in_it_only_in_part_is_refused(first: int) -> None:
    with pytest.raises(ValueError, match="lies only in part in 10 to 19"):
        ReadPlan([held(first, "uint32")], Limits(whole=ranges((10, 10))))


def test_a_range_beyond_a_request_is_refused() -> None:
    with pytest.raises(ValueError, match="10 registers that must be read at once; 8"):
        ReadPlan([held(12)], Limits(registers=8, whole=ranges((10, 10))))


@given(
    st.sets(st.integers(0, 200), min_size=1, max_size=20),
    st.sets(st.integers(0, 9), max_size=6),
    st.integers(0, 20),
)
def test_every_range_is_asked_for_alone(addresses: set[int], spans: set[int], gap: int) -> None:
    limits = Limits(gap=gap, whole=ranges(*((20 * s, 7) for s in spans)))
    wholes = {(20 * s, 7) for s in spans}
    reads = asked(sorted(addresses), limits)
    for start, count in reads:
        met = {(a, n) for a, n in wholes if a < start + count and start < a + n}
        assert not met or met == {(start, count)}, "torn or joined"
    got = {a for start, count in reads for a in range(start, start + count)}
    assert addresses <= got
