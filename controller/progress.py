"""How far a batch has come, what the recipe alone would do from here, and how that is kept."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from controller.facts import PlantFacts
from controller.feeding import Constant
from controller.feeding import as_state as feed_state
from controller.feeding import from_state as feed_from_state
from controller.phase import DoseRun, Feed, Until, law_of, planned_end
from controller.recipe_file import Dose, ModeName, Recipe

HOUR_S = 3600.0
PROFILE_H = 1 / 12  # how finely a feed profile is told to the optimiser
AHEAD_H = 24.0  # how far, where nobody knows when the batch ends


class State(StrEnum):
    """What a recipe is doing."""

    IDLE = "IDLE"
    RUNNING = "RUNNING"
    HELD = "HELD"
    ABORTED = "ABORTED"
    DONE = "DONE"


class Progress:
    """Where a recipe is; the runner moves it on.

    Attributes:
        recipe: what is run.
        state: what it is doing.
        message: why it is HELD or ABORTED; empty otherwise.
    """

    def __init__(self, recipe: Recipe, facts: PlantFacts) -> None:
        self.recipe = recipe
        self.state = State.IDLE
        self.message = ""
        self._facts = facts
        self._clear(0.0)

    def _clear(self, now: float) -> None:
        """Be at the beginning of a batch."""
        self._now = self._started = now
        self._ended = math.nan
        self._dt = 1.0  # the last step, s
        self._index = 0
        self._entered = False
        self._phase_s = 0.0  # in this phase, without time HELD
        self._stretched = False  # somebody let this phase go on beyond its max_h
        self._until: Until | None = None
        self._law: Feed = Constant(0.0)
        self._law_s = 0.0  # since the law began, without time HELD
        self._setpoints: dict[str, float] = {}
        self._modes: dict[str, ModeName] = {}
        self._ramps: dict[str, tuple[float, float]] = {}  # target, the loop's unit per s
        self._doses: list[DoseRun] = []
        self._induced_h: float | None = None
        self._estimates: Mapping[str, float] = {}

    @property
    def phase(self) -> str:
        """Name of the phase."""
        return self.recipe.phase[self._index].name

    @property
    def phase_index(self) -> int:
        """Number of the phase, from 0."""
        return self._index

    @property
    def induced(self) -> bool:
        """Whether the product has been induced."""
        return self._induced_h is not None

    @property
    def feeding(self) -> bool:
        """Whether the recipe feeds by now."""
        return self._law.flow(self._law_s) > 0.0

    def age_h(self, now: float) -> float:
        """Return h since the start of the batch, HELD or not; at its end it stops."""
        if self.state is State.IDLE:
            return 0.0
        end = now if math.isnan(self._ended) else self._ended
        return max(0.0, end - self._started) / HOUR_S

    def phase_age_h(self, now: float) -> float:
        """Return h in this phase, without time HELD."""
        running = max(0.0, now - self._now) if self.state is State.RUNNING else 0.0
        return (self._phase_s + running) / HOUR_S

    @property
    def planned_end_h(self) -> float | None:
        """Batch age at which the last phase that ends will end, h; ``None``: nobody knows."""
        last = len(self.recipe.phase) - 1
        while last > 0 and self.recipe.phase[last].until is None:
            last -= 1
        return self._planned_end(last)

    @property
    def planned_induction_h(self) -> float | None:
        """Batch age at which induction happened or will happen, h; ``None``: nobody knows."""
        if self._induced_h is not None:
            return self._induced_h
        for i, phase in enumerate(self.recipe.phase):
            if phase.induces:
                return 0.0 if i == 0 else self._planned_end(i - 1)
        return None

    def feed_profile(self, now: float) -> tuple[tuple[float, float], ...]:
        """Return what the recipe alone would feed from ``now`` to the planned end.

        Pairs of s since 1970 and mL/h, rising in time. Phases whose beginning nobody knows yet
        are not foreseen: the present feed goes on until then.
        """
        ahead = 0.0 if self.state is State.HELD else max(0.0, now - self._now)
        law, law_s = self._law, self._law_s + ahead
        age = t = self.age_h(now)
        end = self.planned_end_h
        end = age + AHEAD_H if end is None else max(end, age)
        pairs: list[tuple[float, float]] = []
        for i, phase in enumerate(self.recipe.phase[self._index :], self._index):
            if i > self._index:
                following = law_of(phase, law.flow(law_s), self._facts, self._estimates)
                law, law_s = (law, law_s) if following is None else (following, 0.0)
            stop = self._planned_end(i)
            stop = end if stop is None else min(max(stop, t), end)
            steps = math.ceil((stop - t) / PROFILE_H - 1e-6)
            for k in range(steps):
                h = (stop - t) * k / steps
                pairs.append((now + (t - age + h) * HOUR_S, law.flow(law_s + h * HOUR_S)))
            law_s += (stop - t) * HOUR_S
            t = stop
            if t >= end:
                break
        pairs.append((now + (t - age) * HOUR_S, law.flow(law_s)))
        return tuple(pairs)

    def _planned_end(self, index: int) -> float | None:
        """Return the batch age at which phase ``index`` ends as far as time decides it, in h."""
        until = self.recipe.phase[index].until
        if index < self._index or until is None:
            return None
        return planned_end(until, self._planned_start(index))

    def _planned_start(self, index: int) -> float | None:
        """Return the batch age at which ``index`` begins, without the time HELD in it, in h."""
        if index == self._index:
            return self.age_h(self._now) - self._phase_s / HOUR_S
        return self._planned_end(index - 1)

    def as_state(self) -> dict[str, Any]:
        """Return everything as JSON, the recipe too."""
        return {
            "recipe": self.recipe.model_dump(mode="json", exclude_unset=True),
            "file": self.recipe.file,
            "state": self.state.value,
            "message": self.message,
            "started": self._started,
            "ended": None if math.isnan(self._ended) else self._ended,
            "index": self._index,
            "entered": self._entered,
            "phase_s": self._phase_s,
            "stretched": self._stretched,
            "feed": feed_state(self._law),
            "feed_s": self._law_s,
            "setpoints": dict(self._setpoints),
            "modes": dict(self._modes),
            "ramps": {loop: list(ramp) for loop, ramp in self._ramps.items()},
            "doses": [[d.loop, d.ml, d.ml_per_min, d.given] for d in self._doses],
            "induced_h": self._induced_h,
        }

    def _restore(self, state: Mapping[str, Any], now: float) -> None:
        self._clear(float(state["started"]))
        self._now = now
        self._ended = math.nan if state["ended"] is None else float(state["ended"])
        self._index, self._entered = int(state["index"]), bool(state["entered"])
        phase = self.recipe.phase[self._index]
        if self._entered and phase.until is not None:
            self._until = Until(phase.until, self._facts)
        self._phase_s, self._stretched = float(state["phase_s"]), bool(state["stretched"])
        self._law, self._law_s = feed_from_state(state["feed"]), float(state["feed_s"])
        self._setpoints, self._modes = dict(state["setpoints"]), dict(state["modes"])
        self._ramps = {
            loop: (float(to), float(rate)) for loop, (to, rate) in state["ramps"].items()
        }
        self._induced_h = None if state["induced_h"] is None else float(state["induced_h"])
        self.state, self.message = State(state["state"]), str(state["message"])
        for loop, ml, ml_per_min, given in state["doses"]:
            wanted = Dose(loop=loop, ml=ml, ml_per_min=ml_per_min)
            dose = DoseRun(wanted, self._facts)
            dose.given = float(given)
            self._doses.append(dose)
