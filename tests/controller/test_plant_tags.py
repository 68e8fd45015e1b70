"""How forwarder, store and devices are comes into the store as tags."""

from pathlib import Path

import pytest

from controller.devices.devices import Device
from controller.plant import load_plant
from controller.plant_tags import PlantTags, latency_tag
from controller.versions import started, versions
from drivers.clock import Clock, SystemClock
from drivers.driver import Driver
from drivers.point import Quality, Sample
from historian.progress import Status, save_status
from historian.sqlite import SqliteReader, SqliteStore

T0 = 1.79e9
DEMO = Path(__file__).parents[2] / "sim/plants/ecoli_5l.toml"
SIZES = ("size", "free")


class SlowDevice(Driver):
    """A device that takes its time."""

    def __init__(self, clock: Clock) -> None:
        self.name, self.address, self.tags = "slow", "", ()
        self._clock = clock

    async def read(self) -> dict[str, Sample]:
        await self._clock.sleep_until(self._clock.now() + 0.02)
        return {}

    async def write(self, values: dict[str, float]) -> dict[str, Sample]:
        return {}

    async def close(self) -> None:
        """Nothing is open."""


def test_lag_rate_and_quarantine_are_tags_that_are_bad_when_nobody_forwards(tmp_path: Path) -> None:
    path = tmp_path / "forwarder.json"
    status = Status(time=T0, lag_s=7.5, rate_per_s=60.0, behind_rows=3, quarantined=2)
    with SqliteStore(tmp_path / "store.sqlite") as store:
        tags = PlantTags(store, status=path)
        tags.step(T0, T0)  # it has never begun
        save_status(path, status)
        for second in (1, 5, 6, 100):
            tags.step(T0 + second, T0 + second)
        path.write_text("{torn")
        tags.step(T0 + 200, T0 + 200)
    with SqliteReader(store.path) as reader:
        names = {n: t for n, t in reader.tags().items()}
        lags = reader.read(names["plant.influx.lag"], 0, 2e9)
        assert [(s.time - T0, s.quality) for s in lags] == [(5, Quality.GOOD), (100, Quality.BAD)]
        assert lags[0].value == 7.5
        values = {n: reader.read(t, T0, T0 + 9)[0].value for n, t in names.items()}
        assert values == {
            "plant.influx.lag": 7.5,
            "plant.influx.rate": 60.0,
            "plant.influx.behind": 3.0,
            "plant.influx.quarantined": 2.0,
        }


async def test_size_growth_and_latency_are_tags_of_the_plant(tmp_path: Path) -> None:
    plant = load_plant(DEMO)
    name, settings = next(iter(plant.settings.device.items()))
    device = Device(name, settings, SlowDevice(SystemClock()), 1.0)
    with SqliteStore(tmp_path / "store.sqlite", commit_s=0.01) as store:
        store.flush()  # it is weighed when nothing waits to be committed
        store.flush()
        tags = PlantTags(store, [device])
        await device.read(T0, None)
        tags.step(T0, T0)
        tags.step(T0 + 5, T0 + 5)  # nothing was read since
    with SqliteReader(store.path) as reader:
        row = reader.last("plant")
        (slow, none) = reader.read(latency_tag(name), T0, T0 + 9)
        size, free = (reader.read(reader.tags()[f"plant.store.{n}"], T0, T0) for n in SIZES)
    assert none.quality is Quality.BAD
    assert slow.value >= 20.0
    assert 4096 <= size[0].value < 1e6
    assert free[0].value > 1e6
    assert row["plant.store.growth"].quality is Quality.BAD  # not known in the first minute
    assert {n: s.tag.unit for n, s in row.items()} == {
        "plant.store.size": "By",
        "plant.store.growth": "By/d",
        "plant.store.free": "By",
        f"plant.device.{name}.latency": "ms",
    }


def test_a_clock_that_is_set_while_the_plant_runs_is_told_and_its_offset_stored(
    tmp_path: Path,
) -> None:
    with SqliteStore(tmp_path / "store.sqlite") as store:
        tags = PlantTags(store, site="demo")
        for second in range(0, 60, 5):
            set_by = 7200.0 if second >= 20 else 0.0
            set_by -= 7300.0 if second >= 40 else 0.0
            tags.step(T0 + second, T0 + second + set_by + 0.012 * second)  # 1 % is a slew
    with SqliteReader(store.path) as reader:
        told = [(e["time"] - T0, e["data"]["why"], e["text"]) for e in reader.events()]
        offsets = reader.read(reader.tags()["plant.clock.offset"], T0, T0 + 60)
    assert [(t, why) for t, why, _ in told] == [(20, "clock"), (40, "clock")]
    assert "set by +7200." in told[0][2]
    assert "set by -7299." in told[1][2]
    set_by = [0] * 4 + [7200] * 4 + [-100] * 4
    assert [s.value for s in offsets] == pytest.approx(set_by, abs=1.0)


def test_a_start_tells_which_software_runs() -> None:
    event = started(T0, "demo", [])
    told = event.data["versions"]
    assert told == versions()
    assert versions()["fermloop"] in event.text
    assert {"python", "sqlite", "pymodbus", "influxdb_client", "system"} <= versions().keys()
