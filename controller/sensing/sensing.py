"""What is believed of one vessel: the soft sensor, what was pumped, what the laboratory found."""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from controller.plant_file.settings import ModelSettings, ReactorSettings
from controller.plant_file.units import ML_PER_H
from controller.sensing.culture import UNKNOWN, Culture
from controller.sensing.estimate import Believed, Estimate, reported
from controller.sensing.estimator import Estimator
from controller.sensing.estimator_settings import EstimatorSettings
from controller.sensing.hindsight import Hindsight
from controller.sensing.laboratory import Entry, Laboratory, Result
from drivers.point import Sample, Tag
from historian.events import Event, Kind

AGAIN_S = 3600.0  # between two records of one doubt
STALE_S = 600.0  # without a reading of oxygen, after which the estimate corrects no feed
UNSURE = 0.4  # standard deviation of the biomass, as a share, from which on it corrects none
LEFT_BY_PRODUCT, LEFT_SUBSTRATE = 0.05, 0.15  # g/L: more is left of the batch, not of the feed


class Sensing:
    """Updated by a reactor in every scan of a batch.

    Args:
        name: of the reactor.
        settings: its table of the plant file.
        actuators: its actuators, by tag name; those that are flows are counted.
        tell: takes every event.

    Attributes:
        estimate: the latest; ``None`` before the first of a batch, or without a model.
        values: its means by name of ``estimate.reported``.
        intervals: everything about them likewise; another object after each update.
        fed_ml: what the main feed gave since inoculation.
        laboratory: the results that were entered.
    """

    def __init__(
        self,
        name: str,
        settings: ReactorSettings,
        actuators: Mapping[str, Tag],
        tell: Callable[[Event], None],
    ) -> None:
        self._name, self._settings, self._tell = name, settings, tell
        self._period = settings.model.estimator_period_s if settings.model else math.inf
        self._sensor = _sensor(settings)
        self._at = -math.inf  # when it was updated last
        self._ml_per_h = {n: ML_PER_H[t.unit] for n, t in actuators.items() if t.unit in ML_PER_H}
        self._pumped_ml = dict.fromkeys(self._ml_per_h, 0.0)  # since then
        self._pumped_s = 0.0
        self.estimate: Estimate | None = None
        self.values: dict[str, float] = {}
        self.intervals: dict[str, Believed] = {}
        self._names = estimated(settings)
        self._doubted: dict[str, float] = {}  # when what was refused was told last
        self.fed_ml = 0.0
        lab = settings.laboratory
        self.laboratory = Laboratory(name, {} if lab is None else lab.analyte)

    @property
    def innovations(self) -> Mapping[str, float]:
        """How far each instrument is off in the mean of half an hour, in standard deviations."""
        if self._sensor is None:
            return {}
        seen = self._sensor.innovations
        return dict(zip(seen.names, seen.bias, strict=True))

    def forget(self, now: float) -> None:
        """Know nothing yet: a batch begins."""
        self.estimate, self.values, self.intervals = None, {}, {}
        self.laboratory.forget(now)

    def inoculated(self) -> None:
        """Begin to estimate and to count: the organism is in the vessel."""
        self._sensor, self._at, self.fed_ml = _sensor(self._settings), -math.inf, 0.0
        self._pumped_ml, self._pumped_s = dict.fromkeys(self._ml_per_h, 0.0), 0.0

    def count(self, dt: float, held: Mapping[str, float]) -> None:
        """Count what was pumped in ``dt`` s by the flows ``held``, each in its own unit."""
        self._pumped_s += dt
        pumped = self._pumped_ml
        for name, ml_per_h in self._ml_per_h.items():
            if flow := held.get(name):  # most pumps stand still
                pumped[name] += flow * ml_per_h * dt / 3600.0

    def update(
        self, now: float, samples: Mapping[str, Sample], induced: bool, feed: str | None
    ) -> None:
        """Update the estimate when its period is over.

        Args:
            now: s since 1970 UTC.
            samples: of this scan, by tag name.
            induced: whether the product's expression is switched on.
            feed: tag name of the main feed.
        """
        if now - self._at < self._period or self._sensor is None:
            return
        pumped, seconds = self._pumped_ml, self._pumped_s
        flows = {n.partition(".")[2]: ml * 3600.0 / seconds for n, ml in pumped.items()}
        self.fed_ml += pumped.get(feed or "", 0.0)
        self._pumped_ml, self._pumped_s = dict.fromkeys(pumped, 0.0), 0.0
        self._at = now
        readings = {m: samples[t] for m, t in self._settings.measured.items() if t in samples}
        self._take(self._sensor.update(now, readings, flows, induced))
        for text in self._sensor.news():
            self._note(now, text)
        self._tell_doubts(now)

    def _tell_doubts(self, now: float) -> None:
        """Record what the gate refused and who keeps disagreeing, each once in a while."""
        estimate = self.estimate
        if estimate is None:
            return
        doubts = {text.partition(":")[0]: f"refused: {text}" for text in estimate.rejected}
        doubts |= {s: f"{s} keeps disagreeing with all that is measured" for s in estimate.suspects}
        for what, text in doubts.items():
            if now - self._doubted.get(what, -math.inf) >= AGAIN_S:
                self._doubted[what] = now
                self._note(now, text)

    def enter(
        self, entry: Entry, now: float, batch: str, began: float, who: str, *, growing: bool
    ) -> Result:
        """Take a result of the laboratory in, see ``Laboratory.enter``.

        Args:
            entry: as somebody gives it.
            now: s since 1970 UTC.
            batch: the present one.
            began: when it was inoculated.
            who: enters it.
            growing: there is something to estimate.
        """
        result = self.laboratory.enter(entry, now, batch, began, who)
        if self._sensor is None or not growing:
            return result
        self._sensor.drop(result.corrects)
        if why := self._sensor.take(result, self.laboratory.analytes[result.analyte]):
            self._note(now, f"{result.analyte}, result {result.number}: {why}")
        return result

    def culture(self) -> Culture:
        """Return what is known well enough of the cells to correct a feed."""
        estimate = self.estimate
        if estimate is None or estimate.stale_s > STALE_S:
            return UNKNOWN
        biomass, spread, *_ = self.intervals["biomass_g_per_l"]
        if not biomass > 0.0 or spread > UNSURE * biomass:
            return UNKNOWN
        e = self.values
        left = max(e.get("acetate_g_per_l", 0.0), e.get("ethanol_g_per_l", 0.0))
        leftover = left > LEFT_BY_PRODUCT or e["substrate_g_per_l"] > LEFT_SUBSTRATE
        return Culture(biomass * e["volume_l"], estimate.mu_per_h, leftover)

    def report(self) -> dict[str, float]:
        """Return what is believed of the batch so far; units in the keys."""
        values, model = self.values, self._settings.model
        volume = values.get("volume_l", math.nan)
        product = values.get("product_g_per_l", math.nan) * volume
        left = values.get("substrate_g_per_l", math.nan) * volume
        eaten = math.nan
        if model is not None:
            start = model.substrate_g_per_l * model.volume_l
            eaten = start + self.fed_ml / 1000.0 * model.feed_substrate_g_per_l - left
        return {
            "product_g": product,
            "titre_g_per_l": values.get("product_g_per_l", math.nan),
            "biomass_g_per_l": values.get("biomass_g_per_l", math.nan),
            "volume_l": volume,
            "yield_product_per_substrate_g_per_g": product / eaten if eaten > 0 else math.nan,
        }

    def as_state(self) -> dict[str, Any]:
        """Return what a restart needs, as JSON."""
        return {
            "fed_ml": self.fed_ml,
            "estimate": None if self.estimate is None else self.estimate.as_state(),
            "laboratory": self.laboratory.as_state(),
        }

    def restore(self, state: Mapping[str, Any], now: float) -> Callable[[], None]:
        """Read the state of ``as_state`` and return what takes it.

        Raises:
            KeyError, TypeError, ValueError: it is damaged; nothing has changed.
        """
        sensor = _sensor(self._settings)
        if state["estimate"] is None:
            sensor = None
        elif sensor is not None:
            sensor.resume(state["estimate"], now)
        laboratory = Laboratory(self._name, self.laboratory.analytes)
        if "laboratory" in state:  # an older version kept none
            laboratory.restore(state["laboratory"])
        fed_ml = float(state["fed_ml"])

        def take() -> None:
            self._sensor = sensor or self._sensor
            self.laboratory, self.fed_ml = laboratory, fed_ml

        return take

    def _take(self, estimate: Estimate) -> None:
        self.estimate = estimate
        self.intervals = estimate.believed(self._names)
        self.values = {name: about.value for name, about in self.intervals.items()}

    def _note(self, now: float, text: str) -> None:
        self._tell(Event(now, "estimator", Kind.NOTE, self._name, text))


def estimated(reactor: ReactorSettings) -> dict[str, tuple[str, str]]:
    """Return suffix and unit of what is estimated, by name; none without a model."""
    return {} if reactor.model is None else reported(reactor.model.organism)


def estimator_settings(
    model: ModelSettings, calibration_bar: float, **changes: Any
) -> EstimatorSettings:
    """Return what a plant file says of the soft sensor, and what is changed of it."""
    own = {f.name for f in fields(EstimatorSettings)} & set(ModelSettings.model_fields)
    given: dict[str, Any] = {name: getattr(model, name) for name in own}
    given |= {"calibration_bar": calibration_bar, **changes}
    return EstimatorSettings(**given)


def _sensor(reactor: ReactorSettings) -> Hindsight | None:
    """Return a soft sensor that has seen nothing, if the plant file has a model."""
    if reactor.model is None:
        return None
    base = 1e3 * reactor.report.ammonia_mol_per_l.get("base", 0.0)
    settings = estimator_settings(reactor.model, reactor.do_calibration_bar, base_mmol_per_l=base)
    return Hindsight(Estimator(settings, tuple(reactor.measured)))
