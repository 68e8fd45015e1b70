"""What alarms cost a scan: 100 reactors with 30 tags each, five alarms a tag."""

from collections.abc import Callable
from typing import Any

import pytest

from controller.alarms.alarm import Definition, Priority
from controller.alarms.alarms import Alarms
from controller.alarms.rules import Limit, Rules, TagWatch
from drivers.point import Quality, Sample, Tag

pytestmark = pytest.mark.bench
TAGS = [Tag(f"R{r:02d}.t{i}", "%", 0, 100) for r in range(100) for i in range(30)]
LIMITS = {"high_high": 95.0, "high": 90.0, "low": 10.0, "low_low": 5.0}


def plant() -> tuple[Alarms, Rules]:
    kinds = [*LIMITS, "bad"]
    alarms = Alarms(
        (
            Definition(f"{t.name}.{k}", t.name, k, Priority.LOW, t.reactor, t.reactor, 10.0, 10.0,
                       {"limit": LIMITS.get(k, 0.0), "unit": " %"})
            for t in TAGS
            for k in kinds
        ),
        lambda _: None,
    )  # fmt: skip
    watches = [
        TagWatch(
            t.name,
            alarms,
            [
                Limit(alarms[f"{t.name}.{k}"], at, 1.0, above=k.startswith("high"))
                for k, at in LIMITS.items()
            ],
            quality=alarms[f"{t.name}.bad"],
        )
        for t in TAGS
    ]
    return alarms, Rules(watches, ())


@pytest.mark.parametrize("value", [50.0, 92.0], ids=["quiet", "3000 standing"])
def test_a_scan(benchmark: Callable[..., Any], value: float) -> None:
    alarms, rules = plant()
    samples = {t.name: Sample(t, 0.0, value, Quality.GOOD) for t in TAGS}
    for second in range(12):
        rules.step(float(second), samples)
    assert len(alarms.active) == (0 if value == 50.0 else 3000)
    benchmark(rules.step, 20.0, samples)


def test_three_thousand_begin_in_one_scan(benchmark: Any) -> None:
    samples = {t.name: Sample(t, 0.0, 92.0, Quality.GOOD) for t in TAGS}

    def fresh() -> tuple[tuple[Rules], dict[str, object]]:
        _, rules = plant()
        rules.step(0.0, samples)
        return (rules,), {}

    def scan(rules: Rules) -> None:
        rules.step(10.0, samples)

    benchmark.pedantic(scan, setup=fresh, rounds=5)
