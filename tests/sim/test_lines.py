"""Medium and seed that come into a vessel: nothing is made or lost on the way."""

from itertools import pairwise

import pytest

from sim.lines import SEED, Lines
from sim.vessel import Vessel

KINDS = [("yeast", "300l"), ("penicillin_structured", "100m3"), ("ecoli", "5l")]


def clean(organism: str, vessel: str, seed: int = 1) -> Vessel:
    """Return a vessel with a tenth of its medium in it and the rest beside it."""
    usual = Vessel(organism, vessel).truth["volume_l"]
    made = Vessel(
        organism, vessel, seed, volume_l=usual / 10, substrate_g_per_l=9.0, biomass_g_per_l=0.0
    )
    tanks = {
        "medium": made.tank(usual, 0.0, 9.0),
        SEED: made.tank(usual / 10, 20.0, 0.5),
    }
    made.lines = Lines(made, tanks)
    return made


def amounts(vessel: Vessel) -> dict[str, float]:
    """Return what is in the vessel and beside it, by state: g, mmol or L."""
    assert vessel.lines is not None
    states = [v.name for v in vessel.model.states]
    per_litre = {v.name for v in vessel.model.organism.species if v.unit.endswith("/L")}
    names = [*sorted(per_litre), "NH3", "PO4", "strong"]
    found: dict[str, float] = {n: vessel.state()[n] * vessel.state()["V"] for n in names}
    found |= {"V": vessel.state()["V"], "M": vessel.state()["M"]}
    for tank in vessel.lines.tanks.values():
        held = dict(zip(states, tank.contents, strict=True))
        for name in names:
            found[name] += held[name] * tank.left_l
        found["V"] += tank.left_l
        found["M"] += held["M"] / held["V"] * tank.left_l
    return found


@pytest.mark.parametrize(("organism", "vessel"), KINDS)
def test_pouring_makes_and_loses_nothing(organism: str, vessel: str) -> None:
    made = clean(organism, vessel)
    assert made.lines is not None
    before = amounts(made)
    made.lines.inoculate()
    assert made.lines.tanks[SEED].left_l == 0.0
    assert amounts(made) == pytest.approx(before, rel=1e-12)
    assert made.truth["biomass_g_per_l"] > 9.0
    assert made.poured["biomass"] == pytest.approx(
        made.truth["biomass_g_per_l"] * made.truth["volume_l"]
    )


@pytest.mark.parametrize(("organism", "vessel"), KINDS)
def test_each_cell_stays_what_it_is(organism: str, vessel: str) -> None:
    made = clean(organism, vessel)
    assert made.lines is not None
    made.advance(made.time + 300)  # shares and ages of no cells at all mean nothing
    seed = dict(
        zip((v.name for v in made.model.states), made.lines.tanks[SEED].contents, strict=True)
    )
    made.lines.inoculate()
    own = [v.name for v in made.model.organism.species if not v.unit.endswith("/L")]
    assert {n: made.state()[n] for n in own} == {n: seed[n] for n in own}


def test_a_line_gives_what_is_wanted_until_its_tank_is_empty() -> None:
    made = clean("yeast", "300l")
    assert made.lines is not None
    before = amounts(made)["V"]
    made.write("R1.medium", 360.0)  # L/h
    volumes = [made.truth["volume_l"]]
    for _ in range(60):
        made.advance(made.time + 10)
        volumes.append(made.truth["volume_l"])
    assert [b - a for a, b in pairwise(volumes)] == pytest.approx([1.0] * 60, abs=0.01)
    made.advance(made.time + 3600)
    assert made.lines.tanks["medium"].left_l == 0.0
    assert amounts(made)["V"] == pytest.approx(before, rel=1e-3)  # but for what evaporates
    assert made.actual("R1.medium") == 360.0
    made.to_safe()
    assert made.actual("R1.medium") == 0.0


@pytest.mark.parametrize(("organism", "vessel"), KINDS)
def test_sterile_medium_stays_as_it_is_and_the_seed_grows(organism: str, vessel: str) -> None:
    made = clean(organism, vessel)
    assert made.lines is not None
    sugar = made.truth["substrate_g_per_l"]
    made.advance(made.time + 900)
    assert made.truth["biomass_g_per_l"] == 0.0
    assert made.truth["substrate_g_per_l"] == pytest.approx(sugar, rel=0.01)
    acidity = made.truth["ph"]
    assert acidity == pytest.approx(made.model.organism.acidity, abs=0.1)
    made.lines.inoculate()
    seeded = made.truth["biomass_g_per_l"] * made.truth["volume_l"]
    made.advance(made.time + 5)  # the cells begin to eat ammonia at once
    assert made.truth["ph"] == pytest.approx(acidity, abs=0.1)
    made.advance(made.time + 895)
    assert made.truth["biomass_g_per_l"] * made.truth["volume_l"] > 1.0005 * seeded


def test_the_same_seed_pours_the_same() -> None:
    found: list[dict[str, float]] = []
    for _ in range(2):
        made = clean("yeast", "300l", 7)
        assert made.lines is not None
        made.write("R1.seed", 100.0)
        made.advance(made.time + 300)
        found.append(made.truth)
    assert found[0] == found[1]
