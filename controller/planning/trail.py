"""What a recipe and the optimiser change, told for the audit trail when they begin to."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from controller.loops.loops import Loop, Mode
from controller.planning.plan import FLOWS, Plan
from controller.plant_file.units import ML_PER_H
from controller.recipes.recipe import RecipeOutput, RecipeRunner
from controller.texts.audit import change
from historian.events import Event

HOUR_S = 3600.0


class Trail:
    """Tells of every mode, setpoint, ramp, feed law, dose and trajectory, once.

    What moves on from there, as a ramp or a feed law does, follows from what was told.

    Args:
        loops: of the reactor, by name inside it.
        tell: takes each event.
    """

    def __init__(self, loops: Mapping[str, Loop], tell: Callable[[Event], None]) -> None:
        self._loops = loops
        self._tell = tell
        self._ramping: frozenset[str] = frozenset()
        self._laws: dict[str, object] = {}
        self._doses: dict[str, float] = {}
        self._followed: Plan | None = None

    def recipe(self, now: float, runner: RecipeRunner, out: RecipeOutput) -> None:
        """Tell what ``out`` is about to change; s since 1970 UTC."""
        tell = self._changed
        for name, mode in out.modes.items():
            target = self._loops[name].target
            if target is not Mode.OPTIMISER or mode not in ("AUTO", "CASCADE"):
                tell(now, runner, name, "mode", target.name, mode)
        ramps = runner.ramps
        for name, value in out.setpoints.items():
            loop = self._loops[name]
            if name not in ramps:
                tell(now, runner, name, "setpoint", loop.local, value, loop.unit)
            elif name not in self._ramping:
                to, rate = ramps[name]
                ramp = f"{to:g} at {rate * HOUR_S:g}/h"
                tell(now, runner, name, "setpoint ramp", loop.local, ramp, loop.unit)
        if ramps or self._ramping:
            self._ramping = frozenset(ramps)
        for event in out.events:
            for name, law in cast("Mapping[str, object]", event.data.get("feeds", {})).items():
                tell(now, runner, name, "feed law", self._laws.get(name, "none"), law)
                self._laws[name] = law
        for name, flow in out.doses.items():
            before = self._doses.get(name, 0.0)
            if (flow > 0.0) is not (before > 0.0):
                tell(now, runner, name, "dose", before, flow, self._loops[name].unit)
                self._doses[name] = flow

    def _changed(
        self,
        now: float,
        runner: RecipeRunner,
        name: str,
        what: str,
        old: object,
        new: object,
        unit: str = "",
    ) -> None:
        if old != new:
            why = f"recipe {runner.recipe.name}, phase {runner.phase}"
            self._tell(change(now, "recipe", self._loops[name].name, what, old, new, why, unit))

    def plan(
        self, now: float, plan: Plan | None, seats: Sequence[tuple[Loop, str]], why: str
    ) -> None:
        """Tell that another plan leads, or none does any more.

        Args:
            now: s since 1970 UTC.
            plan: the one that is followed.
            seats: the loops that it leads, and their setpoint in it.
            why: why none is followed, if none is.
        """
        if plan is self._followed:
            return
        self._followed = plan
        for loop, column in seats:
            new = "as the recipe or a person has it"
            if plan is not None and column not in plan.names:
                continue
            if plan is not None:
                share = ML_PER_H[loop.unit] if column.endswith(FLOWS) else 1.0
                first, last = (plan.at(t, column) / share for t in (now, plan.times[-1]))
                new = f"{first:g}, to {last:g} in {(plan.times[-1] - now) / HOUR_S:.2f} h"
                why = f"plan of {len(plan.times)} points, objective {plan.objective:g} g"
            self._tell(
                change(now, "optimiser", loop.name, "setpoint", loop.setpoint, new, why, loop.unit)
            )
