"""The report of a batch: its figures by hand, its texts in both languages, nothing from outside."""

import html
import math
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from drivers.point import Quality, Sample, Tag
from fermloop.batch_report.figures import Reckoning, settings_of
from fermloop.batch_report.loops import deviations, loops
from fermloop.batch_report.minutes import minutes
from fermloop.batch_report.page import WORDS, page
from fermloop.cli import app
from historian.events import Event, Kind
from historian.sqlite import SqliteReader, SqliteStore

ROOT = Path(__file__).parents[2]
PLANT = (ROOT / "sim/plants/ecoli_5l.toml").read_text(encoding="utf-8")
T0 = 1_790_000_040.0
HOURS = 3
TAGS = {
    "temperature": "Cel", "temperature.sp": "Cel", "temperature.op": "%", "do": "%", "do.sp": "%",
    "do.op": "%", "agitation": "{r}/min", "air_flow": "L/min", "feed": "mL/h", "base": "mL/min",
    "heater": "%", "cooling": "%", "jacket_temperature": "Cel", "cer": "mmol/(L.h)",
    "est.volume": "L", "est.product": "g/L", "est.product.sd": "g/L", "est.biomass": "g/L",
    "est.substrate": "g/L", "simulated": "1",
}  # fmt: skip


def values(minute: int) -> dict[str, float]:
    """Return what a vessel says in a minute: simple enough to be reckoned by hand."""
    hour = minute / 60.0
    return {
        "temperature": 37.5 if 90 <= minute < 100 else 37.0, "temperature.sp": 37.0,
        "temperature.op": float(minute % 2), "do": 30.0, "do.sp": 30.0, "do.op": 10.0,
        "agitation": 600.0, "air_flow": 5.0, "feed": 20.0, "base": 0.1, "heater": 10.0,
        "cooling": 0.0, "jacket_temperature": 36.0, "cer": 100.0, "est.volume": 3.0,
        "est.product": 2.0 * hour, "est.product.sd": 0.1, "est.biomass": 10.0,
        "est.substrate": 0.0, "simulated": 1.0,
    }  # fmt: skip


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteReader]:
    path = tmp_path_factory.mktemp("report") / "store.sqlite"

    def told(
        minute: float, source: str, kind: Kind, subject: str, sentence: str, /, **data: object
    ) -> None:
        store.record(Event(T0 + 60 * minute, source, kind, subject, sentence, data))

    def assay(minute: float, number: int, value: float, corrects: int = 0) -> None:
        result = {
            **{"number": number, "analyte": "product", "value": value, "unit": "g/L"},
            **{"t_sampled": T0 + 60 * minute, "t_entered": T0 + 60 * minute + 600.0},
            **{"who": "bo", "corrects": corrects},
        }
        told(
            minute + 10, "operator:bo", Kind.AUDIT, "R1.product", "x", what="sample", result=result
        )

    tags = {name: Tag(f"R1.{name}", unit, -1e6, 1e6) for name, unit in TAGS.items()}
    recipe = {"name": "<ecoli>", "phase": [{"name": "batch"}, {"name": "feed"}]}
    with SqliteStore(path, wait_when_full=True) as store:
        file = {"name": "plant.toml", "text": PLANT}
        start = {"batch": "R1-1", "state": "RUNNING", "recipe": recipe, "plant_file": file}
        told(0, "recipe", Kind.PHASE, "R1", "started", **start, software="fermloop 1")
        told(0, "recipe", Kind.PHASE, "R1", "batch", phase="batch", index=0)
        for minute in range(60 * HOURS):
            row = values(minute)
            bad = 30 <= minute < 33
            store.append(
                [
                    Sample(tag, T0 + 60 * minute + 1, math.nan, Quality.BAD)
                    if bad and name == "do"
                    else Sample(tag, T0 + 60 * minute + 1, row[name], Quality.GOOD)
                    for name, tag in tags.items()
                ]
            )
        told(60, "recipe", Kind.PHASE, "R1", "feed", phase="feed", index=1)
        change = {"what": "setpoint", "old": 30.0, "new": 35.0, "unit": "%"}
        told(70, "operator:ana", Kind.AUDIT, "R1.do", "x", **change, why="<b>acetate rises</b>")
        told(
            71, "operator:ana", Kind.AUDIT, "R1.do", "x", **change, refused="above 80", why="again"
        )
        alarm = {"id": "R1.do.low", "priority": "high", "time": T0 + 4800.0, "reactor": "R1"}
        ended = {"ended": T0 + 4860.0, "text": "DO low", "text_zh": "溶氧低", "who": "ana"}
        told(81, "system", Kind.ALARM, "R1.do", "DO low", **alarm, **ended, comment="valve")
        assay(100, 1, 9.9)
        assay(100, 2, 5.5, corrects=1)
        told(180, "recipe", Kind.PHASE, "R1", "complete", state="COMPLETE")
    with SqliteReader(path) as reader:
        yield reader


@pytest.fixture(scope="module")
def reckoning(reader: SqliteReader) -> Reckoning:
    record = reader.batch("R1-1")
    return Reckoning(record, minutes(reader, record.batch), settings_of(record))


def test_the_figures_are_those_reckoned_by_hand(reckoning: Reckoning) -> None:
    found = {figure.key: figure.value for figure in reckoning.figures()}
    titre = 2.0 * 179 / 60
    product = 3.0 * titre
    assert found["duration"] == pytest.approx(3.0)
    assert found["titre"] == pytest.approx(titre)
    assert found["titre_laboratory"] == 5.5  # the corrected one
    assert found["product"] == pytest.approx(product)
    assert found["fed"] == pytest.approx(3 * 0.020 * 500)  # h L/h g/L
    assert found["yield"] == pytest.approx(product / (3.0 * 8.0 + 30.0))
    assert found["sty"] == pytest.approx(product / (4.5 * 15.0))
    assert found["qp"] == pytest.approx(product / (10.0 * 3.0 * 3.0))
    energy = reckoning.energy_kwh
    # two impellers of power number 5, 59 mm, at 10/s, gassed; a motor of 0.8
    ungassed = 2 * 5.0 * 1000.0 * 10.0**3 * 0.059**5
    assert 0.3 * ungassed < energy["stirring"] * 1e3 / 3.0 * 0.8 < ungassed
    assert energy["heating"] == pytest.approx(3 * 0.1 * 0.3)  # h, a tenth of 300 W
    assert energy["chilling"] == 0.0
    kg = product / 1e3
    assert found["energy_per_kg"] == pytest.approx(sum(energy.values()) / kg)
    ammonia = 180 * 0.1e-3 * 4.0 * 17.031e-3  # min, L/min, mol/L, kg/mol
    co2e = 0.4 * sum(energy.values()) + 0.054 + 2.4 * ammonia
    assert found["co2e_per_kg"] == pytest.approx(co2e / kg)
    # 100 a kg of product, 0.2 a L of feed
    energy_price = reckoning.settings.economy.price.energy_per_kwh  # pyright: ignore[reportOptionalMemberAccess] (it has one)
    earned = 100.0 * kg - 0.2 * 0.06 - energy_price * sum(energy.values())
    assert found["margin"] == pytest.approx(earned)
    assert found["biogenic_per_kg"] == pytest.approx(3 * 100.0 * 3.0 * 44.01e-6 / kg)


def test_a_loop_out_of_its_band_is_a_deviation(reckoning: Reckoning) -> None:
    record, data, settings = reckoning.record, reckoning.minutes, reckoning.settings
    (found,) = deviations(record, data, settings)
    assert (found.kind, found.subject, found.text + found.unit) == (
        "band",
        "temperature",
        "+0.5Cel",
    )
    assert found.ended is not None
    assert (found.began - T0, found.ended - found.began) == (90 * 60.0, 600.0)
    each = {loop.name: loop for loop in loops(data, settings)}
    assert each["temperature"].in_band == pytest.approx(110 / 120)
    assert each["temperature"].iae == pytest.approx(0.5 * 10 / 60)
    # 0.5 K for ten minutes around 1.575 h after the setpoint was moved, at the start
    assert each["temperature"].itae == pytest.approx(0.5 * 10 / 60 * 94.5 / 60)
    assert each["temperature"].travel == 179.0
    assert each["do"].not_good_min == 3


class _Cells(HTMLParser):
    """Collects the text of a page and refuses tags that nobody closes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "link", "br", "line", "path", "polyline", "polygon"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("meta", "link", "br", "line", "path", "polyline", "polygon"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_has_every_section_and_needs_nothing_from_outside(reader: SqliteReader) -> None:
    text = page(reader, "R1-1", "both", T0, "ana")
    words = " ".join(_Cells(text).words)
    for language in ("en", "zh"):
        titles = [v for k, v in WORDS.catalogue(language).items() if k.endswith("title")]
        missing = {t for t in titles if t not in words}
        assert missing <= {"Advice of the optimiser", "先控建议"}  # none was given
    assert "SIMULATED PLANT" in words
    assert "<b>acetate rises</b>" in words  # as text
    assert "&lt;b&gt;acetate rises" in text
    assert "above 80" in words
    assert "溶氧低" in words
    assert "valve" in words
    assert re.search(r"replaced by no\. 2", words)
    assert reader.verify().head in words
    assert not re.search(r"https?://(?!www\.w3\.org)|src=|@import", text)
    assert text.count("<svg") >= 8
    assert "NaN" not in text
    assert "None" not in re.sub(r"None\.", "", html.unescape(text))


def test_a_gap_is_a_gap_in_the_trend(reader: SqliteReader) -> None:
    text = page(reader, "R1-1", "en", T0, "ana")
    chart = re.split(r"<figure>", text.partition('id="trends"')[2])[2]  # DO
    assert "Dissolved oxygen" in chart
    assert len(re.findall(r'<polyline class="pv"', chart)) == 2


def test_both_catalogues_have_the_same_keys_and_places() -> None:
    en, zh = WORDS.catalogue("en"), WORDS.catalogue("zh")
    assert list(en) == list(zh)
    for key in en:
        assert set(re.findall(r"{\w+}", en[key])) == set(re.findall(r"{\w+}", zh[key])), key
    source = "".join(p.read_text() for p in (ROOT / "fermloop/batch_report").glob("*.py"))
    used = {key for key in en if key in source or f'"{key.partition(".")[2]}"' in source}
    assert set(en) - used - {k for k in en if k.startswith(("energy.", "deviation."))} == set()


def test_the_command_writes_the_page_or_says_why_not(
    reader: SqliteReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def says(*words: str) -> str:
        result = CliRunner().invoke(app, ["report", *words, "--store", str(reader.path)])
        return result.output + str(result.exception or "")

    assert "R9: no such batch; the newest in the store: R1-1" in says("R9")
    assert "fr is not allowed; both, zh, en are" in says("R1-1", "--language", "fr")
    assert "R1-1.html: open it in a browser" in says("R1-1", "--language", "zh")
    assert '<html lang="zh" data-show="zh">' in (tmp_path / "R1-1.html").read_text("utf-8")
    assert "No such file or directory" in says("R1-1", "--out", "nowhere/a.html")
    assert [p.name for p in tmp_path.iterdir()] == ["R1-1.html"]


def test_a_plant_file_that_no_version_reads_costs_figures_and_not_the_report(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.sqlite"
    with SqliteStore(path) as store:
        start: dict[str, object] = {
            "batch": "R1-1",
            "plant_file": {"name": "p", "text": "= no toml"},
        }
        store.record(Event(T0, "recipe", Kind.PHASE, "R1", "started", start))
        store.append([Sample(Tag("R1.do", "%", 0, 100), T0 + 1, 30.0, Quality.GOOD)])
    with SqliteReader(path) as reader:
        assert "Signatures" in page(reader, "R1-1", "both", T0, "ana")
