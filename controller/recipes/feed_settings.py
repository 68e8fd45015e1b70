"""A feed law as a recipe says it: keys, units and what goes with which kind."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from controller.plant_file.config import Settings

NOMINAL = (  # what an exponential feed starts from
    "start_from",
    "biomass_g_per_l",
    "volume_l",
    "feed_substrate_g_per_l",
    "yield_g_per_g",
    "maintenance_g_per_g_h",
)
# Which keys each kind of feed must have, and which it may have.
FEEDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "constant": (("flow",), ()),
    "hold": ((), ()),
    "profile": (("table",), ()),
    "exponential": (("mu", "cap"), (*NOMINAL, "feedback", "gain", "band")),
    "pi": (
        ("mu", "cap", "measured", "setpoint", "kp", "ti_s"),
        (*NOMINAL, "band", "filter_s"),
    ),
    "stat": (("measured", "above", "flow", "on_s", "pause_s"), ("filter_s",)),
    "probing": (
        ("measured", "answer", "flow", "cap", "on_s", "pause_s"),
        ("size", "step", "below", "filter_s"),
    ),
}
ONLY_FEEDBACK = ("gain", "band")  # of an exponential feed


class FeedLaw(Settings):
    """How a phase moves a feed. A feed without one goes on as in the phase before."""

    kind: Literal["constant", "hold", "profile", "exponential", "pi", "stat", "probing"]
    flow: float | None = Field(
        None,
        ge=0,
        description="in the loop's unit; of a stat's pulse, of probing at first and at least",
    )
    table: tuple[tuple[float, float], ...] | None = Field(
        None, min_length=1, description="[h since the law began, in the loop's unit], hours rising"
    )
    mu: float | None = Field(None, ge=0, le=2, description="wanted growth rate, 1/h")
    cap: float | None = Field(None, gt=0, description="in the loop's unit")
    start_from: Literal["recipe", "estimate"] = Field(
        "recipe", description="whose biomass and volume the feed starts from"
    )
    biomass_g_per_l: float | None = Field(None, gt=0, le=200, description="at its start, g/L")
    volume_l: float | None = Field(None, gt=0, description="at its start, L; the plant file's")
    feed_substrate_g_per_l: float | None = Field(
        None, gt=0, description="in the feed, g/L; the plant file's"
    )
    yield_g_per_g: float | None = Field(None, ge=0.01, le=2, description="biomass per substrate")
    maintenance_g_per_g_h: float | None = Field(None, ge=0, le=1, description="g/g/h")
    feedback: Literal["biomass"] | None = Field(None, description="what corrects an exponential")
    gain: float = Field(1.0, ge=0, le=10, description="of biomass feedback, see the README")
    band: float = Field(0.5, gt=0, le=2, description="how far feedback may go, as ln of the flow")
    measured: str | None = Field(None, description="a tag or its meaning: R1.ethanol or ethanol")
    setpoint: float | None = Field(None, description="in the unit of what is measured")
    kp: float | None = Field(
        None, description="ln of the flow per unit of what is measured; < 0 where feed lowers it"
    )
    ti_s: float | None = Field(None, gt=0, description="s")
    filter_s: float = Field(0.0, ge=0, description="of what is measured, s")
    above: float | None = Field(None, description="feed above it, in the unit of what is measured")
    on_s: float | None = Field(None, gt=0, description="of a pulse, s")
    pause_s: float | None = Field(None, gt=0, description="between two pulses at least, s")
    answer: float | None = Field(
        None, gt=0, description="to a pulse of cells that can take more, unit of what is measured"
    )
    below: float | None = Field(
        None, description="less feed while it is below this, in the unit of what is measured"
    )
    size: float = Field(0.2, gt=0, le=1, description="of a probing pulse, as a share of the flow")
    step: float = Field(0.1, gt=0, le=0.5, description="after a pulse, as a share of the flow")

    @property
    def looks(self) -> bool:
        """Whether it follows what the vessel does, and not only time."""
        return self.measured is not None or self.feedback is not None

    @model_validator(mode="after")
    def _check(self) -> "FeedLaw":
        must, may = FEEDS[self.kind]
        for key in must:
            if getattr(self, key) is None:
                raise ValueError(f"{key} is required with kind = {self.kind}")
        wrong = sorted(self.model_fields_set - {"kind", *must, *may})
        if wrong:
            allowed = ", ".join((*must, *may)) or "no other key"
            raise ValueError(f"{wrong[0]} does not go with kind = {self.kind}; {allowed}")
        grows = self.kind in ("exponential", "pi")
        if grows and self.start_from == "recipe" and self.biomass_g_per_l is None:
            raise ValueError("biomass_g_per_l (g/L) is required with start_from = recipe")
        if self.kind == "exponential" and self.feedback is None:
            for key in ONLY_FEEDBACK:
                if key in self.model_fields_set:
                    raise ValueError(f"{key} goes only with feedback")
        if self.kp == 0:
            raise ValueError("kp: 0 is not allowed; more or less than 0")
        hours = [hour for hour, _ in self.table or ()]
        if any(b <= a for a, b in zip([-1e-9, *hours], hours, strict=False)):
            raise ValueError("table: hours must rise from 0 or later")
        if any(flow < 0 for _, flow in self.table or ()):
            raise ValueError("table: flows must be >= 0")
        return self
