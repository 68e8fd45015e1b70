"""What a batch achieved and what it cost, reckoned from what was measured (PROCESS 7).

Nothing here knows the truth of a simulated plant: a figure is as good as the instruments, the
laboratory and the estimator are. What cannot be reckoned is left out.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from controller.plant_file.settings import ReactorSettings, ReportSettings
from controller.plant_file.units import ML_PER_H
from controller.sensing.gas import BROTH, KILOGRAMS
from fermloop.batch_report.energy import Energy
from fermloop.batch_report.minutes import MINUTE_H, Minutes
from historian.batch import BatchRecord

ASSAYS: Final = {"product": "product", "biomass": "dry_weight"}  # what the laboratory calls them
AMMONIA_KG_PER_MOL: Final = 0.017031
CO2_KG_PER_MOL: Final = 0.04401
_LAB: Final = "laboratory"
_MASSES: Final = ((1e6, "t"), (1e3, "kg"), (0.0, "g"))


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
        self.report = settings.report if settings else ReportSettings.model_validate({})
        self.hours = (minutes.end - record.batch.began) / 3600.0
        self.volume_l = self._volume()
        self.energy_kwh = Energy(minutes, settings, self.volume_l).kwh

    def figures(self) -> list[Figure]:
        """Return the figures in the order in which they are shown."""
        made, eaten, fed = self._made_g(), self._eaten_g(), self.fed_g
        most = self.settings.volume_max_l if self.settings else None
        cycle = self.hours + self.report.turnaround_h
        energy = sum(self.energy_kwh.values()) if self.energy_kwh else None
        kg = made / 1e3 if made and made > 0.0 else None
        biomass = self.minutes.last("est.biomass")
        return [
            Figure("duration", self.hours, "h"),
            Figure("titre_laboratory", self._assay(ASSAYS[self.report.product]), "g/L", _LAB),
            Figure("titre", self.minutes.last(self._product), "g/L", "estimated"),
            Figure("volume", self.volume_l, "L"),
            _mass("product", self.product_g, self._from),
            _mass("drawn", self._drawn_g() or None, self._from),
            Figure("biomass", biomass, "g/L", "estimated")
            if biomass is not None
            else Figure("biomass", self._assay("dry_weight"), "g/L", _LAB),
            _mass("fed", fed),
            Figure("yield", _ratio(made, eaten), "g/g", self._from),
            Figure("sty", _ratio(self._got_g(), most and most * cycle), "g/(L·h)", "turnaround"),
            Figure("qp", _ratio(made, self._grown_gh()), "g/(g·h)", "estimated"),
            Figure("energy", energy, "kWh", "reckoned"),
            Figure("energy_per_kg", _ratio(energy, kg), "kWh/kg", "reckoned"),
            Figure("co2e", self._co2e_kg(), "kg", "factors"),
            Figure("co2e_per_kg", _ratio(self._co2e_kg(), kg), "kg/kg", "factors"),
            Figure("biogenic_per_kg", _ratio(self._biogenic_kg(), kg), "kg/kg", "biogenic"),
            Figure("margin", self._margin(), "", "prices"),
        ]

    @property
    def product_g(self) -> float | None:
        """Product in the vessel at the end, g."""
        titre = self.minutes.last(self._product)
        titre = self._assay(ASSAYS[self.report.product]) if titre is None else titre
        return None if titre is None or self.volume_l is None else titre * self.volume_l

    @property
    def fed_g(self) -> float | None:
        """Substrate fed, g: sugar, and what else of it the plant file names."""
        found = [
            litres * g_per_l
            for pump, g_per_l in self._substrates().items()
            if (litres := self.litres(pump)) is not None
        ]
        return sum(found) if found else None

    def litres(self, name: str) -> float | None:
        """Return what went through a pump, L."""
        tag = self.minutes.tags.get(name)
        total = self.minutes.integral(name)
        if tag is None or total is None or tag.unit not in ML_PER_H:
            return None
        return total * ML_PER_H[tag.unit] / 1e3

    # ---- parts

    @property
    def _product(self) -> str:
        return f"est.{self.report.product}"

    @property
    def _from(self) -> str:
        return "estimated" if self.minutes.has(self._product) else _LAB

    def _substrates(self) -> Mapping[str, float]:
        """Return g/L of substrate by pump."""
        settings = self.settings
        if self.report.substrate_g_per_l or settings is None or settings.model is None:
            return self.report.substrate_g_per_l
        pump = settings.optimiser.feed_loop if settings.optimiser else "feed"
        return {pump: settings.model.feed_substrate_g_per_l}

    def _start(self) -> tuple[float, float] | None:
        """Return volume, L, and substrate, g/L, at the start."""
        model = self.settings.model if self.settings else None
        litres = self.report.start_volume_l or (model.volume_l if model else None)
        sugar = self.report.start_substrate_g_per_l
        sugar = (model.substrate_g_per_l if model else None) if sugar is None else sugar
        return None if litres is None or sugar is None else (litres, sugar)

    def _volumes(self) -> Sequence[float | None]:
        """Return the broth of each minute, L, estimated or weighed."""
        if self.minutes.has("est.volume"):
            return self.minutes.mean("est.volume")
        weight = self.minutes.measured(self.settings, "weight")
        if weight is None:
            return [None] * len(self.minutes.times)
        each = KILOGRAMS.get(self.minutes.tags[weight].unit, math.nan) / BROTH
        return [None if kg is None else kg * each for kg in self.minutes.mean(weight)]

    def _volume(self) -> float | None:
        return next((v for v in reversed(self._volumes()) if v is not None), None)

    def _assay(self, analyte: str) -> float | None:
        """Return the last valid result of the laboratory."""
        valid = [
            s for s in self.record.samples if s["analyte"] == analyte and not s.get("corrected_by")
        ]
        return float(valid[-1]["value"]) if valid else None

    def _drawn_g(self) -> float:
        """Return the product that was drawn off before the end, g."""
        tag = self.minutes.tags.get("harvest")
        if tag is None or tag.unit not in ML_PER_H:
            return 0.0
        rows = self.minutes.rows("harvest", self._product)
        return sum(flow * titre for flow, titre in rows) * MINUTE_H * ML_PER_H[tag.unit] / 1e3

    def _got_g(self) -> float | None:
        return None if self.product_g is None else self.product_g + self._drawn_g()

    def _made_g(self) -> float | None:
        """Return the product made, g; ``None`` while nobody can tell it from none."""
        name, got, start = self._product, self._got_g(), self._start()
        titre, spread = self.minutes.last(name), self.minutes.last(f"{name}.sd")
        if got is None or (titre is not None and spread is not None and titre < 2.0 * spread):
            return None
        first = next((v for v in self.minutes.mean(name) if v is not None), None)
        return got - (first or 0.0) * (start[0] if start else 0.0)

    def _eaten_g(self) -> float | None:
        start = self._start()
        if start is None or self.fed_g is None or self.volume_l is None:
            return None
        left = (self.minutes.last("est.substrate") or 0.0) * self.volume_l
        return start[0] * start[1] + self.fed_g - left

    def _grown_gh(self) -> float | None:
        """Return the integral of the biomass in the vessel, g·h."""
        rows = list(self.minutes.rows("est.biomass", "est.volume"))
        return sum(x * v for x, v in rows) * MINUTE_H if rows else None

    def _co2e_kg(self) -> float | None:
        """Return the CO2e of electricity, heat, substrate and ammonia, kg."""
        start, r = self._start(), self.report
        if start is None or self.fed_g is None or not self.energy_kwh:
            return None
        heat = self.energy_kwh.get("heating", 0.0)
        power = sum(self.energy_kwh.values()) - heat
        heated = r.heating_co2e_kg_per_kwh
        ammonia = sum((self.litres(n) or 0.0) * c for n, c in r.ammonia_mol_per_l.items())
        return (
            r.grid_co2e_kg_per_kwh * power
            + (r.grid_co2e_kg_per_kwh if heated is None else heated) * heat
            + r.substrate_co2e_kg_per_kg * (start[0] * start[1] + self.fed_g) / 1e3
            + r.ammonia_co2e_kg_per_kg * ammonia * AMMONIA_KG_PER_MOL
        )

    def _margin(self) -> float | None:
        """Return what the product earns over feeds, energy and time, at the plant file's prices."""
        economy = self.settings.economy if self.settings else None
        product = self._got_g()
        if economy is None or product is None or self.volume_l is None or not self.energy_kwh:
            return None
        price = economy.price
        biomass = self.minutes.last("est.biomass") or self._assay("dry_weight") or 0.0
        if self.report.product == "biomass":
            earned = (price.product_per_kg or price.biomass_per_kg) * product / 1e3
        else:
            earned = price.product_per_kg * product / 1e3
            earned += price.biomass_per_kg * biomass * self.volume_l / 1e3
        feeds = sum((self.litres(n) or 0.0) * each for n, each in price.feed_per_l.items())
        energy = price.energy_per_kwh * sum(self.energy_kwh.values())
        return earned - feeds - energy - price.per_h * self.hours

    def _biogenic_kg(self) -> float | None:
        pairs = zip(self.minutes.mean("cer"), self._volumes(), strict=True)
        rows = [cer * litres for cer, litres in pairs if cer is not None and litres is not None]
        return sum(rows) * MINUTE_H * 1e-3 * CO2_KG_PER_MOL if rows else None


def _mass(key: str, grams: float | None, note: str = "") -> Figure:
    """Return a mass as people read it at that scale: g, kg or t."""
    least, unit = next((x for x in _MASSES if grams is not None and grams >= x[0]), _MASSES[-1])
    return Figure(key, None if grams is None else grams / max(least, 1.0), unit, note)


def _ratio(over: float | None, under: float | None) -> float | None:
    return None if over is None or not under or under <= 0.0 else over / under
