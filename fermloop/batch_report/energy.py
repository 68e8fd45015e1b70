"""The electricity and heat of a batch, by consumer: metered, or reckoned from speeds and flows."""

import math
from collections.abc import Sequence
from typing import Any, Final

from controller.plant_file.settings import ReactorSettings
from controller.sensing.gas import PER_MINUTE
from fermloop.batch_report.minutes import MINUTE_H, Minutes
from models.bioreactor import COOLING_COP
from models.fn import SCALARS
from models.heat import compression
from models.oxygen import actual_flow, gassed_share, stirrer_power
from models.vessels import VESSELS, Stirred

POWER: Final = {"W": 1e-3, "kW": 1.0}  # kW of one of a meter's units
CONSUMERS: Final = ("stirring", "aeration", "heating", "chilling")


class Energy:
    """What each consumer of a vessel has used.

    Args:
        minutes: of the batch.
        settings: of its reactor.
        volume_l: at the end, where no estimate tells it minute by minute.

    Attributes:
        kwh: by consumer, of those that can be reckoned.
    """

    def __init__(
        self, minutes: Minutes, settings: ReactorSettings | None, volume_l: float | None
    ) -> None:
        self.minutes, self.settings, self.volume_l = minutes, settings, volume_l
        self.vessel = self._vessel()
        self.kwh = self._by_consumer()

    def _vessel(self) -> Stirred | None:
        if self.settings is None:
            return None
        name = self.settings.report.vessel
        if not name and self.settings.model is not None:
            name = self.settings.model.vessel
        return VESSELS.get(name or "")

    def _measured(self, meaning: str) -> str | None:
        return self.minutes.measured(self.settings, meaning)

    def _by_consumer(self) -> dict[str, float]:
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
        if per_kelvin is None or coolant is None:
            return None
        names = ["cooling", "jacket_temperature"]
        names += ["coolant_temperature"] * self.minutes.has("coolant_temperature")
        rows = list(self.minutes.rows(*names))
        if not rows:
            return None
        watts = sum(
            share / 100.0 * per_kelvin * max(Tj - (cold[0] if cold else coolant), 0.0)
            for share, Tj, *cold in rows
        )
        return watts * MINUTE_H / COOLING_COP / 1e3

    def _of_vessel(self, name: str) -> float | None:
        known: Sequence[Any] = self.vessel.parameters if self.vessel else ()
        return next((p.default for p in known if p.name == name), None)
