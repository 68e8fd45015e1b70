"""What the soft sensor believes before it has seen anything, and its instruments."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

from models.organisms import WATCHED
from models.vessels import VESSELS

Method = Literal["ukf", "ekf"]


@dataclass(frozen=True, slots=True)
class EstimatorSettings:
    """Beliefs and instruments; spreads are one standard deviation.

    Attributes:
        organism: key of ``models.organisms.WATCHED``.
        vessel: key of ``models.vessels.VESSELS``.
        method: of the filter: by points (``ukf``) or by slopes (``ekf``).
        volume_l: at inoculation, L.
        biomass_g_per_l: at inoculation, dry.
        substrate_g_per_l: at inoculation.
        feed_substrate_g_per_l: in the feed.
        base_mmol_per_l: ammonia in the base; 0: nobody says, and base tells nothing of the cells.
        kla_sd: relative spread of kLa from batch to batch.
        calibration_bar: absolute, in the head, at which the DO probe read 100 % in air.
        offgas_delay_s: from the vessel's gas space to the analyser's cell.
        offgas_lag_s: time constant of the analyser.
        offgas_every_s: between two readings of an analyser that visits other vessels too; 0 for
            one that does not.
        offgas_noise_percent: of the analyser, percent absolute.
        offgas_offset_percent: its offset in O2, percent absolute, with that of the air that goes
            in: moist air has less; it wanders as much a day.
        offgas_co2_offset_percent: likewise in CO2.
        do_noise_percent: of the probe, % of air saturation.
        probe_cv: of a probe in the broth that shows biomass or ethanol, calibration included.
        probe_noise: likewise beside that, g/L.
        probe_offset: what a probe shows too much of what is eaten at once (ethanol), g/L; it
            wanders as much a day.
        strain: parameters of the strain, by name, that are not the model's own.
        weight_noise: of the vessel's balance, as a share of what the vessel holds.
        feed_weight_noise: of the feed's balance, likewise.
    """

    organism: str = "ecoli"
    vessel: str = "5l"
    method: Method = "ukf"
    strain: Mapping[str, float] = field(default_factory=dict[str, float])
    volume_l: float = 3.0
    biomass_g_per_l: float = 0.3
    substrate_g_per_l: float = 10.0
    feed_substrate_g_per_l: float = 500.0
    base_mmol_per_l: float = 0.0
    kla_sd: float = 0.2
    calibration_bar: float = 1.05
    offgas_delay_s: float = 45.0
    offgas_lag_s: float = 10.0
    offgas_every_s: float = 0.0
    offgas_noise_percent: float = 0.015
    offgas_offset_percent: float = 0.03
    offgas_co2_offset_percent: float = 0.015
    do_noise_percent: float = 1.0
    probe_cv: float = 0.12
    probe_noise: float = 0.2
    probe_offset: float = 0.1
    weight_noise: float = 1e-3
    feed_weight_noise: float = 4e-4

    def __post_init__(self) -> None:
        if self.organism not in WATCHED:
            raise ValueError(f"organism: {self.organism!r} is none of {', '.join(WATCHED)}")
        if self.vessel not in VESSELS:
            raise ValueError(f"vessel: {self.vessel!r} is none of {', '.join(VESSELS)}")
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, float) and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{one.name}: {value:g} is not allowed; it must be >= 0")

    @property
    def room_l(self) -> float:
        """What the vessel holds."""
        return VESSELS[self.vessel].working_volume_l
