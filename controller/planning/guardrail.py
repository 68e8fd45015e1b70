"""How far from the recipe the optimiser may lead: less, the less is known of the vessel."""

from typing import TYPE_CHECKING, Any

from controller.plant_file.promotion_settings import GuardrailSettings
from controller.run_to_run import Region
from controller.texts.said import Said, said

if TYPE_CHECKING:
    from controller.sensing.estimate import Estimate

OPENS_S = 1800.0  # from nothing to all; it closes at once


class Guardrail:
    """A share from 0 to 1 of the plant file's widths, and what is left of a setpoint within it.

    Args:
        settings: its table of the plant file.
        region: around what batches have tried; ``None``: only the widths hold.

    Attributes:
        share: of the widths that may be used now.
        reason: why it is not all; empty where it is.
        at_edge: loops that the region holds, by their names in the reactor.
    """

    def __init__(self, settings: GuardrailSettings, region: Region | None = None) -> None:
        self.settings = settings
        self.region = region
        self.at_edge: set[str] = set()
        self.share = 0.0
        self.reason: Said | str = ""
        self._at: float | None = None

    def reset(self) -> None:
        """Begin anew: the first judgement counts at once."""
        self._at = None
        self.at_edge.clear()

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

    def tried(self, loop: str, hour: float, own: float, wanted: float) -> float:
        """Return ``wanted`` inside the region around what batches have tried.

        What the recipe itself would do is always inside: it is what the region widens from.

        Args:
            loop: its name in the reactor.
            hour: h since inoculation.
            own: the recipe's, in the loop's unit.
            wanted: likewise.
        """
        if self.region is None:
            return wanted
        low, high = self.region.limits(loop, hour)
        value = min(max(wanted, min(low, own)), max(high, own))
        if value == wanted:
            self.at_edge.discard(loop)
        else:
            self.at_edge.add(loop)
        return value

    def as_json(self) -> dict[str, Any]:
        """Return how open it is, for console and command line."""
        reason = self.reason
        zh = reason.told("zh") if isinstance(reason, Said) else reason
        region = None
        if self.region is not None:
            region = {"width": self.region.width, "at_edge": sorted(self.at_edge)}
        return {"share": self.share, "reason": str(reason), "reason_zh": zh, "region": region}
