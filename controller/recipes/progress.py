"""How far a batch has come, and how that is kept."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from controller.recipes.condition import planned_end
from controller.recipes.facts import PlantFacts
from controller.recipes.feeds import Feeds
from controller.recipes.file import Dose, ModeName, Phase, Recipe
from controller.recipes.phase import DoseRun
from controller.recipes.transition import Until, until_of

HOUR_S = 3600.0


class State(StrEnum):
    """What a recipe is doing, in the words of ISA-88 (IEC 61512-1).

    What is under way in HOLDING, RESTARTING, ABORTING or STOPPING there is done within a scan here.
    """

    IDLE = "IDLE"
    RUNNING = "RUNNING"
    HELD = "HELD"
    ABORTED = "ABORTED"
    COMPLETE = "COMPLETE"


IDLE, RUNNING, HELD, ABORTED, COMPLETE = State  # by name, as in ``drivers.point``


class Progress:
    """Where a recipe is; the runner moves it on.

    Attributes:
        recipe: what is run.
        state: what it is doing.
        message: why it is HELD or ABORTED; empty otherwise.
        version: of the recipe in this batch, from 1; each edit is another.
    """

    __slots__ = (  # as in ``controller.loops.loop.Loop``: a runner has its own beside
        "_abort_if",
        "_asked",
        "_doses",
        "_dropped",
        "_dt",
        "_due",
        "_ended",
        "_entered",
        "_estimates",
        "_facts",
        "_feeds",
        "_hold_if",
        "_index",
        "_induced_h",
        "_least_s",
        "_modes",
        "_most_s",
        "_now",
        "_phase_s",
        "_ramps",
        "_setpoints",
        "_started",
        "_stretched",
        "_until",
        "_zero",
        "message",
        "recipe",
        "state",
        "version",
    )

    def __init__(self, recipe: Recipe, facts: PlantFacts) -> None:
        self.recipe = recipe
        self.state = IDLE
        self.message = ""
        self.version = 1
        self._facts = facts
        self._feeds = Feeds(recipe, facts)
        self._clear(0.0)

    def _clear(self, now: float) -> None:
        """Be at the beginning of a batch."""
        self._now = self._started = now
        self._zero = now if self.recipe.inoculates is None else math.nan  # inoculation
        self._ended = math.nan
        self._dt = 1.0  # the last step, s
        self._index = 0
        self._entered = False
        self._phase_s = 0.0  # in this phase, without time HELD
        self._least_s, self._most_s = 0.0, math.inf  # how long this phase lasts
        self._stretched = False  # somebody let it go on beyond that
        self._until: Until | None = None
        self._asked = ""  # the question that has been told
        self._hold_if: Until | None = None
        self._abort_if: Until | None = None
        self._feeds.clear()
        self._setpoints: dict[str, float] = {}
        self._modes: dict[str, ModeName] = {}
        self._ramps: dict[str, tuple[float, float]] = {}  # target, the loop's unit per s
        self._doses: list[DoseRun] = []
        self._dropped = False  # a dose of this phase was not given to its end
        self._due: list[float | None] = []  # h in this phase at which each of its doses is due
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
    def question(self) -> str:
        """What a person is asked to confirm now; empty: nothing."""
        if self.state is not RUNNING or self._until is None or not self._until.question:
            return ""
        return "" if self._phase_s < self._least_s else self._until.question

    @property
    def inoculated(self) -> bool:
        """Whether the organism is in the vessel: a recipe that does not inoculate begins so."""
        return self._zero == self._zero  # not NaN

    @property
    def induced(self) -> bool:
        """Whether the product has been induced."""
        return self._induced_h is not None

    @property
    def feeding(self) -> bool:
        """Whether the recipe gives the main feed by now."""
        return self._feeds.steady(self._facts.feed_loop) > 0.0

    def age_h(self, now: float) -> float:
        """Return h since inoculation, HELD or not; 0 before it, and at its end it stops."""
        if self.state is IDLE or not self.inoculated:
            return 0.0
        end = now if self._ended != self._ended else self._ended  # NaN: it has not ended
        since = end - self._zero
        return since / HOUR_S if since > 0.0 else 0.0

    def phase_age_h(self, now: float) -> float:
        """Return h in this phase, without time HELD."""
        running = max(0.0, now - self._now) if self.state is RUNNING else 0.0
        return (self._phase_s + running) / HOUR_S

    @property
    def planned_end_h(self) -> float | None:
        """Batch age at which the last phase that has a planned end will end, h.

        What comes after it, harvest and cleaning, lasts as long as people take. ``None``: nobody
        knows.
        """
        for index in reversed(range(self._index, len(self.recipe.phase))):
            if (end := self._planned_end(index)) is not None:
                return end
        return None

    @property
    def planned_induction_h(self) -> float | None:
        """Batch age at which induction happened or will happen, h; ``None``: nobody knows."""
        if self._induced_h is not None:
            return self._induced_h
        for i, phase in enumerate(self.recipe.phase):
            if phase.induces:
                return 0.0 if i == 0 else self._planned_end(i - 1)
        return None

    @property
    def ramps(self) -> Mapping[str, tuple[float, float]]:
        """Setpoints on their way, by loop: where to, and the loop's unit per s."""
        return self._ramps

    def setpoint(self, loop: str) -> float | None:
        """Return what the recipe has set last; ``None``: nothing."""
        return self._setpoints.get(loop)

    def _planned_end(self, index: int) -> float | None:
        """Return the batch age at which phase ``index`` ends as far as time decides it, in h."""
        until = self.recipe.phase[index].until
        if index < self._index or until is None:
            return None
        return planned_end(until, self._planned_start(index))

    def _planned_start(self, index: int) -> float | None:
        """Return the batch age at which ``index`` begins, without the time HELD in it, in h."""
        zero = self.recipe.inoculates
        if zero is not None and not self.inoculated and index <= zero + 1:
            return 0.0 if index == zero + 1 else None
        if index == self._index:
            return self.age_h(self._now) - self._phase_s / HOUR_S
        return self._planned_end(index - 1)

    def _bound(self, phase: Phase) -> None:
        """Take how long a phase lasts, from now on."""
        self._least_s = phase.min_h * HOUR_S
        self._most_s = math.inf if phase.max_h is None else phase.max_h * HOUR_S

    def _watch(self, phase: Phase) -> None:
        """Look out for what ends, holds or aborts a phase, from now on."""
        self._asked = ""
        self._bound(phase)
        conditions = (phase.until, phase.hold_if, phase.abort_if)
        self._until, self._hold_if, self._abort_if = (
            None if c is None else until_of(c, self._facts) for c in conditions
        )

    def as_state(self) -> dict[str, Any]:
        """Return everything as JSON, the recipe too."""
        return {
            "recipe": self.recipe.table,
            "file": self.recipe.file,
            "state": self.state.value,
            "message": self.message,
            "version": self.version,
            "started": self._started,
            "zero": None if math.isnan(self._zero) else self._zero,
            "ended": None if math.isnan(self._ended) else self._ended,
            "index": self._index,
            "entered": self._entered,
            "phase_s": self._phase_s,
            "stretched": self._stretched,
            "feeds": self._feeds.as_state(),
            "setpoints": dict(self._setpoints),
            "modes": dict(self._modes),
            "ramps": {loop: list(ramp) for loop, ramp in self._ramps.items()},
            "until": None if self._until is None else self._until.as_state(),
            "doses": [[d.dose.model_dump(exclude_none=True), d.given] for d in self._doses],
            "dropped": self._dropped,
            "due": self._due,
            "induced_h": self._induced_h,
        }

    def _restore(self, state: Mapping[str, Any], now: float) -> None:
        self._clear(float(state["started"]))
        self._now, self.version = now, int(state["version"])
        self._zero = math.nan if state["zero"] is None else float(state["zero"])
        self._ended = math.nan if state["ended"] is None else float(state["ended"])
        self._index, self._entered = int(state["index"]), bool(state["entered"])
        phase = self.recipe.phase[self._index]
        if self._entered:
            self._watch(phase)
        if self._until is not None:
            self._until.restore(state["until"])
        self._phase_s, self._stretched = float(state["phase_s"]), bool(state["stretched"])
        self._feeds.restore(state["feeds"])
        self._setpoints, self._modes = dict(state["setpoints"]), dict(state["modes"])
        self._ramps = {
            loop: (float(to), float(rate)) for loop, (to, rate) in state["ramps"].items()
        }
        self._induced_h = None if state["induced_h"] is None else float(state["induced_h"])
        self.state, self.message = State(state["state"]), str(state["message"])
        for dose, given in state["doses"]:
            wanted = Dose.model_validate(dose)
            self._doses.append(DoseRun(wanted, self._facts, float(given)))
        self._dropped = bool(state["dropped"])
        self._due = [None if due is None else float(due) for due in state["due"]]
        running = self._entered and math.isnan(self._ended)
        if len(self._due) != (len(phase.doses) if running else 0):
            raise ValueError(f"due: {len(self._due)} doses are not those of phase {phase.name}")
