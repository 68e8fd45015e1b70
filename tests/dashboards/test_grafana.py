"""The boards are what Grafana takes: places, units, colours, links and both languages."""

import colorsys
import json
import math
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from controller.plant import load_plant
from dashboards.grafana import build, names, texts
from dashboards.grafana.batch import BRIDGED_H
from dashboards.grafana.build import BOARDS, Wanted, files
from dashboards.grafana.panels import DATASOURCE
from dashboards.grafana.style import ABNORMAL, DOUBTFUL

ROOT = Path(__file__).parents[2]
PLANTS = ("ecoli_5l", "penicillin_100m3")

Board = dict[str, Any]
MADE: dict[str, dict[str, Board]] = {
    plant: Wanted(load_plant(ROOT / f"sim/plants/{plant}.toml")).boards() for plant in PLANTS
}
ALL = [(plant, name) for plant in PLANTS for name in MADE[plant]]


@pytest.fixture(params=ALL, ids="-".join)
def board(request: pytest.FixtureRequest) -> Board:
    plant, name = request.param
    return MADE[plant][name]


def everything(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    yield path, value
    if isinstance(value, dict):
        for key, item in cast(dict[str, object], value).items():
            yield from everything(item, f"{path}.{key}")
    elif isinstance(value, list):
        for n, item in enumerate(cast(list[object], value)):
            yield from everything(item, f"{path}[{n}]")


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def targets(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [target for panel in panels(board) for target in panel["targets"]]


# What Grafana takes


def test_there_is_no_null_and_no_key_of_panels_that_are_gone(board: Board) -> None:
    found = [path for path, value in everything(board) if value is None]
    assert [path for path in found if not path.endswith(".steps[0].value")] == []
    keys = {path.rpartition(".")[2] for path, _ in everything(board)}
    gone = {"rows", "__inputs", "span", "minSpan", "hideControls", "sharedCrosshair", "style"}
    assert keys & (gone | {"yaxes", "xaxis", "nullPointMode", "seriesOverrides", "gnetId"}) == set()


def test_panels_are_of_today_and_each_names_its_data_source(board: Board) -> None:
    assert board["schemaVersion"] == 41
    known = {"timeseries", "state-timeline", "table", "stat", "trend"}
    assert {p["type"] for p in panels(board)} <= known
    asked = [*panels(board), *targets(board), *board["annotations"]["list"]]
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


def test_every_board_has_an_address_of_its_own() -> None:
    for made in MADE.values():
        uids = {name: board["uid"] for name, board in made.items()}
        assert uids == {n: f"fermloop-{n.replace('.', '-')}" for n in made}
        assert all(len(uid) <= 40 for uid in uids.values())
        assert {n.partition(".")[0] for n in made} == BOARDS.keys()


def test_an_override_names_a_series_that_is_there(board: Board) -> None:
    for panel in panels(board):
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
        names = [target["alias"] for target in panel["targets"]]
        renamed = (p for o in panel["fieldConfig"]["overrides"] for p in o["properties"])
        names += [p["value"] for p in renamed if p["id"] == "displayName"]
        for override in panel["fieldConfig"]["overrides"]:
            if override["matcher"]["id"] == "byFrameRefID":
                assert override["matcher"]["options"] in letters
            for prop in override["properties"]:
                if prop["id"] == "custom.fillBelowTo":
                    assert prop["value"] in names


def test_every_trend_has_a_unit_and_leaves_gaps_open(board: Board) -> None:
    trends = [p for p in panels(board) if p["type"] == "timeseries"]
    for panel in trends:
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all("fill(" in t["query"] for t in panel["targets"])
        assert not any("fill(linear)" in t["query"] for t in panel["targets"])
    # against an age a step may fall out between two buckets: two are bridged, in hours
    connected = {v for path, v in everything(board) if path.endswith(".spanNulls") and v}
    assert connected <= {BRIDGED_H}


def test_units_are_those_of_the_plant_file() -> None:
    feeds = {
        plant: next(p for p in panels(made["reactor.en"]) if p["title"] == "Feed")
        for plant, made in MADE.items()
    }
    units = {plant: p["fieldConfig"]["defaults"]["unit"] for plant, p in feeds.items()}
    assert units == {"ecoli_5l": "suffix:mL/h", "penicillin_100m3": "suffix:L/h"}


def test_limits_are_those_of_the_plant_file() -> None:
    for plant, least in (("ecoli_5l", 20), ("penicillin_100m3", 25)):
        board = MADE[plant]["reactor.en"]
        panel = next(p for p in panels(board) if p["title"] == "Dissolved oxygen")
        (first, *_) = panel["fieldConfig"]["overrides"]
        steps = next(p for p in first["properties"] if p["id"] == "thresholds")["value"]["steps"]
        assert [step["value"] for step in steps] == [None, least]
        assert [step["color"] for step in steps] == [ABNORMAL, "text"]
        colour = next(p for p in first["properties"] if p["id"] == "color")["value"]
        assert colour["seriesBy"] == "max"  # of "last", an empty bucket would be an alarm


def test_tiles_show_every_number_under_its_name() -> None:
    """A name is put on a field before Grafana looks which fields to show."""
    for board in MADE["ecoli_5l"].values():
        for panel in panels(board):
            if panel["type"] == "stat":
                assert panel["options"]["reduceOptions"]["fields"] == ""


def test_lines_of_one_unit_share_an_axis(board: Board) -> None:
    """Grafana gives lines whose axes reach elsewhere an axis each, even of one unit."""
    for panel in panels(board):
        if panel["type"] != "timeseries":
            continue
        soft = ("custom.axisSoftMin", "custom.axisSoftMax", "custom.axisPlacement", "unit")
        axes = {
            tuple(p["value"] for key in soft for p in override["properties"] if p["id"] == key)
            for override in panel["fieldConfig"]["overrides"]
        }
        assert len([axis for axis in axes if "right" not in axis]) <= 1, panel["title"]


def test_a_setpoint_is_dashed_and_a_measurement_is_not(board: Board) -> None:
    for panel in panels(board):
        if panel["type"] != "timeseries":
            continue
        dashed = {
            override["matcher"]["options"]
            for override in panel["fieldConfig"]["overrides"]
            if any(
                p["id"] == "custom.lineStyle" and p["value"]["fill"] == "dash"
                for p in override["properties"]
            )
        }
        setpoints = {
            t["refId"]
            for t in panel["targets"]
            if '.sp") AS "v"' in t["query"]  # not what is foreseen
        }
        assert dashed == setpoints, panel["title"]


def test_colour_is_kept_for_what_is_abnormal(board: Board) -> None:
    colours = {
        value
        for path, value in everything(board)
        if path.endswith((".color", ".fixedColor", ".iconColor")) and isinstance(value, str)
    }
    for colour in colours - {ABNORMAL, DOUBTFUL, "text"}:
        red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        assert colorsys.rgb_to_hsv(red, green, blue)[1] < 0.3, colour
    palettes = {v for path, v in everything(board) if path.endswith(".color.mode")}
    assert palettes <= {"fixed", "thresholds", "shades"}


def test_what_is_stale_or_bad_is_coloured_and_said(board: Board) -> None:
    if board["uid"].rpartition("-")[0] not in ("fermloop-plant", "fermloop-reactor"):
        return
    found = [cast(Board, v) for _, v in everything(board) if isinstance(v, dict)]
    special = [v["options"]["result"] for v in found if v.get("type") == "special"]
    said = texts.TEXTS["missing"]
    assert {r["color"] for r in special} == {DOUBTFUL}
    assert any(r["text"] in said for r in special)


def test_an_empty_panel_says_so_in_its_language(board: Board) -> None:
    text = texts.TEXTS["empty"][1 if board["uid"].endswith("-zh") else 0]
    assert {p["fieldConfig"]["defaults"]["noValue"] for p in panels(board)} == {text}


def test_each_board_leads_to_the_others_and_to_the_console(board: Board) -> None:
    here = board["uid"]
    name, _, language = here.rpartition("-")
    other = f"{name}-{'zh' if language == 'en' else 'en'}"
    operate, others, kiosk, translated = board["links"]
    assert operate["url"] == "${console}/"
    assert others["type"] == "dashboards"
    assert others["tags"] == [f"fermloop-{language}"]
    assert set(others["tags"]) < set(board["tags"])
    assert kiosk["url"] == f"/d/{here}?kiosk"
    assert translated["url"] == f"/d/{other}"
    variables = {v["name"]: v["query"] for v in board["templating"]["list"]}
    assert variables["console"].startswith("http://127.0.0.1:80")


def test_every_variable_that_is_used_can_be_chosen(board: Board) -> None:
    chosen = {v["name"] for v in board["templating"]["list"]}
    own = {"timeFilter", "__interval", "__interval_ms", "__from", "__to"}
    asked = [t["query"] for t in targets(board)]
    asked += [mark["query"] for mark in board["annotations"]["list"]]
    asked += [v["query"] for v in board["templating"]["list"] if v["type"] == "query"]
    for query in asked:
        used = set(re.findall(r"\$\{?(\w+)", query))
        assert used - own <= chosen, query


def test_the_rows_of_the_table_keep_their_places() -> None:
    board = MADE["ecoli_5l"]["reactor.en"]
    (table,) = [p for p in panels(board) if p["type"] == "table"]
    renamed = table["transformations"][1]["options"]["renameByName"]
    assert table["options"]["sortBy"] == [{"displayName": renamed["Metric"], "desc": False}]
    assert table["fieldConfig"]["overrides"][0]["matcher"]["options"] == renamed["Time"]


def test_a_join_keeps_the_times_of_its_first_query_under_a_name_of_their_own() -> None:
    """Else Grafana calls them after the measurement, and the column is not found."""
    board = MADE["ecoli_5l"]["plant.en"]
    table = next(p for p in panels(board) if p["type"] == "table")
    named, *timeless = table["transformations"][: len(table["targets"])]
    assert named["options"]["renameByName"] == {"Time": "seen"}
    assert [step["filter"]["options"] for step in (named, *timeless)] == ["A", "B", "C", "D"]
    assert table["transformations"][-1]["options"]["renameByName"]["seen"] == "Last contact"


# One definition, two languages


def test_every_text_is_there_in_both_languages() -> None:
    for table in (texts.TEXTS, names.NAMES):
        assert all(one.strip() for pair in table.values() for one in pair)
    chinese = "".join(pair[1] for pair in (*texts.TEXTS.values(), *names.NAMES.values()))
    assert sum("\u4e00" <= letter <= "\u9fff" for letter in chinese) > 500


@pytest.mark.parametrize(("plant", "name"), [(p, n) for p in PLANTS for n in BOARDS])
def test_the_languages_ask_the_same_and_differ_in_words_only(plant: str, name: str) -> None:
    english, chinese = (MADE[plant][f"{name}.{language}"] for language in ("en", "zh"))
    assert [t["query"] for t in targets(english)] == [t["query"] for t in targets(chinese)]
    assert [p["gridPos"] for p in english["panels"]] == [p["gridPos"] for p in chinese["panels"]]
    assert english["title"] != chinese["title"]
    own = {"pH", "Substrate"}  # what no catalogue translates
    for a, b in zip(panels(english), panels(chinese), strict=True):
        assert a["title"] != b["title"] or a["title"] in own, a["title"]


def test_every_text_is_used() -> None:
    source = "".join(
        p.read_text(encoding="utf-8") for p in Path(build.__file__).parent.glob("*.py")
    )
    made = json.dumps([MADE[p] for p in PLANTS], ensure_ascii=False)
    unused = [
        key
        for key, pair in texts.TEXTS.items()
        if f'"{key}"' not in source.replace(f'    "{key}": (', "") and pair[1] not in made
    ]
    assert unused == []


# As files


def test_the_files_are_read_as_what_was_made(tmp_path: Path) -> None:
    wanted = Wanted(load_plant(ROOT / "sim/plants/ecoli_5l.toml"), site="pilot")
    paths = build.write(wanted, tmp_path, Path("/srv/grafana"), Path("/srv/token"))
    assert len([p for p in paths if p.suffix == ".json"]) == 2 * len(BOARDS)
    read = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in paths if p.suffix == ".json"}
    assert read == wanted.boards()
    sites = [v for v in read["plant.en"]["templating"]["list"] if v["name"] == "site"]
    assert [v["current"]["value"] for v in sites] == ["pilot"]
    made = {
        str(p.relative_to(tmp_path / "provisioning")): yaml.safe_load(p.read_text(encoding="utf-8"))
        for p in paths
        if p.suffix == ".yaml"
    }
    (source,) = made["datasources/fermloop.yaml"]["datasources"]
    assert {"type": source["type"], "uid": source["uid"]} == DATASOURCE
    assert source["jsonData"]["version"] == "InfluxQL"
    assert source["secureJsonData"]["httpHeaderValue1"] == "Token $__file{/srv/token}"
    (provider,) = made["dashboards/fermloop.yaml"]["providers"]
    assert provider["options"]["path"] == "/srv/grafana/boards"
    assert made["alerting/rules.yaml"] == wanted.rules()
    assert "alerting/contacts.yaml" not in made


def test_one_language_is_one_set_of_boards() -> None:
    plant = load_plant(ROOT / "sim/plants/ecoli_5l.toml")
    made = files(Wanted(plant, ("zh",)), Path("/srv"), Path("/srv/token"))
    assert {n for n in made if n.endswith(".json")} == {f"boards/{n}.zh.json" for n in BOARDS}


def test_no_board_holds_a_number_that_is_none(board: Board) -> None:
    numbers = [v for _, v in everything(board) if isinstance(v, float)]
    assert all(map(math.isfinite, numbers))
