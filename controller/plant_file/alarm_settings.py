"""``[reactor.R1.alarm.NAME]`` of the plant file: what is judged, limits, delays and priority."""

from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, model_validator

from controller.plant_file.config import Settings

PriorityName = Literal["critical", "high", "medium", "low"]
Line = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")]
LIMITS = ("high_high", "high", "low", "low_low")  # from the top; each is an alarm of its own
OTHERS = (
    "deviation",
    "rise_per_min",
    "fall_per_min",
    "residual",
    "delivery",
    "stale_s",
    "quality",
)


class TextSettings(Settings):
    """A site's own words for an alarm."""

    en: Line
    zh: Line


def _text(value: Any) -> Any:
    return {"en": value, "zh": value} if isinstance(value, str) else value


OwnText = Annotated[TextSettings, BeforeValidator(_text)]


class LimitSettings(Settings):
    """One limit; what is not given is as in the alarm's table."""

    limit: float
    priority: PriorityName | None = None
    on_delay_s: float | None = Field(None, ge=0, le=86400, description="s")
    off_delay_s: float | None = Field(None, ge=0, le=86400, description="s")
    deadband: float | None = Field(None, ge=0, description="in the limit's unit")
    text: OwnText | None = None


def _limit(value: Any) -> Any:
    return cast("object", value) if isinstance(value, dict) else {"limit": value}


Limit = Annotated[LimitSettings, BeforeValidator(_limit)]


class AlarmSettings(Settings):
    """What is judged of one measurement or loop; each limit is an alarm of its own."""

    measured: str | None = None
    loop: str | None = None
    high_high: Limit | None = None
    high: Limit | None = None
    low: Limit | None = None
    low_low: Limit | None = None
    deviation: Limit | None = None
    rise_per_min: Limit | None = None
    fall_per_min: Limit | None = None
    residual: Limit | None = None
    delivery: Limit | None = Field(None, description="% between what is weighed and pumped")
    stale_s: Limit | None = None
    quality: Literal["BAD", "UNCERTAIN"] | None = None
    against: str | None = Field(None, description="a tag or an estimate, for residual")
    scale: float = Field(1.0, description="of against, to the measured unit")
    latch: bool = Field(False, description="a residual disputes until a person has acknowledged it")
    pumped: str | None = Field(None, description="the pump of the bottle that is weighed")
    kg_per_l: float = Field(1.0, gt=0, description="of what is pumped")
    least_kg: float = Field(0.0, ge=0, description="pumped in delivery_span_s, to be judged")
    delivery_span_s: float = Field(600.0, ge=120, le=86400, description="s")
    span_s: float = Field(60.0, gt=0, le=3600, description="s, time constant of a rate's filter")
    settle_s: float = Field(1800.0, ge=0, description="s, for a setpoint that has moved")
    priority: PriorityName = "low"
    on_delay_s: float = Field(10.0, ge=0, le=86400, description="s")
    off_delay_s: float = Field(10.0, ge=0, le=86400, description="s")
    deadband: float | None = Field(None, ge=0, description="of high and low, in their unit")
    group: str = Field("", description="for first-out; the reactor's if not given")
    unless: tuple[str, ...] = Field((), description="interlocks: while one's alarm stands, none")
    text: OwnText | None = None

    @property
    def limits(self) -> dict[str, LimitSettings]:
        """What is given of ``LIMITS`` and ``OTHERS``, but for quality, by key."""
        found = {key: getattr(self, key) for key in (*LIMITS, *OTHERS) if key != "quality"}
        return {key: limit for key, limit in found.items() if limit is not None}

    @model_validator(mode="after")
    def _check(self) -> "AlarmSettings":
        if (self.measured is None) == (self.loop is None):
            raise ValueError("either measured (a tag) or loop is required")
        if not self.limits and self.quality is None:
            raise ValueError(f"one of {', '.join((*LIMITS, *OTHERS))} is required")
        if self.deviation is not None and self.loop is None:
            raise ValueError("deviation is away from a loop's setpoint: loop is required with it")
        if (self.residual is None) != (self.against is None):
            raise ValueError("residual and against are required together")
        if self.latch and self.residual is None:
            raise ValueError("latch goes with residual: what is measured stays disputed")
        if (self.delivery is None) != (self.pumped is None) or (
            self.delivery is not None and not self.least_kg
        ):
            raise ValueError("delivery, pumped and least_kg (> 0) are required together")
        for key in ("deviation", "delivery", "rise_per_min", "fall_per_min", "residual", "stale_s"):
            limit = self.limits.get(key)
            if limit is not None and limit.limit <= 0:
                raise ValueError(f"{key} {limit.limit:g} is not allowed; it must be > 0")
        return self
