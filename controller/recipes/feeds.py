"""The feeds of a recipe: which law moves each, what it is told, what it asks for."""

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from controller.recipes.facts import PlantFacts
from controller.recipes.feed_growth import Growth
from controller.recipes.feed_laws import Eased, Feed, as_state, feed_unit, from_state, ramp_of
from controller.recipes.feedback import HOUR_S, Feedback, Seen
from controller.recipes.feeding import Constant, Exponential, Table
from controller.recipes.file import Recipe
from controller.sensing.culture import Culture
from drivers.point import BAD, Sample


class Feeds:
    """Every feed that a recipe moves, by its loop; flows in mL/h, but for what ``ask`` returns.

    Args:
        recipe: whose.
        facts: where.
    """

    def __init__(self, recipe: Recipe, facts: PlantFacts) -> None:
        self._facts = facts
        self._units = {n: feed_unit(n, facts) for n in sorted(recipe.fed(facts.feed_loop))}
        self.clear()

    def clear(self) -> None:
        """Feed nothing."""
        self.laws: dict[str, Feed] = dict.fromkeys(self._units, Constant(0.0))
        self.since_s = dict.fromkeys(self._units, 0.0)  # since each began, without time HELD
        self.blind: dict[str, str] = {}  # why a law cannot see, by loop
        self._given = dict.fromkeys(self._units, 0.0)
        self.looking = False  # a law looks at the vessel

    def __contains__(self, loop: object) -> bool:
        return loop in self._units

    def flow(self, loop: str) -> float:
        """Return what a feed is by its law, mL/h."""
        return self.laws[loop].flow(self.since_s[loop])

    def steady(self, loop: str) -> float:
        """Return the same without pulses, mL/h."""
        law = self.laws[loop]
        return law.steady if isinstance(law, Feedback) else self.flow(loop)

    def ask(self) -> dict[str, float]:
        """Return what is asked of every loop, in its unit."""
        return {loop: self.flow(loop) / unit for loop, unit in self._units.items()}

    def constant(self, loop: str, value: float) -> None:
        """Feed ``value``, in the loop's unit, from now on."""
        self.begin(loop, Constant(value * self._units[loop]))

    def begin(self, loop: str, law: Feed) -> None:
        """Move a feed by ``law``; one that looked at the vessel before hands over slowly."""
        before = self.laws.get(loop)
        if isinstance(law, Feedback) and not law.begun and before is not None:
            law.asked = self.flow(loop)  # what is fed, where nobody says
        plain = not isinstance(law, Feedback | Eased)
        if plain and isinstance(before, Feedback | Eased):
            given = self._given[loop] if isinstance(before, Feedback) else self.flow(loop)
            law = Eased(law, given - law.flow(0.0), ramp_of(loop, self._facts))
        self.laws[loop], self.since_s[loop] = law, 0.0
        self.looking = any(isinstance(law, Feedback) for law in self.laws.values())
        self.blind = {}

    def change(self, loop: str, law: Feed) -> None:
        """Go on by another version of the law that moves a feed, without a fresh start.

        What a feed has grown since it began it keeps; a profile keeps its hours.
        """
        before, since = self.laws[loop], self.since_s[loop]
        if isinstance(before, Exponential) and isinstance(law, Exponential):
            grown = before.biomass_g_per_l * math.exp(before.mu_per_h * since / HOUR_S)
            law = replace(law, biomass_g_per_l=min(grown, 500.0), volume_l=before.volume_l)
        elif isinstance(before, Growth) and isinstance(law, Growth):
            law.mass_g, law.besides = before.mass_g, before.besides
        self.begin(loop, law)
        if isinstance(before, Table) and isinstance(law, Table):
            self.since_s[loop] = since

    def add(self, recipe: Recipe) -> None:
        """Take the feeds that another version of the recipe moves beside these."""
        for loop in sorted(recipe.fed(self._facts.feed_loop) - self._units.keys()):
            self._units[loop] = feed_unit(loop, self._facts)
            self._given[loop] = 0.0
            self.begin(loop, Constant(0.0))

    def given(self, applied: Mapping[str, float]) -> None:
        """Take what was really fed since the last step, by loop, in its unit."""
        for loop, flow in applied.items():
            if loop in self._units:
                self._given[loop] = flow * self._units[loop] if flow > 0.0 else 0.0

    def pass_time(self, dt: float) -> None:
        """Let ``dt`` s pass."""
        for loop in self.since_s:
            self.since_s[loop] += dt

    def see(
        self,
        dt: float,
        measured: Mapping[str, Sample],
        applied: Mapping[str, float],
        away: Collection[str],
        culture: Culture,
    ) -> None:
        """Show the vessel to the laws that look at it.

        Args:
            dt: s since the last time.
            measured: samples by tag name.
            applied: what was really fed since then, by loop, in its unit.
            away: loops that somebody else moves.
            culture: the cells, as estimated.
        """
        self.blind = {}
        for loop, law in self.laws.items():
            if not isinstance(law, Feedback):
                continue
            given = self._given[loop] if loop in applied else law.asked
            sample = measured.get(law.measured)
            bad = sample is None or sample.quality is BAD
            value = math.nan if sample is None or bad else sample.value
            law.step(Seen(dt, given, loop in away, value, culture, self.since_s[loop]))
            self._given[loop] = given
            if law.looks and bad:
                self.blind[loop] = f"{law.measured} is BAD"
            elif law.mute:
                self.blind[loop] = law.mute

    def as_state(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {n: [as_state(law), self.since_s[n]] for n, law in self.laws.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from ``as_state``.

        Raises:
            KeyError, TypeError, ValueError: the state is damaged.
        """
        for loop in self.laws:
            law, since = state[loop]
            self.begin(loop, from_state(law))
            self.since_s[loop] = float(since)
