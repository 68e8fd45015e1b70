"""What the gas loses and gains on its way through the vessel, forwards and backwards.

Fractions are of dry gas. The forward balance is of a well-mixed gas space: bubbles and headspace
have one composition, that of the off-gas, so transfer feels the depletion.
"""

from typing import Any, Final

from models.fn import SCALARS
from models.model import Functions
from models.oxygen import AIR_CO2, AIR_O2, NORMAL_LITRE

MOL_PER_H: Final = 60.0 / NORMAL_LITRE  # mol/h of 1 L/min


def co2_solubility(T: Any, fn: Functions) -> Any:
    """Return Henry's constant of CO2 in water, mol/(L.bar), at ``T`` in Cel."""
    return 0.034 * fn.exp(2400.0 * (1.0 / (T + 273.15) - 1.0 / 298.15))


def gas_rates(
    y_o2: Any,
    y_co2: Any,
    air: Any,
    oxygen: Any,
    otr: Any,
    ctr: Any,
    gas_mol: Any,
    air_o2: Any = AIR_O2,
) -> tuple[Any, Any]:
    """Return the rates of the two fractions, 1/h.

    Args:
        y_o2: oxygen, mol/mol dry.
        y_co2: carbon dioxide, mol/mol dry.
        air: inlet air, normal L/min.
        oxygen: inlet oxygen, normal L/min.
        otr: oxygen that leaves the gas, mol/h.
        ctr: carbon dioxide that enters it, mol/h.
        gas_mol: gas in the vessel, mol, constant pressure.
        air_o2: oxygen in the air, mol/mol.
    """
    a, o = air * MOL_PER_H, oxygen * MOL_PER_H
    net = a + o - otr + ctr  # leaves: what comes in, less what is taken up
    return (
        (a * air_o2 + o - otr - net * y_o2) / gas_mol,
        (a * AIR_CO2 + ctr - net * y_co2) / gas_mol,
    )


def uptake_from_gas(
    air: Any, oxygen: Any, y_o2: Any, y_co2: Any, volume: Any, fn: Functions = SCALARS
) -> tuple[Any, Any]:
    """Return OUR and CER, mmol/(L.h), from steady in- and off-gas by the nitrogen balance.

    Args:
        air: normal L/min.
        oxygen: normal L/min.
        y_o2: dry off-gas, mol/mol.
        y_co2: dry off-gas, mol/mol.
        volume: L.
        fn: the functions for the type of the arguments.
    """
    inert_in = air * (1.0 - AIR_O2 - AIR_CO2)
    out = inert_in / fn.max(1.0 - y_o2 - y_co2, 1e-3, 1e-6)
    scale = MOL_PER_H * 1e3 / volume
    return (
        scale * (air * AIR_O2 + oxygen - out * y_o2),
        scale * (out * y_co2 - air * AIR_CO2),
    )
