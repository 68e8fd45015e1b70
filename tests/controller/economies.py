"""The four shipped plants in the middle of a batch, as an optimiser is asked."""

import dataclasses
import math
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from controller.planning.economic.belief import Belief
from controller.planning.economic.formulation import economic_settings
from controller.planning.economic.settings import EconomicSettings
from controller.planning.plan import Situation
from controller.plant import load_plant
from controller.sensing.estimate import N_STATES, NAMES, Estimate
from controller.sensing.estimator import Estimator, EstimatorSettings

NOW = 1.8e9
GROWING = {"biomass_g_per_l": 8.0, "substrate_g_per_l": 0.03, "acetate_g_per_l": 0.01}
PLANTS = ("ecoli_5l", "ecoli_100m3", "yeast_300l", "penicillin_100m3")


class Case(NamedTuple):
    """What is asked of one plant."""

    settings: EconomicSettings
    belief: Belief
    situation: Situation


def _profile(*pairs: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    return tuple((NOW + 3600.0 * h, value) for h, value in pairs)


def case(plant: str, spread: float = 0.05, **states: float) -> Case:
    """Return a plant half an hour to two days into its feed; factors and biomass not quite sure."""
    settings = economic_settings("R1", load_plant(Path(f"sim/plants/{plant}.toml")))
    if plant == "yeast_300l":
        known = {"X": 5.0, "S": 0.03, "E": 0.1, "NH3": 90.0, "V": 125.0}
        applied = {"feed": 1.3, "do": 27.0, "harvest": 0.0, "temperature": 30.0, "pressure": 1.8}
        profiles = {"feed": _profile((0, 1.3), (7, 4.0), (12, 5.0))}
        batch_h, end_h = 8.0, 20.0
    elif plant == "penicillin_100m3":
        known = {
            **{"X": 12.0, "Xd": 1.0, "S": 0.005, "L": 0.1, "P": 2.0, "H": 0.1, "PAA": 0.8},
            **{"age": 30.0, "NH3": 100.0, "V": 55e3},
        }
        applied = {
            **{"feed": 61.0, "oil": 11.0, "paa": 16.0, "nitrogen": 5.0, "water": 400.0},
            **{"do": 56.0, "harvest": 300.0, "temperature": 25.0, "pressure": 1.9},
        }
        profiles = {
            "feed": _profile((0, 62), (20, 86), (30, 111), (110, 96), (180, 81)),
            "oil": _profile((0, 14.5), (30, 12), (180, 9.3)),
            "paa": _profile((0, 19.2), (100, 19.2), (180, 16)),
            "nitrogen": _profile((0, 0), (30, 9.7), (180, 9.7)),
            "water": _profile((0, 400), (25, 400), (25.1, 100), (180, 150)),
            "harvest": _profile((0, 300), (180, 300)),
        }
        batch_h, end_h = 50.0, 230.0
    else:
        litres = 1.0 if plant == "ecoli_5l" else 52e3 / 3.05
        known = {
            **{"X": 8.0, "S": 0.03, "A": 0.01, "P": 0.0, "E": 1.0, "inducer": 0.0, "NH3": 90.0},
            "V": 3.05 * litres,
        }
        applied = {
            **{"feed": 0.018 * litres, "inducer": 0.0, "do": 30.0, "harvest": 0.0},
            **{"temperature": 37.0, "pressure": 1.05 if plant == "ecoli_5l" else 2.0},
        }
        top = 0.032 if plant == "ecoli_5l" else 0.02
        profiles = {
            "feed": _profile((0, 0.018 * litres), (4, top * litres), (16, top * litres)),
            "inducer": _profile(
                *((0, 0), (5.99, 0), (6, 0.02 * litres), (6.5, 0.02 * litres), (6.51, 0))
            ),
        }
        batch_h, end_h = 8.0, 24.0
    known = {**known, **states}
    sd = {"X": spread * known["X"], **dict.fromkeys(settings.learned, spread)}
    belief = Belief.sure(NOW, known, {}, sd)
    situation = Situation(NOW, batch_h, end_h, applied=applied, profiles=profiles)
    return Case(settings, belief, situation)


@lru_cache
def quick() -> EconomicSettings:
    """Return those of E. coli in 5 L with one vessel under each plan, for tests of many plans."""
    return dataclasses.replace(case("ecoli_5l").settings, scenarios=1)


def believed(spread: float = 0.03, **values: float) -> Estimate:
    """Return an estimate of E. coli of given values, with factors 1 and a relative spread."""
    first = Estimator(EstimatorSettings()).update(NOW, {}, {}, induced=False)
    mean = list(first.mean)
    for name, value in {**GROWING, **values}.items():
        i = NAMES.index(name)
        mean[i] = math.log(value) if name.endswith("_factor") else value
    cov = [0.0] * N_STATES**2
    for i in range(N_STATES):
        scale = 1.0 if i < len(NAMES) and NAMES[i].endswith("_factor") else mean[i]
        cov[i * N_STATES + i] = (spread * scale) ** 2
    return Estimate(NOW, tuple(mean), tuple(cov))
