"""Heat of respiration, evaporation and what a jacket carries; and what all of it costs.

Sources: C. L. Cooney, D. I. C. Wang, R. I. Mateles, Biotechnol. Bioeng. 11 (1969) 269-281 for
heat by oxygen uptake (440-520 kJ/mol, recalled); the jacket is ours.
"""

from typing import Any, Final

from models.model import Functions
from models.oxygen import NORMAL_LITRE, vapour_pressure

RESPIRATION: Final = 460.0  # kJ/mol O2
WATER_HEAT: Final = 4.18  # kJ/(kg.K)
EVAPORATION: Final = 2400.0  # kJ/kg


def evaporation(normal_l_per_min: Any, T: Any, pressure: Any, fn: Functions) -> Any:
    """Return the water that dry gas carries out of the broth, kg/h, before any condenser."""
    p_w = vapour_pressure(T, fn)
    return normal_l_per_min * 60.0 / NORMAL_LITRE * p_w / (pressure - p_w) * 0.018015


def compression(normal_l_per_min: Any, supply_bar: float = 2.0, efficiency: float = 0.7) -> Any:
    """Return the power of the compressor, W, for gas at ``supply_bar``, adiabatic from 1 bar."""
    work = 3.5 * 101325.0 * (supply_bar**0.2857 - 1.0) / efficiency  # J per m3 at the inlet
    return normal_l_per_min / 60e3 * work
