"""How a true record is judged and reckoned: limits, the time between batches, factors of CO2e."""

from typing import Final

from pydantic import Field

from controller.config import Settings

BY_PRODUCT_MAX: Final = {"acetate": 2.0, "ethanol": 1.0}  # g/L; of no other is there a limit


class Reckoning(Settings):
    """The plant file's ``[simulation.R1.report]``: a site's own limits and factors.

    The defaults are ours, inside the ranges of the usual figures: turnaround 6 to 24 h, electricity
    0.02 to 0.8 kg/kWh by country, glucose 0.7 to 1.2 kg/kg, ammonia about 2.4 kg/kg (world mean of
    the IEA's Ammonia Technology Roadmap, 2021, recalled). A site puts its own in their place.
    """

    do_min_percent: float = Field(20.0, ge=0, le=100, description="minutes below it count, %")
    by_product_max_g_per_l: float | None = Field(
        None, gt=0, description="minutes above it count, g/L; acetate 2, ethanol 1 if not given"
    )
    turnaround_h: float = Field(12.0, ge=0, description="from a harvest to the next start, h")
    grid_co2e_kg_per_kwh: float = Field(0.4, ge=0, description="of electricity, kg/kWh")
    substrate_co2e_kg_per_kg: float = Field(1.0, ge=0, description="of sugar and oil, kg/kg")
    ammonia_co2e_kg_per_kg: float = Field(2.4, ge=0, description="of ammonia, kg/kg")

    def by_product_max(self, name: str) -> float | None:
        """Return the limit of a by-product, g/L; ``None``: it has none."""
        given = self.by_product_max_g_per_l
        return BY_PRODUCT_MAX.get(name) if given is None else given
