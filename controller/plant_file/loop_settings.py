"""A loop's table of the plant file: what it measures and moves, its tuning and its limits."""

from typing import Literal

from pydantic import Field, model_validator

from controller.plant_file.config import Settings
from controller.plant_file.curve import Curve

Points = tuple[tuple[float, float], ...]  # of a curve
LEAST_FACTOR, MOST_FACTOR = 0.05, 20.0  # of kp; no process changes more over a batch


class OutputSettings(Settings):
    """Where a part of a loop's output goes: to an actuator or to another loop's setpoint."""

    actuator: str | None = None
    loop: str | None = None
    start: float = Field(0.0, alias="from", description="% of the loop's output", ge=-100, le=100)
    end: float = Field(100.0, alias="to", description="% of the loop's output", ge=-100, le=100)
    low: float | None = Field(None, description="of what it moves, at from; its own if not given")
    high: float | None = Field(None, description="of what it moves, at to; its own if not given")
    characteristic: Literal["linear", "equal_percentage"] = "linear"
    least: float | None = Field(
        None, gt=0, description="less than this is given in pulses, in the actuator's unit"
    )
    pulse_s: float = Field(1.0, gt=0, description="shortest pulse, s")

    @model_validator(mode="after")
    def _check(self) -> "OutputSettings":
        if self.least is not None and self.actuator is None:
            raise ValueError("least goes with an actuator, not with a loop")
        if (self.actuator is None) == (self.loop is None):
            raise ValueError("either actuator or loop is required")
        if self.start == self.end:
            raise ValueError("from and to must differ")
        return self


class CurveSettings(Settings):
    """A number that follows a tag by straight lines between points."""

    tag: str = Field(description="a tag of the reactor")
    table: Points = Field(min_length=1, description="[tag, number], the tag's values rising")

    @model_validator(mode="after")
    def _check(self) -> "CurveSettings":
        Curve(self.table)
        return self


class GainSettings(CurveSettings):
    """A factor of kp that follows a tag by straight lines between points."""

    filter_s: float = Field(0.0, ge=0, description="of the tag, s")

    @model_validator(mode="after")
    def _positive(self) -> "GainSettings":
        if not all(LEAST_FACTOR <= factor <= MOST_FACTOR for _, factor in self.table):
            raise ValueError(f"table: a factor of kp must be {LEAST_FACTOR:g} to {MOST_FACTOR:g}")
        return self


class FeedforwardSettings(Settings):
    """What moves a loop's output before its measurement sees the disturbance."""

    tag: str = Field(description="a tag of the reactor")
    gain: float = Field(description="% of output per the tag's unit; with least: per e-fold")
    filter_s: float = Field(60.0, gt=0, description="s")
    least: float | None = Field(
        None, gt=0, description="with it the logarithm of tag / least counts, in the tag's unit"
    )


class PulseSettings(Settings):
    """An on-off loop: while the measurement is above its setpoint, a pulse, then a pause."""

    flow: float = Field(gt=0, description="in the actuator's unit")
    on_s: float = Field(gt=0, description="s")
    pause_s: float = Field(gt=0, description="s without another pulse, so that it can work")


class CutSettings(Settings):
    """What a feed does when another loop can do no more: it is cut, and comes back slowly."""

    loop: str = Field(description="a loop with a PID, usually do")
    after_s: float = Field(60.0, ge=0, description="s at its upper end before the feed is cut")
    cut_per_min: float = Field(0.1, gt=0, lt=1, description="share of the flow a minute")
    back_per_min: float = Field(0.05, gt=0, lt=1, description="share of the flow a minute")
    no_rise_below: float | None = Field(None, description="in the loop's unit: no more than now")


class LoopSettings(Settings):
    """A loop with ``measured`` is a PID; one without is a station: its setpoint is its output."""

    measured: str | None = None
    outputs: tuple[OutputSettings, ...] = Field(min_length=1)
    setpoint: float
    setpoint_low: float
    setpoint_high: float
    band: float | None = Field(None, gt=0, description="half width, in the measured unit")
    deadband: float = Field(0.0, ge=0, description="in the measured unit")
    kp: float | None = Field(None, gt=0, description="% of output per measured unit")
    ti_s: float | None = Field(None, gt=0, description="s")
    td_s: float = Field(0.0, ge=0, description="s")
    filter_s: float = Field(0.0, ge=0, description="s")
    derivative_filter_s: float | None = Field(None, ge=0, description="s; td_s / 8 if not given")
    setpoint_rate_per_s: float | None = Field(
        None, gt=0, description="greatest change of the setpoint, measured unit per s"
    )
    setpoint_tracks: bool = Field(
        False, description="in OFF and MANUAL the setpoint follows the measurement"
    )
    disputed_margin: float | None = Field(
        None, gt=0, description="what the setpoint is raised by while its measurement is disputed"
    )
    gain: tuple[GainSettings, ...] = Field(
        (), max_length=3, description="what kp is multiplied with"
    )
    feedforward: tuple[FeedforwardSettings, ...] = ()
    pulse: PulseSettings | None = Field(None, description="on-off in place of a PID")
    changeover_s: float = Field(
        0.0, ge=0, description="s that an output at one side of 0 keeps the other side at rest"
    )
    high: CurveSettings | None = Field(None, description="of a station: what limits it from above")
    cut: CutSettings | None = Field(None, description="of a station that feeds")
    rate_per_s: float | None = Field(None, gt=0, description="greatest change of the output, 1/s")
    dosing: bool = False
    critical: bool = Field(False, description="whoever changes it must say why")
    needs: tuple[str, ...] = Field((), description="tags without which it goes to its fallback")
    zero_without: tuple[str, ...] = Field((), description="tags without which it goes to safe")
    fallback: float | None = Field(None, description="in the actuator's unit")
    on_bad_hold_s: float | None = Field(None, gt=0, description="s; for ever if not given")
