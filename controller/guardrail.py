"""How far from the recipe the optimiser may lead: less, the less is known of the vessel."""

from typing import TYPE_CHECKING

from controller.promotion_settings import GuardrailSettings
from controller.said import Said, said

if TYPE_CHECKING:
    from controller.estimate import Estimate

OPENS_S = 1800.0  # from nothing to all; it closes at once


class Guardrail:
    """A share from 0 to 1 of the plant file's widths, and what is left of a setpoint within it.

    Args:
        settings: its table of the plant file.

    Attributes:
        share: of the widths that may be used now.
        reason: why it is not all; empty where it is.
    """

    def __init__(self, settings: GuardrailSettings) -> None:
        self.settings = settings
        self.share = 0.0
        self.reason: Said | str = ""
        self._at: float | None = None

    def reset(self) -> None:
        """Begin anew: the first judgement counts at once."""
        self._at = None

    def judge(self, now: float, estimate: "Estimate | None", uncertain: str) -> None:
        """Judge what is known now.

        Args:
            now: s since 1970 UTC.
            estimate: the latest, ``None`` while there is none.
            uncertain: a required measurement that is UNCERTAIN, or an empty string.
        """
        wanted, reason = self._deserved(estimate, uncertain)
        dt = None if self._at is None else now - self._at
        self._at = now
        if dt is not None and wanted > self.share:  # what was closed opens slowly: no bump
            self.share = min(wanted, self.share + dt / OPENS_S)
            self.reason = reason or (said("guardrail.opens") if self.share < wanted else "")
        else:
            self.share, self.reason = wanted, reason

    def _deserved(self, estimate: "Estimate | None", uncertain: str) -> tuple[float, Said | str]:
        s = self.settings
        if estimate is None:
            return 0.0, said("guardrail.no_estimate")
        biomass = estimate.value("biomass_g_per_l")
        spread = estimate.sd("biomass_g_per_l") / biomass if biomass > 0.0 else s.unsure
        share = min(max((s.unsure - spread) / (s.unsure - s.sure), 0.0), 1.0)
        reason = said("guardrail.spread", percent=f"{100 * spread:.0f}") if share < 1.0 else ""
        if uncertain:
            return share * s.uncertain, said("guardrail.uncertain", tag=uncertain)
        return share, reason

    def confine(self, own: float, wanted: float, width: float) -> float:
        """Return ``wanted`` no further than the share of ``width`` from ``own``, the recipe's."""
        reach = self.share * width
        return min(max(wanted, own - reach), own + reach)
