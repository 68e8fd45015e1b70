"""What instruments and pumps say to a soft sensor: inputs of its model, and measurements of it."""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Final, NamedTuple

from controller.sensing.estimator_settings import EstimatorSettings
from controller.sensing.probe_watch import Look
from models import ph
from models.fn import SCALARS
from models.offgas import MOL_PER_H
from models.soft_sensor import SEEN
from models.transfer import Transfer
from models.vessels import DENSITY
from models.watched import WatchedOrganism

O2, CO2, DEFICIT, VOLUME = range(len(SEEN))  # outputs of ``models.soft_sensor``
CHI2_99: Final = 6.63  # one degree of freedom
CLOSED: Final = 0.01  # normal L/min by litre: oxygen that a closed flow controller may show
LEAST_AIR: Final = 0.02  # normal L/min by litre of the vessel
OFFGAS_OFF: Final = 0.02  # share by which what the cells add to the gas is off ...
OFFGAS_OFF_S: Final = 320.0  # ... for so long
ACID_CHARGE: Final = 1.6  # of phosphoric acid at pH 7: pK2 6.8 (``models.ph``)
TITRANT_OFF: Final = 0.08  # share by which base says too much: its pump, its strength, ...
TITRANT_OTHER: Final = 4.0  # ... and mmol/L by other acids and a pH that has moved, ...
TITRANT_OFF_S: Final = 7200.0  # ... for so long
NEAR_PH: Final = 0.2  # of the organism's pH; beyond, base is still on its way
SLOPE_S: Final = 40.0  # filter of the DO probe's slope
Seen = Mapping[str, float | None]


class Measured(NamedTuple):
    """What was measured, for each output: value, variance and gate; 0 leaves it out."""

    z: list[float]
    r: list[float]
    gate: list[float]


class Instruments:
    """The instruments of one vessel, with what they showed last.

    Args:
        settings: what they are like.
        organism: what grows.
        transfer: the vessel's gas.
        probes: meanings of the probes in the broth.
        titrated: base and acid tell of the cells.

    Attributes:
        do_percent: what the DO probe showed last.
        nominal: oxygen transfer without any factor, mmol/(L.h).
        excess_kg: what the broth weighs more than medium of its volume.
        neutralised: by base, less by acid, of what is in the vessel, mmol; NaN: not known.
    """

    def __init__(
        self,
        settings: EstimatorSettings,
        organism: WatchedOrganism,
        transfer: Transfer,
        probes: Sequence[str],
        *,
        titrated: bool,
    ) -> None:
        self._settings, self._organism, self._transfer = settings, organism, transfer
        self._probes = probes
        medium = {v.name: v.default for v in organism.medium}
        self._densities = {
            f.name: medium[f.density] - DENSITY if f.density else 0.0 for f in organism.feeds
        }
        self._do = math.nan  # filtered, %
        self.do_percent = 30.0
        self._rise = 0.0  # mmol/(L.h)
        self._span = 0.0  # s since the last update
        self._stirrer, self._air = 0.0, 0.0  # last good
        self._offgas: dict[str, float | None] = {}  # when it was taken in last
        self._co2 = math.nan  # that was taken in now, %
        self._gas = 0.0  # normal L/min
        self.nominal = 0.0
        self._kla, self._saturated, self._full = 1.0, 1.0, 0.21
        self.excess_kg = 0.0
        self._equivalents = {
            "base": settings.base_mmol_per_l,
            "acid": -ACID_CHARGE * medium["c_acid"],
        }
        self._titrated = titrated
        self.neutralised = 0.0 if titrated else math.nan

    def copy(self) -> "Instruments":
        """Return others that remember the same."""
        other = copy(self)
        other._offgas = dict(self._offgas)
        return other

    def watch(self, do: float | None, span: float) -> None:
        """Filter the DO probe for its slope over ``span`` s; the level is used as it is."""
        self._span = span
        if do is None:
            self._do, self._rise = math.nan, 0.0
            return
        self.do_percent = do
        if math.isnan(self._do) or span <= 0:
            self._do = do
            return
        before = self._do
        self._do += (do - before) * span / (span + SLOPE_S)
        per_percent = self._transfer.calibration_mmol_per_l / 100.0
        self._rise = (self._do - before) / span * 3600.0 * per_percent

    def weigh(self, flows: Mapping[str, float], gained: float, volume: float, hours: float) -> None:
        """Count what came in that is not as heavy as medium.

        Args:
            flows: of every pump, L/h.
            gained: from the gas, kg/h.
            volume: of the broth, L.
            hours: since the last call.
        """
        heavier = sum(flows.get(n, 0.0) * d for n, d in self._densities.items())
        left = flows.get("harvest", 0.0) / max(volume, 0.1) * self.excess_kg
        self.excess_kg += (heavier + gained - left) * hours
        dosed = sum(flows.get(n, 0.0) * c for n, c in self._equivalents.items())
        left = flows.get("harvest", 0.0) / max(volume, 0.1) * self.neutralised
        self.neutralised += (dosed - left) * hours

    def inputs(
        self, seen: Seen, flows: Mapping[str, float], induced: bool, volume: float, y_o2: float
    ) -> list[float]:
        """Return the model's inputs.

        Args:
            seen: good readings by meaning.
            flows: of every pump, L/h.
            induced: whether the product is expressed.
            volume: of the broth, L.
            y_o2: oxygen in the gas, %.
        """
        a, organism = self._transfer, self._organism
        warm, sour = seen.get("temperature"), seen.get("ph")
        temperature = organism.temperature if warm is None else warm
        acidity = organism.acidity if sour is None else sour
        head = seen.get("pressure")
        least = LEAST_AIR * self._settings.room_l
        pure, air = seen.get("oxygen_flow") or 0.0, seen.get("air_flow")
        # 0.01 L/min of noise in 5 L, taken as oxygen, is half of what a young culture takes up
        pure = pure if pure > CLOSED * self._settings.room_l else 0.0
        air = self._air = max(self._air if air is None else air, least)
        stirrer = seen.get("agitation")
        if stirrer is not None:
            self._stirrer = stirrer
        own = {f.name for f in organism.feeds}
        other = sum(v for n, v in flows.items() if n not in own and n != "harvest")
        other -= a.evaporated_l_per_h(air + pure, temperature, head)
        pressure = float(a.pressure_bar(head, volume))
        kla = float(
            a.kla_per_h(max(self._stirrer, 20.0), air + pure, volume, temperature, SCALARS, head)
        )
        full = a.full_mmol_per_l(temperature)
        saturated = float(a.saturation_mmol_per_l(temperature, 1.0, SCALARS, pressure))
        dissolved = max(self.do_percent, 0.0) / 100.0 * full
        self.nominal = kla * (saturated * max(y_o2, 1.0) / 100.0 - dissolved)
        self._kla, self._saturated, self._full, self._gas = kla, saturated, full, air + pure
        return [
            *(flows.get(f.name, 0.0) for f in organism.feeds),
            *(
                other,
                flows.get("harvest", 0.0),
                float(induced),
                temperature,
                acidity,
                self.do_percent,
                full,
            ),
            *(self._rise, kla, saturated, air, pure, a.gas_mol(volume, temperature, head)),
            a.co2_saturation_mmol_per_l(temperature, pressure),
            1.0 + ph.K_CO2 / ph.hydrogen(acidity, SCALARS),
        ]

    def look(self, our: float, y_o2: float, s_co2: float, volume: float) -> Look:
        """Return what there is to see of oxygen transfer, by what was given and read last.

        Args:
            our: oxygen uptake, mmol/(L.h).
            y_o2: oxygen in the gas, %.
            s_co2: CO2 that the analyser should see, %.
            volume: of the broth, L.
        """
        full = 100.0 * self._saturated * y_o2 / 100.0 / self._full
        beside = 10.0 * self._gas * MOL_PER_H * (self._co2 - s_co2) / volume
        return Look(self._kla, our, full - self.do_percent, self.do_percent, beside)

    def measured(self, seen: Seen, gas: Sequence[float], volume: float) -> Measured:
        """Return what was measured.

        Args:
            seen: good readings by meaning.
            gas: O2 and CO2 in the gas, and as the analyser should see them, %.
            volume: of the broth, L.
        """
        s = self._settings
        count = len(SEEN) + len(self._probes) + self._titrated
        m = Measured([0.0] * count, [1.0] * count, [0.0] * count)
        y_o2, y_co2, s_o2, s_co2 = gas
        self._co2 = math.nan
        moving = (abs(y_o2 - s_o2), abs(y_co2 - s_co2))
        for i, name, size in ((O2, "offgas_o2", 20.95 - s_o2), (CO2, "offgas_co2", s_co2)):
            value = seen.get(name)
            if value is None or seen.get("air_flow") is None or self._old(name, value):
                continue
            if i == CO2:
                self._co2 = value
            # white noise is the least of it: a wrong flow or delay, and cells that breathe
            # otherwise than their equations, do not average out from one reading to the next
            every = max(s.offgas_every_s, self._span, 1.0)
            off = OFFGAS_OFF * size * math.sqrt(max(OFFGAS_OFF_S / every, 1.0))
            r = 9.0 * s.offgas_noise_percent**2 + off**2 + moving[i] ** 2
            m.z[i], m.r[i], m.gate[i] = value, r, CHI2_99
        if seen.get("do") is not None and seen.get("agitation") and seen.get("air_flow"):
            probe = s.do_noise_percent / 100.0 * self._transfer.calibration_mmol_per_l
            r = (2.0 * probe * self._kla) ** 2 + (0.15 * self.nominal) ** 2
            m.r[DEFICIT], m.gate[DEFICIT] = r + (0.5 * self._rise) ** 2 + 0.5**2, CHI2_99
        weight = seen.get("weight")
        if weight is not None:
            m.z[VOLUME] = (weight - self.excess_kg) / DENSITY
            noise = s.weight_noise * s.room_l
            m.r[VOLUME], m.gate[VOLUME] = (noise / DENSITY) ** 2 + (2.0 * noise) ** 2, CHI2_99
        for i, name in enumerate(self._probes, len(SEEN)):
            value = seen.get(name)
            if value is not None:
                r = s.probe_noise**2 + (s.probe_cv * value) ** 2
                m.z[i], m.r[i], m.gate[i] = value, r, CHI2_99
        if self._titrated:
            self._titrant(m, seen.get("ph"), volume)
        return m

    def _titrant(self, m: Measured, acidity: float | None, volume: float) -> None:
        """Take in what was neutralised; the pump's gain and other acids last for hours."""
        z = self.neutralised / volume
        if z != z or acidity is None or abs(acidity - self._organism.acidity) > NEAR_PH:
            return
        off = (TITRANT_OFF * z) ** 2 + TITRANT_OTHER**2
        m.z[-1], m.gate[-1] = z, CHI2_99
        m.r[-1] = off * max(TITRANT_OFF_S / max(self._span, 1.0), 1.0)

    def _old(self, name: str, value: float) -> bool:
        """Return whether an analyser that visits several vessels still shows its last visit."""
        old = self._settings.offgas_every_s > 0.0 and self._offgas.get(name) == value
        self._offgas[name] = value
        return old
