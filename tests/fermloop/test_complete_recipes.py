"""The complete recipes: from a clean vessel, by seed transfer and draw-off, to a clean vessel."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

import sim
from controller.plant import load_plant
from controller.plant_file.config import ConfigError
from controller.recipes.recipe import load_recipe
from fermloop.commands.check import recipe_for
from fermloop.commands.closed_loop import ANSWERS_S, EPOCH, Outcome, run_batch
from historian.events import Event, Kind
from historian.store import NullHistorian

SIM = Path(sim.__file__).parent
PAIRS = {
    "ecoli_complete": ("ecoli_5l", "ecoli"),
    "yeast_complete": ("yeast_300l", "yeast"),
    "penicillin_complete": ("penicillin_100m3", "penicillin"),
}
OURS = frozenset({"sterilise", "fill", "prepare", "inoculate", "harvest", "clean"})


class Journal(NullHistorian):
    """Keeps the events."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        self.events.append(event)

    def told(self, word: str) -> list[float]:
        """Return when something was said, h since the start of the run."""
        return [(e.time - EPOCH) / 3600.0 for e in self.events if word in e.text]


def run(name: str, hours: float, folder: Path, seed: int = 1, scan_s: float = 1.0) -> Any:
    text = (SIM / "plants" / f"{PAIRS[name][0]}.toml").read_text(encoding="utf-8")
    text = text.replace("scan_s = 1.0", f"scan_s = {scan_s}")
    text = text.replace("within_s = 3.0", f"within_s = {3 * scan_s}")
    file = folder / "plant.toml"
    file.write_text(text, encoding="utf-8")
    plant, path, journal = load_plant(file), SIM / "recipes" / f"{name}.toml", Journal()
    recipe = recipe_for(plant, path)
    return run_batch(plant, recipe, path, hours=hours, seed=seed, store=journal), journal, recipe


def at(outcome: Outcome, hours: float) -> dict[str, float]:
    """Return what was true at the point of the trajectory nearest to a time."""
    rows = outcome.trajectory["R1"]
    k = min(range(len(rows["age_h"])), key=lambda k: abs(rows["age_h"][k] - hours))
    return {name: values[k] for name, values in rows.items()}


@pytest.mark.parametrize("name", PAIRS)
def test_it_runs_the_phases_of_the_searched_recipe(name: str) -> None:
    complete = load_recipe(SIM / "recipes" / f"{name}.toml")
    searched = load_recipe(SIM / "recipes" / f"{PAIRS[name][1]}.toml")
    phases = {phase.name: phase for phase in complete.phase}
    for phase in searched.phase:
        if phase.name in OURS:
            continue  # a searched recipe ends where ours cools and empties the vessel
        own = phases[phase.name].model_dump(exclude={"until", "hold_if", "loops"})
        assert own == phase.model_dump(exclude={"until", "hold_if", "loops"}), phase.name
        if phase.name != "batch":  # which ends by the spike of oxygen too
            assert phases[phase.name].until == phase.until


@pytest.mark.parametrize("name", PAIRS)
def test_it_goes_from_sterilisation_to_cleaning_and_asks_a_person(name: str) -> None:
    recipe = load_recipe(SIM / "recipes" / f"{name}.toml")
    names = [phase.name for phase in recipe.phase]
    assert (names[0], names[-2:]) == ("sterilise", ["harvest", "clean"])
    assert recipe.inoculates == names.index("inoculate")
    asking = [p.name for p in recipe.phase if p.until is not None and p.until.asks]
    assert {"sterilise", "prepare", "harvest", "clean"} <= set(asking)
    assert recipe.parameters


def test_a_clean_vessel_is_filled_and_inoculated_by_weight(tmp_path: Path) -> None:
    outcome, journal, recipe = run("yeast_complete", 0.7, tmp_path, scan_s=2.0)
    clean = tomllib.loads((SIM / "plants/yeast_300l.toml").read_text())["simulation"]["R1"]["clean"]
    (filled,), (seeded,) = journal.told("through medium"), journal.told("through seed")
    begun = [journal.told(f"phase {p.name} (")[0] for p in recipe.phase[:5]]
    assert begun == sorted(begun)
    assert begun[1] == pytest.approx(ANSWERS_S / 3600, abs=0.01)  # nobody attends
    assert begun[2] == pytest.approx(filled, abs=0.001)
    assert begun[4] == pytest.approx(seeded, abs=0.001)
    before, after = at(outcome, 1 / 3), at(outcome, 2 / 3)
    assert at(outcome, 0.0)["volume_l"] == 24.0
    assert before["volume_l"] == pytest.approx(108.0, abs=1.0)  # scales are not perfect
    assert (before["biomass_g_per_l"], after["volume_l"]) == (0.0, pytest.approx(120.0, abs=1.0))
    poured = after["volume_l"] - before["volume_l"]  # L of seed, which has grown since
    seed = clean["seed"]["biomass_g_per_l"] * poured / after["volume_l"]
    assert after["biomass_g_per_l"] == pytest.approx(seed, rel=0.3)  # 15 % inoculum
    assert journal.told("inoculated: the age") == [pytest.approx(seeded, abs=0.001)]
    asked = [e for e in journal.events if e.kind is Kind.AUDIT and e.source == "operator:attendant"]
    assert [e.data["new"] for e in asked] == ["confirmed", "confirmed"]


def test_a_plant_that_does_not_say_how_its_vessel_is_found_is_refused(tmp_path: Path) -> None:
    text = (SIM / "plants/ecoli_100m3.toml").read_text(encoding="utf-8")
    file = tmp_path / "plant.toml"
    file.write_text(text, encoding="utf-8")
    plant, path = load_plant(file), SIM / "recipes/ecoli_complete.toml"
    with pytest.raises(ConfigError, match=r"plant\.toml: simulation\.R1\.clean: missing; a recipe"):
        run_batch(plant, load_recipe(path), path, hours=0.1, seed=1)


def end_to_end(name: str, hours: float, folder: Path, scan_s: float = 1.0) -> Any:
    outcome, journal, recipe = run(name, hours, folder, scan_s=scan_s)
    begun = [journal.told(f"phase {p.name} (") for p in recipe.phase]
    assert [len(times) for times in begun] == [1] * len(begun)
    assert begun == sorted(begun)
    assert journal.told("complete after")
    questions = len(journal.told(" asks: "))
    assert len(journal.told(" attendant confirmed: ")) == questions >= 4
    assert outcome.control["reactors"]["R1"]["interlock_trips"] == 0
    return outcome.truth["R1"], journal, recipe


def batch_h(journal: Journal, word: str) -> float:
    """Return the batch's age when something was first said, h."""
    return journal.told(word)[0] - journal.told("inoculated: the age")[0]


@pytest.mark.long
def test_ecoli_runs_from_the_autoclave_to_the_sink(tmp_path: Path) -> None:
    truth, journal, _ = end_to_end("ecoli_complete", 25.5, tmp_path)
    assert truth["product_g"] == pytest.approx(12.66, rel=0.02)  # that of ecoli.toml, seed 1
    assert truth["do_below_limit_min"] == 0.0
    assert 4.0 < batch_h(journal, "phase feed (") < 7.0


@pytest.mark.long
def test_yeast_runs_from_steam_to_steam_with_seed_transfer(tmp_path: Path) -> None:
    truth, journal, _ = end_to_end("yeast_complete", 23.0, tmp_path)
    assert truth["product_g"] == pytest.approx(10994, rel=0.05)  # that of yeast.toml, seed 1
    assert truth["harvested_product_g"] > 0.5 * truth["product_g"]
    assert truth["do_below_limit_min"] == 0.0
    assert batch_h(journal, "phase feed (") < 3.0  # by the spike, not by the clock


@pytest.mark.long
def test_penicillin_runs_with_draw_off_and_seed_transfer(tmp_path: Path) -> None:
    truth, journal, _ = end_to_end("penicillin_complete", 238.0, tmp_path, scan_s=5.0)
    assert len(journal.told("6164 L were given through harvest")) == 7  # from 100 h on
    assert truth["product_g"] > 2.2e6
    assert truth["harvested_product_g"] > 0.6 * truth["product_g"]
    assert batch_h(journal, "phase harvest (") == pytest.approx(230.0, abs=0.01)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 5))
def test_the_stirrer_shows_the_end_of_the_sugar(tmp_path: Path, seed: int) -> None:
    text = (SIM / "recipes/ecoli_complete.toml").read_text(encoding="utf-8")
    file = tmp_path / "spike.toml"
    file.write_text(text.replace("below = 0.5, for_s = 60", "below = -1.0"), encoding="utf-8")
    plant, journal = load_plant(SIM / "plants/ecoli_5l.toml"), Journal()
    outcome = run_batch(plant, load_recipe(file), file, hours=8.0, seed=seed, store=journal)
    rows = outcome.trajectory["R1"]
    begun = journal.told("inoculated: the age")[0] + 1.0
    sugar = zip(rows["age_h"], rows["substrate_g_per_l"], strict=True)
    gone = next(age for age, left in sugar if age > begun and left < 0.1)  # to 10 min
    assert journal.told("phase feed (") == [pytest.approx(gone, abs=0.2)]
