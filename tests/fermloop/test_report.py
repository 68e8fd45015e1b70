"""The report holds every documented key and nothing else."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from fermloop.commands import report
from fermloop.failure import FailureError

README = Path(__file__).parents[2] / "fermloop/README.md"
TRUTH: dict[str, Any] = dict.fromkeys(report.FROM_TRUTH, 0.5) | {
    "by_product": "acetate",
    "faults": [],
}
CONTROL: dict[str, Any] = {
    **dict.fromkeys(report.FROM_CONTROL, 86400),
    "reactors": {
        "R1": {
            "recipe": "ecoli",
            "loops": {"do": {"in_band": 0.98, "iae": 12.0}, "ph": {"in_band": None, "iae": 0.0}},
            "estimated": {
                "product_g": math.nan,
                "titre_g_per_l": 4.0,
                "biomass_g_per_l": 40.0,
                "volume_l": 3.9,
                "yield_product_per_substrate_g_per_g": 0.02,
            },
            "interlock_trips": 0,
            "optimiser_plans": 280,
            "optimiser_sheds": 0,
            "optimiser_late": 1,
        }
    },
}


def assembled() -> dict[str, Any]:
    return report.assemble(TRUTH, CONTROL, reactor="R1", hours=24.0, seed=1, optimiser="on")


def test_a_report_has_every_documented_key() -> None:
    assert list(report.problems(assembled())) == []


def test_what_nobody_knows_is_null_and_the_file_is_strict_json(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"
    report.write(assembled(), path)
    read = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert read["estimated"]["product_g"] is None
    assert read["loops"]["do"] == {"in_band": 0.98, "iae": 12.0}
    assert [p.name for p in path.parent.iterdir()] == ["report.json"]


def test_missing_unknown_and_wrong_keys_are_named() -> None:
    wrong = assembled()
    del wrong["energy_kwh"]
    wrong["energy_mj"] = 3.0
    wrong["scans"] = "many"
    wrong["loops"]["do"]["in_band"] = 98.0
    assert list(report.problems(wrong)) == [
        "energy_kwh: is missing",
        "loops.do.in_band: 98.0 is not allowed; 0 to 1 is required",
        "scans: 'many' is not allowed; int is required",
        "energy_mj: is not documented",
    ]


def test_the_summary_can_be_read_with_values_missing() -> None:
    lines = report.summary(assembled())
    assert lines[0] == "ecoli, 24.00 h, seed 1, optimiser on"
    assert "product   0.50 g (estimated – g)" in lines[1]
    assert any("in band   do 98.0 %" in line for line in lines)


def test_the_readme_explains_every_key() -> None:
    assert report.table() in README.read_text(encoding="utf-8")


def test_a_report_that_could_not_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    report.require_writable(None)
    report.require_writable(tmp_path / "a" / "b.json")
    with pytest.raises(FailureError, match="it is a folder"):
        report.require_writable(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(FailureError, match="cannot be written"):
        report.require_writable(tmp_path / "file" / "b.json")
