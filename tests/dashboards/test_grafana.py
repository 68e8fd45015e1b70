"""The boards are what Grafana takes, and a real InfluxDB answers every query of theirs."""

import colorsys
import json
import math
import re
import tomllib
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import yaml

from dashboards.grafana import build, queries
from dashboards.grafana.panels import ABNORMAL, DATASOURCE, DOUBTFUL
from dashboards.grafana.reactor import reactor
from dashboards.grafana.texts import TEXTS
from tests.system.influx_server import InfluxServer

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "dashboards/grafana"
ESTIMATES = (
    "biomass",
    "substrate",
    "acetate",
    "product",
    "volume",
    "qomax_factor",
    "kla_factor",
)
START = 1_790_000_000  # s; a multiple of ten
BUCKET = "10s"

Board = dict[str, Any]


@pytest.fixture(params=sorted(TEXTS))
def board(request: pytest.FixtureRequest) -> Board:
    return reactor(request.param)


def everything(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    yield path, value
    if isinstance(value, dict):
        for key, item in cast(dict[str, object], value).items():
            yield from everything(item, f"{path}.{key}")
    elif isinstance(value, list):
        for n, item in enumerate(cast(list[object], value)):
            yield from everything(item, f"{path}[{n}]")


def panels(board: Board) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def targets(board: Board) -> list[dict[str, Any]]:
    return [target for panel in panels(board) for target in panel["targets"]]


def fields(query: str) -> set[str]:
    """Return the fields that a query reads: what stands in an aggregate's brackets."""
    inner = re.findall(r'(?:mean|last|min|count)\("([^"]+)"\)', query)
    return set(inner) - {"q"}


def as_grafana_asks(query: str, seconds: int = 60) -> str:
    """Put in the variables as Grafana does: times in ms, both ends included."""
    window = f"time >= {START * 1000}ms and time <= {(START + seconds) * 1000 - 1}ms"
    filled = query.replace("$timeFilter", window).replace("$__interval", BUCKET)
    return filled.replace("$site", "demo").replace("$reactor", "R1")


# What Grafana takes


def test_there_is_no_null_and_no_key_of_panels_that_are_gone(board: Board) -> None:
    found = {path: value for path, value in everything(board) if value is None}
    assert found == {}
    keys = {path.rpartition(".")[2] for path, _ in everything(board)}
    gone = {"rows", "__inputs", "span", "minSpan", "hideControls", "sharedCrosshair", "style"}
    assert keys & (gone | {"yaxes", "xaxis", "nullPointMode", "seriesOverrides", "gnetId"}) == set()


def test_panels_are_of_today_and_each_names_its_data_source(board: Board) -> None:
    assert board["schemaVersion"] == 41
    assert {p["type"] for p in panels(board)} == {"timeseries", "state-timeline", "table"}
    asked = [*panels(board), *targets(board)]
    asked += [v for v in board["templating"]["list"] if v["type"] == "query"]
    assert all(item["datasource"] == DATASOURCE for item in asked)


def test_panels_have_own_ids_and_do_not_overlap(board: Board) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    places = [panel["gridPos"] for panel in board["panels"]]
    assert all(p["x"] + p["w"] <= 24 for p in places)
    for a, b in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or below, (a, b)


def test_an_override_names_a_series_that_is_there(board: Board) -> None:
    for panel in panels(board):
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
        names = [target["alias"] for target in panel["targets"]]
        for override in panel["fieldConfig"]["overrides"]:
            if override["matcher"]["id"] == "byFrameRefID":
                assert override["matcher"]["options"] in letters
            for prop in override["properties"]:
                if prop["id"] == "custom.fillBelowTo":
                    assert prop["value"] in names


def test_every_trend_has_a_unit_and_leaves_gaps_open(board: Board) -> None:
    trends = [p for p in panels(board) if p["type"] == "timeseries"]
    assert len(trends) == 14
    for panel in trends:
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
    connected = [path for path, v in everything(board) if path.endswith(".spanNulls") and v]
    assert connected == []
    assert all("fill(null)" in t["query"] or "last(" in t["query"] for t in targets(board))


def test_a_setpoint_is_dashed_and_a_measurement_is_not(board: Board) -> None:
    for panel in panels(board):
        if panel["type"] != "timeseries":
            continue
        dashed = {
            override["matcher"]["options"]
            for override in panel["fieldConfig"]["overrides"]
            if any(p["id"] == "custom.lineStyle" for p in override["properties"])
        }
        setpoints = {t["refId"] for t in panel["targets"] if '.sp")' in t["query"]}
        assert dashed == setpoints, panel["title"]


def test_colour_is_kept_for_what_is_abnormal(board: Board) -> None:
    colours = {
        value
        for path, value in everything(board)
        if path.endswith((".color", ".fixedColor")) and isinstance(value, str)
    }
    assert {ABNORMAL, DOUBTFUL} <= colours
    for colour in colours - {ABNORMAL, DOUBTFUL, "text"}:
        red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        assert colorsys.rgb_to_hsv(red, green, blue)[1] < 0.3, colour


def test_each_board_leads_to_the_other_and_to_the_console(board: Board) -> None:
    links = [link["url"] for link in board["links"]]
    (other,) = {f"/d/{reactor(language)['uid']}" for language in TEXTS} - {f"/d/{board['uid']}"}
    assert links == ["${console}/#${reactor}", other]
    assert {v["name"]: v["query"] for v in board["templating"]["list"]}["console"] == (
        "http://127.0.0.1:8080"
    )


def test_the_rows_of_the_table_keep_their_places(board: Board) -> None:
    (table,) = [p for p in panels(board) if p["type"] == "table"]
    renamed = table["transformations"][1]["options"]["renameByName"]
    assert table["options"]["sortBy"] == [{"displayName": renamed["Metric"], "desc": False}]
    assert table["fieldConfig"]["overrides"][0]["matcher"]["options"] == renamed["Time"]


# One definition, two languages


def test_both_catalogues_have_the_same_keys_and_no_empty_text() -> None:
    english, chinese = TEXTS["en"], TEXTS["zh"]
    assert english.keys() == chinese.keys()
    assert all(text.strip() for text in [*english.values(), *chinese.values()])


def test_the_languages_ask_the_same_and_differ_in_words_only() -> None:
    english, chinese = reactor("en"), reactor("zh")
    assert [t["query"] for t in targets(english)] == [t["query"] for t in targets(chinese)]
    assert [p["gridPos"] for p in english["panels"]] == [p["gridPos"] for p in chinese["panels"]]
    titles = [
        (a["title"], b["title"]) for a, b in zip(panels(english), panels(chinese), strict=True)
    ]
    assert [pair for pair in titles if pair[0] == pair[1]] == [("pH", "pH")]


def test_the_files_are_what_the_code_builds() -> None:
    built = build.boards()
    kept = {path.name: path.read_text(encoding="utf-8") for path in build.BOARDS.iterdir()}
    assert kept.keys() == built.keys()
    stale = [name for name in built if kept[name] != built[name]]
    assert stale == [], "run: python -m dashboards.grafana.build"


def test_the_data_source_and_the_boards_are_provisioned() -> None:
    folder = GRAFANA / "provisioning"
    source = yaml.safe_load((folder / "datasources/fermloop.yaml").read_text(encoding="utf-8"))
    (made,) = source["datasources"]
    assert {"type": made["type"], "uid": made["uid"]} == DATASOURCE
    assert made["jsonData"]["version"] == "InfluxQL"
    assert made["secureJsonData"]["httpHeaderValue1"] == "Token $__file{/stack/grafana_token}"
    provider = yaml.safe_load((folder / "dashboards/fermloop.yaml").read_text(encoding="utf-8"))
    assert provider["providers"][0]["options"]["path"] == "/etc/fermloop/boards"


# What InfluxDB answers


def plant_fields() -> set[str]:
    """Return every field that the plant of the demo gives, derived ones too."""
    plant = tomllib.loads((ROOT / "sim/plants/ecoli_5l.toml").read_text(encoding="utf-8"))
    tags = {
        tag["name"].partition(".")[2]
        for device in plant["device"].values()
        for tag in device["tags"]
    }
    loops = plant["reactor"]["R1"]["loop"]
    derived = {f"{loop}.{part}" for loop in loops for part in ("sp", "op", "mode")}
    estimates = {f"est.{name}{part}" for name in ESTIMATES for part in ("", ".sd")}
    return tags | derived | estimates | {"age", "phase"}


def test_a_board_asks_only_for_fields_that_the_plant_writes() -> None:
    asked = {field for target in targets(reactor("en")) for field in fields(target["query"])}
    assert len(asked) > 40
    unknown = {field.removesuffix("_q") for field in asked} - plant_fields()
    assert unknown == {"state"}  # of the alarms' own measurement


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    """A minute of R1, one row a second; R2 and another site are there to be left out.

    DO is 30 % but BAD from 20 to 29 s (no value, quality 0), uncertain from 40 to 44 s; from 50 s
    on nothing came. The setpoint moves from 30 to 35 % at 5 s. Every other field holds 7, and
    every standard deviation 2.
    """
    with InfluxServer(tmp_path_factory.mktemp("influx")) as server:
        write(server, minute())
        yield server


def write(server: InfluxServer, lines: str) -> None:
    answer = httpx.post(
        f"{server.url}/api/v2/write",
        params={"bucket": server.bucket, "precision": "s"},
        headers={"Authorization": f"Token {server.token}"},
        content=lines,
        trust_env=False,
    )
    assert answer.status_code == 204, answer.text


def minute() -> str:
    steady = sorted(plant_fields() - {"do", "do.sp"})
    values = ",".join(f"{name}={2 if name.endswith('.sd') else 7}" for name in steady)
    lines: list[str] = []
    for second in range(50):
        own = f"{values},do.sp={30 if second < 5 else 35}"
        if 20 <= second < 30:
            own += ",do_q=0i"
        elif 40 <= second < 45:
            own += ",do=30,do_q=1i"
        else:
            own += ",do=30"
        lines.append(f"fermloop,site=demo,reactor=R1 {own} {START + second}")
        lines.append(
            f"alarm,id=R1.do.low,priority=high,site=demo,reactor=R1 state=3i {START + second}"
        )
        lines.append(f"fermloop,site=demo,reactor=R2 do=99,age=99 {START + second}")
        lines.append(f"fermloop,site=other,reactor=R1 do=98,age=98 {START + second}")
    return "\n".join(lines)


def values(influx: InfluxServer, query: str) -> list[float | None]:
    (series,) = influx.query(as_grafana_asks(query))
    return [row[1] for row in series["values"]]


def test_every_query_of_the_board_is_bounded_and_answered(filled: InfluxServer) -> None:
    asked = [target["query"] for target in targets(reactor("en"))]
    assert len(asked) > 60
    for query in asked:
        assert "$timeFilter" in query
        answer = values(filled, query)
        assert any(value is not None for value in answer), query
        assert not any(value in (98, 99) for value in answer), query


def test_alarms_mark_the_trends_where_they_begin(filled: InfluxServer) -> None:
    for language in TEXTS:
        (mark,) = reactor(language)["annotations"]["list"]
        assert mark["name"] == TEXTS[language]["alarms.begun"]
        assert mark["datasource"]["type"] == "influxdb"
        (series,) = filled.query(as_grafana_asks(mark["query"]))
        shown = dict(zip(series["columns"], series["values"][0], strict=True))
        assert (shown["state"], shown[mark["textColumn"]]) == (3, "R1.do.low")
        assert shown[mark["tagsColumn"]] == "high"


def test_a_gap_stays_a_gap(filled: InfluxServer) -> None:
    answer = values(filled, queries.trend("do"))
    assert answer == [30, 30, None, 30, 30, None]


def test_a_setpoint_is_the_last_of_its_bucket(filled: InfluxServer) -> None:
    assert values(filled, queries.trend("do.sp", "last")) == [35, 35, 35, 35, 35, None]


def test_a_band_is_one_standard_deviation_to_each_side(filled: InfluxServer) -> None:
    upper = values(filled, queries.band_edge("est.biomass", "+"))
    lower = values(filled, queries.band_edge("est.biomass", "-"))
    assert (upper[0], lower[0], upper[-1]) == (9, 5, None)


def test_quality_is_the_worst_of_its_bucket_and_unknown_without_contact(
    filled: InfluxServer,
) -> None:
    assert values(filled, queries.quality("do")) == [2, 2, 0, 2, 1, None]


def test_a_tag_that_was_never_bad_is_good(filled: InfluxServer) -> None:
    assert values(filled, queries.quality("temperature")) == [2, 2, 2, 2, 2, None]


def test_the_newest_value_comes_with_its_own_time(filled: InfluxServer) -> None:
    (series,) = filled.query(as_grafana_asks(queries.latest("do")))
    assert series["values"] == [[(START + 49) * 1_000_000, 30]]


def test_variables_list_what_was_written(filled: InfluxServer) -> None:
    (sites,) = filled.query(as_grafana_asks(queries.SITES))
    (reactors,) = filled.query(as_grafana_asks(queries.REACTORS))
    assert [row[1] for row in sites["values"]] == ["demo", "other"]
    assert [row[1] for row in reactors["values"]] == ["R1", "R2"]


def test_no_file_of_the_boards_holds_a_number_that_is_none() -> None:
    for text in build.boards().values():
        loaded = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in a board"))
        numbers = [v for _, v in everything(loaded) if isinstance(v, float)]
        assert all(map(math.isfinite, numbers))
