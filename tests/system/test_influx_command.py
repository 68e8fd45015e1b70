"""``fermloop influx`` on real servers, and the native /api/v2/write of VictoriaMetrics."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from drivers.clock import wall
from drivers.point import Quality, Sample, Tag
from fermloop.cli import app
from historian.bucket import Bucket
from historian.delivery import UnavailableError
from historian.events import Event, Kind
from historian.forwarder import Forwarder
from historian.influx import InfluxSettings, InfluxWriter
from historian.sqlite import SqliteReader, SqliteStore
from tests.system.influx_server import InfluxServer
from tests.system.plant_processes import plant_text
from tests.system.test_fault_influx import influx_table
from tests.system.victoria_server import VictoriaServer

pytestmark = pytest.mark.real_time

DO, PH = Tag("R1.do", "%", 0, 100), Tag("R1.ph", "[pH]", 0, 14)


class Plant:
    """A plant file with [influx], its store with two hours of the past, and its forwarder."""

    def __init__(self, folder: Path, server: InfluxServer) -> None:
        token = folder / "token"
        token.write_text(server.token)
        token.chmod(0o600)
        self.file, self.data = folder / "plant.toml", folder / "data"
        self.file.write_text(plant_text(folder, influx_table(server, token)), encoding="utf-8")
        self.settings = InfluxSettings(server.url, "plant", server.bucket, server.token)
        self.began = wall() // 3600 * 3600 - 3600.0
        with SqliteStore(self.data / "store.sqlite") as store:
            for i in range(0, 3600, 10):
                do = Sample(DO, self.began + i, i / 8, Quality.GOOD)
                store.append([do, Sample(PH, self.began + i, 7.0, Quality.GOOD)])
            store.append([Sample(DO, self.began + 3600, math.nan, Quality.BAD)])
            store.record(Event(self.began, "operator:ana", Kind.AUDIT, "R1", "started"))

    def forward(self) -> None:
        """Forward until nothing is behind."""
        writer = InfluxWriter(self.settings)
        with SqliteReader(self.data / "store.sqlite") as reader:
            forwarder = Forwarder(reader, writer.post, self.data / "cursor.json", site="demo")
            while forwarder.step() == 0.0:
                pass
            assert forwarder.status.error == ""
        writer.close()

    def says(self, action: str, *other: str) -> Result:
        return CliRunner().invoke(app, ["influx", action, str(self.file), *other])


@pytest.fixture(params=[False, True], ids=["without auth", "with auth"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[InfluxServer]:
    folder = tmp_path / "influx"
    folder.mkdir()
    with InfluxServer(folder, auth=request.param) as server:
        yield server


def policies(server: InfluxServer) -> list[list[object]]:
    return server.query(f"SHOW RETENTION POLICIES ON {server.bucket}")[0]["values"]


def test_init_makes_the_bucket_and_changes_its_retention(
    tmp_path: Path, server: InfluxServer
) -> None:
    plant = Plant(tmp_path, server)
    server.query(f"DROP DATABASE {server.bucket}")
    first = plant.says("init", "--keep", "90d")
    assert "bucket 'plant' made; it keeps everything 90 d\n" in first.output
    assert policies(server)[0][:2] == ["fermloop", "2160h0m0s"]
    assert "was there; it keeps" in plant.says("init", "--keep", "90d").output
    assert "1h at least" in plant.says("init", "--keep", "90s").output
    assert "was there and is changed; it keeps everything for ever" in plant.says("init").output
    assert [policy[:2] for policy in policies(server)] == [["fermloop", "0s"]]


def test_verify_explains_what_differs_and_backfill_mends_it(
    tmp_path: Path, server: InfluxServer
) -> None:
    plant = Plant(tmp_path, server)
    before = plant.says("verify")
    assert before.exit_code == 0, before.output
    assert before.output.count("store 360, server 0: 360 rows are still to be sent") == 2
    plant.forward()
    good = plant.says("verify")
    assert good.output == ("720 values of 2 tags in 2 hours compared\nthe server has all of them\n")
    server.query('DELETE FROM "fermloop"')
    lost = plant.says("verify", "--json")
    told = json.loads(lost.output.splitlines()[0])
    assert not told["ok"]
    assert {(d["tag"], d["store"], d["server"], d["why"]) for d in told["differences"]} == {
        ("R1.do", 360, 0, ""),
        ("R1.ph", 360, 0, ""),
    }
    sent = plant.says("backfill", "--from", "8h")
    assert "361 rows from" in sent.output, sent.output
    assert plant.says("verify").exit_code == 0
    assert server.count("do") == server.count("ph") == 360
    assert server.count("text", "event") == 1  # sent twice, there once


def test_verify_finds_a_store_that_was_made_up(tmp_path: Path, server: InfluxServer) -> None:
    plant = Plant(tmp_path, server)
    plant.forward()
    for file in plant.data.glob("store.sqlite*"):
        file.unlink()
    Plant(tmp_path, server)
    said = plant.says("verify")
    assert isinstance(said.exception, Exception)
    assert "link 1 is " in str(said.exception)


def test_what_the_server_refused_is_explained(tmp_path: Path, server: InfluxServer) -> None:
    plant = Plant(tmp_path, server)
    writer = InfluxWriter(plant.settings)
    writer.post(f'fermloop,site=demo do="text" {round(plant.began * 1e6) - 1}'.encode())
    writer.close()
    plant.forward()
    said = plant.says("verify")
    assert said.exit_code == 0, said.output
    assert "R1.do  store 360, server 0: 360 refused: 400: partial write: field type" in said.output


@pytest.mark.parametrize("action", ["init", "verify", "backfill"])
def test_a_wrong_token_and_a_plant_without_influxdb_are_named(tmp_path: Path, action: str) -> None:
    other = ["--from", "8h"] if action == "backfill" else []
    with InfluxServer(tmp_path, auth=True) as server:
        plant = Plant(tmp_path, server)
        (tmp_path / "token").write_text("ana:wrong")
        said = plant.says(action, *other)
        assert f"{server.url} refuses the token (401): authorization failed" in str(said.exception)
    plant.file.write_text(plant_text(tmp_path))
    said = plant.says(action, *other)
    assert "plant.toml: influx.enabled: false" in str(said.exception)


def test_victoriametrics_takes_every_row_by_its_own_write_path(tmp_path: Path) -> None:
    with VictoriaServer(tmp_path) as server, SqliteStore(tmp_path / "store.sqlite") as store:
        t0 = 1_790_000_000
        for i in range(600):
            quality = Quality.UNCERTAIN if i == 7 else Quality.GOOD
            store.append([Sample(DO, t0 + i, i / 8, quality)])
        store.append([Sample(DO, t0 + 600, math.nan, Quality.BAD)])
        store.record(Event(t0, "operator:ana", Kind.AUDIT, "R1", "started"))
        store.flush()
        settings = InfluxSettings(server.url, "plant", "b", "any")
        writer = InfluxWriter(settings)
        with SqliteReader(store.path) as reader:
            forwarder = Forwarder(reader, writer.post, tmp_path / "cursor", site="demo")
            while forwarder.step() == 0.0:
                pass
        writer.close()
        with Bucket(settings) as bucket, pytest.raises(UnavailableError, match="nothing to make"):
            bucket.make(0.0)
        status = forwarder.status
        assert (status.error, status.forwarded, status.quarantined, status.refused) == (
            "",
            601,
            0,
            0,
        )
        second = 1000
        assert server.values("fermloop_do") == [((t0 + i) * second, i / 8) for i in range(600)]
        assert server.values("fermloop_do_q") == [((t0 + 7) * second, 1), ((t0 + 600) * second, 0)]
        assert sum(n for _, n in server.values("fermloop_1m_do_n")) == 580  # the last one lasts
        assert len(server.values("event_id")) == 1
