"""Every board and every query of an alert is what Grafana's own types allow."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.plant import load_plant
from dashboards.grafana.build import Wanted
from tests.dashboards.schema.install import VERSIONS, check

ROOT = Path(__file__).parents[2]
WANTED = {
    "ecoli_5l": Wanted(load_plant(ROOT / "sim/plants/ecoli_5l.toml"), ("zh",)),
    "penicillin_100m3": Wanted(load_plant(ROOT / "sim/plants/penicillin_100m3.toml"), ("en",)),
}
Spoiled = Callable[[dict[str, Any]], object]


def write(folder: Path, name: str, kind: str, value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    imported = kind.removesuffix("[]")
    source = f'import type {{ {imported} }} from "./types";\nexport const it: {kind} = {text};\n'
    (folder / f"{name}.ts").write_text(source, encoding="utf-8")


def _panel(board: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(p for p in board["panels"] if p["type"] == kind)


SPOILED: dict[str, Spoiled] = {
    "a panel that is gone": lambda b: _panel(b, "timeseries").update(type="graph"),
    "a key of the past": lambda b: _panel(b, "timeseries").update(yaxes=[]),
    "a word that is none": lambda b: _panel(b, "state-timeline")["options"].update(showValue="x"),
    "an unknown option": lambda b: _panel(b, "stat")["options"].update(colour="red"),
    "another data source": lambda b: _panel(b, "table")["datasource"].update(uid="other"),
    "an override of nothing": lambda b: _panel(b, "timeseries")["fieldConfig"]["overrides"].append(
        {"matcher": {"id": "byName", "options": "x"}, "properties": [{"id": "custom.line"}]}
    ),
    "a custom field of another panel": lambda b: _panel(b, "timeseries")["fieldConfig"]["defaults"][
        "custom"
    ].update(cellOptions={}),
    "a number that is a text": lambda b: b.update(schemaVersion="41"),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_boards_and_alerts_are_of_grafana_s_own_types(version: str, tmp_path: Path) -> None:
    for plant, wanted in WANTED.items():
        for name, board in wanted.boards().items():
            write(tmp_path, f"{plant}.{name}", "Board", board)
        rules = wanted.rules()["groups"][0]["rules"]
        asked = [data["model"] for rule in rules for data in rule["data"]]
        write(tmp_path, f"{plant}.rules", "AlertQuery[]", asked)
    for n, spoil in enumerate(SPOILED.values()):
        board = WANTED["ecoli_5l"].boards()["reactor.zh"]
        spoil(board)
        write(tmp_path, f"spoiled{n}", "Board", board)
    said = check(tmp_path, version)
    assert [line for line in said if not line.startswith(("spoiled", " "))] == []
    unseen = [
        w for n, w in enumerate(SPOILED) if not any(s.startswith(f"spoiled{n}.") for s in said)
    ]
    assert unseen == []


@pytest.mark.parametrize("plant", WANTED)
def test_every_uid_is_one_that_grafana_takes(plant: str) -> None:
    wanted = WANTED[plant]
    uids = [rule["uid"] for rule in wanted.rules()["groups"][0]["rules"]]
    uids += [board["uid"] for board in wanted.boards().values()]
    assert len(set(uids)) == len(uids)
    assert all(len(uid) <= 40 and uid.replace("-", "").isalnum() for uid in uids)
