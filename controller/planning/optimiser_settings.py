"""What the optimiser may do; plain, so that a process that only asks need not build the problem."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from controller.sensing.estimate import require_settings


@dataclass(frozen=True, slots=True)
class OptimiserSettings:
    """What the optimiser may do, and how near to the limits it goes.

    Attributes:
        organism: key of ``ORGANISMS``.
        vessel: key of ``models.vessels.VESSELS``.
        feed_substrate_g_per_l: in the feed.
        feed_min_ml_per_h: least feed while feeding.
        feed_max_ml_per_h: greatest feed.
        feed_slope_ml_per_h2: steepest change of the feed, mL/h per h.
        stirrer_max: what the DO cascade can reach, 1/min.
        air_max: likewise, normal L/min.
        temperature: of the broth, Cel.
        volume_max_l: the plant file's limit; the plan stays 6 % below it.
        acetate_max_g_per_l: in the rollout.
        do_min: least oxygen setpoint, %.
        do_max: greatest oxygen setpoint, %.
        oxygen_share: of the estimated greatest transfer that a plan may use.
        uptake_share: of the estimated greatest respiration that a plan may use.
        caution: standard deviations of the estimate by which both are lowered.
        stages: of the horizon.
        first_solver: that is asked first; IPOPT is the second start in any case.
        strain: parameters of the strain, by name, that are not the model's own.
    """

    organism: str = "ecoli"
    vessel: str = "5l"
    feed_substrate_g_per_l: float = 500.0
    feed_min_ml_per_h: float = 0.0
    feed_max_ml_per_h: float = 150.0
    feed_slope_ml_per_h2: float = 80.0
    stirrer_max: float = 1000.0
    air_max: float = 6.0
    temperature: float = 37.0
    volume_max_l: float = 4.5
    acetate_max_g_per_l: float = 1.5
    do_min: float = 25.0
    do_max: float = 45.0
    oxygen_share: float = 0.96
    uptake_share: float = 0.86
    caution: float = 1.0
    stages: int = 24
    first_solver: Literal["fatrop", "ipopt"] = "fatrop"
    strain: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        require_settings(self)
        for low, high in (("do_min", "do_max"), ("feed_min_ml_per_h", "feed_max_ml_per_h")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low}: {getattr(self, low):g} is above {high}")
        if self.first_solver not in ("fatrop", "ipopt"):
            raise ValueError(f"first_solver: {self.first_solver!r} is neither fatrop nor ipopt")
        if not 8 <= self.stages <= 60:
            raise ValueError(f"stages: {self.stages} is not allowed; it must be 8 to 60")

    def as_json(self) -> dict[str, Any]:
        """Return them as JSON can carry them."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "OptimiserSettings":
        """Return the settings that ``as_json`` wrote.

        Raises:
            ValueError: an unknown key or a value that is not allowed.
        """
        unknown = set(plain) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: no such setting of the optimiser")
        return cls(**plain)
