"""What a run really did: the true figures of the report, gathered while the plant runs.

No controller sees any of it. Shares are fractions 0..1, times are of the plant. ``Truth.of``
watches a vessel by itself, whoever lets its time pass.
"""

from collections.abc import Mapping
from typing import Final, Self

from sim.vessel import Vessel

DO_LOW: Final = 20.0  # %
ACETATE_HIGH: Final = 2.0  # g/L
BANDS: Final = {"temperature": 0.2, "ph": 0.05, "do": 5.0}
SETTLING_H: Final = 1.0  # before it, bands and shares are not counted


class Truth:
    """The true record of one vessel; ``update`` counts the time since the last.

    Attributes:
        setpoints: of temperature (Cel), pH and DO (%), from which the true shares in band are
            counted; may be replaced while the plant runs.

    Args:
        vessel: whose truth it is.
        volume_max_l: volume above which minutes are counted, L.
        hours_from: age in h from which bands and shares count.
    """

    def __init__(
        self, vessel: Vessel, volume_max_l: float = 4.5, hours_from: float = SETTLING_H
    ) -> None:
        self._vessel = vessel
        self.setpoints = (37.0, 7.0, 30.0)
        self._volume_max = volume_max_l
        self._from = vessel.time + 3600.0 * hours_from
        self._last = vessel.time
        self._start = vessel.time
        self._do_low_s = 0.0
        self._acetate_high_s = 0.0
        self._volume_high_s = 0.0
        self._counted_s = 0.0
        self._do_good_s = 0.0
        self._acetate_good_s = 0.0
        self._bands = tuple(BANDS.values())
        self._in_band_s = [0.0, 0.0, 0.0]

    @classmethod
    def of(cls, vessel: Vessel, volume_max_l: float = 4.5) -> Self:
        """Return the record of ``vessel`` from now on; it follows the vessel by itself."""
        truth = cls(vessel, volume_max_l)
        vessel.watch(truth.update)
        return truth

    def update(self) -> None:
        """Count the time since the last call at the state that the vessel is in now."""
        now = self._vessel.time
        dt = now - self._last
        if dt <= 0.0:
            return
        self._last = now
        temperature, ph, do, acetate, volume = self._vessel.now()
        if do < DO_LOW:
            self._do_low_s += dt
        if acetate > ACETATE_HIGH:
            self._acetate_high_s += dt
        if volume > self._volume_max:
            self._volume_high_s += dt
        if now <= self._from:
            return
        self._counted_s += dt
        if do >= DO_LOW:
            self._do_good_s += dt
        if acetate <= ACETATE_HIGH:
            self._acetate_good_s += dt
        band, setpoints = self._in_band_s, self.setpoints
        if abs(temperature - setpoints[0]) <= self._bands[0]:
            band[0] += dt
        if abs(ph - setpoints[1]) <= self._bands[1]:
            band[1] += dt
        if abs(do - setpoints[2]) <= self._bands[2]:
            band[2] += dt

    def as_report(self) -> dict[str, float | Mapping[str, float]]:
        """Return the true part of the report, see the README of this room for each key."""
        t = self._vessel.truth
        eaten = t["start_substrate_g"] + t["fed_substrate_g"]
        eaten -= t["substrate_g_per_l"] * t["volume_l"]
        counted = self._counted_s

        def share(seconds: float) -> float:
            return seconds / counted if counted > 0.0 else 0.0

        return {
            "hours": (self._last - self._start) / 3600.0,
            "product_g": t["product_g"],
            "titre_g_per_l": t["product_g_per_l"],
            "biomass_g_per_l": t["biomass_g_per_l"],
            "volume_l": t["volume_l"],
            "yield_product_per_substrate_g_per_g": t["product_g"] / eaten if eaten > 0.0 else 0.0,
            "do_below_limit_min": self._do_low_s / 60.0,
            "acetate_above_limit_min": self._acetate_high_s / 60.0,
            "volume_above_limit_min": self._volume_high_s / 60.0,
            "do_above_limit_share": share(self._do_good_s),
            "acetate_below_limit_share": share(self._acetate_good_s),
            "energy_kwh": t["energy_kwh"],
            "true_in_band": {
                name: share(seconds) for name, seconds in zip(BANDS, self._in_band_s, strict=True)
            },
        }
