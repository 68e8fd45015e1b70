"""Every query of every board and alert, on a real InfluxDB, filled by the real forwarder.

What it forwards is a real batch of the demo's plant in virtual time, with events of the
controller's own making where a quiet batch has none.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from controller.alarms.alarm import Alarm
from controller.alarms.table import definitions
from controller.assemble import build_loops
from controller.planning.plan import SETPOINTS, Plan
from controller.planning.plan_record import EARLY_S, PlanRecord
from controller.plant import load_plant
from controller.plant_tags import PlantTags, latency_tag
from controller.sensing.laboratory import Result
from controller.texts.audit import change
from controller.texts.said import Language, said
from controller.versions import started
from dashboards.grafana import alerting, queries
from dashboards.grafana.build import Wanted
from drivers.point import Quality, Sample, Tag
from fermloop.commands.check import recipe_for
from fermloop.commands.closed_loop import EPOCH, run_batch
from historian.events import Event, Kind
from historian.forwarder import Forwarder
from historian.influx import InfluxSettings, InfluxWriter
from historian.progress import Status, save_status
from historian.reader import SqliteReader
from historian.sqlite import SqliteStore
from tests.dashboards.grafana_asks import POINTS, Asked, Reader, all_queries
from tests.loop.rig import FED
from tests.system.influx_server import InfluxServer

ROOT = Path(__file__).parents[2]
PLANT = load_plant(ROOT / "sim/plants/ecoli_5l.toml")
HOURS = 0.4
BEGIN, END = round(EPOCH), round(EPOCH + 3600 * HOURS)
ASKED = list(all_queries({n: b for n, b in Wanted(PLANT, ("en",)).boards().items()}))
LED = ("feed", "do")  # loops, as the optimiser's setpoints
RULES = alerting.alerts(PLANT, "en")
ALWAYS = "SHOW DATABASES"  # is answered by an empty database too


@dataclass(frozen=True, slots=True)
class Filled:
    """A server, and what its store held."""

    server: InfluxServer
    fields: frozenset[str] = frozenset()
    read: Reader = field(default_factory=lambda: Reader(BEGIN, END))

    def rows(self, asked: Asked | str, reader: Reader | None = None) -> list[dict[str, Any]]:
        """Return the answer as rows of a table, tags and all."""
        query, every = (asked, "") if isinstance(asked, str) else (asked.query, asked.every)
        read = reader or self.read
        read = read if isinstance(asked, str) else read.of(asked.panel)
        answer = self.server.query(read.asks(query, every))
        return [
            dict(zip(series["columns"], values, strict=True)) | series.get("tags", {})
            for series in answer
            for values in series["values"]
        ]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("grafana")
    with SqliteStore(folder / "store.sqlite", wait_when_full=True) as store:
        path = folder / "fed.toml"
        path.write_text(FED.replace("flow = 20.0", "flow = 2.0"))  # plans are of recipes that feed
        recipe = recipe_for(PLANT, path)
        run_batch(PLANT, recipe, path, hours=HOURS, seed=1, optimiser="on", store=store)
        status = folder / "forwarder.json"
        save_status(status, Status(time=END, behind_rows=3, lag_s=2.0))
        PlantTags(store, status=status).step(END - 60.0, END)
        store.append(computers(END - 60.0))
        for event in happenings(BEGIN + 600.0):
            store.record(event)
    with InfluxServer(folder) as server:
        forward(folder, server, another=b"R1-20251231-0000")
        (known,) = server.query(f'SHOW FIELD KEYS FROM "{queries.MINUTES}"')
        yield Filled(server, frozenset(row[0] for row in known["values"]))


def computers(now: float) -> list[Sample]:
    """Return what only real devices and disks have: latencies, and the store's size."""
    tags = [latency_tag(name) for name in PLANT.settings.device]
    tags += [Tag(f"plant.store.{name}", "By", 0, 1e15) for name in ("size", "free")]
    return [Sample(tag, now, 12.5, Quality.GOOD) for tag in tags]


def planned(now: float) -> Event:
    """Return what the optimiser tells of a plan."""
    names = ("biomass_g_per_l", "substrate_g_per_l", "our_mmol_per_l_h", "product_g", "volume_l")
    rows: dict[str, tuple[float, ...]] = {name: (1.0, 2.0) for name in names}
    plan = Plan("good", now, (now, now + 6 * 3600.0), ((5.0, 30.0), (9.0, 30.0)), rows, spread=rows)
    told: list[Event] = []
    seats = {column: build_loops("R1", PLANT)[n] for column, n in zip(SETPOINTS, LED, strict=True)}
    PlanRecord("R1", seats, "ecoli", told.append).look(now, plan)
    return told[0]


def happenings(now: float) -> Iterator[Event]:
    """Yield what people, interlocks and alarms do in a less quiet batch."""
    yield started(now, "demo", ())
    yield planned(now - EARLY_S)
    yield change(now, "operator:ana", "R1.do", "setpoint", 30.0, 35.0, "foam", "%")
    for n, analyte in enumerate(("dry_weight", "glucose", "acetate", "product"), 1):
        subject = f"R1.{analyte}"
        text = said("result_entered", subject=subject, new=5.5, unit="g/L", number=n)
        result = Result(n, "R1-1", analyte, 5.5, "g/L", False, now, now + 60, now + 60, "ana")
        data = {"what": "sample", "result": result.as_state()}
        yield Event(now + 60, "operator:ana", Kind.AUDIT, subject, text, data)
    low_do = said("interlock_tripped", text=said("below", tag="R1.do", low=12, unit="%"))
    yield Event(now + 70, "interlock", Kind.AUDIT, "R1.low_do", low_do)
    known = {d.id: d for d in definitions(PLANT)}
    low, high = Alarm(known["R1.do.low"]), Alarm(known["R1.temperature.high_high"])
    for n, alarm in enumerate((low, high)):
        alarm.active, alarm.acknowledged, alarm.value, alarm.began = True, False, 19.0, now + n
        yield Event(
            now + n, "system", Kind.ALARM, alarm.definition.source, alarm.text, alarm.as_json()
        )


def forward(folder: Path, server: InfluxServer, *, another: bytes = b"") -> None:
    """Send a store to the server as the forwarder's process does.

    Args:
        folder: of the store.
        server: takes it.
        another: number of a batch that has the minutes too, to compare with.
    """
    writer = InfluxWriter(InfluxSettings(server.url, "plant", server.bucket, server.token))

    def post(body: bytes) -> None:
        writer.post(body)
        minutes = [line for line in body.split(b"\n") if line.startswith(b"fermloop_1m,batch=R1-")]
        if another and minutes:
            writer.post(re.sub(rb"batch=R1-[-0-9]+", b"batch=" + another, b"\n".join(minutes)))

    reader = SqliteReader(folder / "store.sqlite")
    forwarder = Forwarder(reader, post, folder / "cursor.json", site="demo")
    while forwarder.step() == 0.0:
        pass
    writer.close()
    reader.close()
    assert forwarder.status.error == ""
    assert forwarder.status.quarantined == 0


def numbers(rows: Sequence[dict[str, Any]]) -> list[object]:
    return [v for row in rows for key, v in row.items() if key != "time" and v is not None]


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.where)
def test_every_query_of_every_board_is_answered(filled: Filled, asked: Asked) -> None:
    rows = filled.rows(asked)
    if only_of_absent_tags(asked.query, filled.fields):
        assert not numbers(rows)  # empty, and no error
        return
    assert numbers(rows), filled.read.asks(asked.query, asked.every)
    if asked.panel.get("type") == "timeseries":
        read = filled.read.of(asked.panel)
        widths = (read.end - read.start) / read.width(asked.every)
        lines = len({tuple(sorted(k for k in r)) for r in rows}) or 1
        assert len(rows) <= (widths + 2) * lines * 2
    for name in wanted_fields(asked):
        assert any(name in row for row in rows), (name, rows[:1])


def only_of_absent_tags(query: str, known: frozenset[str]) -> bool:
    """Return whether a trend is of a tag that this batch has no value of."""
    asked = set(re.findall(r'"(optimiser[.]\w+)"', query))
    return bool(asked) and "FROM (SELECT" in query and not asked & known


def wanted_fields(asked: Asked) -> list[str]:
    """Return the columns that a table or tiles show out of this query, as far as it names them."""
    if asked.panel.get("type") not in ("table", "stat"):
        return []
    named = re.findall(r' AS "([^"]+)"', asked.query.partition(" FROM ")[0])
    text = str(asked.panel["transformations"]) + str(asked.panel["fieldConfig"]["overrides"])
    return [name for name in named if f"'{name}'" in text]


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.where)
def test_other_sites_and_missing_batches_are_empty_and_no_error(
    filled: Filled, asked: Asked
) -> None:
    nobody = {"site": "nowhere", "reactor": "R9"}
    nobody |= dict.fromkeys(("batch", "focus", "reference"), "none")
    rows = filled.rows(asked, Reader(BEGIN, END, nobody))
    if asked.query == ALWAYS:
        assert rows
        return
    assert (
        rows == []
        or "SHOW TAG VALUES" in asked.query
        or not numbers(rows)
        or set(numbers(rows)) == {0}
    )


def test_a_question_before_anything_was_written_is_empty_and_no_error(tmp_path: Path) -> None:
    with InfluxServer(tmp_path) as server:
        nothing = Filled(server)
        for query in (*(asked.query for asked in ASKED), *(rule.query for rule in RULES)):
            assert (numbers(nothing.rows(query)) != []) == (query == ALWAYS), query


def test_wide_ranges_read_the_minutes_and_narrow_ones_the_scans(filled: Filled) -> None:
    query = queries.trend("do")
    near, far = Reader(BEGIN, END), Reader(BEGIN, BEGIN + 14 * 86400)
    filled.server.query('DELETE FROM "fermloop_1m" WHERE "reactor" = \'nobody\'')
    assert far.width("5s") >= 60 > near.width("5s")
    by_scan = {row["time"]: row["mean"] for row in filled.rows(query, near)}
    by_minute = [row for row in filled.rows(query, far) if row["mean"] is not None]
    assert len(by_scan) > 200
    assert len(by_minute) == math.ceil((END - BEGIN) / far.width("5s"))
    scans = [v for v in by_scan.values() if v is not None]
    assert min(scans) <= by_minute[0]["mean"] <= max(scans)


def test_what_happened_is_told_in_the_language_of_the_board(filled: Filled) -> None:
    listed = filled.rows(queries.events("audit|phase|note"))
    told = {row["text"]: row["text_zh"] for row in listed}
    assert told["R1.do setpoint: 30 → 35 %"] == "R1.do 设定值：30 → 35 %"
    began = [zh for en, zh in told.items() if en.endswith("began")]
    assert began
    assert all("开始" in zh for zh in began)
    languages: dict[Language, str] = {"en": "text", "zh": "text_zh"}
    for language, column in languages.items():
        board = Wanted(PLANT, (language,)).boards()[f"alarms.{language}"]
        lists = [p for p in board["panels"] if "text_zh" in p["targets"][0]["query"]]
        assert len(lists) == 4
        kept = [p["transformations"][-1]["options"]["renameByName"] for p in lists]
        assert all(list(names)[2] == column for names in kept)
        marks = Wanted(PLANT, (language,)).boards()[f"reactor.{language}"]["annotations"]["list"]
        assert {mark["textColumn"] for mark in marks} == {"id", column}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_alert_s_query_gives_one_number(filled: Filled, rule: alerting.Alert) -> None:
    look = Reader(END - rule.look_s, END)
    series = filled.server.query(look.asks(rule.query))
    (value,) = (row[1:] for one in series for row in one["values"])
    assert len(value) == 1
    assert isinstance(value[0], int | float)


def fires(rule: alerting.Alert, value: float | None) -> bool:
    """Return what Grafana's threshold says of a number, and its state of no data otherwise."""
    if value is None:
        return rule.silence == "Alerting"
    low, high = rule.params[0], rule.params[-1]
    return {"gt": value > low, "lt": value < low, "outside_range": not low <= value <= high}[
        rule.evaluator
    ]


def test_alerts_fire_when_they_must(filled: Filled) -> None:
    rules = {rule.name: rule for rule in RULES}

    def now(name: str, end: int) -> bool:
        rule = rules[name]
        series = filled.server.query(Reader(end - rule.look_s, end).asks(rule.query))
        value = series[0]["values"][0][1] if series else None
        return fires(rule, value)

    assert not now("R1.silent", END)
    assert now("R1.silent", END + 600)  # nothing came any more
    assert now("R1.unseen", END)  # the high alarm that nobody has acknowledged
    assert not now("R1.unseen", BEGIN + 60)
    assert not now("R1.temperature.high_high", END)
    assert not now("R1.temperature.high_high", END + 600)  # what is not there is no limit passed
    assert not now("R1.scans", END)


def test_quality_is_the_worst_of_its_bucket_and_unknown_without_contact(
    filled: Filled, tmp_path: Path
) -> None:
    """A minute of R2: BAD from 20 to 29 s, uncertain from 40 to 44 s, nothing from 50 s on."""
    tag = Tag("R2.do", "%", 0, 100)
    start = 1_790_000_000
    with SqliteStore(tmp_path / "store.sqlite") as store:
        for n in range(50):
            bad, doubtful = 20 <= n < 30, 40 <= n < 45
            quality = Quality.BAD if bad else Quality.UNCERTAIN if doubtful else Quality.GOOD
            store.append([Sample(tag, start + n, math.nan if bad else 30.0, quality)])
    forward(tmp_path, filled.server)
    reader = Reader(start, start + 59, {"site": "demo", "reactor": "R2"})
    rows = filled.rows(Asked("", queries.quality("do"), "10s", {}), reader)
    assert [row["min"] for row in rows] == [2, 2, 0, 2, 1, None]
    trend = filled.rows(Asked("", queries.trend("do"), "10s", {}), reader)
    assert [row["mean"] for row in trend] == [30, 30, None, 30, 30, None]
    assert POINTS == 1000
