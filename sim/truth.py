"""What a run really did: the true figures of the report, gathered while the plant runs.

No controller sees any of it. Shares are fractions 0..1, times are of the plant. ``Truth.of``
watches a vessel by itself, whoever lets its time pass.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from models.vessels import LIQUID_L_PER_H
from sim.reckoning import Reckoning
from sim.vessel import Vessel

BANDS: Final = {"temperature": 0.2, "ph": 0.05, "do": 5.0}
SETTLING_H: Final = 1.0  # before it, bands and shares are not counted
POINT_S: Final = 600.0  # between two points of the trajectory
SLOW_S: Final = 10.0  # between two looks at what changes slowly
CONSUMERS: Final = ("stirring", "aeration", "heating", "chilling")
AMMONIA: Final = 17.03e-6  # kg/mmol
CO2: Final = 44.01e-6  # kg/mmol


class Truth:
    """The true record of one vessel; ``update`` counts the time since the last.

    Attributes:
        setpoints: by ``temperature`` (Cel), ``ph`` and ``do`` (%), from which the true shares in
            band are counted; may be changed while the plant runs.
        trajectory: ``age_h`` and by it every true figure of each 10 plant minutes: species by
            their words in g/L, ``product_g`` with what was harvested, the mean flow of every
            pump and of samples since the point before in L/h, energy since the start in kWh.

    Args:
        vessel: whose truth it is.
        volume_max_l: volume above which minutes are counted, L; what the vessel may hold if not
            given.
        reckoning: limits and factors.
        hours_from: age in h from which bands and shares count.
    """

    def __init__(
        self,
        vessel: Vessel,
        volume_max_l: float | None = None,
        reckoning: Reckoning | None = None,
        hours_from: float = SETTLING_H,
    ) -> None:
        self._vessel = vessel
        model, organism = vessel.model, vessel.model.organism
        self.reckoning = reckoning or Reckoning.model_validate({})
        usual = (organism.temperature, organism.acidity, 30.0)
        self.setpoints = dict(zip(BANDS, usual, strict=True))
        self._volume_max = volume_max_l or model.vessel.working_volume_l
        self._do_min = self.reckoning.do_min_percent
        self._by_product = tuple(organism.called)[-1]
        limit = self.reckoning.by_product_max(self._by_product)
        self._by_product_max = float("inf") if limit is None else limit
        self._from = vessel.time + 3600.0 * hours_from
        self._last = self._start = self._slow_from = vessel.time
        self._next_point = vessel.time + POINT_S
        self._slow_due = vessel.time + SLOW_S
        self._do_low_s = self._by_product_high_s = self._volume_high_s = 0.0
        self._counted_s = self._do_good_s = self._by_product_good_s = 0.0
        self._bands = tuple(BANDS.values())
        self._in_band_s = [0.0, 0.0, 0.0]
        self._place()
        self._sampled_at_start = dict(vessel.sampled)
        self._poured_at_start = dict(vessel.poured)
        self._start_product_g = self._product_g()
        self._start_eaten_g = self._eatable_g()
        self.trajectory: dict[str, list[float]] = {}
        self._point()

    def _place(self) -> None:
        """Find out where everything stands, and begin every sum with nothing."""
        model, organism = self._vessel.model, self._vessel.model.organism
        self._x, self._u, self._y = self._vessel.arrays()
        states = {v.name: k for k, v in enumerate(model.states)}
        inputs = {v.name: k for k, v in enumerate(model.inputs)}
        outputs = {v.name: k for k, v in enumerate(model.outputs)}
        self._words = {word: states[name] for word, name in organism.called.items()}
        self._biomass_at, self._product_at = self._words["biomass"], self._words["product"]
        self._by_product_at = self._words[self._by_product]
        self._T, self._pH, self._V = (states[n] for n in ("T", "pH", "V"))
        self._do, self._our_at, self._cer_at, self._kla, self._taken = (
            outputs[n] for n in ("DO", "OUR", "CER", "kLa", "taken")
        )
        names = ["acid", "base", "antifoam", *(feed.name for feed in organism.feeds)]
        self._litres_of = {  # in 1 s of 1, at its place in the sums
            n: (k, LIQUID_L_PER_H[model.actuators[n].unit] / 3600.0) for k, n in enumerate(names)
        }
        self._pumps = tuple((k, inputs[n]) for k, n in enumerate(names))
        self._pumped = [0.0] * len(names)
        self._pumped_before = list(self._pumped)
        self._powers = tuple((k, outputs[n]) for k, n in enumerate(CONSUMERS))
        self._joules = [0.0] * len(CONSUMERS)
        self._eatable_words = [w for w in ("substrate", "oil") if w in self._words]
        self._eatable = [self._words[w] for w in self._eatable_words]
        self._biomass_gh = self._co2_mmol = 0.0
        self._taken_l = self._taken_before = 0.0
        self._sampled_from = self._sampled_before = self._vessel.sampled_l
        self._taken_product_g = self._taken_eatable_g = 0.0

    @classmethod
    def of(
        cls,
        vessel: Vessel,
        volume_max_l: float | None = None,
        reckoning: Reckoning | None = None,
    ) -> Self:
        """Return the record of ``vessel`` from now on; it follows the vessel by itself."""
        truth = cls(vessel, volume_max_l, reckoning)
        vessel.watch(truth.update)
        return truth

    def update(self) -> None:
        """Count the time since the last call at the state that the vessel is in now."""
        now = self._vessel.time
        dt = now - self._last
        if dt <= 0.0:
            return
        self._last = now
        x, u, y, pumped, joules = self._x, self._u, self._y, self._pumped, self._joules
        for k, at in self._pumps:
            if flow := u[at]:
                pumped[k] += flow * dt
        for k, at in self._powers:
            joules[k] += y[at] * dt
        if taken := y[self._taken]:
            self._take(taken * dt / 3600.0)
        if now >= self._slow_due:
            self._sum_slow(now)
        do, by_product = y[self._do], x[self._by_product_at]
        do_good, by_product_good = do >= self._do_min, by_product <= self._by_product_max
        if not do_good:
            self._do_low_s += dt
        if not by_product_good:
            self._by_product_high_s += dt
        if x[self._V] > self._volume_max:
            self._volume_high_s += dt
        if now <= self._from:
            return
        self._counted_s += dt
        if do_good:
            self._do_good_s += dt
        if by_product_good:
            self._by_product_good_s += dt
        band, wide, setpoints = self._in_band_s, self._bands, self.setpoints
        if abs(x[self._T] - setpoints["temperature"]) <= wide[0]:
            band[0] += dt
        if abs(x[self._pH] - setpoints["ph"]) <= wide[1]:
            band[1] += dt
        if abs(do - setpoints["do"]) <= wide[2]:
            band[2] += dt

    def _take(self, litres: float) -> None:
        """Count broth that was taken out."""
        self._taken_l += litres
        self._taken_product_g += litres * self._x[self._product_at]
        self._taken_eatable_g += litres * self._sum_of(self._eatable)

    def _sum_slow(self, now: float) -> None:
        """Count what changes by 0.1 % in 10 s at most, and add a point when it is due."""
        volume_h = self._x[self._V] * (now - self._slow_from) / 3600.0
        self._slow_from = now
        self._biomass_gh += self._x[self._biomass_at] * volume_h
        self._co2_mmol += self._cer() * volume_h
        if now >= self._next_point - 1e-3:
            self._next_point += POINT_S
            self._point()
        self._slow_due = min(now + SLOW_S, self._next_point) - 1e-3

    def _cer(self) -> float:
        """Return the CO2 that all cells give off, foreign ones too, mmol/(L.h)."""
        return self._y[self._cer_at] + sum(c.cer for c in self._vessel.contaminants)

    def _sum_of(self, where: Sequence[int]) -> float:
        return sum(self._x[k] for k in where)

    def _product_g(self) -> float:
        """Return the product in the vessel and what was harvested before, g."""
        return self._x[self._product_at] * self._x[self._V] + self._taken_product_g

    def _eatable_g(self) -> float:
        """Return sugar, and oil, in the vessel and what was harvested before, g."""
        return self._sum_of(self._eatable) * self._x[self._V] + self._taken_eatable_g

    def _sampled_g(self, words: Sequence[str]) -> float:
        """Return what samples have taken since the start, g: made or fed, but nobody's product."""
        return sum(self._vessel.sampled[w] - self._sampled_at_start[w] for w in words)

    def _poured_g(self, words: Sequence[str]) -> float:
        """Return what medium and seed have brought since the start, g."""
        return sum(self._vessel.poured[w] - self._poured_at_start[w] for w in words)

    def _point(self) -> None:
        """Add a point to the trajectory."""
        x, y = self._x, self._y
        row = {"age_h": round((self._last - self._start) / 3600.0, 6)}
        row |= {f"{word}_g_per_l": x[k] for word, k in self._words.items()}
        row |= {
            "product_g": self._product_g(),
            "volume_l": x[self._V],
            "do_percent": y[self._do],
            "temperature_cel": x[self._T],
            "ph": x[self._pH],
            "our_mmol_per_l_h": y[self._our_at] + sum(c.our for c in self._vessel.contaminants),
            "cer_mmol_per_l_h": self._cer(),
            "kla_per_h": y[self._kla],
            "energy_kwh": sum(self._joules) / 3.6e6,
        }
        per_h = 3600.0 / POINT_S
        for name, (k, litres) in self._litres_of.items():
            row[f"{name}_l_per_h"] = (self._pumped[k] - self._pumped_before[k]) * litres * per_h
        row["harvest_l_per_h"] = (self._taken_l - self._taken_before) * per_h
        sampled = self._vessel.sampled_l
        row["samples_l_per_h"] = (sampled - self._sampled_before) * per_h
        self._pumped_before, self._taken_before = list(self._pumped), self._taken_l
        self._sampled_before = sampled
        for name, value in row.items():
            self.trajectory.setdefault(name, []).append(value)

    def _litres(self, pump: str) -> float:
        """Return what a pump has given since the start, L."""
        k, litres = self._litres_of[pump]
        return self._pumped[k] * litres

    def _brought(self, species: Sequence[str]) -> float:
        """Return what the feeds have brought of some species, in their units times L."""
        known = self._vessel.parameters
        return sum(
            self._litres(feed.name) * known[parameter]
            for feed in self._vessel.model.organism.feeds
            for name, parameter in feed.brings.items()
            if name in species
        )

    def as_report(self) -> dict[str, Any]:
        """Return the true part of the report, see the README of fermloop/ for each key."""
        vessel = self._vessel
        counted = self._counted_s
        limited = self._by_product_max < float("inf")

        def share(seconds: float) -> float:
            return seconds / counted if counted > 0.0 else 0.0

        hours = (self._last - self._start) / 3600.0
        product = self._product_g()
        sampled = self._sampled_g(["product"])
        made = product + sampled - self._start_product_g - self._poured_g(["product"])
        called = vessel.model.organism.called
        fed = self._brought([called[w] for w in ("substrate", "oil") if w in called])
        fed += self._poured_g(self._eatable_words)
        eaten = self._start_eaten_g + fed - self._eatable_g() - self._sampled_g(self._eatable_words)
        cycle = hours + self.reckoning.turnaround_h
        return {
            "hours": hours,
            "product_g": product,
            "harvested_product_g": self._taken_product_g,
            "sampled_product_g": sampled,
            "sampled_l": vessel.sampled_l - self._sampled_from,
            "titre_g_per_l": self._x[self._product_at],
            "biomass_g_per_l": self._x[self._biomass_at],
            "volume_l": self._x[self._V],
            "yield_product_per_substrate_g_per_g": made / eaten if eaten > 0.0 else 0.0,
            "space_time_yield_g_per_l_h": product / vessel.model.vessel.working_volume_l / cycle
            if cycle > 0.0
            else 0.0,
            "qp_mean_g_per_g_h": made / self._biomass_gh if self._biomass_gh > 0.0 else 0.0,
            "by_product": self._by_product if limited else "",
            "do_below_limit_min": self._do_low_s / 60.0,
            "by_product_above_limit_min": self._by_product_high_s / 60.0 if limited else None,
            "volume_above_limit_min": self._volume_high_s / 60.0,
            "do_above_limit_share": share(self._do_good_s),
            "by_product_below_limit_share": share(self._by_product_good_s) if limited else None,
            "faults": [dict(row) for row in vessel.faults.record],
            "true_in_band": {
                name: share(seconds) for name, seconds in zip(BANDS, self._in_band_s, strict=True)
            },
            **self._footprint(product * 1e-3, (self._start_eaten_g + fed) * 1e-3),
        }

    def _footprint(self, product_kg: float, substrate_kg: float) -> Mapping[str, float | None]:
        """Return energy by consumer, and energy and CO2e per kg of product."""
        r = self.reckoning
        kwh = dict(zip(CONSUMERS, (j / 3.6e6 for j in self._joules), strict=True))
        total = sum(kwh.values())
        base = self._litres("base") * self._vessel.parameters["c_base"]  # mmol
        ammonia_kg = AMMONIA * (base + self._brought(["NH3"]))
        co2e = (
            r.grid_co2e_kg_per_kwh * total
            + r.substrate_co2e_kg_per_kg * substrate_kg
            + r.ammonia_co2e_kg_per_kg * ammonia_kg
        )

        def per_kg(value: float) -> float | None:
            return value / product_kg if product_kg > 0.0 else None

        return {
            "energy_kwh": total,
            **{f"energy_{name}_kwh": value for name, value in kwh.items()},
            "energy_per_product_kwh_per_kg": per_kg(total),
            "substrate_kg": substrate_kg,
            "ammonia_kg": ammonia_kg,
            "co2e_per_product_kg_per_kg": per_kg(co2e),
            "biogenic_co2_per_product_kg_per_kg": per_kg(CO2 * self._co2_mmol),
            "turnaround_h": r.turnaround_h,
            "grid_co2e_kg_per_kwh": r.grid_co2e_kg_per_kwh,
            "substrate_co2e_kg_per_kg": r.substrate_co2e_kg_per_kg,
            "ammonia_co2e_kg_per_kg": r.ammonia_co2e_kg_per_kg,
        }
