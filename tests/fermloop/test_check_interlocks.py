"""``fermloop check --interlocks``: the table of a plant, in every form and in the README."""

import json
from pathlib import Path

import pytest

from controller.plant import load_plant
from fermloop.commands import check_interlocks

ROOT = Path(__file__).parents[2]
PLANTS = sorted((ROOT / "sim/plants").glob("*.toml"))


def test_the_readme_shows_every_shipped_plant_as_it_is() -> None:
    text = (ROOT / "controller/README.md").read_text(encoding="utf-8")
    assert check_interlocks.renewed(text, ROOT) == text, "make interlock-tables"
    assert all(f"<!-- interlocks of sim/plants/{p.name} -->" in text for p in PLANTS)


@pytest.mark.parametrize("file", PLANTS, ids=lambda p: p.stem)
def test_every_interlock_actuator_and_loop_has_its_row(file: Path) -> None:
    plant = load_plant(file)
    found = check_interlocks.tables("R1", plant)
    reactor = plant.settings.reactor["R1"]
    assert [r["name"] for r in found["interlocks"]] == [f"R1.{n}" for n in reactor.interlock]
    assert {r["name"] for r in found["actuators"]} == {
        t.name for t in plant.tags.values() if t.safe is not None
    }
    assert [r["name"] for r in found["loops"]] == [f"R1.{n}" for n in reactor.loop]
    assert all(row["safe"] and row["range"] for row in found["actuators"])


def test_it_is_a_table_lines_json_or_markdown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = load_plant(ROOT / "sim/plants/penicillin_100m3.toml")
    check_interlocks.show(plant, False, False)
    lines = capsys.readouterr().out.splitlines()
    assert (
        "actuator R1.heater: range: 0 to 100 %; safe value: 0 %; device's watchdog: 3 s; "
        "never open with: R1.cooling"
    ) in lines
    assert any(
        line.startswith("interlock R1.low_do: trips when: R1.do below 15 %; for: 60 s;")
        and "does: R1.feed ≤ 60, R1.oil ≤ 15;" in line
        for line in lines
    )
    assert any("interlock R1.overpressure" in x and "bypass: never" in x for x in lines)
    check_interlocks.show(plant, True, False)
    assert json.loads(capsys.readouterr().out).keys() == {"R1"}
    check_interlocks.show(plant, False, True)
    assert capsys.readouterr().out.startswith("| interlock | trips when | for |")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    check_interlocks.show(plant, False, False)
    assert " overpressure " in capsys.readouterr().out
