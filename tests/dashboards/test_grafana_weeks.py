"""Four reactors for fourteen days: every query of every board and alert within half a second.

What the server holds is what the real forwarder sent of half an hour of a real batch, again and
again, of each vessel: its minutes, units, events, plans and results all the time, a scan a second
in the last shift and a scan a minute before (what a wide range reads is the minutes, however many
scans they were made of).
"""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.plant import load_plant
from controller.plant_tags import PlantTags
from dashboards.grafana import alerting
from dashboards.grafana.build import Wanted
from drivers.clock import monotonic
from fermloop.commands.check import recipe_for
from fermloop.commands.closed_loop import EPOCH, run_batch
from historian.forwarder import Forwarder
from historian.influx import InfluxSettings, InfluxWriter
from historian.progress import Status, save_status
from historian.reader import SqliteReader
from historian.sqlite import SqliteStore
from tests.dashboards.grafana_asks import POINTS, Asked, Reader, all_queries
from tests.dashboards.shots.batches import moved
from tests.dashboards.test_grafana_queries import computers, happenings, only_of_absent_tags
from tests.system.influx_server import InfluxServer

pytestmark = [pytest.mark.long, pytest.mark.real_time]

ROOT = Path(__file__).parents[2]
PLANT = load_plant(ROOT / "sim/plants/ecoli_5l.toml")
RECIPE = ROOT / "sim/recipes/ecoli.toml"
REACTORS = (b"R1", b"R2", b"R3", b"R4")
DAYS, SHIFT_S, PIECE_S = 14, 8 * 3600, 1800
LIMIT_S = 0.5
BEGIN = round(EPOCH)
END = BEGIN + DAYS * 86400
ALL = dict(Reader(0, 0).chosen) | {"batch": "(R.*)", "reference": "(R.*)"}
FORTNIGHT, SHIFT = Reader(BEGIN, END, ALL), Reader(END - SHIFT_S, END, ALL)


def piece(folder: Path) -> list[bytes]:
    """Return what the forwarder sends of half an hour of a real batch, a line each."""
    with SqliteStore(folder / "store.sqlite", wait_when_full=True) as store:
        recipe = recipe_for(PLANT, RECIPE)
        hours = PIECE_S / 3600
        run_batch(PLANT, recipe, RECIPE, hours=hours, seed=1, optimiser="on", store=store)
        status = folder / "forwarder.json"
        for now in range(BEGIN, BEGIN + PIECE_S, 60):
            save_status(status, Status(time=now, behind_rows=3, lag_s=2.0))
            PlantTags(store, status=status).step(now, now)
            store.append(computers(now))
        for event in happenings(BEGIN + 600.0):
            store.record(event)
    sent: list[bytes] = []
    with SqliteReader(folder / "store.sqlite") as reader:
        forwarder = Forwarder(reader, sent.append, folder / "cursor.json", site="demo")
        while forwarder.step() == 0.0:
            pass
    assert forwarder.status.error == ""
    return [line for body in sent for line in body.split(b"\n")]


def fortnight(lines: list[bytes]) -> Iterator[bytes]:
    """Yield requests of fourteen days of four vessels."""
    scans = [line for line in lines if line.startswith(b"fermloop,")]
    others = [line for line in lines if not line.startswith(b"fermloop,")]
    every, some = b"\n".join(others + scans), b"\n".join(others + scans[::60])
    for start in range(0, DAYS * 86400, PIECE_S):
        text = moved(every if start >= DAYS * 86400 - SHIFT_S else some, start * 1_000_000)
        for reactor in REACTORS:
            yield text.replace(b"R1", reactor)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    folder = tmp_path_factory.mktemp("weeks")
    lines = piece(folder)
    with InfluxServer(folder) as server:
        writer = InfluxWriter(InfluxSettings(server.url, "plant", server.bucket, server.token))
        begun = monotonic()
        for body in fortnight(lines):
            writer.post(body)
        writer.close()
        print(f"filled in {monotonic() - begun:.0f} s")
        yield server


@pytest.mark.parametrize("reader", [FORTNIGHT, SHIFT], ids=["fortnight", "shift"])
def test_every_query_of_a_board_is_answered_within_half_a_second(
    server: InfluxServer, reader: Reader
) -> None:
    (known,) = server.query('SHOW FIELD KEYS FROM "fermloop_1m"')
    fields = frozenset(row[0] for row in known["values"])
    slow: dict[str, float] = {}
    for asked in all_queries(Wanted(PLANT, ("en",)).boards()):
        points, took = ask(server, asked, reader)
        assert points <= 2 * POINTS * len(REACTORS) * 2, asked.where
        assert points or only_of_absent_tags(asked.query, fields), asked.where
        if took > LIMIT_S:
            slow[asked.where] = took
    assert slow == {}


def test_every_query_of_an_alert_is_answered_within_half_a_second(server: InfluxServer) -> None:
    slow: dict[str, float] = {}
    for rule in alerting.alerts(PLANT, "en"):
        asked = Asked(rule.name, rule.query, "", {})
        points, took = ask(server, asked, Reader(END - rule.look_s, END))
        assert points == 1, rule.name
        if took > LIMIT_S:
            slow[rule.name] = took
    assert slow == {}


def ask(server: InfluxServer, asked: Asked, reader: Reader) -> tuple[int, float]:
    """Return how many points came and the least of three times, s."""
    took = math.inf
    points = 0
    for _ in range(3):
        begun = monotonic()
        answer = server.query(reader.of(asked.panel).asks(asked.query, asked.every))
        took = min(took, monotonic() - begun)
        points = sum(len(series["values"]) for series in answer)
    print(f"{1e3 * took:6.0f} ms {points:6d} points  {asked.where}")
    return points, took
