"""Night 1: the hour around the dip always, the whole batch beside its twin in the long run."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from sim.vessel import Vessel
from tests.nights.power_dip import CASES, NIGHT, Case, disturbed, play

# What the shipped recipes have made of the vessel when the night begins, and how it is driven then.
GROWN: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]] = {
    "yeast_300l": (
        {"X": 40.4, "S": 0.03, "V": 163.2, "M": 166.7, "O": 0.0038},
        {"stirrer": 450, "air": 180, "pressure": 1.8, "cooling": 29, "base": 9.7, "feed": 5.75},
    ),
    "ecoli_100m3": (
        {"X": 30.6, "S": 0.008, "V": 56778.0, "M": 57915.0, "O": 0.0046},
        {"stirrer": 105, "air": 1690, "pressure": 2.0, "cooling": 24, "base": 107, "feed": 841},
    ),
}
FEED = """
[[phase]]
name = "feed"
feeds.feed = {{ kind = "constant", flow = {flow} }}
until = {{ batch_h = 0.2 }}
"""


def late(name: str, folder: Path) -> Case:
    """Return the night on a vessel that is grown already, fed from its first minute."""
    case = CASES[name]
    state, held = GROWN[name]
    start, _, rest = case.recipe.read_text().partition("[[phase]]")
    last = rest[rest.index("[[phase]]", rest.index('name = "feed"')) :]
    recipe = folder / "late.toml"
    recipe.write_text(start + FEED.format(flow=held["feed"]) + last)

    def grown(vessel: Vessel) -> None:
        vessel.set_state(**state)
        for actuator, value in held.items():
            vessel.write(f"{vessel.prefix}.{actuator}", value)

    return replace(case, recipe=recipe, dip_h=0.4, hours=1.2, start=grown)


@pytest.mark.parametrize(("name", "seed"), [("yeast_300l", 2), ("ecoli_100m3", 1)])
def test_the_hour_after_a_power_dip_keeps_every_promise(
    name: str, seed: int, tmp_path: Path
) -> None:
    figures = disturbed(late(name, tmp_path), seed)
    assert NIGHT.broken({**figures, "product_percent": 0.0}) == []
    assert figures["scans_missed"] == 0


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_a_night_with_a_power_dip_keeps_every_promise(name: str, seed: int) -> None:
    assert NIGHT.broken(play(name, seed)) == []
