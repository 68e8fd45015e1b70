"""What a soft sensor believes before it has seen anything, how far, and how fast that grows old."""

import math
from array import array
from collections.abc import Collection, Sequence
from typing import Final

from controller.sensing.estimate import Layout
from controller.sensing.estimator_settings import EstimatorSettings
from models import oxygen
from models.soft_sensor import SoftSensor, offset

KLA_HOURS: Final = 30.0  # in which kLa's factor goes back to what is usual


class Prior:
    """Start, spread, noise and parameters of the filter of one reactor.

    Args:
        settings: beliefs and instruments.
        model: of the filter.
        layout: where its states are.

    Attributes:
        factors: the states of the factors that are learned, kLa's last.
        hours: in which each of these goes back to what is usual.
        density: of the main feed, kg/L.
    """

    def __init__(self, settings: EstimatorSettings, model: SoftSensor, layout: Layout) -> None:
        self._settings, self._organism = settings, model.organism
        self._tracked = model.organism.watched.tracked
        self._at = {name: k for k, name in enumerate(layout.states)}
        self._offsets = [self._at[offset(n)] for n in model.organism.watched.offsets]
        self._n, self._v = layout.size, layout.tracked
        learned = model.organism.watched.learned
        self.factors = range(self._v + 1, self._v + 2 + len(learned))
        self._sds = (*(f.sd for f in learned), settings.kla_sd)
        self.hours = (*(f.hours for f in learned), KLA_HOURS)
        names = [v.name for v in (*self._organism.parameters, *self._organism.medium)]
        main = self._organism.feeds[0]
        self._strain = list(model.strain)
        sugar = main.brings[self._organism.called["substrate"]]
        self._strain[names.index(sugar)] = settings.feed_substrate_g_per_l
        self.density = self._strain[names.index(main.density)] if main.density else 1.0
        self._line = (settings.offgas_delay_s + settings.offgas_lag_s) / 3600.0
        self._noise = self._steady_noise()

    def start(self) -> list[float]:
        """Return the states at inoculation."""
        s, called, at = self._settings, self._organism.called, self._at
        start = {v.name: max(v.default, v.low) for v in self._organism.species}
        start[called["biomass"]] = s.biomass_g_per_l
        start[called["substrate"]] = s.substrate_g_per_l
        x = [0.0] * self._n
        for k, tracked in enumerate(self._tracked):
            x[k] = start[tracked.name]
        x[self._v] = s.volume_l
        x[at["yO2"]] = x[at["sO2"]] = 100.0 * oxygen.AIR_O2
        x[at["yCO2"]] = x[at["sCO2"]] = 100.0 * oxygen.AIR_CO2
        x[at["DIC"]] = 0.1
        return x

    def covariance(self, x: Sequence[float]) -> "array[float]":
        """Return the covariance of states ``x`` of which nothing has been seen."""
        s, n, at = self._settings, self._n, self._at
        sd = [0.1] * n  # of the gas and dissolved CO2
        for k, tracked in enumerate(self._tracked):
            sd[k] = math.hypot(tracked.share * x[k], tracked.sd)
        sd[self._v] = 0.01 * s.volume_l
        sd[self.factors.start : self.factors.stop] = self._sds
        sd[at["bO2"]] = s.offgas_offset_percent
        sd[at["bCO2"]] = s.offgas_co2_offset_percent
        for i in self._offsets:
            sd[i] = s.probe_offset
        cov = array("d", bytes(8 * n * n))
        for i, value in enumerate(sd):
            cov[i * n + i] = value * value
        return cov

    def noise(self, x: Sequence[float], frozen: Collection[int]) -> list[float]:
        """Return the variance that each state gains an hour; one that is ``frozen`` gains none."""
        q = list(self._noise)
        for k, tracked in enumerate(self._tracked):
            q[k] += (tracked.walk * x[k]) ** 2
        for i in frozen:
            q[i] = 0.0
        return q

    def _steady_noise(self) -> list[float]:
        """Return the part of the noise that does not go with the states."""
        q, s, at = [0.0] * self._n, self._settings, self._at
        for k, tracked in enumerate(self._tracked):
            q[k] = tracked.noise**2
        q[self._v] = (6e-4 * s.room_l) ** 2
        for name in ("yO2", "yCO2"):
            q[at[name]] = 0.05**2
        q[at["DIC"]] = 0.1**2
        q[at["sO2"]] = q[at["sCO2"]] = 0.02**2
        q[at["bO2"]] = s.offgas_offset_percent**2 / 24.0
        q[at["bCO2"]] = s.offgas_co2_offset_percent**2 / 24.0
        for i in self._offsets:
            q[i] = s.probe_offset**2 / 24.0
        for k, sd, hours in zip(self.factors, self._sds, self.hours, strict=True):
            q[k] = 2.0 * sd * sd / hours  # what keeps its spread at ``sd``
        return q

    def parameters(self, frozen: Collection[int]) -> list[float]:
        """Return the model's parameters; what is ``frozen`` does not go back to what is usual."""
        back = [
            0.0 if k in frozen else 1.0 / hours
            for k, hours in zip(self.factors, self.hours, strict=True)
        ]
        return [*self._strain, *back, self._line]
