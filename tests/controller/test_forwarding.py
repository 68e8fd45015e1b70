"""How the forwarder is comes into the store as tags."""

from pathlib import Path

from controller.forwarding import ForwarderTags
from drivers.point import Quality
from historian.progress import Status, save_status
from historian.sqlite import SqliteReader, SqliteStore

T0 = 1.79e9


def test_lag_rate_and_quarantine_are_tags_that_are_bad_when_nobody_forwards(tmp_path: Path) -> None:
    path = tmp_path / "forwarder.json"
    status = Status(time=T0, lag_s=7.5, rate_per_s=60.0, behind_rows=3, quarantined=2)
    with SqliteStore(tmp_path / "store.sqlite") as store:
        tags = ForwarderTags(path, store)
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
