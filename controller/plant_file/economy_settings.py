"""The table ``[reactor.R1.economy]``: what is worth what, what may be moved and how far."""

from typing import Annotated

from pydantic import Field, model_validator

from controller.plant_file.config import Settings

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]


class MoveSettings(Settings):
    """How far a loop's setpoint may be moved, and how fast, in the loop's unit."""

    low: float | None = Field(None, description="the loop's setpoint_low if not given")
    high: float | None = Field(None, description="the loop's setpoint_high if not given")
    per_h: Positive


class CoolingSettings(Settings):
    """Where it is seen how much heat is carried away."""

    jacket: str = Field(description="tag of its temperature, Cel")
    valve: str = Field(description="tag of what opens the cooling, %")


class PriceSettings(Settings):
    """What things are worth, all in one money."""

    product_per_kg: float = 0.0
    biomass_per_kg: float = Field(0.0, description="of what is in the vessel at the end")
    energy_per_kwh: float = Field(0.0, ge=0)
    oxygen_per_m3: float = Field(0.0, ge=0, description="pure, normal m3")
    per_h: float = Field(0.0, ge=0, description="of vessel and people")
    feed_per_l: dict[str, float] = Field(default_factory=dict, description="by loop")


class EconomySettings(Settings):
    """What the optimiser is to make the most of."""

    organism: str
    vessel: str
    move: dict[str, MoveSettings] = Field(min_length=1, description="by loop")
    price: PriceSettings = Field(default_factory=lambda: PriceSettings.model_validate({}))
    cooling: CoolingSettings | None = Field(
        None, description="without it the cooling is believed to be as the vessel's numbers say"
    )
    track: dict[str, Positive] = Field(
        default_factory=dict,
        description="a species that follows a trajectory, and what its whole size off costs an h",
    )
    horizon_h: Positive | None = Field(
        None, description="receding; to the batch's end if not given"
    )
    stages: int = Field(24, ge=4, le=60)
    iterations: int = Field(
        200, ge=20, le=1000, description="of one solve; one that has not ended by then ends nowhere"
    )
    by_product_max_g_per_l: Positive | None = None
    substrate_max_g_per_l: Positive | None = None
    oxygen_share: Share = 0.95
    cooling_share: Share = 0.8
    flooding_share: Share = 0.9
    volume_share: Share = 0.97
    tank_empty_kg: float | None = Field(
        None, ge=0, description="feed_weight at which the main feed ends; no plan takes more"
    )
    learned: tuple[str, ...] = Field((), description="parameters whose factor the estimate knows")
    derated: dict[str, Share] = Field(
        default_factory=dict,
        description="of these of the learned, a plan counts on a share only: what cells respire",
    )
    scenarios: int = Field(3, ge=1, le=9)
    caution: float = Field(1.0, ge=0, description="standard deviations")

    @model_validator(mode="after")
    def _check(self) -> "EconomySettings":
        p = self.price
        if not (p.product_per_kg or p.biomass_per_kg or self.track):
            raise ValueError("price.product_per_kg, price.biomass_per_kg or track is required")
        if unknown := sorted(set(self.derated) - set(self.learned)):
            raise ValueError(f"derated: {', '.join(unknown)} is not allowed; only what is learned")
        return self
