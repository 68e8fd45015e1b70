"""A batch as the store has it becomes an experiment of the control model.

What was done is taken from the pumps, corrected by the feed's balance, and from the probes that the
loops held; the volume follows the vessel's balance, so that evaporation, foam-outs and samples need
no model. What was seen are the gases, probes in the broth and the laboratory's late results.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from controller.plant_file.settings import AnalyteSettings, ModelSettings, ReactorSettings
from controller.plant_file.units import KG
from controller.sensing.gas import PER_MINUTE
from controller.sensing.laboratory import PER
from fermloop.commissioning.columns import before, medians, summed
from fermloop.commissioning.record import Assay, Floats, Record
from models.bioreactor import M_CO2
from models.culture import Culture
from models.fitting import Experiment, Series
from models.fn import ARRAYS
from models.offgas import MOL_PER_H, uptake_from_gas
from models.oxygen import AIR_O2, saturation
from models.transfer import M_O2
from models.vessels import DENSITY, LIQUID_L_PER_H, VESSELS
from models.watched import WatchedOrganism

SUPPLIES: Final = ("acid", "antifoam", "medium", "seed")  # pumps beside feeds, base and harvest
MEASURED: Final = ("do", "temperature", "ph", "weight", "feed_weight", "offgas_o2", "offgas_co2")
GASES: Final = ("air_flow", "oxygen_flow")
MADE: Final = ("our", "cer")
DRY: Final = "dry_weight"
SPARSE_H: Final = 0.3  # between two values of an instrument: more say no more
LEAST_DO: Final = 0.2  # % of air saturation
GAS_CV: Final = 0.04  # of OUR and CER: flow and volume
GAS_SD: Final = 0.5  # likewise beside that, mmol/(L.h)
SETTLED_H: Final = 0.5  # until the line to the analyser is full of the vessel's gas
SMOOTH_H: Final = 3.0  # over which a balance is believed rather than the pumps
FACTORS: Final = (0.7, 1.3)  # of a feed pump: beyond, the bottle was touched
GAP: Final = 0.2  # share of a column that may be missing
UNSAID: Final = AnalyteSettings.model_validate({"unit": "g/L", "high": 100.0})
FEWEST: Final = 8  # values that a fit needs of a batch


@dataclass(frozen=True)
class Prepared:
    """An experiment, and what people should know of how it was made.

    Attributes:
        experiment: for the fit.
        record: that it was made of.
        notes: what was left out or filled, a line each.
    """

    experiment: Experiment
    record: Record
    notes: Sequence[str]


def control_model(model: ModelSettings, organism: WatchedOrganism) -> Culture:
    """Return what is fitted: the organism, with what is in this plant's bottles."""
    sugar = organism.feeds[0].brings[organism.called["substrate"]]
    medium = VESSELS[model.vessel].medium
    return Culture(organism, {**medium, sugar: model.feed_substrate_g_per_l})


def wanted(reactor: ReactorSettings, organism: WatchedOrganism) -> list[str]:
    """Return the tags, without their reactor, that an experiment is made of."""
    meanings = [*MEASURED, *GASES, *organism.watched.probes]
    read = [_suffix(reactor.measured[m]) for m in meanings if m in reactor.measured]
    pumps = [*(pump(f.name, reactor) for f in organism.feeds), "base", "harvest", *SUPPLIES]
    led = [name for loop in reactor.planned for name in applied(loop, reactor)]
    return list(dict.fromkeys([*read, *pumps, *MADE, *led]))


def analytes(reactor: ReactorSettings, organism: WatchedOrganism) -> list[str]:
    """Return what the laboratory may have found."""
    laboratory = reactor.laboratory
    return list(organism.watched.assays if laboratory is None else laboratory.analyte)


def prepare(
    record: Record, reactor: ReactorSettings, model: ModelSettings, organism: WatchedOrganism
) -> Prepared:
    """Return the experiment that a batch was.

    Args:
        record: of the batch.
        reactor: its table of the plant file: meanings, units and the laboratory.
        model: what was in the vessel at inoculation.
        organism: whose model is to be fitted.

    Raises:
        ValueError: a line for each thing that is missing or has a unit that nobody knows.
    """
    return _Preparation(record, reactor, model, organism).prepared()


class _Preparation:
    """The columns of one batch on their way into an experiment."""

    def __init__(
        self,
        record: Record,
        reactor: ReactorSettings,
        model: ModelSettings,
        organism: WatchedOrganism,
    ) -> None:
        self.record, self.reactor, self.model, self.organism = record, reactor, model, organism
        self.rows = len(next(iter(record.values.values())))
        self.notes: list[str] = []
        self.wrong: list[str] = []

    def prepared(self) -> Prepared:
        """Return the experiment, or raise with everything that is wrong."""
        medium = {v.name: v.default for v in self.organism.medium}
        feeds = {f.name: self._flow(pump(f.name, self.reactor)) for f in self.organism.feeds}
        main = self.organism.feeds[0]
        if not feeds[main.name].any():
            self.wrong.append(f"{main.name}: no flow was stored; a batch without feed says little")
        feeds[main.name] *= self._factor(feeds[main.name], medium.get(main.density, 1.0))
        base, harvest = self._flow("base"), self._flow("harvest")
        other = sum((self._flow(name) for name in SUPPLIES), np.zeros(self.rows))
        warm, acidity = self._held("temperature"), self._held("ph")
        full = saturation(warm, AIR_O2, self.reactor.do_calibration_bar, ARRAYS)
        dissolved = np.maximum(self._held("do"), LEAST_DO) / 100.0 * full
        if self.wrong:
            raise ValueError("\n".join(f"{self.record.name}: {line}" for line in self.wrong))
        heavier = {f.name: medium[f.density] - DENSITY for f in self.organism.feeds if f.density}
        gain = sum((feeds[n] * d for n, d in heavier.items()), self._breathed())
        inflow = sum(feeds.values(), base + other)
        start, volume, unexplained = self._volume(inflow, harvest, gain)
        columns = [*feeds.values(), base, other + unexplained, harvest, dissolved, warm, acidity]
        series = [*self._gases(volume), *self._probes(), *self._assays()]
        if (count := sum(len(s.hours) for s in series)) < FEWEST:
            raise ValueError(
                f"{self.record.name}: {count} values of gas, probes and laboratory; at least "
                f"{FEWEST} are required"
            )
        called = self.organism.called
        begin = {
            "V": start,
            called["substrate"]: self.model.substrate_g_per_l,
            called["biomass"]: self.model.biomass_g_per_l,
        }
        step = self.record.step_h
        experiment = Experiment(self.record.name, step, np.column_stack(columns), begin, series)
        experiment.check(Culture(self.organism))
        notes = [f"{self.record.name}: {line}" for line in self.notes]
        return Prepared(experiment, self.record, notes)

    def _column(self, name: str) -> Floats | None:
        return self.record.values.get(name)

    def _flow(self, name: str) -> Floats:
        """Return a pump's flow, L/h; a gap is what it was before."""
        column = self._column(name)
        if column is None:
            return np.zeros(self.rows)
        factor = LIQUID_L_PER_H.get(self.record.units[name])
        if factor is None:
            known = ", ".join(LIQUID_L_PER_H)
            self.wrong.append(f"{name}: unit {self.record.units[name]} is no flow; {known} are")
            return np.zeros(self.rows)
        return factor * before(column)

    def _held(self, meaning: str) -> Floats:
        """Return what was held; a gap is on the line between its ends."""
        name = _suffix(self.reactor.measured.get(meaning, meaning))
        column = self._column(name)
        good = np.zeros(0, bool) if column is None else np.isfinite(column)
        if column is None or not good.any():
            self.wrong.append(f"{meaning}: nothing was stored ({name}); the model needs it")
            return np.ones(self.rows)
        lost = 1.0 - float(good.mean())
        if lost > GAP:
            self.notes.append(f"{meaning}: {100.0 * lost:.0f} % is missing; filled by lines")
        at = np.arange(self.rows)
        return np.interp(at, at[good], column[good])

    def _mass(self, meaning: str) -> Floats | None:
        """Return what a balance showed, kg; ``None`` without one."""
        name = _suffix(self.reactor.measured.get(meaning, meaning))
        column = self._column(name)
        if column is None or np.isfinite(column).mean() < 0.5:
            return None
        unit = self.record.units[name]
        if unit not in KG:
            self.wrong.append(f"{name}: unit {unit} is no mass; {', '.join(KG)} are")
            return None
        at, good = np.arange(self.rows), np.isfinite(column)
        return KG[unit] * np.interp(at, at[good], column[good])

    def _factor(self, flow: Floats, density: float) -> Floats:
        """Return true flow over the pump's figure by the bottle's balance; 1 without one."""
        mass, step = self._mass("feed_weight"), self.record.step_h
        if mass is None:
            return np.ones(self.rows)
        lost = -np.diff(mass, prepend=mass[0]) / density
        told = np.concatenate([[0.0], 0.5 * (flow[1:] + flow[:-1])]) * step  # middle to middle
        most = 2.0 * told + 3.0 * float(np.median(np.abs(lost - told))) + 1e-9
        untouched = np.abs(lost - told) < most  # not a new bottle, nor a hand on the bench
        width = max(3, round(SMOOTH_H / step)) | 1
        given = summed(np.where(untouched, told, 0.0), width)
        fed = summed(np.where(untouched, lost, 0.0), width)
        enough = given > 0.02 * max(float(told.sum()), 1e-12)
        factor = np.where(enough, fed / np.maximum(given, 1e-12), np.nan)
        if not np.isfinite(factor).any():
            return np.ones(self.rows)
        at, good = np.arange(self.rows), np.isfinite(factor)
        found = np.interp(at, at[good], factor[good])
        mean = float(np.average(found, weights=flow + 1e-12))
        if abs(mean - 1.0) > 0.02:
            self.notes.append(f"the feed pump gave {mean:.3f} times its figure, by its balance")
        return np.clip(found, *FACTORS)

    def _volume(
        self, inflow: Floats, harvest: Floats, gain: Floats
    ) -> tuple[float, Floats, Floats]:
        """Return volume at the start (L), in each row, and the inflow that no pump explains (L/h).

        Args:
            inflow: of all pumps, L/h.
            harvest: L/h.
            gain: what flows in beyond medium of its volume, kg/h.
        """
        mass, step = self._mass("weight"), self.record.step_h
        told = np.cumsum(inflow - harvest) * step
        if mass is None:
            self.notes.append("weight: not stored; the volume is by the pumps alone")
            return self.model.volume_l, self.model.volume_l + told, np.zeros(self.rows)
        excess, left = np.zeros(self.rows), 0.0
        for k in range(self.rows):
            left += (gain[k] - harvest[k] / max(mass[k], 1e-3) * left) * step
            excess[k] = left
        shown = (mass - excess) / DENSITY
        width = max(3, round(SMOOTH_H / step)) | 1
        off = medians(shown - told, width)
        start = float(off[0])
        unexplained = np.diff(off, prepend=off[0]) / step
        return start, off + told, unexplained

    def _breathed(self) -> Floats:
        """Return what oxygen brings in beyond what leaves as CO2, kg/h."""
        our, cer, mass = self._column("our"), self._column("cer"), self._mass("weight")
        if our is None or cer is None or mass is None:
            return np.zeros(self.rows)
        return np.nan_to_num(our * M_O2 - cer * M_CO2) * 1e-6 * mass / DENSITY

    def _gases(self, volume: Floats) -> Iterator[Series]:
        """Yield oxygen uptake and CO2 as the gases say, with what their analyser may be off."""
        air, pure = self._gas_flow("air_flow"), self._gas_flow("oxygen_flow")
        our, cer = self._column("our"), self._column("cer")
        y_o2 = self._column(_suffix(self.reactor.measured.get("offgas_o2", "")))
        y_co2 = self._column(_suffix(self.reactor.measured.get("offgas_co2", "")))
        if our is None and cer is None and y_o2 is not None and y_co2 is not None and air.any():
            found = uptake_from_gas(air, pure, y_o2 / 100.0, y_co2 / 100.0, volume, ARRAYS)
            our, cer = (np.asarray(c, dtype=np.float64) for c in found)
        m = self.model
        off_by = ((our, m.offgas_offset_percent), (cer, m.offgas_co2_offset_percent))
        for name, (column, percent) in zip(("OUR", "CER"), off_by, strict=True):
            if column is None:
                self.notes.append(f"{name}: not stored")
                continue
            offset = percent / 100.0 * (air + pure) * MOL_PER_H * 1e3 / volume
            sd = np.hypot(GAS_CV * np.abs(column), GAS_SD) + offset
            yield from self._instrument(name, (), column, sd)

    def _gas_flow(self, meaning: str) -> Floats:
        name = _suffix(self.reactor.measured.get(meaning, ""))
        column = self._column(name)
        if column is None:
            return np.zeros(self.rows)
        return PER_MINUTE.get(self.record.units[name], 1.0) * before(column)

    def _probes(self) -> Iterator[Series]:
        m = self.model
        for meaning, states in self.organism.watched.probes.items():
            name = _suffix(self.reactor.measured.get(meaning, ""))
            column = self._column(name)
            if column is not None and self.record.units[name] in PER["g/L"]:
                column = PER["g/L"][self.record.units[name]] * column
                sd = m.probe_noise + m.probe_cv * np.abs(column)
                yield from self._instrument(f"{meaning}_probe", states, column, sd)

    def _instrument(
        self, name: str, of: Sequence[str], column: Floats, sd: Floats
    ) -> Iterator[Series]:
        hours = (np.arange(self.rows, dtype=np.float64) + 0.5) * self.record.step_h
        kept = np.isfinite(column) & np.isfinite(sd) & (hours > SETTLED_H)
        every = max(1, round(SPARSE_H / self.record.step_h))
        kept &= np.arange(self.rows) % every == 0
        if kept.any():
            yield Series(name, hours[kept], column[kept], sd[kept], dense=True, of=tuple(of))

    def _assays(self) -> Iterator[Series]:
        """Yield the laboratory's results, each analyte one series."""
        laboratory = self.reactor.laboratory
        known: Mapping[str, AnalyteSettings] = {} if laboratory is None else laboratory.analyte
        assays = self.organism.watched.assays
        by_name: dict[str, list[Assay]] = {}
        for a in self.record.assays:
            by_name.setdefault(a.analyte, []).append(a)
        for name, found in by_name.items():
            s = known.get(name) or UNSAID
            states = assays.get(name if s.g_per_l is None else DRY)
            if states is None:
                continue  # recorded, and of no use to the model
            hours, values, sds = (
                np.array(column, np.float64)
                for column in zip(*(self._read(a, s) for a in found), strict=True)
            )
            inside = (hours >= 0.0) & (hours <= self.record.hours) & np.isfinite(values)
            if lost := int((~inside).sum()):
                self.notes.append(f"{name}: {lost} results are of no time of the batch; left out")
            if inside.any():
                yield Series(name, hours[inside], values[inside], sds[inside], of=tuple(states))

    def _read(self, a: Assay, s: AnalyteSettings) -> tuple[float, float, float]:
        """Return hours, value and sd of a result, g/L."""
        per = PER.get(s.unit, {s.unit: 1.0}).get(a.unit)
        if per is None:
            allowed = ", ".join(PER.get(s.unit, {s.unit: 1.0}))
            raise ValueError(
                f"{self.record.name}: {a.analyte}: unit {a.unit} cannot become {s.unit}; {allowed}"
            )
        value = per * a.value * (s.g_per_l or 1.0)
        if a.below_limit:
            # as wide as all that it can be: nothing there is no disagreement with the model
            return a.hours, 0.5 * value, value
        floor = max(0.01, 5e-4 * s.high * (s.g_per_l or 1.0))
        return a.hours, value, s.cv * value + floor


def _suffix(tag: str) -> str:
    return tag.partition(".")[2] or tag


def pump(feed: str, reactor: ReactorSettings) -> str:
    """Return the tag of a feed's pump, without its reactor."""
    loop = reactor.loop.get(feed)
    actuator = loop.outputs[0].actuator if loop is not None else None
    return feed if actuator is None else _suffix(actuator)


def applied(loop: str, reactor: ReactorSettings) -> list[str]:
    """Return the tags that say what a loop was set to, without their reactor, the best first.

    What a pump was given; of a loop with a measurement its setpoint, or what it measured where a
    file of the past has no setpoints.
    """
    measured = reactor.loop[loop].measured
    if measured is None:
        return [pump(loop, reactor)]
    return [f"{loop}.sp", _suffix(measured)]
