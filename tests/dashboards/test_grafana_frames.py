"""What panels get, by Grafana's own transformations, overrides and names of fields.

The frames are made of a real InfluxDB's answers about three real batches as Grafana's InfluxDB
plugin makes them; what comes after is Grafana's own code, run by Node.js.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.plant import load_plant
from dashboards.grafana.build import Wanted
from fermloop.commands.closed_loop import EPOCH
from tests.dashboards.grafana_asks import Reader
from tests.dashboards.shots.batches import forward, simulate
from tests.dashboards.shots.install import asked, frames
from tests.dashboards.test_grafana_queries import happenings
from tests.system.influx_server import InfluxServer

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
PLANT = load_plant(ROOT / "sim/plants/ecoli_5l.toml")
RECIPE = ROOT / "sim/recipes/ecoli.toml"
BOARDS = Wanted(PLANT, ("en",)).boards()
HOURS, DAYS = 1.0, 3
BATCHES = [f"R1-2026010{day}-0000" for day in range(1, DAYS + 1)]
BEGIN = round(EPOCH)
END = BEGIN + (DAYS - 1) * 86_400 + round(3600 * HOURS)
Told = dict[str, Any]


def panels() -> Iterator[tuple[str, Told]]:
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            if panel["type"] != "row":
                yield f"{name}: {panel['title']}", panel


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """What each panel gets of the last batch's hour, or of all three where batches are compared."""
    folder = tmp_path_factory.mktemp("frames")
    with InfluxServer(folder) as server:
        for day in range(DAYS):
            store = folder / f"{day}.sqlite"
            simulate(store, PLANT, RECIPE, HOURS, day, list(happenings(EPOCH + 600.0)))
            forward(store, server, day, folder)
        wide, narrow = Reader(BEGIN, END), Reader(END - round(3600 * HOURS), END)
        there = [
            asked(server, p, wide if name.startswith("batch") else narrow) for name, p in panels()
        ]
        return dict(zip((name for name, _ in panels()), frames(there), strict=True))


def of_type(told: dict[str, Told], kind: str) -> dict[str, Told]:
    return {name: one for name, one in told.items() if one["type"] == kind}


def known(one: Told) -> list[Told]:
    """Return the fields of a panel that hold anything, times aside."""
    fields = [f for frame in one["frames"] for f in frame["fields"]]
    return [f for f in fields if f["type"] != "time" and f["known"]]


def test_every_line_has_a_time_numbers_and_a_name_of_its_own(told: dict[str, Told]) -> None:
    for name, one in of_type(told, "timeseries").items():
        for frame in one["frames"]:
            kinds = [f["type"] for f in frame["fields"]]
            assert kinds == ["time", "number"], name
        said = [f["name"] for f in known(one)]
        assert len(set(said)) == len(said), name
        assert not any(
            text.lower() == "value" or "$" in text or "fermloop" in text for text in said
        )


def test_states_are_words_and_not_numbers(told: dict[str, Told]) -> None:
    for name, one in of_type(told, "state-timeline").items():
        for field in known(one):
            assert not field["text"].replace(".", "").isdigit(), (name, field["name"])
            assert field["colour"].startswith("#"), name


def test_batches_are_lines_of_their_own_against_their_age(told: dict[str, Told]) -> None:
    trends = of_type(told, "trend")
    overlaid = {n: t for n, t in trends.items() if "band" not in n and "score" not in n}
    assert len(overlaid) == 8
    for name, one in overlaid.items():
        (frame,) = one["frames"]
        age, *lines = frame["fields"]
        assert age["name"] == "Hours since inoculation"
        assert age["rising"]
        assert [line["name"] for line in lines] == BATCHES, name
        assert all(line["known"] >= 6 * HOURS - 1 for line in lines), name
        assert len({line["line"] for line in lines}) == DAYS


def test_a_golden_band_lies_around_its_middle(told: dict[str, Told]) -> None:
    bands = {n: t for n, t in of_type(told, "trend").items() if "Golden band" in n}
    assert len(bands) == 3
    for name, one in bands.items():
        (frame,) = one["frames"]
        by_name = {f["name"]: f for f in frame["fields"]}
        assert next(iter(by_name)) == "Hours since inoculation", name
        rows = zip(*(by_name[n]["values"] for n in ("least", "mean", "greatest")), strict=True)
        assert all(low <= middle <= high for low, middle, high in rows)
        assert by_name["greatest"]["config"]["custom"]["fillBelowTo"] == "least"
        assert by_name["Chosen batches"]["known"] == frame["length"]


def test_the_score_of_all_references_together_is_nought(told: dict[str, Told]) -> None:
    """The mean of the chosen batches is the middle of the band where they are its references."""
    scores = {n: t for n, t in of_type(told, "trend").items() if "score" in n}
    assert len(scores) == 3
    for one in scores.values():
        (frame,) = one["frames"]
        assert [f["name"] for f in frame["fields"]] == ["Hours since inoculation", "score"]
        score = [v for v in frame["fields"][1]["values"] if v is not None]
        assert score == pytest.approx([0.0] * len(score), abs=1e-9)


def test_tables_have_their_columns_in_their_order(told: dict[str, Told]) -> None:
    wanted = {name: panel for name, panel in panels() if panel["type"] == "table"}
    for name, one in of_type(told, "table").items():
        (frame,) = one["frames"]
        names = list(wanted[name]["transformations"][-1]["options"]["renameByName"].values())
        assert [f["name"] for f in frame["fields"]] == names, name
        assert frame["length"] > 0


def test_the_plant_s_table_has_one_row_for_its_reactor(told: dict[str, Told]) -> None:
    (frame,) = told["plant.en: Reactors"]["frames"]
    row = {f["name"]: f["values"] for f in frame["fields"]}
    assert row["Reactor"] == ["R1"]
    assert row["Batch"] == [BATCHES[-1]]
    assert row["Last contact"] == [1000 * END] or abs(row["Last contact"][0] - 1000 * END) < 2000
    assert row["Active alarms"] == [2]


def test_tiles_show_every_number_with_its_unit(told: dict[str, Told]) -> None:
    for name, one in of_type(told, "stat").items():
        assert known(one), name
    tiles = {f["name"]: f["text"] for f in known(told["reactor.en: Now"])}
    assert tiles["Temperature"].endswith(" °C")
    assert tiles["Agitation"].endswith(" r/min")
    assert "  " not in tiles["Agitation"]
    assert tiles["Plant"] == "SIMULATED"


def test_nothing_is_an_empty_panel_with_its_message(tmp_path: Path) -> None:
    """Of an empty database, and of a vessel and batch that are not there."""
    with InfluxServer(tmp_path) as server:
        reader = Reader(BEGIN, END)
        empty = frames([asked(server, panel, reader) for _, panel in panels()])
    assert len(empty) == len(list(panels()))
    assert [one["title"] for one in empty if known(one)] == []
    assert all(p["fieldConfig"]["defaults"]["noValue"].startswith("Nothing") for _, p in panels())
