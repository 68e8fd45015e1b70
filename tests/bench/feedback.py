"""The rivals that feed by feedback: a DO-stat that probes, and ethanol control, in each main phase.

That of yeast is tuned as the recipes are (``search_recipe.py yeast_300l_feedback``, the same number
of candidates, seeds and limits; none of the last four kept the broth cool in all 36 batches, this
one in 35, and it made the most); those of the others are by hand.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Process(NamedTuple):
    """One of the four: its recipe, length in h, the feedback feed of its main phase, and its DO."""

    recipe: str
    hours: float
    phase: str
    feedback: Mapping[str, Any]
    do_percent: float | None = None


PROCESSES: Mapping[str, Process] = {
    "ecoli_5l": Process(
        *("ecoli", 24.0, "feed"),
        {
            **{"kind": "probing", "measured": "do", "answer": 1.2, "below": 20.0, "flow": 8.0},
            **{"cap": 100.0, "on_s": 60.0, "pause_s": 240.0, "size": 0.4},
        },
    ),
    "ecoli_100m3": Process(
        *("ecoli_100m3", 28.0, "feed"),
        {
            **{"kind": "probing", "measured": "do", "answer": 1.2, "below": 20.0, "flow": 130.0},
            **{"cap": 1400.0, "on_s": 60.0, "pause_s": 240.0, "size": 0.3},
        },
    ),
    "yeast_300l": Process(
        *("yeast", 20.0, "feed"),
        {
            **{"kind": "pi", "mu": 0.1961, "cap": 13.12, "biomass_g_per_l": 2.433},
            **{"volume_l": 120.0, "feed_substrate_g_per_l": 350.0, "yield_g_per_g": 0.49},
            **{"maintenance_g_per_g_h": 0.0, "measured": "ethanol", "setpoint": 0.4698},
            **{"kp": 0.4358, "ti_s": 4097.0},
        },
        39.33,
    ),
    "penicillin_100m3": Process(
        *("penicillin", 230.0, "production"),
        {
            **{"kind": "probing", "measured": "do", "answer": 1.2, "below": 30.0, "flow": 60.0},
            **{"cap": 160.0, "on_s": 300.0, "pause_s": 1500.0, "size": 0.3},
        },
    ),
}


def fed_back(process: Process, table: dict[str, Any]) -> dict[str, Any]:
    """Return the table of a recipe with the feedback feed in place of what its main phase feeds."""
    if process.do_percent is not None:
        table["start"]["setpoints"]["do"] = process.do_percent
    phases = table["phase"]
    first = next(i for i, phase in enumerate(phases) if phase["name"] == process.phase)
    phases[first]["feeds"]["feed"] = dict(process.feedback)
    for phase in phases[first + 1 :]:  # it goes on until the recipe ends the feed
        if phase.get("feeds", {}).get("feed", {}).get("kind") == "hold":
            del phase["feeds"]["feed"]
    return table
