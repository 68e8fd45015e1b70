"""How a true record is judged and reckoned: limits, the time between batches, factors of CO2e."""

from typing import Final

from pydantic import Field

from controller.plant_file.settings import Factors

BY_PRODUCT_MAX: Final = {"acetate": 2.0, "ethanol": 1.0}  # g/L; of no other is there a limit


class Reckoning(Factors):
    """The plant file's ``[simulation.R1.report]``: a site's own limits and factors."""

    do_min_percent: float = Field(20.0, ge=0, le=100, description="minutes below it count, %")
    by_product_max_g_per_l: float | None = Field(
        None, gt=0, description="minutes above it count, g/L; acetate 2, ethanol 1 if not given"
    )

    def by_product_max(self, name: str) -> float | None:
        """Return the limit of a by-product, g/L; ``None``: it has none."""
        given = self.by_product_max_g_per_l
        return BY_PRODUCT_MAX.get(name) if given is None else given
