"""A foreign organism in the vessel: it eats the same substrate and oxygen, and outgrows.

It is no part of the model: after each step it takes its share from the vessel's states, so any
organism in any vessel can be contaminated at any time, and nothing is slower before.
"""

from typing import TYPE_CHECKING, Final

from models.heat import RESPIRATION, WATER_HEAT
from models.vessels import LIQUID_L_PER_H

if TYPE_CHECKING:
    from sim.vessel import Vessel

# A quick bacterium of the air or the water, in round numbers (ours): faster than any culture that
# is fed, with a better grip on substrate than E. coli's of 0.05 g/L.
MU_MAX: Final = 0.7  # 1/h
K_S: Final = 0.02  # g/L
K_O: Final = 1e-4  # g/L dissolved oxygen
YIELD: Final = 0.5  # g/g substrate
C_S, C_X = 1.0 / 30.0, 0.040  # mol C/g of sugar and of biomass
GAMMA_S, GAMMA_X = 4.0, 4.2  # electrons per C
N_X: Final = 0.2 * C_X  # mol N/g
O2: Final = (GAMMA_S * C_S - GAMMA_X * C_X * YIELD) / 4.0  # mol per g substrate
CO2: Final = C_S - C_X * YIELD  # mol per g substrate
M_O2: Final = 32.0  # g/mol


class Contaminant:
    """A competitor in a vessel, which closes in carbon, electrons, nitrogen and heat.

    Its acid is the ammonia that it takes: the vessel's balance of charges moves the pH. Its oxygen
    comes from the broth and its CO2 goes there, so dissolved oxygen and off-gas show both.

    Args:
        vessel: in which it grows from now on; it follows the vessel by itself.
        g_per_l: how much of it came in.

    Attributes:
        grams: how much there is.
        our: oxygen that it took up in the last step, mmol/(L.h).
        cer: CO2 that it gave off, mmol/(L.h).
    """

    def __init__(self, vessel: "Vessel", g_per_l: float) -> None:
        self._vessel = vessel
        self._substrate = vessel.model.organism.called["substrate"]
        unit = vessel.model.actuators["harvest"].unit
        self._harvest_l_per_s = LIQUID_L_PER_H[unit] / 3600.0
        self._last = vessel.time
        self._sampled_l = vessel.sampled_l
        self.grams = g_per_l * vessel.state()["V"]
        self.our = self.cer = 0.0
        vessel.contaminants.append(self)
        vessel.watch(self.update)

    def update(self) -> None:
        """Let it grow for the time since the last call."""
        vessel = self._vessel
        dt = vessel.time - self._last
        if dt <= 0.0:
            return
        self._last = vessel.time
        x = vessel.state()
        volume, substrate, oxygen = x["V"], x[self._substrate], x["O"]
        # g/L substrate, were there enough of all
        limit = MU_MAX / YIELD * self.grams / volume * dt / 3600.0
        # never more than half of what is there, so that nothing is overdrawn
        eaten = limit * oxygen / (oxygen + K_O) * substrate / (substrate + K_S)
        eaten = min(
            eaten,
            0.5 * substrate,
            0.5 * oxygen / (O2 * M_O2),
            0.5 * x["NH3"] / (1e3 * N_X * YIELD),
        )
        self.grams += YIELD * eaten * volume
        sampled, self._sampled_l = vessel.sampled_l - self._sampled_l, vessel.sampled_l
        taken = vessel.flow("harvest") * self._harvest_l_per_s * dt + sampled
        self.grams *= 1.0 - taken / (volume + taken)
        breathed = O2 * eaten  # mol/L
        self.our, self.cer = (1e3 * share * eaten * 3600.0 / dt for share in (O2, CO2))
        steel = vessel.model.vessel.steel_kj_per_k
        vessel.set_state(
            **{self._substrate: substrate - eaten},
            O=oxygen - breathed * M_O2,
            CO2=x["CO2"] + 1e3 * CO2 * eaten,
            NH3=x["NH3"] - 1e3 * N_X * YIELD * eaten,
            T=x["T"] + RESPIRATION * breathed * volume / (WATER_HEAT * x["M"] + steel),
        )
