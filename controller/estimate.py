"""What is believed of a vessel, and what was believed before anything was seen."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.ecoli import EColi
from models.vessels import VESSELS

ORGANISMS = {"ecoli": EColi}

NAMES = (
    "biomass_g_per_l",
    "substrate_g_per_l",
    "acetate_g_per_l",
    "product_g_per_l",
    "expression",
    "volume_l",
    "qomax_factor",
    "yem_factor",
    "qpm_factor",
    "qsmax_factor",
    "kla_factor",
)
N_STATES = 18  # the named, then O2 and CO2 in the gas (%), dissolved CO2 (mmol/L), the analyser's
X, S, A, P, E, V, LQ, LY, LP, LS, LK, YO, YC, DIC, SO, SC, BO, BC = range(N_STATES)
_PLACE = {name: i for i, name in enumerate(NAMES)}
LOGARITHMS = frozenset((LQ, LY, LP, LS, LK))


def require_settings(settings: Any) -> None:
    """Raise ``ValueError`` unless organism and vessel are known and no number is below 0.

    Args:
        settings: a dataclass of this room with ``organism`` and ``vessel``.
    """
    if settings.organism not in ORGANISMS:
        raise ValueError(f"organism: {settings.organism!r} is none of {', '.join(ORGANISMS)}")
    if settings.vessel not in VESSELS:
        raise ValueError(f"vessel: {settings.vessel!r} is none of {', '.join(VESSELS)}")
    for field in fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, float) and not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{field.name}: {value:g} is not allowed; it must be >= 0")


@dataclass(frozen=True, slots=True)
class EstimatorSettings:
    """What the soft sensor believes before it has seen anything, and its instruments.

    Attributes:
        organism: key of ``ORGANISMS``.
        vessel: key of ``models.vessels.VESSELS``.
        volume_l: at inoculation, L.
        biomass_g_per_l: at inoculation, dry.
        substrate_g_per_l: at inoculation.
        feed_substrate_g_per_l: in the feed.
        feed_kg_per_l: density of the feed.
        biomass_sd: relative spread of ``biomass_g_per_l``.
        qomax_sd, qsmax_sd, yem_sd, kla_sd, qpm_sd: relative spread of the factors, from
            strain to strain.
        offgas_delay_s: from the vessel's gas space to the analyser's cell.
        offgas_lag_s: time constant of the analyser.
        offgas_noise_percent: 1 sigma of the analyser, percent absolute.
        offgas_offset_percent: 1 sigma of its offset, percent absolute; it wanders as much a day.
        do_noise_percent: 1 sigma of the probe, % of air saturation, calibration included.
        weight_noise_kg: 1 sigma of the vessel's balance.
        feed_weight_noise_kg: 1 sigma of the feed bottle's balance.
    """

    organism: str = "ecoli"
    vessel: str = "5l"
    volume_l: float = 3.0
    biomass_g_per_l: float = 0.3
    substrate_g_per_l: float = 10.0
    feed_substrate_g_per_l: float = 500.0
    feed_kg_per_l: float = 1.19
    biomass_sd: float = 0.2
    qomax_sd: float = 0.15
    qsmax_sd: float = 0.10
    yem_sd: float = 0.06
    kla_sd: float = 0.2
    qpm_sd: float = 0.15
    offgas_delay_s: float = 45.0
    offgas_lag_s: float = 10.0
    offgas_noise_percent: float = 0.015
    offgas_offset_percent: float = 0.03
    do_noise_percent: float = 1.0
    weight_noise_kg: float = 0.005
    feed_weight_noise_kg: float = 0.002

    def __post_init__(self) -> None:
        require_settings(self)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is believed of the vessel at one time.

    Attributes:
        time: s since 1970 UTC.
        mean: shape (18,), see ``NAMES``; factors as logarithms; then gas, dissolved CO2 and
            analyser.
        cov: shape (324,), row by row.
        stale_s: s since a reading of oxygen was last taken in; 0 while they are.
        our_mmol_per_l_h: oxygen uptake, from the model at ``mean``.
        cer_mmol_per_l_h: CO2 evolution likewise.
        mu_per_h: specific growth rate likewise.
        feed_factor: true feed over the pump's own figure, by the bottle's balance.
        base_ml_per_g: base per gram of biomass formed, as seen so far.
        rejected: readings refused by the gate in this update, with the reason.
        meter: sums that a restart must not lose: the feed meter's state, gas, base, growth.
    """

    time: float
    mean: tuple[float, ...]
    cov: tuple[float, ...]
    stale_s: float = 0.0
    our_mmol_per_l_h: float = 0.0
    cer_mmol_per_l_h: float = 0.0
    mu_per_h: float = 0.0
    feed_factor: float = 1.0
    base_ml_per_g: float = 2.0
    rejected: tuple[str, ...] = ()
    meter: tuple[float, ...] = ()

    @property
    def names(self) -> Sequence[str]:
        """Names of what ``value`` and ``sd`` know, in the order of ``mean``."""
        return NAMES

    def value(self, name: str) -> float:
        """Return the mean of ``name``, in the unit that its name ends with; a factor has none."""
        i = _PLACE[name]
        return math.exp(self.mean[i]) if i in LOGARITHMS else self.mean[i]

    def sd(self, name: str) -> float:
        """Return the standard deviation of ``name``, in the unit of ``value``."""
        i = _PLACE[name]
        spread = math.sqrt(max(self.cov[i * N_STATES + i], 0.0))
        return spread * math.exp(self.mean[i]) if i in LOGARITHMS else spread

    def relative(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Return the principal parts of what is not known of ``names``, as logarithms.

        Row by row one standard deviation in independent directions: their squares add up to the
        covariance of the logarithms. What is nearly nothing is not known to better than 0.01 of
        its unit, which is not a relative matter: it counts as known.
        """
        at = [_PLACE[name] for name in names]
        cov = np.reshape(self.cov, (N_STATES, N_STATES))[np.ix_(at, at)]
        per = [
            1.0 if i in LOGARITHMS else (1.0 / self.mean[i] if self.mean[i] > 0.01 else 0.0)
            for i in at
        ]
        size, directions = np.linalg.eigh(cov * np.outer(per, per))
        return (directions * np.sqrt(np.maximum(size, 0.0))).T

    @property
    def finite(self) -> bool:
        """Whether every number in it is."""
        return all(map(math.isfinite, (self.time, *self.mean, *self.cov)))

    def as_state(self) -> dict[str, Any]:
        """Return it as JSON can carry it; nothing is copied, for each scan asks for it."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_state(cls, plain: Mapping[str, Any]) -> "Estimate":
        """Return the estimate that ``as_state`` wrote.

        Raises:
            ValueError: it is none, or a number in it is not finite.
        """
        try:
            known: dict[str, Any] = {f.name: plain[f.name] for f in fields(cls) if f.name in plain}
            for name in ("mean", "cov", "rejected", "meter"):
                known[name] = tuple(known.get(name, ()))
            estimate = cls(**known)
            if not (len(estimate.mean) == N_STATES and len(estimate.cov) == N_STATES**2):
                raise ValueError(f"an estimate has {N_STATES} states, not {len(estimate.mean)}")
            if not estimate.finite:
                raise ValueError("an estimate's numbers must be finite")
        except (TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"not an estimate: {type(error).__name__} {error}") from error
        return estimate
