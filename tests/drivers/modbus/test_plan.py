"""The read plan: the fewest requests, of those the fewest registers, no number in two."""

import itertools
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus import Cell, Limits, ReadPlan, Register, Status
from drivers.modbus.cells import Type
from drivers.modbus.plan import groups
from drivers.point import Quality, Tag

COUNTS: dict[int, Type] = {1: "uint16", 2: "float32", 4: "float64"}


def register(address: int, type: Type = "uint16", status: Status | None = None) -> Register:
    tag = Tag(f"R1.x{address}", "1", 0, 1)
    return Register(tag, "holding", address, type, status=status)


def partitions(cells: Sequence[Cell]) -> Iterator[list[list[Cell]]]:
    """Yield every way to put cells into requests, neighbours or not."""
    if not cells:
        yield []
        return
    first, rest = cells[0], cells[1:]
    for part in partitions(rest):
        yield [[first], *part]
        for i, group in enumerate(part):
            yield [*part[:i], [first, *group], *part[i + 1 :]]


def cost(part: list[list[Cell]], limits: Limits) -> tuple[int, int] | None:
    """Return requests and registers; ``None`` where a limit is broken."""
    words = 0
    for group in part:
        used = sorted({a for c in group for a in range(c.address, c.end)})
        size = used[-1] - used[0] + 1
        gaps = [b - a - 1 for a, b in itertools.pairwise(used)]
        if size > limits.registers or max(gaps, default=0) > limits.gap:
            return None
        words += size
    return len(part), words


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from([1, 2, 4])), min_size=1, max_size=7
    ),
    most=st.integers(4, 16),
    gap=st.integers(0, 5),
)
def test_no_partition_of_all_is_better(steps: list[tuple[int, int]], most: int, gap: int) -> None:
    cells: list[Cell] = []
    at = 0
    for skip, count in steps:
        cells.append(Cell("holding", at + skip, COUNTS[count]))
        at = cells[-1].end
    limits = Limits(most, 2000, gap)
    costs = [c for p in partitions(cells) if (c := cost(p, limits)) is not None]
    found = groups(cells, limits)
    assert cost(found, limits) == min(costs)
    assert [c for group in found for c in group] == cells  # each whole, and once


def test_the_cut_is_made_where_the_gap_is() -> None:
    """8 and 10 are read with 12 rather than with 0: as many requests, seven registers fewer."""
    cells = [Cell("holding", a) for a in (0, 8, 10, 12)]
    assert [len(g) for g in groups(cells, Limits(11, gap=16))] == [1, 3]


def test_two_thousand_bits_with_gaps_are_laid_out_in_no_time() -> None:
    cells = [Cell("coil", 3 * a, "bit") for a in range(2000)]
    found = groups(cells, Limits())
    assert len(found) == 3


def test_a_status_is_read_with_its_tag_and_may_lie_anywhere() -> None:
    shared = Status(Cell("input", 40), (0,), (1,))
    plan = ReadPlan(
        [
            Register(Tag("R1.ph", "[pH]", 0, 14), "input", 0, "float32", status=shared),
            Register(Tag("R1.do", "%", 0, 100), "input", 2, "float32", status=shared),
            Register(Tag("R1.t", "Cel", 0, 99), "holding", 5, scale=0.1),
        ],
        others={"armed": Cell("input", 41)},
    )
    assert [str(r) for r in plan.reads] == [
        "FC3 5: 1 registers: R1.t",
        "FC4 0 to 3: 4 registers: R1.ph, R1.do",
        "FC4 40 to 41: 2 registers: R1.ph quality, R1.do quality, armed",
    ]
    hold, tags = bytes.fromhex("03 02 0173"), bytes.fromhex("04 08 40E0 0000 4248 0000")
    for status, quality in ((0, Quality.GOOD), (1, Quality.UNCERTAIN), (7, Quality.BAD)):
        replies = [hold, tags, bytes((4, 4, 0, status, 0, 1))]
        found = plan.samples(replies, 9.0)
        assert [s.quality for s in found.values()] == [Quality.GOOD, quality, quality]
        assert (found["R1.ph"].value == 7.0) is (status != 7)  # BAD carries no number
        assert plan.raw(replies) == {
            "R1.ph": f"40E0 0000, quality 000{status}",
            "R1.do": f"4248 0000, quality 000{status}",
            "R1.t": "0173",
        }


def test_masks_share_a_register_and_a_status_bit_may_be_in_it() -> None:
    a, b = (
        Register(Tag(f"R1.{n}", "1", 0, 7), "input", 0, mask=mask)
        for n, mask in (("a", 0x0007), ("b", 0x0700))
    )
    ok = Status(Cell("input", 0, mask=0x8000), (1,))
    c = Register(Tag("R1.c", "1", 0, 1), "input", 1, status=ok)
    plan = ReadPlan([a, b, c])
    assert [r.count for r in plan.reads] == [2]
    assert plan.reads[0].tags == ("R1.a", "R1.b", "R1.c quality", "R1.c")
    found = plan.samples([bytes.fromhex("04 04 8502 0001")], 1.0)
    assert [found[n].value for n in ("R1.a", "R1.b", "R1.c")] == [2, 5, 1]
    found = plan.samples([bytes.fromhex("04 04 0502 0001")], 1.0)
    assert found["R1.c"].quality is Quality.BAD
    assert found["R1.b"].quality is Quality.GOOD


@pytest.mark.parametrize(
    ("registers", "limits", "message"),
    [
        ([register(0, "float32"), register(1)], Limits(), "holding 1 is already taken by R1.x0"),
        ([register(0, "float64")], Limits(registers=3), "4 registers that must be read at once"),
        (
            [
                Register(Tag("R1.a", "1", 0, 1), "input", 0, mask=3),
                Register(Tag("R1.b", "1", 0, 1), "input", 0, mask=2),
            ],
            Limits(),
            "R1.b: mask 0x2 of input 0 has bits of R1.a",
        ),
        (
            [
                Register(Tag("R1.a", "1", 0, 1), "input", 0, mask=3),
                Register(Tag("R1.b", "1", 0, 1), "input", 0),
            ],
            Limits(),
            "already taken",
        ),
        (
            [
                Register(Tag("R1.a", "1", 0, 1), "input", 0, "uint32", mask=3),
                Register(Tag("R1.b", "1", 0, 1), "input", 1, mask=1),
            ],
            Limits(),
            "already taken",
        ),
    ],
)
def test_what_cannot_be_read_whole_is_refused(
    registers: list[Register], limits: Limits, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ReadPlan(registers, limits)
