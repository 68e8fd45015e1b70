"""What the optimiser must have shown before it is promoted, and how far it may then go."""

from pydantic import Field

from controller.plant_file.config import Settings


class PromotionSettings(Settings):
    """Evidence without which a promotion needs an engineer's override, with a reason."""

    shadow_h: float = Field(12.0, ge=0, description="h of good plans in shadow, for advisory")
    advisory_h: float = Field(12.0, ge=0, description="h of good plans in advisory, for on")
    forecasts: int = Field(8, ge=0, description="forecasts that were compared with what came")
    coverage: float = Field(
        0.7, ge=0, le=1, description="share of what came inside the 90 % interval foreseen"
    )
    refused: float = Field(0.1, ge=0, le=1, description="greatest share of plans refused")
    accepted: float = Field(
        0.5, ge=0, le=1, description="least share of the decided advice that was accepted, for on"
    )


class GuardrailSettings(Settings):
    """How far from the recipe's own setpoints the closed loop may go, when all is known well.

    It shrinks as the biomass is known worse, from ``sure`` to ``unsure``, and with a measurement
    that is UNCERTAIN.
    """

    feed_ml_per_h: float | None = Field(
        None, gt=0, description="mL/h to either side of the recipe's feed; else the loop's range"
    )
    do_percent: float | None = Field(
        None, gt=0, description="% to either side of the recipe's setpoint; else the loop's range"
    )
    region: str = Field(
        "", description="file that fermloop fit --region wrote, beside this one: what batches tried"
    )
    sure: float = Field(
        0.15, gt=0, lt=1, description="standard deviation of the biomass, share: up to it full"
    )
    unsure: float = Field(0.4, gt=0, le=1, description="likewise: from it on nothing is left")
    uncertain: float = Field(
        0.5, ge=0, le=1, description="share that is left while a measurement is UNCERTAIN"
    )
