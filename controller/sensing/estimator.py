"""The soft sensor: what no probe shows, from what every vessel has.

A Kalman filter on the organism's own equations, by points or by slopes (``models.kalman``). Off-gas
gives oxygen uptake and CO2, dissolved oxygen gives the transfer coefficient, the balances give
volume and the true feed, probes in the broth what they show. Where readings are BAD the model runs
on alone, the spread grows, and ``stale_s`` says since when.
"""

import math
from array import array
from collections.abc import Callable, Mapping, MutableSequence, Sequence
from copy import copy
from typing import Any, Final, Protocol

from controller.sensing.estimate import NAMES, Estimate, layout
from controller.sensing.estimator_settings import EstimatorSettings
from controller.sensing.excitation import Excitation
from controller.sensing.feed_meter import FeedMeter
from controller.sensing.innovations import Innovations
from controller.sensing.instruments import CO2, DEFICIT, O2, VOLUME, Instruments
from controller.sensing.prior import Prior
from controller.sensing.probe_watch import ProbeWatch
from controller.sensing.probe_watch import Step as GasStep
from controller.sensing.readings import PLAUSIBLE, flow, good, put
from drivers.point import Sample
from models.bioreactor import M_CO2
from models.fn import SCALARS
from models.kalman import sigma_step, slope_step
from models.organisms import WATCHED, of_strain
from models.soft_sensor import TITRANT, SoftSensor
from models.symbolic import Compiled, compiled
from models.transfer import M_O2, Transfer
from models.vessels import LIQUID_L_PER_H, VESSELS

__all__ = ["NAMES", "Estimate", "Estimator", "EstimatorSettings"]

STEP_MAX_S: Final = 30.0  # of one prediction
GAP_MAX_S: Final = 6 * 3600.0  # of time without an update that is predicted through
RESUME_S: Final = 60.0  # outage after which a stored estimate is only a start
METER_SIZE: Final = 9  # numbers of ``Estimate.meter``
ASSAY_GATE: Final = 4.0  # standard deviations; a dilution forgotten is further away
REJECTED_MAX: Final = 12  # in a row, after which the filter and not the instrument is doubted
WINDOW_H: Final = 6.0  # over which a state that nothing shows would be lost
SURPRISE_S: Final = 300.0  # over which squared innovations are averaged
OVERTURNED: Final = 3.0  # standard deviations that make another belief of one ...
MATTERS: Final = 0.02  # ... that matter: of the biomass, whatever it is that differs
MISFIT_S: Final = 1800.0  # likewise for telling two beliefs apart
FADE: Final = 0.02  # of the covariance per update and unit of surprise above 1
FADE_MAX: Final = 0.1
SUPPLIES: Final = ("acid", "base", "antifoam", "harvest", "medium", "seed")  # pumps beside feeds
NAMED: Final = {O2: "offgas_o2", CO2: "offgas_co2", DEFICIT: "do", VOLUME: "weight"}


class Step(Protocol):
    """A step of a filter, see ``models.kalman``: fill ``arguments``, call, take ``results``."""

    @property
    def arguments(self) -> Sequence["array[float]"]: ...
    @property
    def results(self) -> Sequence["array[float]"]: ...
    def __call__(self) -> None: ...


class Estimator:
    """The soft sensor of one reactor; call ``update`` every 10 to 60 s of plant time.

    Args:
        settings: beliefs and instruments.
        probes: meanings of the probes in the broth that the plant has; others are left out.
        step: makes the filter's step of its model, if it is not to be one of ``models.kalman``.
    """

    def __init__(
        self,
        settings: EstimatorSettings,
        probes: Sequence[str] = (),
        step: Callable[[SoftSensor], Step] | None = None,
    ) -> None:
        self.settings = settings
        organism = of_strain(WATCHED[settings.organism](), settings.strain)
        vessel = VESSELS[settings.vessel]
        self._organism, self._watched = organism, organism.watched
        usable = tuple(n for n in probes if n in self._watched.probes)
        titrated = self._watched.titrated and settings.base_mmol_per_l > 0.0
        self.model = SoftSensor(organism, vessel, usable, titrated=titrated)
        self.layout = layout(settings.organism)
        self._transfer = Transfer(organism, vessel, settings.calibration_bar)
        self._filter = step(self.model) if step else _compiled_filter(self.model, settings.method)
        self.pumps = tuple(dict.fromkeys((*(f.name for f in organism.feeds), *SUPPLIES)))
        self._main = organism.feeds[0].name
        pump = vessel.actuators[organism.feeds[0].pump]
        per = LIQUID_L_PER_H[pump.unit]
        self._drive = (max(pump.step, pump.dead) * per, pump.least * per)
        self._at = {name: k for k, name in enumerate(self.layout.states)}
        self._n, self._v = self.layout.size, self.layout.tracked
        self._prior = Prior(settings, self.model, self.layout)
        self._outputs = self.model.outputs
        self.reset()

    def reset(self) -> None:
        """Forget everything: a new batch."""
        s = self.settings
        self._x = self._prior.start()
        self._cov = self._prior.covariance(self._x)
        noise = s.feed_weight_noise * s.room_l
        self._meter = FeedMeter(self._prior.density, noise, *self._drive)
        probes = self.model.probes
        titrated = self.model.titrated
        self._instruments = Instruments(
            s, self._organism, self._transfer, tuple(probes), titrated=titrated
        )
        self._estimate: Estimate | None = None
        self._time = math.nan
        self._fresh = math.nan  # when oxygen was last seen
        self._rejections = [0] * len(self._outputs)
        self._misfit = 0.0
        self._surprise = 0.0  # squared innovations of oxygen in units of their variance
        self._base_ml = self._grown_g = 0.0
        self._refused: dict[str, float] = {}  # by how much the last assay of a quantity was off
        also = [TITRANT.name] if titrated else []
        self._innovations = Innovations((*NAMED.values(), *probes, *also))
        self._probe = ProbeWatch()
        prior = [self._cov[i * self._n + i] for i in range(self._n)]
        for k in range(self._v):
            prior[k] = max(prior[k], (0.2 * self._x[k]) ** 2)
        hours = [WINDOW_H] * self._n
        factors = self._prior.factors
        hours[factors.start : factors.stop] = self._prior.hours
        self._told = Excitation(prior, hours)

    def resume(self, state: Mapping[str, Any], now: float) -> bool:
        """Continue from a stored ``Estimate.as_state()``; return whether it was fresh enough.

        After an outage of more than 60 s the stored values are kept as a start, with a wide
        covariance.

        Raises:
            ValueError: ``state`` is no estimate of this organism; nothing has changed.
        """
        estimate = Estimate.from_state(state)
        if estimate.organism != self.settings.organism:
            raise ValueError(f"an estimate of {estimate.organism}, not {self.settings.organism}")
        self.reset()
        self._x = list(estimate.mean)
        self._cov = array("d", estimate.cov)
        if len(estimate.meter) == METER_SIZE:
            self._meter.resume(estimate.meter)
            excess, self._base_ml, self._grown_g = estimate.meter[-3:]
            self._instruments.excess_kg = excess
        fresh = 0.0 <= now - estimate.time <= RESUME_S
        known = estimate.neutralised_mmol if fresh else None  # what was dosed since nobody counted
        self._instruments.neutralised = math.nan if known is None else known
        if fresh:
            self._time, self._fresh = estimate.time, estimate.time - estimate.stale_s
            return True
        self._cov = self._prior.covariance(self._x)
        substrate = self._organism.called["substrate"]
        units = {v.name: v.unit for v in self._organism.species}
        lost = [k for k, n in enumerate(self.layout.states[: self._v]) if units[n].endswith("/L")]
        for i in (*(k for k in lost if self.layout.states[k] != substrate), self._v):
            self._cov[i * self._n + i] += (0.2 * self._x[i]) ** 2  # an outage has no size
        self._time = now
        return False

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
            readings: newest samples by meaning, see ``readings.PLAUSIBLE``. What is missing or
                not GOOD is left out.
            flows_ml_per_h: what the pumps were told since the last call, see ``pumps``.
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
        hours = span / 3600.0
        self._instruments.watch(seen.get("do"), span)
        fed = self._meter.update(seen.get("feed_weight"), flows.get(self._main, 0.0), hours)
        litres = {n: v / 1e3 for n, v in flows.items()} | {self._main: fed / 1e3}
        self._told.pass_by(hours)
        steps = max(1, math.ceil(span / STEP_MAX_S))
        self._fill(hours / steps, seen, litres, induced)
        call = self._filter
        rejected: tuple[str, ...] = ()
        for i in range(steps):
            if i == steps - 1:
                self._measure(seen)
            put(call.arguments[0], self._x)
            call.arguments[1][:] = self._cov
            if self._surprise > 1.0:
                self._widen(min(FADE * (self._surprise - 1.0), FADE_MAX))
            call()
            if not math.isfinite(sum(call.results[0]) + sum(call.results[1])):  # then one is not
                self._cov = self._prior.covariance(self._x)
                rejected = ("the filter left the numbers; the last good values were kept",)
                break
            self._x = list(call.results[0])
            self._cov[:] = call.results[1]
        else:
            rejected = self._judge(now, span)
        return self._report(now, hours, litres, rejected)

    def copy(self) -> "Estimator":
        """Return another that believes the same and goes its own way from here."""
        other = copy(self)
        other._x, other._cov = list(self._x), self._cov[:]
        other._meter, other._rejections = self._meter.copy(), list(self._rejections)
        other._instruments, other._told = self._instruments.copy(), self._told.copy()
        other._refused = dict(self._refused)
        other._innovations, other._probe = self._innovations.copy(), self._probe.copy()
        return other

    @property
    def innovations(self) -> Innovations:
        """How far each instrument was off lately."""
        return self._innovations

    @property
    def biomass(self) -> float:
        """What is believed of it, g/L."""
        return self._x[0]

    def overturned(self, other: "Estimator") -> bool:
        """Return whether another believes in a broth that this one holds for impossible."""
        least = MATTERS * self._x[0]
        return any(
            abs(other._x[k] - self._x[k])
            > OVERTURNED * math.hypot(math.sqrt(max(self._cov[k * self._n + k], 0.0)), least)
            for of in self.layout.assays.values()
            for k in of
        )

    @property
    def misfit(self) -> float:
        """How badly the readings of the last half hour fit; the lower the more likely.

        The mean over readings of squared innovation over variance (25 at most: a spike proves
        little) and the variance's logarithm, which is -2 ln of their likelihood; to be compared
        with that of another that has seen the same.
        """
        return self._misfit

    @property
    def time(self) -> float:
        """Time of the last update, s since 1970 UTC; NaN before the first."""
        return self._time

    @property
    def do_offset_percent(self) -> float:
        """What the DO probe shows too much by OUR and kLa, % of air saturation."""
        return self._probe.offset

    @property
    def gas_step(self) -> GasStep | None:
        """What the last step of stirrer, gas or DO setpoint told of the DO probe."""
        return self._probe.step

    def assay(self, quantity: str, value: float, sd: float) -> tuple[float, float]:
        """Take in what a laboratory found in the broth as it is now, if it can be believed.

        Args:
            quantity: a key of ``Watched.assays``.
            value: g/L.
            sd: standard deviation of the result, g/L.

        One beyond ``ASSAY_GATE`` changes nothing: a dilution was forgotten. If the next of that
        quantity is, and on the same side, it is the filter that is wrong, and was surer than right:
        its doubt is widened to what they say, and the second is taken in.

        Returns:
            What was expected, g/L, and by how many standard deviations the result is off.
        """
        of, n, cov = self.layout.assays[quantity], self._n, self._cov
        expected = sum(self._x[i] for i in of)
        innovation = value - expected
        known = max(sum(cov[k * n + i] for i in of for k in of), 1e-30)
        sigmas = abs(innovation) / math.sqrt(known + sd * sd)
        before = self._refused.pop(quantity, 0.0)
        if sigmas > ASSAY_GATE:
            if before * innovation <= 0.0:
                self._refused[quantity] = innovation
                return expected, sigmas
            for i in of:  # by itself: what the filter was wrong in has no known part in the others
                cov[i * n + i] += innovation * innovation / len(of)
            sigmas = abs(innovation) / math.hypot(innovation, sd)
        column = [sum(cov[k * n + i] for i in of) for k in range(n)]
        spread = sum(column[i] for i in of) + sd * sd
        for k, shared in enumerate(column):
            own = cov[k * n + k]
            if own * spread > shared * shared and own > 0.0:
                self._told.tell(k, shared * shared / (own * (own * spread - shared * shared)))
        for k, shared in enumerate(column):
            gain = shared / spread
            self._x[k] += gain * innovation
            for j in range(n):  # what Joseph's form becomes for one measurement
                cov[k * n + j] -= gain * column[j]
        for k in range(self._v):
            self._x[k] = max(self._x[k], 0.0)
        return expected, sigmas

    def _fill(
        self,
        hours: float,
        seen: Mapping[str, float | None],
        litres: Mapping[str, float],
        induced: bool,
    ) -> None:
        """Write everything into the filter that all steps to now have in common."""
        call, x = self._filter, self._x
        volume, y_o2 = x[self._v], x[self._at["yO2"]]
        put(call.arguments[2], self._instruments.inputs(seen, litres, induced, volume, y_o2))
        frozen, free = self._frozen(), [1.0] * self._n
        for i in frozen:
            free[i] = 0.0
        put(call.arguments[3], self._prior.parameters(frozen))
        call.arguments[4][0] = hours
        put(call.arguments[5], self._prior.noise(x, frozen))
        put(call.arguments[9], free)
        zeros = [0.0] * len(self._outputs)
        put(call.arguments[6], zeros)
        put(call.arguments[7], [1.0] * len(zeros))
        put(call.arguments[8], zeros)

    def _frozen(self) -> list[int]:
        """Return the states of the strain's factors that nothing shows; kLa's changes by itself."""
        return [i for i in self._prior.factors[:-1] if self._told.frozen[i]]

    def _measure(self, seen: Mapping[str, float | None]) -> None:
        """Fill measurements, variances and gates of those that are there."""
        x, at = self._x, self._at
        gas = [x[at[name]] for name in ("yO2", "yCO2", "sO2", "sCO2")]
        measured = self._instruments.measured(seen, gas, x[self._v])
        for i, count in enumerate(self._rejections):
            if count >= REJECTED_MAX:
                # opens until it agrees again
                measured.gate[i] *= 1.0 + (count - REJECTED_MAX + 1) * 0.5
        for buffer, values in zip(self._filter.arguments[6:9], measured, strict=True):
            put(buffer, values)

    def _widen(self, share: float) -> None:
        """Trust the model less: the readings keep disagreeing by more than they may."""
        n = self._n
        cov, prior = self._filter.arguments[1], self._prior.covariance(self._x)
        for k, tracked in enumerate(self._watched.tracked):
            prior[k * n + k] = max(prior[k * n + k], tracked.widest**2)
        by: dict[int, float] = {}
        for i in range(n):
            k = i * n + i
            if cov[k] < prior[k]:
                by[i] = min(math.sqrt(1.0 + share), math.sqrt(prior[k] / max(cov[k], 1e-30)))
        for i in self._frozen():
            by.pop(i, None)
        _stretch(cov, n, by)

    def _judge(self, now: float, span: float) -> tuple[str, ...]:
        """Count what the gate refused and say why; remember what was told."""
        innovation, spread, told = self._filter.results[2:5]
        gate = self._filter.arguments[8]
        for i, information in enumerate(told):
            self._told.tell(i, information)
        rejected: list[str] = []
        for i, output in enumerate(self._outputs):
            if gate[i] <= 0:
                continue
            self._innovations.take(i, innovation[i], spread[i], span)
            likely = min(innovation[i] * innovation[i] / spread[i], 25.0) + math.log(spread[i])
            self._misfit += (likely - self._misfit) * min(span / MISFIT_S, 1.0)
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
        self, now: float, hours: float, litres: Mapping[str, float], rejected: tuple[str, ...]
    ) -> Estimate:
        x, of = self._x, self.layout
        inputs, parameters = self._filter.arguments[2:4]
        mu, our, cer = self.model.report(x, inputs, parameters, SCALARS)
        volume = x[self._v]
        self._grown_g += max(mu, 0.0) * x[0] * volume * hours
        self._base_ml += 1e3 * litres.get("base", 0.0) * hours
        gained = (our * M_O2 - cer * M_CO2) * volume * 1e-6
        self._instruments.weigh(litres, gained, volume, hours)
        k = self._prior.factors[-1]
        look = self._instruments.look(our, x[self._at["yO2"]], x[self._at["sCO2"]], volume)
        if self._fresh == now:
            sd = math.sqrt(max(self._cov[k * self._n + k], 0.0))
            self._probe.look(now, hours, x[k], sd, look)
        sums = (self._instruments.excess_kg, self._base_ml, self._grown_g)
        neutralised = self._instruments.neutralised
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
            meter=(*self._meter.as_tuple(), *sums),
            neutralised_mmol=neutralised if math.isfinite(neutralised) else None,
            feed_left_kg=self._meter.left_kg,
            organism=self.settings.organism,
            seen=tuple(max(self._told.shown(i) for i in of.places[n]) for n in of.names),
            frozen=tuple(of.states[i].removeprefix("log_") for i in self._frozen()),
            suspects=self._innovations.suspects,
            do_percent=self._instruments.do_percent,
            do_offset_percent=self._probe.offset,
            do_force_percent=look.force,
        )
        return self._estimate


def _stretch(cov: MutableSequence[float], n: int, by: Mapping[int, float]) -> None:
    """Multiply the spreads of some states; what they share with each other stays as it is."""
    for i, factor in by.items():
        for k in range(n):
            cov[i * n + k] *= factor
            cov[k * n + i] *= factor


_filters: dict[str, Compiled] = {}


def _compiled_filter(model: SoftSensor, method: str) -> Compiled:
    """Return the filter's machine code, made once a process; its buffers hold nothing between."""
    step = {"ukf": sigma_step, "ekf": slope_step}[method]
    also = ("titrated",) if model.titrated else ()
    name = "_".join(("fl", model.name, method, *model.probes, *also))
    if name not in _filters:
        _filters[name] = compiled([step(model, name=name)])[name]
    return _filters[name]
