"""What a controller believes of oxygen on its way from gas to broth, in mmol and hours."""

from typing import Any

from models import heat, offgas, oxygen
from models.bioreactor import Bioreactor
from models.fn import SCALARS
from models.model import Functions
from models.organism import Organism
from models.vessels import Stirred

M_O2 = 32.0  # g/mol


class Transfer:
    """A vessel's gas with its own numbers at their defaults.

    What is learned of a batch is one factor on kLa. Where no pressure is given it is the vessel's
    usual one.

    Args:
        organism: what grows in it.
        vessel: the vessel's numbers.
        calibration_bar: absolute, in the head, at which the DO probe was told that air is 100 %;
            the usual one if not given.
    """

    def __init__(
        self, organism: Organism, vessel: Stirred, calibration_bar: float | None = None
    ) -> None:
        self.vessel = vessel
        self._bioreactor = Bioreactor(organism, vessel)
        medium = {v.name: v.default for v in self._bioreactor.medium}
        self._broth, self._salting = medium["broth"], medium["salting"]
        self.base_mmol_per_l = medium["c_base"]
        head = vessel.pressure_bar if calibration_bar is None else calibration_bar
        self._calibration_bar = head + vessel.static_bar(vessel.start_volume_l)
        self.calibration_mmol_per_l = self.full_mmol_per_l(organism.temperature)

    def pressure_bar(self, head: float | None, V: Any) -> Any:
        """Return the mean pressure in ``V`` L of broth under a head of so many bar."""
        own = self.vessel.pressure_bar if head is None else head
        return own + self.vessel.static_bar(V)

    def full_mmol_per_l(self, T: float) -> float:
        """Return the oxygen in the broth at ``T`` in Cel where the probe reads 100 %."""
        wet = oxygen.saturation(T, oxygen.AIR_O2, self._calibration_bar, SCALARS)
        return float(self._salting * wet * 1e3 / M_O2)

    def saturation_mmol_per_l(
        self,
        T: Any,
        y_o2: Any,
        fn: Functions = SCALARS,
        pressure: Any = None,
    ) -> Any:
        """Return oxygen in equilibrium with gas of mole fraction ``y_o2`` at ``T`` in Cel."""
        bar = self.vessel.pressure_bar if pressure is None else pressure
        return self._salting * oxygen.saturation(T, y_o2, bar, fn) * 1e3 / M_O2

    def kla_per_h(
        self, N: Any, gas: Any, V: Any, T: Any, fn: Functions, head: float | None = None
    ) -> Any:
        """Return nominal kLa, 1/h; stirrer 1/min, gas normal L/min, volume L, temperature Cel."""
        return self._bioreactor.transfer(N, gas, V, T, 0.0 * V, self._broth, fn, head)[0]

    def gas_mol(self, volume_l: float, T: float, head: float | None = None) -> float:
        """Return the gas above and in ``volume_l`` of broth at ``T`` in Cel, mol."""
        space = max(self.vessel.total_volume_l - volume_l, 0.1)
        bar = self.vessel.pressure_bar if head is None else head
        return space * bar / (0.0831446 * (T + 273.15))

    def co2_saturation_mmol_per_l(self, T: float, pressure: float | None = None) -> float:
        """Return dissolved CO2 under pure CO2 at ``T`` in Cel."""
        bar = self.vessel.pressure_bar if pressure is None else pressure
        return 1e3 * float(offgas.co2_solubility(T, SCALARS)) * bar

    def evaporated_l_per_h(self, gas: float, T: float, head: float | None = None) -> float:
        """Return the water that leaves with the gas, L/h, behind the condenser."""
        bar = self.vessel.pressure_bar if head is None else head
        carried = float(heat.evaporation(gas, T, bar, SCALARS))
        return (1.0 - self.vessel.condenser_share) * carried
