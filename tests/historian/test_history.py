"""Arrays and frames out of a real store."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import fermloop
from drivers.point import Quality, Sample, Tag
from historian.events import Event, Kind
from historian.history import History
from historian.sqlite import SqliteStore

T0 = 1.79e9 + 17.0  # on no whole minute
RECIPE = {"name": "short", "phase": [{"name": "seed", "inoculates": True}]}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two batches in two vessels, hours apart: an hour before the inoculation, then two."""
    path = tmp_path_factory.mktemp("history") / "store.sqlite"
    with SqliteStore(path, wait_when_full=True) as store:
        for reactor, began, offset in (("R1", T0, 0.0), ("R2", T0 + 50_003.0, 100.0)):
            do, ph = Tag(f"{reactor}.do", "%", -5, 200), Tag(f"{reactor}.ph", "[pH]", 0, 14)
            data = {"batch": f"{reactor}-1", "recipe": RECIPE}
            store.record(Event(began, "recipe", Kind.PHASE, reactor, "started", data))
            zero = began + 3600
            told = {"inoculated": True}
            store.record(Event(zero, "recipe", Kind.PHASE, reactor, "inoculated", told))
            for i in range(0, 3 * 3600, 2):
                time = began + i
                bad = 7200 <= i < 7260
                value = math.nan if bad else (time - zero) / 3600 + offset
                quality = Quality.BAD if bad else Quality.GOOD
                acid = Sample(ph, time, 7.0, Quality.GOOD)
                store.append([Sample(do, time, value, quality), acid])
            if reactor == "R1":
                ended, over = {"state": "COMPLETE"}, began + 3 * 3600 - 2
                store.record(Event(over, "recipe", Kind.PHASE, reactor, "complete", ended))
    return path


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    with History(path.parent) as history:
        yield history


def test_two_lines_give_a_frame_by_time_or_by_age(path: Path) -> None:
    frame = fermloop.History(path).frame(["R1.do", "R1.ph"], batch="R1-1", points=180)
    assert frame.index.name == "age_h"
    assert frame.attrs["units"] == {"R1.do": "%", "R1.ph": "[pH]"}
    assert (frame.index[0], frame.index[-1]) == pytest.approx((-1 + 0.5 / 60, 2 - 0.5 / 60))
    known = frame["R1.do"].dropna()[1:-1]  # the ends are no whole minutes
    # do is the age itself; minutes lie 30 s off at most, and half of one was BAD
    assert np.abs(known.to_numpy() - known.index.to_numpy()).max() <= 61 / 3600
    assert frame["R1.ph"].dropna().unique().tolist() == [7.0]

    frame = fermloop.History(path).frame(["R2.do"], "2026-09-21T00:00:00+00:00", points=100)
    assert str(frame.index.dtype).endswith("UTC]")
    assert frame["R2.do"].max() == pytest.approx(102.0, abs=0.2)


def test_batches_of_two_vessels_lie_on_one_axis_of_age(history: History) -> None:
    for points in (3600, 100):  # of rows, of minutes
        found = history.aligned(["R1-1", "R2-1"], ["do", "ph"], start_h=0.0, points=points)
        assert found.values["do"].shape == (2, len(found.age_h))
        one, two = found.values["do"]
        both = np.isfinite(one) & np.isfinite(two)
        assert both.sum() >= 0.95 * len(found.age_h) - 4
        tolerance = 2.0 / 3600 if points == 3600 else 61 / 3600
        assert np.abs(two[both] - one[both] - 100.0).max() <= tolerance
        assert np.abs(one[both] - found.age_h[both]).max() <= tolerance
    assert [b.id for b in found.batches] == ["R1-1", "R2-1"]
    assert found.units == {"do": "%", "ph": "[pH]"}


def test_a_window_of_age_reaches_no_further_than_its_batch(history: History) -> None:
    found = history.aligned(["R1-1"], ["ph"], start_h=-2.0, end_h=4.0, points=360)
    (ph,) = found.values["ph"]
    inside = np.isfinite(ph)
    assert found.age_h[inside].min() == pytest.approx(-1.0, abs=0.03)
    assert found.age_h[inside].max() == pytest.approx(2.0, abs=0.03)


def test_samples_have_their_quality(history: History) -> None:
    times, values, qualities = history.samples("R1.do", T0 + 7190, T0 + 7270)
    assert (times[0], times[-1]) == (T0 + 7190, T0 + 7270)
    assert np.isnan(values[qualities == 0]).all()
    assert (qualities == 0).sum() == 30
    assert np.isfinite(values[qualities == 2]).all()
    assert history.last("R1")["R1.ph"].value == 7.0
    assert history.batches("R2")[0].ended is None


def test_what_is_not_there_is_named(history: History) -> None:
    with pytest.raises(LookupError, match=r"R1\.dx: no such tag in the store; there are R1\.do"):
        history.trend(["R1.dx"], T0, T0 + 10)
    with pytest.raises(LookupError, match="air: none of R1-1 has this tag"):
        history.aligned(["R1-1"], ["air"])
    with pytest.raises(LookupError, match="R7-1: no such batch"):
        history.aligned(["R7-1"], ["do"])
    with pytest.raises(ValueError, match="cannot bucket"):
        history.aligned(["R1-1"], ["do"], start_h=5.0, end_h=1.0)
