import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from historian.lines import Encoder, escape, field_key, join_fields, quote, split_fields
from historian.reader import Rows

T0 = 1_790_000_000.25


def encode(*rows: tuple[object, ...], suffixes: tuple[str, ...] = ("do", "ph")) -> list[str]:
    lines = Encoder("demo", "R1", "none", suffixes).lines(Rows(suffixes, list(rows)))
    return [line.text for line in lines]


def test_a_row_is_one_line_with_whole_microseconds() -> None:
    assert encode((1, T0, None, 30.1, 7.0)) == [
        "fermloop,batch=none,reactor=R1,site=demo do=30.1,ph=7.0 1790000000250000"
    ]


@pytest.mark.parametrize(
    ("quality", "do", "ph", "fields", "samples"),
    [
        (None, 30.1, None, "do=30.1", 1),  # ph was not sampled in this scan
        ("12", 30.1, 7.0, "do=30.1,do_q=1i,ph=7.0", 2),
        ("20", 30.1, None, "do=30.1,ph_q=0i", 2),
        ("0-", None, None, "do_q=0i", 1),
        ("0", None, 7.0, "do_q=0i,ph=7.0", 2),  # ph's column is younger than the row
    ],
)
def test_quality_stands_beside_the_value_only_where_it_is_not_good(
    quality: str | None, do: float | None, ph: float | None, fields: str, samples: int
) -> None:
    suffixes = ("do", "ph")
    (line,) = Encoder("demo", "R1", "none", suffixes).lines(
        Rows(suffixes, [(7, T0, quality, do, ph)])
    )
    assert line.text == f"fermloop,batch=none,reactor=R1,site=demo {fields} 1790000000250000"
    assert (line.reactor, line.seq, line.samples) == ("R1", 7, samples)


def test_a_row_without_samples_is_no_line() -> None:
    assert encode((1, T0, None, None, None)) == [""]


@given(st.lists(st.one_of(st.none(), st.floats(), st.just(1e308)), min_size=3, max_size=3))
def test_what_is_not_finite_is_never_written(values: list[float | None]) -> None:
    (text,) = encode((1, T0, None, *values), suffixes=("a", "b", "c"))
    finite = [v for v in values if v is not None and math.isfinite(v)]
    written = [float(value) for _, value in split_fields(text)[1]] if text else []
    assert written == finite


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_any_name_keeps_a_line_whole(site: str, reactor: str, suffix: str) -> None:
    encoder = Encoder(site, reactor, "B1", (suffix, "b"))
    (line,) = encoder.lines(Rows((suffix, "b"), [(1, T0, "1", 1.5, 2.5)]))
    assert "\n" not in line.text
    head, fields, time = split_fields(line.text)
    key = field_key(suffix)
    assert [key for key, _ in fields] == [key, key + "_q", "b"]
    assert [value for _, value in fields] == ["1.5", "1i", "2.5"]
    assert time == "1790000000250000"
    assert len(re.split(r"(?<!\\),", head)) == 4
    assert join_fields(head, fields, time) == line.text


@given(st.text(), st.text(min_size=1))
def test_any_text_keeps_a_line_whole(text: str, name: str) -> None:
    line = f"event,kind={escape(name)} id=1i,text={quote(text)},{escape(name)}=2.0 3"
    assert "\n" not in line
    assert line.encode()
    head, fields, time = split_fields(line)
    assert fields == [("id", "1i"), ("text", quote(text)), (escape(name), "2.0")]
    assert join_fields(head, fields, time) == line


def test_a_name_that_influxdb_has_taken_gets_an_underscore() -> None:
    suffixes = ("time", "batch", "site", "do")
    (text,) = encode((1, T0, None, 1.0, 2.0, 3.0, 4.0), suffixes=suffixes)
    assert " time_=1.0,batch_=2.0,site_=3.0,do=4.0 " in text


def test_escaping_follows_the_line_protocol() -> None:
    assert escape("a b,c=d") == r"a\ b\,c\=d"
    assert escape("溶氧 %") == r"溶氧\ %"
    assert escape("a\nb\\c") == "a_b_c"
