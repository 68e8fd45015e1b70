"""Numbers, bits and texts in registers: every type in every order of words and bytes."""

import itertools
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus import Cell, Info, Register, Status
from drivers.modbus.cells import EXACT, Order, Type
from drivers.point import Quality, Tag

ORDERS: list[tuple[Order, Order]] = [
    ("big", "big"),
    ("big", "little"),
    ("little", "big"),
    ("little", "little"),
]
NUMBERS: dict[Type, st.SearchStrategy[float]] = {
    "int16": st.integers(-(2**15), 2**15 - 1),
    "uint16": st.integers(0, 2**16 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "float32": st.floats(width=32, allow_nan=False),
    "float64": st.floats(allow_nan=False),
}


@pytest.mark.parametrize(("words", "byte_order"), ORDERS)
@pytest.mark.parametrize("type", NUMBERS)
@given(data=st.data())
def test_what_is_packed_is_read_again(
    type: Type, words: Order, byte_order: Order, data: st.DataObject
) -> None:
    number = data.draw(NUMBERS[type])
    cell = Cell("holding", 0, type, words, byte_order)
    wire = cell.pack(number)
    assert len(wire) == 2 * cell.count
    assert cell.number(wire) == number
    plain = Cell("holding", 0, type).pack(number)
    assert sorted(wire) == sorted(plain)  # moved, and nothing else


@pytest.mark.parametrize(("words", "byte_order"), ORDERS)
@given(text=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20))
def test_a_text_is_read_again(words: Order, byte_order: Order, text: str) -> None:
    cell = Cell("holding", 0, "string", words, byte_order, length=10)
    assert cell.text(cell.pack(text)) == text


# 12345678 hex and 123456789ABCDEF0 hex, and 1.0 by IEEE 754, each order written out by hand.
@pytest.mark.parametrize(
    ("type", "number", "by_order"),
    [
        ("uint16", 0x1234, ["1234", "3412", "1234", "3412"]),
        ("int16", -2, ["FFFE", "FEFF", "FFFE", "FEFF"]),
        ("uint32", 0x12345678, ["1234 5678", "3412 7856", "5678 1234", "7856 3412"]),
        (
            "uint64",
            0x123456789ABCDEF0,
            [
                "1234 5678 9ABC DEF0",
                "3412 7856 BC9A F0DE",
                "DEF0 9ABC 5678 1234",
                "F0DE BC9A 7856 3412",
            ],
        ),
        ("int64", -2, ["FFFF FFFF FFFF FFFE", "FFFF FFFF FFFF FEFF"]),
        ("float32", 1.0, ["3F80 0000", "803F 0000", "0000 3F80", "0000 803F"]),
        (
            "float64",
            1.0,
            ["3FF0 0000 0000 0000", "F03F 0000 0000 0000", "0000 0000 0000 3FF0"],
        ),
    ],
)
def test_each_order_by_hand(type: Type, number: float, by_order: list[str]) -> None:
    for (words, byte_order), data in zip(ORDERS, by_order, strict=False):
        cell = Cell("input", 7, type, words, byte_order)
        assert cell.pack(number).hex(" ", 2).upper() == data
        assert cell.number(bytes.fromhex(data)) == number


@pytest.mark.parametrize(
    ("byte_order", "data", "text"),
    [
        ("big", "4152 4331 3233 0000", "ARC123"),
        ("little", "5241 3143 3332 0000", "ARC123"),
        ("big", "4152 0043 3132 3320", "AR"),  # nothing behind the first NUL
        ("big", "2041 2020 2020 2020", "A"),
        ("big", "4101 B520 0000 0000", "A\u00b5"),
        ("big", "FFFF FFFF FFFF FFFF", "\u00ff" * 8),
    ],
)
def test_a_text_by_hand(byte_order: Order, data: str, text: str) -> None:
    cell = Cell("holding", 0, "string", byte_order=byte_order, length=4)
    assert cell.text(bytes.fromhex(data)) == text


@pytest.mark.parametrize(
    ("type", "mask", "data", "number"),
    [
        ("uint16", 0x0F00, "1234", 2),
        ("uint16", 0x8000, "8000", 1),
        ("int16", 0x8000, "8000", 1),  # bits have no sign
        ("uint16", 0x0044, "0044", 0x11),
        ("uint32", 0x00010000, "0001 0000", 1),
        ("uint64", 1 << 63, "8000 0000 0000 0000", 1),
    ],
)
def test_a_mask_takes_its_bits_down_to_0(type: Type, mask: int, data: str, number: int) -> None:
    cell = Cell("holding", 0, type, mask=mask)
    assert cell.number(bytes.fromhex(data)) == number
    assert cell.number(cell.pack(number)) == number
    assert cell.limits == (0, mask >> ((mask & -mask).bit_length() - 1))


@pytest.mark.parametrize(
    ("number", "quality"),
    [
        (EXACT, Quality.GOOD),
        (EXACT + 1, Quality.UNCERTAIN),
        (EXACT + 2, Quality.GOOD),  # a float is equal to it
        (-EXACT - 1, Quality.UNCERTAIN),
        (9_100_000_000_000_000_001, Quality.UNCERTAIN),
        (-(2**62), Quality.GOOD),
    ],
)
def test_a_whole_number_that_no_float_is_equal_to_is_uncertain(
    number: int, quality: Quality
) -> None:
    r = Register(Tag("R1.total", "L", -9.2e15, 9.2e15), "input", 0, "int64", 0.001)
    sample = r.sample(r.cell.pack(number), 1.0)
    assert sample.quality is quality
    assert sample.value == pytest.approx(number / 1000, rel=1e-15)


def test_a_value_that_is_no_state_is_bad() -> None:
    tag = Tag("R1.mode", "1", 0, 4, states={0: "off", 1: "on", 4: "cleaning"})
    r = Register(tag, "input", 0)
    got = [r.sample(struct.pack(">H", n), 1.0) for n in range(6)]
    assert [s.quality is Quality.GOOD for s in got] == [True, True, False, False, True, False]
    assert math.isnan(got[2].value)


@pytest.mark.parametrize(
    ("cell", "data", "good", "uncertain", "quality"),
    [
        (Cell("input", 0), "0000", (0,), (1,), Quality.GOOD),
        (Cell("input", 0), "0001", (0,), (1,), Quality.UNCERTAIN),
        (Cell("input", 0), "0002", (0,), (1,), Quality.BAD),
        (Cell("input", 0, mask=0xC0), "00FF", (3,), (), Quality.GOOD),
        (Cell("input", 0, mask=0xC0), "007F", (3,), (), Quality.BAD),
        (Cell("discrete", 0, "bit"), "01", (0,), (), Quality.BAD),
        (Cell("discrete", 0, "bit"), "00", (0,), (), Quality.GOOD),
    ],
)
def test_a_status_says_how_far_a_tag_may_be_trusted(
    cell: Cell, data: str, good: tuple[int, ...], uncertain: tuple[int, ...], quality: Quality
) -> None:
    assert Status(cell, good, uncertain).quality(bytes.fromhex(data)) is quality


@pytest.mark.parametrize(
    ("info", "data", "shown", "wrong"),
    [
        (Info("serial", Cell("holding", 0, "uint32")), "0001 0000", "65536", False),
        (Info("serial", Cell("holding", 0, "string", length=2), "A1"), "4131 0000", "A1", False),
        (Info("serial", Cell("holding", 0, "string", length=2), "A2"), "4131 0000", "A1", True),
        (Info("check", Cell("holding", 0, "float32"), 0.1), "3DCC CCCD", "0.1", False),
        (Info("check", Cell("holding", 0, "float32"), 0.1), "CCCD 3DCC", "-1.076056e+08", True),
        (Info("check", Cell("holding", 0, "float32"), 0.1), "7FC0 0000", "nan", True),
        (Info("id", Cell("holding", 0, mask=0xFF00), 0x12), "1234", "18", False),
        (Info("id", Cell("holding", 0, "uint64"), 2**53), "0020 0000 0000 0001", "9007199254740993",
         True),
        (Info("present", Cell("coil", 0, "bit"), 1), "01", "1", False),
    ],
)  # fmt: skip
def test_info_is_shown_and_compared(info: Info, data: str, shown: str, wrong: bool) -> None:
    assert info.shown(bytes.fromhex(data)) == shown
    assert info.wrong(bytes.fromhex(data)) is wrong


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cell("holding", 0, "string"), "a string needs a length"),
        (lambda: Cell("holding", 0, "uint16", length=2), "a string needs a length"),
        (lambda: Cell("holding", 0, "float32", mask=1), "mask goes with integers"),
        (lambda: Cell("holding", 0, mask=0x10000), "mask 0x10000 is not allowed; uint16 has 16"),
        (lambda: Cell("coil", 0, "bit", mask=1), "mask goes with integers"),
        (lambda: Cell("holding", 65533, "uint64"), "outside 0 to 65535"),
        (lambda: Register(Tag("R1.x", "1", 0, 1), "holding", 0, "string"), "not a string"),
        (lambda: Register(Tag("R1.x", "1", 0, 1, 0), "holding", 0, mask=1), "written in part"),
        (lambda: Register(Tag("R1.x", "1", 0, 2), "holding", 0, mask=1), "does not fit uint16 m"),
        (lambda: Register(Tag("R1.x", "1", 0, 1e17, 0), "holding", 0, "int64"), "2\\^53 counts"),
        (
            lambda: Register(Tag("R1.x", "1", 0, 2, 0, {0: "a", 2: "b"}), "holding", 0),
            "1 is no state",
        ),
        (
            lambda: Register(Tag("R1.x", "1", 0, 1, states={0: "a"}), "holding", 0, scale=2),
            "neither scale nor offset",
        ),
        (lambda: Cell("holding", 0, "string", length=1).pack("ABC"), "3 characters; 2 are"),
        (lambda: Cell("holding", 0, "string", length=9).pack("\u4e2d"), "latin-1"),
    ],
)
def test_what_cannot_be_is_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=message):
        make()


def test_every_order_is_its_own_way_back() -> None:
    for (words, byte_order), type in itertools.product(ORDERS, NUMBERS):
        order = Cell("holding", 0, type, words, byte_order).order
        assert order is None or [order[i] for i in order] == list(range(len(order)))
