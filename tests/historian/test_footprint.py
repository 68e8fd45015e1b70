"""How large a store is, how fast it grows, and what the disk has left."""

import sqlite3
from pathlib import Path

import pytest

from drivers.point import Quality, Sample, Tag
from historian.footprint import Footprint, Scales
from historian.sqlite import SqliteStore

TAGS = [Tag(f"R1.t{i}", "%", 0, 1e9) for i in range(20)]


def test_growth_is_told_a_day_over_the_last_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("historian.footprint.monotonic", lambda: now)
    path, found = tmp_path / "store.sqlite", list[Footprint]()
    with SqliteStore(path, wait_when_full=True) as store:
        db = sqlite3.connect(path)
        scales = Scales(db, path)
        assert scales.due()
        first = scales.look()
        assert (first.growth_per_day, scales.due()) == (None, False)
        assert 0 < first.bytes < 1e6 < first.free_bytes
        for hour in range(1, 4):
            for n in range(1000 * hour * hour):  # faster and faster
                row = [Sample(t, 1e9 + 1e6 * hour + n, n, Quality.GOOD) for t in TAGS]
                store.append(row)
            store.flush()
            now = 3600.0 * hour
            found.append(scales.look())
        sizes = [f.bytes for f in found]
        assert found[-1].growth_per_day == pytest.approx((sizes[2] - sizes[1]) * 24)
        (tmp_path / "sealed").mkdir()  # nothing in it that is a batch
        now += 60.0
        assert scales.look().bytes == sizes[2]
        db.close()
