"""The conditions of a recipe file: what ends a phase, and what holds or aborts it.

`controller.transition` watches them.
"""

from typing import Literal

from pydantic import Field, model_validator

from controller.plant_file.config import Settings

KINDS = ("batch_h", "phase_h", "measured", "estimate", "spike", "doses", "confirm", "any", "all")


class Spike(Settings):
    """A fast change: the sugar is gone.

    Dissolved oxygen rises; where its loop is quick, the stirrer falls instead.
    """

    measured: str = Field(description="a tag or its meaning: R1.do or do")
    rise: float | None = Field(None, gt=0, description="above its least, in the measured unit")
    fall: float | None = Field(None, gt=0, description="below its greatest, in the measured unit")
    within_s: float = Field(gt=0, le=3600, description="s")
    filter_s: float = Field(15.0, ge=0, le=600, description="s")
    armed_below: float | None = Field(
        None, description="a rise is not looked for until it has been below this"
    )
    armed_above: float | None = Field(
        None, description="a fall is not looked for until it has been above this"
    )

    @model_validator(mode="after")
    def _check(self) -> "Spike":
        if (self.rise is None) == (self.fall is None):
            raise ValueError("one of rise and fall is required")
        if self.rise is None and self.armed_below is not None:
            raise ValueError("armed_below goes with rise; armed_above with fall")
        if self.fall is None and self.armed_above is not None:
            raise ValueError("armed_above goes with fall; armed_below with rise")
        return self

    def __str__(self) -> str:
        """What it says, for people."""
        way = f"risen by {self.rise:g}" if self.rise is not None else f"fallen by {self.fall:g}"
        return f"{self.measured} has {way} within {self.within_s:g} s"


class Condition(Settings):
    """One of a time, a measurement, an estimate, a spike, a person, or several of these."""

    batch_h: float | None = Field(
        None, ge=0, description="h since inoculation, or since the start of a recipe without one"
    )
    phase_h: float | None = Field(None, ge=0, description="h in this phase, without time HELD")
    measured: str | None = Field(None, description="a tag or its meaning: R1.do or do")
    estimate: str | None = Field(None, description="an estimate: substrate_g_per_l")
    above: float | None = Field(None, description="in the unit of what is measured or estimated")
    below: float | None = Field(None, description="in the unit of what is measured or estimated")
    for_s: float = Field(0.0, ge=0, description="s")
    f0_min: float | None = Field(
        None, gt=0, description="min at 121.1 Cel that do as much as the temperatures so far"
    )
    spike: Spike | None = None
    doses: Literal["given"] | None = Field(None, description="all doses of this phase")
    confirm: str | None = Field(None, min_length=1, description="what a person is asked")
    any: "tuple[Condition, ...] | None" = Field(None, min_length=1, description="one is enough")
    all: "tuple[Condition, ...] | None" = Field(None, min_length=1, description="all are needed")

    @model_validator(mode="after")
    def _check(self) -> "Condition":
        given = [k for k in KINDS if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of {', '.join(KINDS)} is required")
        limits = [v for v in (self.above, self.below) if v is not None]
        if self.f0_min is not None:
            if given[0] != "measured" or limits or self.for_s:
                raise ValueError("f0_min goes with measured alone, a temperature")
        elif given[0] in ("measured", "estimate"):
            if len(limits) != 1:
                raise ValueError(f"{given[0]} needs either above or below")
        elif limits or self.for_s:
            raise ValueError(f"above, below and for_s do not go with {given[0]}")
        return self

    @property
    def asks(self) -> bool:
        """Whether a person is asked somewhere in it."""
        return self.confirm is not None or any(p.asks for p in self.any or self.all or ())

    def __str__(self) -> str:
        """What it says, for people: ``ethanol above 5 for 60 s``."""
        if parts := self.any or self.all:
            return (" or " if self.any else " and ").join(str(part) for part in parts)
        if self.spike is not None:
            return str(self.spike)
        if self.f0_min is not None:
            return f"F0 of {self.measured} is {self.f0_min:g} min"
        if name := self.measured or self.estimate:
            side = f"above {self.above:g}" if self.above is not None else f"below {self.below:g}"
            return f"{name} {side}" + (f" for {self.for_s:g} s" if self.for_s else "")
        kind = next(k for k in KINDS if getattr(self, k) is not None)
        return f"{kind} {getattr(self, kind)}"


def planned_end(until: Condition, begins: float | None) -> float | None:
    """Return the batch age at which time alone would meet ``until``, in h."""
    if until.batch_h is not None:
        return until.batch_h
    if until.phase_h is not None:
        return None if begins is None else begins + until.phase_h
    known = [
        age
        for part in until.any or until.all or ()
        if (age := planned_end(part, begins)) is not None
    ]
    if not known:
        return None
    return min(known) if until.any is not None else max(known)
