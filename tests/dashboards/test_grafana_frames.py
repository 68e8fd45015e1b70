"""What panels get, by Grafana's own transformations, overrides and names of fields.

The frames are made of a real InfluxDB's answers about four real batches as Grafana's InfluxDB
plugin makes them; what comes after is Grafana's own code, of four versions, run by Node.js.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import pytest

from controller.plant import load_plant
from dashboards.grafana.build import Wanted
from fermloop.commands.closed_loop import EPOCH
from historian.golden import LEAST, deviations
from tests.dashboards.grafana_asks import Reader
from tests.dashboards.schema.install import VERSIONS
from tests.dashboards.shots.batches import forward, simulate
from tests.dashboards.shots.install import asked, frames
from tests.dashboards.test_grafana_queries import happenings
from tests.system.influx_server import InfluxServer

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
PLANT = load_plant(ROOT / "sim/plants/ecoli_5l.toml")
RECIPE = ROOT / "sim/recipes/ecoli.toml"
BOARDS = Wanted(PLANT, ("en",)).boards()
HOURS, DAYS = 1.0, 4
BATCHES = [f"R1-2026010{day}-0000" for day in range(1, DAYS + 1)]
OTHERS, FOCUS = BATCHES[:-1], BATCHES[-1]
BEGIN = round(EPOCH)
END = BEGIN + (DAYS - 1) * 86_400 + round(3600 * HOURS)
Told = dict[str, Any]


def panels() -> Iterator[tuple[str, Told]]:
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            if panel["type"] != "row":
                yield f"{name}: {panel['title']}", panel


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    folder = tmp_path_factory.mktemp("frames")
    with InfluxServer(folder) as server:
        for day in range(DAYS):
            store = folder / f"{day}.sqlite"
            simulate(store, PLANT, RECIPE, HOURS, day, list(happenings(EPOCH + 600.0)))
            forward(store, server, day, folder)
        yield server


@pytest.fixture(scope="module", params=VERSIONS)
def grafana(request: pytest.FixtureRequest) -> str:
    """Whose transformations are run."""
    return request.param


@pytest.fixture(scope="module")
def told(server: InfluxServer, grafana: str) -> dict[str, Told]:
    """What each panel gets of the last batch's hour, or of all four where batches are compared."""
    chosen = dict(Reader(0, 0).chosen) | {"focus": FOCUS}
    wide, narrow = (Reader(start, END, chosen) for start in (BEGIN, END - round(3600 * HOURS)))
    there = [asked(server, p, wide if name.startswith("batch") else narrow) for name, p in panels()]
    return dict(zip((name for name, _ in panels()), frames(there, grafana), strict=True))


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
        assert [line["name"] for line in lines] == [*OTHERS, "$focus"], name
        assert all(line["known"] >= 6 * HOURS - 1 for line in lines), name
        assert len({line["line"] for line in lines}) == DAYS
        widths = [line["config"]["custom"]["lineWidth"] for line in lines]
        assert widths == [1] * len(OTHERS) + [3]


def golden(told: dict[str, Told], what: str) -> dict[str, dict[str, Told]]:
    """Return the fields of the three panels about the golden band, by their names."""
    found = {n: t for n, t in of_type(told, "trend").items() if what in n}
    assert len(found) == 3
    for one in found.values():
        (frame,) = one["frames"]
        assert frame["fields"][0]["name"] == "Hours since inoculation"
        assert frame["fields"][0]["rising"]
    return {
        n.rpartition(": ")[2].partition(" (")[0]: {f["name"]: f for f in t["frames"][0]["fields"]}
        for n, t in found.items()
    }


def middle(grafana: str) -> Callable[[Sequence[float]], float]:
    """Return what the middle of a golden band is to a version: since 11.5 the median."""
    return fmean if grafana == "10" else median


def test_a_golden_band_is_middle_and_range_of_the_references(
    told: dict[str, Told], grafana: str
) -> None:
    for name, fields in golden(told, "Golden band").items():
        overlay = next(t for n, t in told.items() if n.startswith(f"batch.en: {name} ("))
        others = [f["values"] for f in overlay["frames"][0]["fields"] if f["name"] in OTHERS]
        rows = [[v for v in row if v is not None] for row in zip(*others, strict=True)]
        wanted = [row for row in rows if len(row) >= LEAST]
        for said, of in (("least", min), ("median", middle(grafana)), ("greatest", max)):
            values = [v for v in fields[said]["values"] if v is not None]
            assert values == pytest.approx(list(map(of, wanted)), rel=1e-12)
        assert fields["greatest"]["config"]["custom"]["fillBelowTo"] == "least"
        assert fields["$focus"]["known"] >= 6 * HOURS - 1


def test_the_score_is_the_deviation_of_the_batch_report(
    told: dict[str, Told], grafana: str
) -> None:
    """Up to the greatest value of all, which Grafana is told of minutes and not of steps."""
    scores = golden(told, "score")
    for name in scores:
        overlay = next(t for n, t in told.items() if n.startswith(f"batch.en: {name} ("))
        lines = {f["name"]: f["values"] for f in overlay["frames"][0]["fields"]}
        own, others = (
            np.array([lines[n] for n in names], dtype=float) for names in (["$focus"], OTHERS)
        )
        assert list(scores[name]) == ["Hours since inoculation", "score"]
        if grafana == "10":  # a deviation from the mean
            own = own + np.median(others, axis=0) - np.mean(others, axis=0)
        assert scores[name]["score"]["values"] == pytest.approx(
            list(deviations(own[0], others)), rel=0.02
        )


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


def empty(server: InfluxServer, shown: Sequence[Told], reader: Reader, grafana: str) -> None:
    """Assert that panels are empty, and that each says so."""
    there = frames([asked(server, panel, reader) for panel in shown], grafana)
    assert len(there) == len(shown)
    assert [one["title"] for one in there if known(one)] == []
    for trend in (one for one in there if one["type"] == "trend"):
        (frame,) = trend["frames"]  # none is an error to a trend, and so is one without a number
        assert (frame["length"], frame["fields"][0]["type"]) == (0, "number"), trend["title"]
        assert len(frame["fields"]) == 1, trend["title"]  # else it draws nothing, and says nothing
    assert all(p["fieldConfig"]["defaults"]["noValue"].startswith("Nothing") for p in shown)


def test_an_empty_database_is_an_empty_panel_with_its_message(tmp_path: Path, grafana: str) -> None:
    with InfluxServer(tmp_path) as server:
        empty(server, [panel for _, panel in panels()], Reader(BEGIN, END), grafana)


@pytest.mark.parametrize(
    "missing",
    [
        {"site": "nowhere"},
        {"reactor": "R9", **dict.fromkeys(("batch", "focus", "reference"), "R9-1")},
    ],
    ids=["site", "vessel and batch"],
)
def test_what_is_not_there_is_an_empty_panel_with_its_message(
    server: InfluxServer, missing: dict[str, str], grafana: str
) -> None:
    """Panels of the whole site are empty only where that is another one; a rate is then nought."""
    shown = [
        panel
        for _, panel in panels()
        if panel["title"] != "Alarms in 10 min"
        and ("site" in missing or all(of_one(t["query"]) for t in panel["targets"]))
    ]
    assert len(shown) > 60
    empty(server, shown, Reader(BEGIN, END, dict(Reader(0, 0).chosen) | missing), grafana)


def of_one(query: str) -> bool:
    """Return whether a query is of a vessel or of batches."""
    return any(f"${name}" in query for name in ("reactor", "batch", "focus", "reference"))


def test_a_renamed_tag_is_an_empty_panel_with_its_message(
    server: InfluxServer, grafana: str
) -> None:
    """Every tag is, of the batches and of the plant; what is not of tags stays as it is."""
    fields = {
        row[0]
        for measurement in ("fermloop", "fermloop_1m", "plant", "foreseen")
        for series in server.query(f'SHOW FIELD KEYS FROM "{measurement}"')
        for row in series["values"]
    }
    shown: list[Told] = []
    for _, panel in panels():
        queries = [
            re.sub(
                r'(AS )?"([^"]+)"',
                lambda m: m[0] if m[1] or m[2] not in fields else f'"{m[2]}_renamed"',
                target["query"],
            )
            for target in panel["targets"]
        ]
        pairs = list(zip(panel["targets"], queries, strict=True))
        other = [{**target, "query": query} for target, query in pairs]
        if all(target["query"] != query for target, query in pairs):
            shown.append({**panel, "targets": other})
    assert len(shown) > 60
    chosen = dict(Reader(0, 0).chosen) | {"focus": FOCUS}
    empty(server, shown, Reader(BEGIN, END, chosen), grafana)
