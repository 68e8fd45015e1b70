"""The plant file's table for a model of one's own: what cannot be guessed from its class."""

from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from controller.plant_file.config import Settings
from drivers.third_party import names_class

FORM: Final = "package.module:Class"


class Number(Settings):
    """A number in the variable's unit, or a table with how far seeds vary it."""

    value: float | None = Field(
        None, description="in the variable's unit; its default if not given"
    )
    spread: float = Field(0.0, ge=0, le=1, description="one standard deviation, share of the value")

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, given: Any) -> Any:
        plain = isinstance(given, int | float) and not isinstance(given, bool)
        return {"value": given} if plain else given


class Reading(Settings):
    """What an instrument is like; without a table it shows the truth at once."""

    lag_s: float = Field(0.0, ge=0, description="time constant, s")
    delay_s: float = Field(0.0, ge=0, description="dead time, s")
    every_s: float = Field(0.0, ge=0, description="from one reading to the next, s")
    noise: float = Field(0.0, ge=0, description="standard deviation, in the tag's unit")
    gain: float = Field(0.0, ge=0, le=1, description="of the calibration, one sd as a share")
    offset: float = Field(0.0, ge=0, description="of the calibration, one sd in the tag's unit")
    drift: float = Field(0.0, ge=0, description="one sd a day, in the tag's unit")
    digit: float = Field(0.0, ge=0, description="the last that is shown, in the tag's unit")


class Moving(Settings):
    """What an actuator is like; without a table it does at once what is wanted."""

    kind: Literal["pump", "valve"] | None = Field(
        None, description="what can fail of it; a pump if it moves L/h and the like, else a valve"
    )
    lag_s: float = Field(0.0, ge=0, description="time constant, s")
    rate_per_s: float = Field(0.0, ge=0, description="greatest change, in the tag's unit per s")
    gain: float = Field(0.0, ge=0, le=1, description="of the calibration, one sd as a share")
    step: float = Field(0.0, ge=0, description="resolution, in the tag's unit")
    dead: float = Field(0.0, ge=0, description="stiction: less does not move it, in the tag's unit")


class Words(Settings):
    """Which variable is behind a word of the report; what nobody names stays unknown there."""

    product_g: str | None = Field(None, description="a state or output in g")
    titre_g_per_l: str | None = Field(None, description="a state or output in g/L")
    biomass_g_per_l: str | None = Field(None, description="a state or output in g/L")
    volume_l: str | None = Field(None, description="a state or output in L")


class BareSettings(Settings):
    """A model with nothing around it, and what it is like as a plant."""

    model: str = Field(description=f"{FORM} of your own")
    step_s: float = Field(1.0, ge=0.01, le=10, description="s; of the integration")
    tags: dict[str, str] = Field(
        default_factory=dict[str, str], description="variable of each tag that is named otherwise"
    )
    start: dict[str, Number] = Field(default_factory=dict[str, Number])
    parameters: dict[str, Number] = Field(default_factory=dict[str, Number])
    inputs: dict[str, Number] = Field(default_factory=dict[str, Number])
    readings: dict[str, Reading] = Field(default_factory=dict[str, Reading])
    drives: dict[str, Moving] = Field(default_factory=dict[str, Moving])
    report: Words = Field(default_factory=lambda: Words.model_validate({}))
    faults: Path | None = Field(None, description="file of faults, beside the plant file")

    @field_validator("model")
    @classmethod
    def _named(cls, name: str) -> str:
        if not names_class(name):
            raise ValueError(f"{name} is not allowed; {FORM} is required")
        return name
