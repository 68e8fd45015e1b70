"""Bytes as printed in the MODBUS Application Protocol Specification V1.1b3, section 6."""

import math
import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.blocks import Block
from drivers.modbus.cells import Order, Table, Type
from drivers.modbus.plan import Limits, ReadPlan, groups
from drivers.modbus.registers import Register
from drivers.point import Quality, RangeError, Sample, Tag


def register(
    address: int,
    table: Table = "holding",
    type: Type = "uint16",
    *,
    low: float = 0,
    high: float = 65535,
    scale: float = 1.0,
    offset: float = 0.0,
    words: Order = "big",
    safe: float | None = None,
    name: str = "",
) -> Register:
    tag = Tag(name or f"R1.{table}{address}", "1", low, high, safe)
    return Register(tag, table, address, type, scale, offset, words)


def bit(address: int, table: Table = "coil") -> Register:
    return register(address, table, "bit", high=1, safe=0 if table == "coil" else None)


def blocks(registers: Iterable[Register], gap: int = 16) -> list[Block]:
    return [Block(part) for part in groups(registers, Limits(gap=gap))]


def decoded(block: Block, reply: bytes) -> list[float]:
    found: dict[str, Sample] = {}
    block.samples(reply, 5.0, found)
    assert all(s.time == 5.0 for s in found.values())
    return [s.value for s in found.values()]


def test_reading_holding_registers_108_to_110() -> None:
    (block,) = blocks([register(107), register(108), register(109)])
    assert block.request == bytes.fromhex("03 006B 0003")
    reply = bytes.fromhex("03 06 022B 0000 0064")
    assert (block.head, block.length) == (reply[:2], len(reply))
    assert decoded(block, reply) == [555, 0, 100]
    assert str(block) == "3 registers from 107"


def test_reading_input_register_9() -> None:
    (block,) = blocks([register(8, "input")])
    assert block.request == bytes.fromhex("04 0008 0001")
    assert decoded(block, bytes.fromhex("04 02 000A")) == [10]


def test_reading_coils_20_to_38() -> None:
    (block,) = blocks([bit(a) for a in range(19, 38)])
    assert block.request == bytes.fromhex("01 0013 0013")
    reply = bytes.fromhex("01 03 CD 6B 05")
    assert (block.head, block.length) == (reply[:2], len(reply))
    wanted = "1011 0011 1101 0110 101".replace(" ", "")  # CD, 6B, 05 from their lowest bits up
    assert decoded(block, reply) == [float(c) for c in wanted]


def test_reading_discrete_inputs_197_to_218() -> None:
    (block,) = blocks([bit(a, "discrete") for a in range(196, 218)])
    assert block.request == bytes.fromhex("02 00C4 0016")
    values = decoded(block, bytes.fromhex("02 03 AC DB 35"))
    assert values == [0, 0, 1, 1, 0, 1, 0, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1, 1]


def test_writing_registers_2_and_3() -> None:
    (block,) = blocks([register(1, safe=0), register(2, safe=0)], 0)
    first, second = block.registers
    request = block.write_request([first.encode(10), second.encode(258)])
    assert request == bytes.fromhex("10 0001 0002 04 000A 0102")


def test_writing_ten_coils_from_20() -> None:
    (block,) = blocks([bit(a) for a in range(19, 29)], 0)
    wanted = [1, 0, 1, 1, 0, 0, 1, 1, 1, 0]
    request = block.write_request(
        [r.encode(v) for r, v in zip(block.registers, wanted, strict=True)]
    )
    assert request == bytes.fromhex("0F 0013 000A 02 CD 01")


@pytest.mark.parametrize(
    ("type", "words", "value", "data"),
    [
        ("int16", "big", -2.0, "FFFE"),
        ("uint16", "little", 65534.0, "FFFE"),
        ("int32", "big", -2.0, "FFFF FFFE"),
        ("int32", "little", -2.0, "FFFE FFFF"),
        ("uint32", "big", 305419896.0, "1234 5678"),
        ("uint32", "little", 305419896.0, "5678 1234"),
        ("float32", "big", 37.0, "4214 0000"),  # IEEE 754
        ("float32", "little", 37.0, "0000 4214"),
        ("float64", "big", -1.5, "BFF8 0000 0000 0000"),
        ("float64", "little", -1.5, "0000 0000 0000 BFF8"),
    ],
)
def test_numbers_of_every_type_and_word_order(
    type: Type, words: Order, value: float, data: str
) -> None:
    low = -10 if type in ("int16", "int32", "float32", "float64") else 0
    high = 70 if low else (65535 if type == "uint16" else 4e8)
    r = register(3, type=type, low=low, high=high, words=words)
    assert r.encode(value) == bytes.fromhex(data)
    assert r.decode(bytes.fromhex(data)) == value
    (block,) = blocks([register(0), r])  # the order of one number leaves its neighbour alone
    reply = block.head + bytes.fromhex("0102 0000 0000") + bytes.fromhex(data)
    assert decoded(block, reply) == [258, value]


@pytest.mark.parametrize("type", ["int16", "uint16", "int32", "uint32"])
@given(value=st.floats(-20, 140), scale=st.sampled_from([0.01, 0.1, 0.3, 1.0, -0.01]))
def test_what_is_written_reads_back_within_half_a_count(
    type: Type, value: float, scale: float
) -> None:
    offset = -20.0 if scale > 0 else 140.0
    r = register(0, type=type, low=-20, high=140, scale=scale, offset=offset)
    once = r.decode(r.encode(value))
    assert abs(once - value) <= abs(scale) / 2 * (1 + 1e-9)
    assert r.encode(once) == r.encode(value)  # what was quantised once stays


def test_a_decimal_scale_leaves_no_binary_dust() -> None:
    r = register(0, high=100, scale=0.01)
    assert [r.decode(struct.pack(">H", n)) for n in (57, 3712, 9999)] == [0.57, 37.12, 99.99]


@pytest.mark.parametrize("data", ["7FC00000", "7F800000", "FF800000"])
def test_what_is_not_finite_is_bad(data: str) -> None:
    (block,) = blocks([register(0, type="float32", low=0, high=14)])
    found: dict[str, Sample] = {}
    block.samples(block.head + bytes.fromhex(data), 1.0, found)
    (s,) = found.values()
    assert s.quality is Quality.BAD
    assert math.isnan(s.value)


def test_what_is_out_of_range_is_bad_and_its_neighbour_is_not() -> None:
    (block,) = blocks([register(0, type="int16", low=0, high=150, scale=0.01), register(1)])
    found: dict[str, Sample] = {}
    block.samples(block.head + bytes.fromhex("8000 0007"), 1.0, found)
    assert [s.quality for s in found.values()] == [Quality.BAD, Quality.GOOD]


def test_a_bound_that_its_own_resolution_puts_outside_reads_as_the_bound() -> None:
    r = register(0, type="float32", low=0, high=0.1)
    assert r.decode(r.encode(0.1)) > 0.1
    (block,) = blocks([r])
    found: dict[str, Sample] = {}
    block.samples(block.head + r.encode(0.1), 1.0, found)
    (s,) = found.values()
    assert (s.value, s.quality) == (0.1, Quality.GOOD)


def test_neighbours_share_a_request_and_strangers_do_not() -> None:
    near = [register(0), register(1, type="float32", high=9), register(10)]
    far = [register(100), register(0, "input")]
    found = blocks([*far, *near], 16)
    assert [(b.table, b.start, b.count, b.unused) for b in found] == [
        ("holding", 0, 11, 7),
        ("holding", 100, 1, 0),
        ("input", 0, 1, 0),
    ]
    assert decoded(found[0], found[0].head + bytes(20) + b"\0\5") == [0, 0, 5]


def test_no_request_asks_for_more_than_a_frame_holds() -> None:
    found = blocks([register(a, "input") for a in range(300)])
    assert [b.count for b in found] == [125, 125, 50]
    found = blocks([bit(a) for a in range(2500)])
    assert [b.count for b in found] == [2000, 500]


def test_overlapping_registers_are_refused_by_name() -> None:
    a = register(4, type="float32", high=9, name="R1.ph")
    with pytest.raises(ValueError, match=r"R1\.do: holding 5 is already taken by R1\.ph"):
        ReadPlan([a, register(5, name="R1.do")])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: register(0, "coil", "uint16"), "a coil cannot hold a uint16"),
        (lambda: register(0, "holding", "bit", high=1), "a holding cannot hold a bit"),
        (lambda: register(0, "coil", "bit", high=2), "the range of a bit is 0 to 1"),
        (lambda: register(0, "input", safe=0), "an? input cannot be written"),
        (lambda: register(65535, type="float32", high=1), "outside 0 to 65535"),
        (lambda: register(-1), "outside 0 to 65535"),
        (lambda: register(0, scale=0), "scale 0 is not allowed"),
        (lambda: register(0, scale=math.nan), "scale nan is not allowed"),
        (lambda: register(0, type="int16", high=400, scale=0.01), "400 1 does not fit int16"),
        (lambda: register(0, low=-1, high=1), "-1 1 does not fit uint16"),
    ],
)
def test_a_register_that_cannot_be_is_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=message):
        make()


def test_half_a_bit_is_refused() -> None:
    with pytest.raises(RangeError, match=r"0\.5 is no bit"):
        bit(0).encode(0.5)
