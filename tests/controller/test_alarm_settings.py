"""``[reactor.R1.alarm.NAME]``: every mistake is one line; what every plant has needs no line."""

from pathlib import Path

import pytest

from controller.alarms.alarm import Priority
from controller.alarms.table import definitions
from controller.plant import Plant, load_plant
from controller.plant_file.config import ConfigError

PLANT = Path("sim/plants/ecoli_5l.toml")
ALARM = "reactor.R1.alarm"


def with_alarms(folder: Path, text: str) -> Plant:
    plain = PLANT.read_text(encoding="utf-8")
    path = folder / "plant.toml"
    path.write_text(f"{plain}\n{text}", encoding="utf-8")
    return load_plant(path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("high = 38", "x: either measured (a tag) or loop is required"),
        ("measured = 'R1.ph'\nloop = 'ph'\nhigh = 8", "x: either measured (a tag) or loop is"),
        ("measured = 'R1.ph'", "x: one of high_high, high, low, low_low, deviation, rise_per_min,"),
        (
            "measured = 'R1.pH'\nhigh = 8",
            "x.measured: R1.pH is not allowed; a known tag of R1:",
        ),
        ("loop = 'oxygen'\nhigh = 8", "x.loop: oxygen is not allowed; a loop with measured: temp"),
        ("measured = 'R1.ph'\nhigh = 15", "x.high: 15 is not allowed; 0 to 14 [pH] of R1.ph"),
        ("measured = 'R1.ph'\nhigh = 6\nlow = 7", "x.low: 7 must be below high (6)"),
        ("measured = 'R1.ph'\nhigh_high = 7\nhigh = 7", "x.high: 7 must be below high_high (7)"),
        ("measured = 'R1.ph'\nhigh = 'hot'", "x.high.limit: hot is not allowed; limit: input"),
        ("measured = 'R1.ph'\nhigh = nan", "x.high.limit: nan is not allowed; limit: input"),
        ("measured = 'R1.ph'\nhi = 8", "x.hi: no such key; measured, loop, high_high, high, low"),
        ("measured = 'R1.ph'\nhigh = {}", "x.high.limit: missing; limit is required"),
        (
            "measured = 'R1.ph'\nhigh = { limit = 8, prio = 'low' }",
            "x.high.prio: no such key; limit, priority,",
        ),
        (
            "measured = 'R1.ph'\nhigh = 8\npriority = 'urgent'",
            "x.priority: urgent is not allowed; priority: input should be 'critical', 'high', 'm",
        ),
        (
            "measured = 'R1.ph'\nhigh = 8\non_delay_s = -1",
            "x.on_delay_s: -1 is not allowed; on_delay_s (s, >= 0, <= 86400)",
        ),
        (
            "measured = 'R1.ph'\nhigh = { limit = 7.1, deadband = 0.3 }\nlow = 6.9",
            "x.high: a deadband of 0.3 is not allowed; below 0.2, what is between low and high",
        ),
        (
            "loop = 'ph'\ndeviation = { limit = 0.1, deadband = 0.1 }",
            "x.deviation: a deadband of 0.1 is not allowed; below 0.1, deviation",
        ),
        ("loop = 'ph'\ndeviation = 20", "x.deviation: 20 is not allowed; at most 14 [pH]"),
        ("loop = 'ph'\ndeviation = 0", "x: deviation 0 is not allowed; it must be > 0"),
        (
            "measured = 'R1.ph'\ndeviation = 1",
            "x: deviation is away from a loop's setpoint",
        ),
        ("measured = 'R1.ph'\nresidual = 1", "x: residual and against are required together"),
        ("measured = 'R1.ph'\nhigh = 8\nlatch = true", "x: latch goes with residual"),
        (
            "measured = 'R1.ph'\nresidual = 1\nagainst = 'R1.ph'",
            "x.against: R1.ph is not allowed; another value of R1: R1.acid,",
        ),
        (
            "measured = 'R1.weight'\nresidual = 1\nagainst = 'R1.est.volume'",
            "x.against: R1.est.volume in L is not allowed; kg, or a scale (kg for one L)",
        ),
        (
            "measured = 'R1.ph'\nhigh = 8\ntext = { en = 'sour' }",
            "x.text.zh: missing; zh is required",
        ),
        (
            "measured = 'R1.ph'\nquality = 'BAD'\n[reactor.R1.alarm.y]\nmeasured = 'R1.ph'\n"
            "quality = 'BAD'",
            "y.quality: is not allowed; reactor.R1.alarm.x.quality judges the same of this tag",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        with_alarms(tmp_path, f"[{ALARM}.x]\n{text}\n")
    assert len(refused.value.lines) == 1, refused.value.lines
    assert refused.value.lines[0].startswith(f"plant.toml: {ALARM}.{line}")


def test_a_name_that_another_alarm_has_already_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        with_alarms(tmp_path, f"[{ALARM}.agitation]\nmeasured = 'R1.do'\nquality = 'BAD'\n")
    assert refused.value.lines == [
        f"plant.toml: {ALARM}.agitation.quality: its id R1.agitation.quality is that of "
        "the quality of R1.agitation; another name is required"
    ]


def test_one_text_may_be_for_both_languages(tmp_path: Path) -> None:
    plant = with_alarms(tmp_path, f"[{ALARM}.x]\nmeasured = 'R1.ph'\nhigh = 8\ntext = 'CIP?'\n")
    (made,) = (c for c in definitions(plant) if c.id == "R1.x.high")
    assert made.own == {"en": "CIP?", "zh": "CIP?"}


def test_every_plant_has_alarms_of_its_machinery(tmp_path: Path) -> None:
    found = {c.id: c for c in definitions(with_alarms(tmp_path, ""))}
    for name in ("R1-io.device", "R1-io.write", "R1-io.watchdog", "R1-gas.device", "store", "scan"):
        assert name in found
    for name in ("R1.restart", "R1.low_do.interlock", "R1.base.dose", "R1.do.quality"):
        assert found[name].reactor == found[name].group == "R1"
    assert "R1-gas.watchdog" not in found  # it has none
    assert "R1.offgas_o2.quality" not in found  # no loop or interlock uses it


def test_the_priority_of_an_interlock_is_the_plants(tmp_path: Path) -> None:
    text = PLANT.read_text().replace("below = 12.0", 'below = 12.0\npriority = "critical"')
    (tmp_path / "plant.toml").write_text(text)
    found = {c.id: c.priority for c in definitions(load_plant(tmp_path / "plant.toml"))}
    locks = {n: p for n, p in found.items() if n.endswith(".interlock")}
    assert locks.pop("R1.low_do.interlock") is Priority.CRITICAL
    # the plant file says medium where the batch is lost within the hour; the rest has acted already
    medium = {"R1.loss_of_air.interlock", "R1.no_agitation.interlock"}
    assert {n for n, p in locks.items() if p is Priority.MEDIUM} == medium
    assert set(locks.values()) == {Priority.MEDIUM, Priority.LOW}
