"""What a batch achieved and what it cost, reckoned from what was measured (PROCESS 7).

Nothing here knows the truth of a simulated plant: a figure is as good as the instruments, the
laboratory and the estimator are. What cannot be reckoned is left out.
"""

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from controller.gas import BROTH, KILOGRAMS, PER_MINUTE
from controller.settings import LoopSettings, ReactorSettings
from controller.units import ML_PER_H
from fermloop.batch_report.minutes import MINUTE_H, Minutes
from historian.batch import BatchRecord
from models.bioreactor import COOLING_COP
from models.fn import SCALARS
from models.heat import compression
from models.oxygen import actual_flow, gassed_share, stirrer_power
from models.vessels import VESSELS, Stirred

POWER: Final = {"W": 1e-3, "kW": 1.0}  # kW of one of a meter's units
CONSUMERS: Final = ("stirring", "aeration", "heating", "chilling")
AMMONIA_KG_PER_MOL: Final = 0.017031
CO2_KG_PER_MOL: Final = 0.04401
SETTLING_MIN: Final = 60  # of a loop are not judged
DEVIATION_MIN: Final = 5  # out of band for so long is one


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        key: of its name in the catalogue.
        value: in ``unit``; ``None`` where it cannot be reckoned.
        unit: as people read it.
        note: key of where it is from, in the catalogue; empty: plain.
    """

    key: str
    value: float | None
    unit: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class LoopFigures:
    """How a loop held its setpoint, after the first hour.

    Attributes:
        name: of the loop.
        unit: of what it measures.
        in_band: share of the time; ``None`` where the plant file gives no band.
        iae: integral of the absolute error, unit times h.
        largest: greatest deviation of a minute's mean.
        travel: sum of the changes of its output, in % or its unit.
        not_good_min: minutes without a good measurement.
    """

    name: str
    unit: str
    in_band: float | None
    iae: float
    largest: float
    travel: float
    not_good_min: int


@dataclass(frozen=True, slots=True)
class Deviation:
    """A loop out of its band, or a stretch of another kind.

    ``text_zh`` is empty where ``text`` is a name that needs no words. Times in s since 1970 UTC.
    """

    kind: str
    subject: str
    began: float
    ended: float | None
    text: str = ""
    text_zh: str = ""


def settings_of(record: BatchRecord) -> ReactorSettings | None:
    """Return what the plant file of the batch says of its reactor, if this version reads it."""
    try:
        table: dict[str, Any] = tomllib.loads(record.plant_file.text)
        return ReactorSettings.model_validate(table["reactor"][record.batch.reactor])
    except (KeyError, ValueError):
        return None


class Reckoning:
    """All figures of a batch.

    Args:
        record: of the batch.
        minutes: its samples.
        settings: what its plant file says; without it there is less to be said.
    """

    def __init__(
        self, record: BatchRecord, minutes: Minutes, settings: ReactorSettings | None
    ) -> None:
        self.record, self.minutes, self.settings = record, minutes, settings
        self.hours = (minutes.end - record.batch.began) / 3600.0
        self.vessel = self._vessel()
        self.volume_l = self._volume()
        self.energy_kwh = self._energy()

    def figures(self) -> list[Figure]:
        """Return the figures in the order in which they are shown."""
        product, made, eaten = self.product_g, self._made_g(), self._eaten_g()
        report = self.settings.report if self.settings else None
        most = self.settings.volume_max_l if self.settings else None
        grown = self._grown_gh()
        cycle = self.hours + (report.turnaround_h if report else 0.0)
        energy = sum(self.energy_kwh.values()) if self.energy_kwh else None
        kg = made / 1e3 if made and made > 0.0 else None
        return [
            Figure("duration", self.hours, "h"),
            Figure("titre_laboratory", self._assay("product"), "g/L", "laboratory"),
            Figure("titre", self.minutes.last("est.product"), "g/L", "estimated"),
            Figure("volume", self.volume_l, "L"),
            Figure("product", product, "g", "estimated"),
            Figure("biomass", self.minutes.last("est.biomass"), "g/L", "estimated"),
            Figure("fed", self.fed_g, "g"),
            Figure("yield", _ratio(made, eaten), "g/g", "estimated"),
            Figure("sty", _ratio(product, most and most * cycle), "g/(L·h)", "turnaround"),
            Figure("qp", _ratio(made, grown), "g/(g·h)", "estimated"),
            Figure("energy", energy, "kWh", "reckoned"),
            Figure("energy_per_kg", _ratio(energy, kg), "kWh/kg", "reckoned"),
            Figure("co2e_per_kg", _ratio(self._co2e_kg(), kg), "kg/kg", "factors"),
            Figure("biogenic_per_kg", _ratio(self._biogenic_kg(), kg), "kg/kg", "biogenic"),
        ]

    @property
    def product_g(self) -> float | None:
        """Product in the vessel at the end, g."""
        titre = self.minutes.last("est.product")
        titre = self._assay("product") if titre is None else titre
        return None if titre is None or self.volume_l is None else titre * self.volume_l

    @property
    def fed_g(self) -> float | None:
        """Substrate fed, g."""
        model = self.settings.model if self.settings else None
        feed = (
            self.settings.optimiser.feed_loop
            if self.settings and self.settings.optimiser
            else "feed"
        )
        litres = self.litres(feed)
        return None if model is None or litres is None else litres * model.feed_substrate_g_per_l

    def litres(self, name: str) -> float | None:
        """Return what went through a pump, L."""
        tag = self.minutes.tags.get(name)
        total = self.minutes.integral(name)
        if tag is None or total is None or tag.unit not in ML_PER_H:
            return None
        return total * ML_PER_H[tag.unit] / 1e3

    def loops(self) -> Iterator[LoopFigures]:
        """Yield how each loop that measures something held its setpoint."""
        for name, loop, measured in self._measuring():
            errors = list(self.minutes.rows(measured, f"{name}.sp"))[SETTLING_MIN:]
            if not errors:
                continue
            off = [abs(pv - sp) for pv, sp in errors]
            inside = None if loop.band is None else sum(e <= loop.band for e in off) / len(off)
            outputs = [op for (op,) in self.minutes.rows(f"{name}.op")]
            travel = sum(abs(b - a) for a, b in pairwise(outputs))
            yield LoopFigures(
                name,
                self.minutes.tags[measured].unit,
                inside,
                sum(off) * MINUTE_H,
                max(off),
                travel,
                self.minutes.not_good_min(measured),
            )

    def deviations(self) -> list[Deviation]:
        """Return where the batch left its path, by time."""
        found = [d for name, loop, pv in self._measuring() for d in self._outside(name, loop, pv)]
        for event in self.record.events:
            data = event["data"]
            if event["kind"] == "gap":
                began = float(str(data.get("start", event["time"])))
                found.append(
                    Deviation("gap", event["subject"], began, event["time"], event["text"])
                )
            elif event["kind"] == "phase" and data.get("state") in ("HELD", "ABORTED"):
                kind = str(data["state"]).lower()
                found.append(Deviation(kind, event["subject"], event["time"], None, event["text"]))
        for alarm in self.record.alarms:
            if alarm.priority == "critical" or ".interlock." in alarm.id:
                text = (alarm.text, alarm.text_zh)
                found.append(Deviation("alarm", alarm.subject, alarm.began, alarm.ended, *text))
        return sorted(found, key=lambda d: d.began)

    # ---- parts

    def _vessel(self) -> Stirred | None:
        if self.settings is None:
            return None
        name = self.settings.report.vessel
        if not name and self.settings.model is not None:
            name = self.settings.model.vessel
        return VESSELS.get(name or "")

    def _volume(self) -> float | None:
        litres = self.minutes.last("est.volume")
        if litres is not None:
            return litres
        weight = self._measured("weight")
        kg = None if weight is None else self.minutes.last(weight)
        if weight is None or kg is None:
            return None
        return kg * KILOGRAMS.get(self.minutes.tags[weight].unit, math.nan) / BROTH

    def _measured(self, meaning: str) -> str | None:
        """Return the name, without the reactor, of the tag that measures something."""
        name = self.settings.measured.get(meaning) if self.settings else None
        suffix = name.partition(".")[2] if name else ""
        return suffix if suffix in self.minutes.tags else None

    def _measuring(self) -> Iterator[tuple[str, LoopSettings, str]]:
        for name, loop in (self.settings.loop if self.settings else {}).items():
            measured = loop.measured.partition(".")[2] if loop.measured else ""
            if self.minutes.has(measured) and self.minutes.has(f"{name}.sp"):
                yield name, loop, measured

    def _outside(self, name: str, loop: LoopSettings, measured: str) -> Iterator[Deviation]:
        """Yield the stretches in which the minutes' means were out of the band."""
        if loop.band is None:
            return
        m = self.minutes
        began: int | None = None
        worst = 0.0
        pairs = [*zip(m.mean(measured), m.mean(f"{name}.sp"), strict=True), (None, None)]
        for i, (pv, sp) in enumerate(pairs):
            error = 0.0 if pv is None or sp is None or i < SETTLING_MIN else pv - sp
            if abs(error) > loop.band:
                began = i if began is None else began
                worst = max(worst, error, key=abs)
            elif began is not None:
                if i - began >= DEVIATION_MIN:
                    text = f"{worst:+.3g} {m.tags[measured].unit}".replace("-", "−")
                    ended = m.times[i - 1] + 30.0
                    yield Deviation("band", name, m.times[began] - 30.0, ended, text)
                began, worst = None, 0.0

    def _assay(self, analyte: str) -> float | None:
        """Return the last valid result of the laboratory."""
        valid = [
            s for s in self.record.samples if s["analyte"] == analyte and not s.get("corrected_by")
        ]
        return float(valid[-1]["value"]) if valid else None

    def _made_g(self) -> float | None:
        """Return the product made, g; ``None`` while nobody can tell it from none."""
        titre, spread = self.minutes.last("est.product"), self.minutes.last("est.product.sd")
        if titre is not None and spread is not None and titre < 2.0 * spread:
            return None
        first = next((v for v in self.minutes.mean("est.product") if v is not None), None)
        if self.product_g is None:
            return None
        start = self.settings.model.volume_l if self.settings and self.settings.model else 0.0
        return self.product_g - (first or 0.0) * start

    def _eaten_g(self) -> float | None:
        model = self.settings.model if self.settings else None
        if model is None or self.fed_g is None or self.volume_l is None:
            return None
        left = (self.minutes.last("est.substrate") or 0.0) * self.volume_l
        return model.volume_l * model.substrate_g_per_l + self.fed_g - left

    def _grown_gh(self) -> float | None:
        """Return the integral of the biomass in the vessel, g·h."""
        rows = list(self.minutes.rows("est.biomass", "est.volume"))
        return sum(x * v for x, v in rows) * MINUTE_H if rows else None

    def _energy(self) -> dict[str, float]:
        """Return the electricity of each consumer that can be reckoned, kWh."""
        given = self.settings.report.power if self.settings else {}
        found: dict[str, float] = {}
        for consumer in CONSUMERS:
            tag = self.minutes.tags.get(given.get(consumer, "").partition(".")[2])
            if tag is not None:
                kwh = self.minutes.integral(tag.name.partition(".")[2])
                value = None if kwh is None else kwh * POWER[tag.unit]
            else:
                value = getattr(self, f"_{consumer}_kwh")()
            if value is not None:
                found[consumer] = value
        return found

    def _stirring_kwh(self) -> float | None:
        names = [self._measured(m) for m in ("agitation", "air_flow", "temperature")]
        w, volume = self.vessel, ["est.volume"] if self.minutes.has("est.volume") else []
        turns, air, warm = names
        if w is None or turns is None or air is None or warm is None:
            return None
        per_minute = PER_MINUTE.get(self.minutes.tags[air].unit, math.nan)
        watts = 0.0
        for n, gas, warmth, *level in self.minutes.rows(turns, air, warm, *volume):
            litres = level[0] if level else (self.volume_l or w.start_volume_l)
            pressure = w.pressure_bar + w.static_bar(litres)
            flow = actual_flow(max(gas, 0.0) * per_minute, warmth, pressure)
            d = w.impeller_diameter_m
            share = gassed_share(n / 60.0, flow, litres * 1e-3, d, SCALARS)
            watts += stirrer_power(n / 60.0, d, w.power_number, w.impellers) * share
        return watts * MINUTE_H / w.motor_efficiency / 1e3

    def _aeration_kwh(self) -> float | None:
        air = self._measured("air_flow")
        if self.vessel is None or air is None:
            return None
        per_minute = PER_MINUTE.get(self.minutes.tags[air].unit, math.nan)
        total = self.minutes.integral(air)
        if total is None:
            return None
        return compression(total * per_minute, self.vessel.supply_bar) / 1e3

    def _heating_kwh(self) -> float | None:
        share = self.minutes.integral("heater")
        watts = self._of_vessel("heater")
        return None if share is None or watts is None else share / 100.0 * watts / 1e3

    def _chilling_kwh(self) -> float | None:
        per_kelvin, coolant = self._of_vessel("cooler"), self._of_vessel("T_coolant")
        rows = list(self.minutes.rows("cooling", "jacket_temperature"))
        if per_kelvin is None or coolant is None or not rows:
            return None
        watts = sum(share / 100.0 * per_kelvin * max(Tj - coolant, 0.0) for share, Tj in rows)
        return watts * MINUTE_H / COOLING_COP / 1e3

    def _of_vessel(self, name: str) -> float | None:
        known: Sequence[Any] = self.vessel.parameters if self.vessel else ()
        return next((p.default for p in known if p.name == name), None)

    def _co2e_kg(self) -> float | None:
        """Return the CO2e of electricity, substrate and ammonia, kg."""
        model = self.settings.model if self.settings else None
        if self.settings is None or model is None or self.fed_g is None or not self.energy_kwh:
            return None
        r = self.settings.report
        sugar_kg = (model.volume_l * model.substrate_g_per_l + self.fed_g) / 1e3
        base = (self.litres("base") or 0.0) * r.base_mol_per_l
        return (
            r.grid_co2e_kg_per_kwh * sum(self.energy_kwh.values())
            + r.substrate_co2e_kg_per_kg * sugar_kg
            + r.ammonia_co2e_kg_per_kg * base * AMMONIA_KG_PER_MOL
        )

    def _biogenic_kg(self) -> float | None:
        rows = list(self.minutes.rows("cer", "est.volume"))
        if not rows:
            return None
        return sum(cer * v for cer, v in rows) * MINUTE_H * 1e-3 * CO2_KG_PER_MOL


def counts(record: BatchRecord) -> Mapping[str, int]:
    """Return how many alarms of each priority there were."""
    order = ("critical", "high", "medium", "low")
    return {p: n for p in order if (n := sum(a.priority == p for a in record.alarms))}


def _ratio(over: float | None, under: float | None) -> float | None:
    return None if over is None or not under or under <= 0.0 else over / under
