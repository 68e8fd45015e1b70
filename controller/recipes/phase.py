"""What a phase gives while it runs: its doses; of its feeds see ``controller.feeds``."""

from collections.abc import Mapping

from controller.plant_file.units import ML_PER_H
from controller.recipes.facts import PlantFacts
from controller.recipes.file import Dose
from drivers.point import Quality, Sample

HOUR_S = 3600.0


class DoseRun:
    """A volume on its way through a loop.

    Attributes:
        loop: its name.
        ml: how much is wanted, mL; with a weight to reach, the most.
        given: how much has gone, mL.
        flow: mL/h asked for since the last step.
        stuck_s: how long nearly nothing has come of it, s.
        there: the weight is reached.
    """

    __slots__ = (
        "_weight",
        "dose",
        "flow",
        "given",
        "loop",
        "ml",
        "most",
        "stuck_s",
        "there",
        "unit",
    )

    def __init__(self, dose: Dose, facts: PlantFacts, given: float = 0.0) -> None:
        self.dose = dose
        self.loop, self.ml = dose.loop, 1e3 * dose.volume_l
        self.unit = ML_PER_H[facts.loops[dose.loop].unit]  # mL/h of one of the loop's units
        self.most = dose.flow * self.unit  # mL/h
        self.given = given
        self.flow = 0.0
        self.stuck_s = 0.0
        self.there = False
        self._weight = facts.measured.get("weight", "")

    @property
    def weighs(self) -> bool:
        """Whether a weight ends it."""
        return self.dose.fills_to_kg is not None or self.dose.draws_to_kg is not None

    @property
    def complete(self) -> bool:
        """Whether all of it has gone."""
        return self.there if self.weighs else self.spent

    @property
    def spent(self) -> bool:
        """Whether as much has gone as may."""
        return self.ml - self.given <= 1e-6 * self.ml

    @property
    def so_far(self) -> str:
        """How much of it has gone, for people: ``4 of 10 mL``."""
        size, unit = (1.0, "mL") if self.ml < 1e3 else (1e3, "L")
        most = "at most " if self.weighs else ""
        return f"{self.given / size:.3g} of {most}{self.ml / size:g} {unit}"

    @property
    def wanted(self) -> str:
        """How much it is, or was where a weight ended it, for people: ``10 mL``."""
        ml = self.given if self.weighs else self.ml
        return f"{ml:.6g} mL" if ml < 1e3 else f"{ml / 1e3:.6g} L"

    def pass_time(self, dt: float, applied: float | None) -> None:
        """Count what went in ``dt`` s; ``applied`` is in the loop's unit, if it is known."""
        flow = self.flow
        if flow > 0.0 and applied is not None:
            flow = max(0.0, applied * self.unit)
            self.stuck_s = self.stuck_s + dt if flow < 0.01 * self.flow else 0.0
        self.given += flow * dt / HOUR_S

    def next(self, dt: float) -> float:
        """Return the setpoint of its loop for a step of ``dt`` s, so that it ends exactly."""
        self.flow = min(self.most, (self.ml - self.given) * HOUR_S / dt)
        return self.flow / self.unit

    def weigh(self, measured: Mapping[str, Sample]) -> bool:
        """Look at the scales; return whether they can be believed, where they have to be."""
        if not self.weighs:
            return True
        sample = measured.get(self._weight)
        if sample is None or sample.quality is not Quality.GOOD:
            return False
        to, down = self.dose.fills_to_kg, self.dose.draws_to_kg
        self.there = sample.value >= to if to is not None else sample.value <= (down or 0.0)
        return True
