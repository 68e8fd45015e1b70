"""The soft sensor: what no probe shows, from what every vessel has.

A Kalman filter on the control model, by points instead of slopes (``models.kalman``): where uptake
ends within a standard deviation of substrate or acetate, a slope sees nothing. Off-gas gives
oxygen uptake and CO2, dissolved oxygen gives the transfer coefficient, the balances give volume
and the true feed. Where readings are BAD the model runs on alone, the spread grows, and
``stale_s`` says since when.
"""

import math
from array import array
from collections.abc import Mapping
from copy import copy
from typing import Any

from controller.estimate import (
    BC,
    BO,
    DIC,
    LK,
    LP,
    LQ,
    LS,
    LY,
    N_STATES,
    NAMES,
    ORGANISMS,
    SC,
    SO,
    YC,
    YO,
    A,
    E,
    Estimate,
    EstimatorSettings,
    P,
    S,
    V,
    X,
)
from controller.feed_meter import FeedMeter
from controller.readings import PLAUSIBLE, fill, flow, good, put
from drivers.point import Sample
from models import oxygen, ph
from models.bioreactor import DENSITY
from models.ecoli import M_CO2, M_O2, EColi
from models.fedbatch import Aeration, SoftSensor
from models.fn import SCALARS
from models.kalman import sigma_step
from models.symbolic import Compiled, compiled
from models.vessels import VESSELS

__all__ = ["NAMES", "Estimate", "Estimator", "EstimatorSettings"]

STEP_MAX_S = 30.0  # of one prediction
GAP_MAX_S = 6 * 3600.0  # of time without an update that is predicted through
RESUME_S = 60.0  # outage after which a stored estimate is only a start
METER_SIZE = 9  # numbers of ``Estimate.meter``
CHI2_99 = 6.63  # one degree of freedom
ASSAYED = {"dry_weight": X, "glucose": S, "acetate": A, "product": P}
ASSAY_GATE = 4.0  # standard deviations; a dilution forgotten is further away
CLOSED = 0.05  # L/min of oxygen that a closed flow controller may show
REJECTED_MAX = 12  # in a row, after which the filter and not the instrument is doubted
MEMORY_H = 30.0  # in which a factor that nothing excites goes back to what strains usually are
SURPRISE_S = 300.0  # over which squared innovations are averaged
FADE = 0.02  # of the covariance per update and unit of surprise above 1
FADE_MAX = 0.1
SLOPE_S = 40.0  # filter of the DO probe's slope
O2, CO2, DEFICIT, VOLUME = range(4)  # outputs of ``SoftSensor``


class Estimator:
    """The soft sensor of one reactor; call ``update`` every 10 s of plant time.

    Args:
        settings: beliefs and instruments.
    """

    def __init__(self, settings: EstimatorSettings) -> None:
        self.settings = settings
        self._organism = ORGANISMS[settings.organism]()
        self._aeration = Aeration(self._organism, VESSELS[settings.vessel])
        self._filter: Compiled = _compiled_filter(self._organism)
        self._p = [v.default for v in self._organism.parameters]
        self._wander = self._wandering()
        self.reset()

    def reset(self) -> None:
        """Forget everything: a new batch."""
        s = self.settings
        self._x = [0.0] * N_STATES
        self._x[X], self._x[S], self._x[E] = s.biomass_g_per_l, s.substrate_g_per_l, 1.0
        self._x[V] = s.volume_l
        self._x[YO] = self._x[SO] = 100.0 * oxygen.AIR_O2
        self._x[YC] = self._x[SC] = 100.0 * oxygen.AIR_CO2
        self._x[DIC] = 0.1
        self._cov = self._prior()
        self._meter = FeedMeter(s.feed_kg_per_l, s.feed_weight_noise_kg)
        self._estimate: Estimate | None = None
        self._time = math.nan
        self._fresh = math.nan  # when oxygen was last seen
        self._do = math.nan  # filtered, %
        self._do_last = 30.0  # last good, %
        self._stirrer, self._air = 300.0, 1.0  # last good
        self._rise = 0.0
        self._rejections = [0] * len(SoftSensor.outputs)
        self._surprise = 0.0  # squared innovations of oxygen in units of their variance
        self._base_ml = self._grown_g = 0.0
        self._blown_kg = 0.0  # that left as CO2 less what came as O2

    def _prior(self) -> "array[float]":
        s, x = self.settings, self._x
        sd = [0.0] * N_STATES
        sd[X], sd[S] = s.biomass_sd * x[X], 0.03 * s.substrate_g_per_l + 0.02
        sd[A], sd[P], sd[E], sd[V] = 0.02, 1e-4, 1e-3, 0.03
        sd[LQ], sd[LY], sd[LP], sd[LK] = s.qomax_sd, s.yem_sd, s.qpm_sd, s.kla_sd
        sd[LS], sd[DIC] = s.qsmax_sd, 0.1
        sd[YO] = sd[YC] = sd[SO] = sd[SC] = 0.1
        sd[BO], sd[BC] = s.offgas_offset_percent, 0.5 * s.offgas_offset_percent
        cov = array("d", bytes(8 * N_STATES * N_STATES))
        for i, value in enumerate(sd):
            cov[i * N_STATES + i] = value * value
        return cov

    def resume(self, state: Mapping[str, Any], now: float) -> bool:
        """Continue from a stored ``Estimate.as_state()``; return whether it was fresh enough.

        After an outage of more than 60 s the stored values are kept as a start, with a wide
        covariance.

        Raises:
            ValueError: ``state`` is no estimate; nothing has changed.
        """
        estimate = Estimate.from_state(state)
        self.reset()
        self._x = list(estimate.mean)
        self._cov = array("d", estimate.cov)
        if len(estimate.meter) == METER_SIZE:
            self._meter.resume(estimate.meter)
            self._blown_kg, self._base_ml, self._grown_g = estimate.meter[-3:]
        fresh = 0.0 <= now - estimate.time <= RESUME_S
        if fresh:
            self._time, self._fresh = estimate.time, estimate.time - estimate.stale_s
        else:
            self._cov = self._prior()
            for i in (X, A, P, V):  # relative, as an outage has no size
                self._cov[i * N_STATES + i] += (0.2 * self._x[i]) ** 2
            self._time = now
        return fresh

    def update(
        self,
        now: float,
        readings: Mapping[str, Sample],
        flows_ml_per_h: Mapping[str, float],
        induced: bool,
    ) -> Estimate:
        """Predict to ``now``, take in what is good of ``readings`` and return what is believed.

        Args:
            now: s since 1970 UTC; not later than the last call's leaves everything as it is.
            readings: newest samples by meaning: ``temperature``, ``ph``, ``do``, ``agitation``,
                ``offgas_o2``, ``offgas_co2``, ``air_flow``, ``oxygen_flow``, ``weight``,
                ``feed_weight``. What is missing or not GOOD is left out.
            flows_ml_per_h: what the pumps were told since the last call: ``feed``, ``acid``,
                ``base``, ``antifoam``, ``inducer``.
            induced: whether the product's expression is switched on.
        """
        seen = {name: good(name, readings) for name in PLAUSIBLE}
        flows = {name: flow(value) for name, value in flows_ml_per_h.items()}
        return self.advance(now, seen, flows, induced)

    def advance(
        self,
        now: float,
        seen: Mapping[str, float | None],
        flows: Mapping[str, float],
        induced: bool,
    ) -> Estimate:
        """Do what ``update`` does with readings and flows that have been judged already."""
        if self._estimate is not None and now <= self._time:
            return self._estimate
        if not math.isfinite(now):
            raise ValueError(f"cannot update at {now=}")
        first = math.isnan(self._time)
        span = 0.0 if first else min(now - self._time, GAP_MAX_S)
        if first:
            self._fresh = now
        self._time = now
        self._watch_oxygen(seen.get("do"), span)
        feed = self._meter.update(seen.get("feed_weight"), flows.get("feed", 0.0), span / 3600.0)
        call = self._filter
        transfer = self._inputs(seen, flows, feed, induced)
        steps = max(1, math.ceil(span / STEP_MAX_S))
        line = self.settings.offgas_delay_s + self.settings.offgas_lag_s
        put(call.arguments[3], (*self._p, MEMORY_H, line / 3600.0))
        call.arguments[4][0] = span / steps / 3600.0
        put(call.arguments[5], self._noise(induced))
        rejected: tuple[str, ...] = ()
        for i in range(steps):
            for buffer, value in zip(call.arguments[6:9], (0.0, 1.0, 0.0), strict=True):
                fill(buffer, value)
            if i == steps - 1:
                self._measure(seen, transfer)
            put(call.arguments[0], self._x)
            call.arguments[1][:] = self._cov
            if self._surprise > 1.0:
                self._widen(min(FADE * (self._surprise - 1.0), FADE_MAX))
            call()
            if not math.isfinite(sum(call.results[0]) + sum(call.results[1])):  # then one is not
                self._cov = self._prior()
                rejected = ("the filter left the numbers; the last good values were kept",)
                break
            self._x = list(call.results[0])
            self._cov[:] = call.results[1]
        else:
            rejected = self._judge(now, span)
        return self._report(now, span, flows, rejected)

    def copy(self) -> "Estimator":
        """Return another that believes the same and goes its own way from here."""
        other = copy(self)
        other._x, other._cov = list(self._x), self._cov[:]
        other._meter, other._rejections = self._meter.copy(), list(self._rejections)
        return other

    @property
    def time(self) -> float:
        """Time of the last update, s since 1970 UTC; NaN before the first."""
        return self._time

    def assay(self, quantity: str, value: float, sd: float) -> tuple[float, float]:
        """Take in what a laboratory found in the broth as it is now, if it can be believed.

        Args:
            quantity: a key of ``ASSAYED``.
            value: g/L.
            sd: standard deviation of the result, g/L.

        Returns:
            What was expected, g/L, and by how many standard deviations the result is off; beyond
            ``ASSAY_GATE`` nothing has changed.
        """
        i, n, cov = ASSAYED[quantity], N_STATES, self._cov
        column = [cov[k * n + i] for k in range(n)]
        spread = column[i] + sd * sd
        expected, innovation = self._x[i], value - self._x[i]
        sigmas = abs(innovation) / math.sqrt(spread)
        if sigmas > ASSAY_GATE:
            return expected, sigmas
        for k, shared in enumerate(column):
            gain = shared / spread
            self._x[k] += gain * innovation
            for j in range(n):  # what Joseph's form becomes for one measurement
                cov[k * n + j] -= gain * column[j]
        for k in (X, S, A, P):
            self._x[k] = max(self._x[k], 0.0)
        return expected, sigmas

    def _watch_oxygen(self, do: float | None, span: float) -> None:
        """Filter the probe for its slope; the level is used as it is."""
        if do is None:
            self._do, self._rise = math.nan, 0.0
            return
        self._do_last = do
        if math.isnan(self._do) or span <= 0:
            self._do = do
            return
        before = self._do
        self._do += (do - before) * span / (span + SLOPE_S)
        per_percent = self._aeration.calibration_mmol_per_l / 100.0
        self._rise = (self._do - before) / span * 3600.0 * per_percent

    def _inputs(
        self,
        seen: Mapping[str, float | None],
        flows: Mapping[str, float],
        feed: float,
        induced: bool,
    ) -> float:
        """Fill the model's inputs and return the nominal oxygen transfer, NaN if not known."""
        a, x = self._aeration, self._x
        temperature, acidity = seen.get("temperature") or 37.0, seen.get("ph") or 7.0
        others = sum(v for name, v in flows.items() if name != "feed") / 1e3
        activity = float(self._organism.activity(temperature, acidity, SCALARS))
        air, pure = seen.get("air_flow"), seen.get("oxygen_flow") or 0.0
        pure = pure if pure > CLOSED else 0.0  # 0.01 L/min of noise would be 0.4 % of oxygen
        air = self._air = max(self._air if air is None else air, 0.1)
        stirrer = seen.get("agitation")
        stirrer = self._stirrer = self._stirrer if stirrer is None else stirrer
        gas = air + pure
        kla = float(a.kla_per_h(max(stirrer, 50.0), gas, x[V], temperature, SCALARS))
        equilibrium = a.saturation_mmol_per_l(temperature, max(x[YO], 1.0) / 100.0)
        dissolved = max(self._do_last, 0.0) / 100.0 * a.calibration_mmol_per_l
        transfer = kla * (equilibrium - dissolved)
        put(
            self._filter.arguments[2],
            (
                *(feed / 1e3, self.settings.feed_substrate_g_per_l, others),
                *(dissolved * 0.032, float(induced), min(max(activity, 0.1), 1.5)),
                *(self._rise, transfer, kla, air, pure, a.gas_mol(x[V], temperature)),
                a.co2_saturation_mmol_per_l(temperature),
                1.0 + ph.K_CO2 / ph.hydrogen(acidity, SCALARS),
            ),
        )
        known = seen.get("do") is not None and seen.get("agitation") and seen.get("air_flow")
        return transfer if known else math.nan

    def _noise(self, induced: bool) -> list[float]:
        """Return the variance that each state gains an hour."""
        q, x = list(self._wander), self._x
        q[X] = (0.01 * x[X]) ** 2
        q[P] = (0.01 * x[P]) ** 2 if induced else 0.0
        return q

    def _wandering(self) -> list[float]:
        """Return what of it is always the same."""
        q = [0.0] * N_STATES
        q[S], q[A], q[V] = 0.02**2, 0.03**2, 0.003**2
        q[YO], q[YC], q[DIC] = 0.05**2, 0.05**2, 0.1**2
        q[SO] = q[SC] = 0.02**2
        q[BO] = self.settings.offgas_offset_percent**2 / 24.0
        q[BC] = 0.25 * q[BO]
        s = self.settings
        for i, sd, hours in (
            (LQ, s.qomax_sd, MEMORY_H),
            (LY, s.yem_sd, MEMORY_H),
            (LP, s.qpm_sd, MEMORY_H),
            (LS, s.qsmax_sd, MEMORY_H),
            (LK, s.kla_sd, MEMORY_H),
        ):
            q[i] = 2.0 * sd * sd / hours  # what keeps its spread at ``sd`` while unexcited
        return q

    def _measure(self, seen: Mapping[str, float | None], transfer: float) -> None:
        """Fill measurements, variances and gates of those that are there."""
        s = self.settings
        z, r, gate = self._filter.arguments[6:9]
        taken, given = 20.95 - self._x[SO], self._x[SC]
        moving = (abs(self._x[YO] - self._x[SO]), abs(self._x[YC] - self._x[SC]))
        for i, name, size in ((O2, "offgas_o2", taken), (CO2, "offgas_co2", given)):
            value = seen.get(name)
            if value is not None and seen.get("air_flow") is not None:
                z[i] = value
                # white noise is the least of it: an offset and a wrong delay do not average out
                r[i] = 9.0 * s.offgas_noise_percent**2 + (0.08 * size) ** 2 + moving[i] ** 2
                gate[i] = CHI2_99
        if math.isfinite(transfer):
            self._measure_transfer(transfer, z, r, gate)
        weight = seen.get("weight")
        if weight is not None:
            heavier = (s.feed_kg_per_l - DENSITY) * self._meter.fed_l
            z[VOLUME] = (weight + self._blown_kg - heavier) / DENSITY
            r[VOLUME] = (s.weight_noise_kg / DENSITY) ** 2 + 0.01**2
            gate[VOLUME] = CHI2_99
        for i, count in enumerate(self._rejections):
            if count >= REJECTED_MAX and gate[i] > 0:
                gate[i] *= 1.0 + (count - REJECTED_MAX + 1) * 0.5  # opens until it agrees again

    def _measure_transfer(
        self, transfer: float, z: "array[float]", r: "array[float]", gate: "array[float]"
    ) -> None:
        """Measure oxygen uptake less transfer, which is nothing."""
        kla = self._filter.arguments[2][8]
        probe = self.settings.do_noise_percent / 100.0 * self._aeration.calibration_mmol_per_l
        z[DEFICIT] = 0.0
        r[DEFICIT] = (
            (2.0 * probe * kla) ** 2 + (0.15 * transfer) ** 2 + (0.5 * self._rise) ** 2 + 0.5**2
        )
        gate[DEFICIT] = CHI2_99

    def _widen(self, share: float) -> None:
        """Trust the model less: the readings keep disagreeing by more than they may."""
        cov, prior = self._filter.arguments[1], self._prior()
        prior[A * N_STATES + A] = 0.2**2
        by = [1.0] * N_STATES
        for i in range(N_STATES):
            k = i * N_STATES + i
            if cov[k] < prior[k]:
                by[i] = min(math.sqrt(1.0 + share), math.sqrt(prior[k] / max(cov[k], 1e-30)))
        for k in range(len(cov)):
            cov[k] *= by[k // N_STATES] * by[k % N_STATES]

    def _judge(self, now: float, span: float) -> tuple[str, ...]:
        """Count what the gate refused and say why."""
        innovation, spread = self._filter.results[2:4]
        gate = self._filter.arguments[8]
        rejected: list[str] = []
        for i, output in enumerate(SoftSensor.outputs):
            if gate[i] <= 0:
                continue
            if i in (O2, DEFICIT):
                size = min(innovation[i] * innovation[i] / spread[i], 25.0)
                self._surprise += (size - self._surprise) * min(span / SURPRISE_S, 1.0)
            if innovation[i] * innovation[i] <= gate[i] * spread[i]:
                self._rejections[i] = 0
                if i in (O2, DEFICIT):
                    self._fresh = now
            else:
                self._rejections[i] += 1
                sigmas = abs(innovation[i]) / math.sqrt(spread[i])
                rejected.append(
                    f"{output.doc}: {innovation[i]:+.3g} {output.unit} from what the model says, "
                    f"{sigmas:.1f} standard deviations"
                )
        return tuple(rejected)

    def _report(
        self,
        now: float,
        span: float,
        flows: Mapping[str, float],
        rejected: tuple[str, ...],
    ) -> Estimate:
        x = self._x
        u = self._filter.arguments[2]
        factors = [math.exp(x[i]) for i in (LQ, LY, LP, LS)]
        model = self._aeration.model
        mu, our, cer = model.output(0.0, x[:6], u[:6], [*self._p, *factors], SCALARS)
        hours = span / 3600.0
        self._grown_g += max(mu, 0.0) * x[X] * x[V] * hours
        self._base_ml += flows.get("base", 0.0) * hours
        self._blown_kg += (cer * M_CO2 - our * M_O2) * x[V] * hours * 1e-6
        self._estimate = Estimate(
            time=now,
            mean=tuple(x),
            cov=tuple(self._cov),
            stale_s=now - self._fresh,
            our_mmol_per_l_h=our,
            cer_mmol_per_l_h=cer,
            mu_per_h=mu,
            feed_factor=self._meter.factor,
            base_ml_per_g=(self._base_ml + 40.0) / (self._grown_g + 20.0),  # 2 until seen
            rejected=rejected,
            meter=(*self._meter.as_tuple(), self._blown_kg, self._base_ml, self._grown_g),
        )
        return self._estimate


_filters: dict[str, Compiled] = {}


def _compiled_filter(organism: EColi) -> Compiled:
    """Return the filter's machine code, made once a process; its buffers hold nothing between."""
    if organism.name not in _filters:
        function = sigma_step(SoftSensor(organism), name=f"fl_{organism.name}_filter")
        _filters[organism.name] = compiled([function])[function.name()]
    return _filters[organism.name]
