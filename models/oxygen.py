"""From stirrer and air to dissolved oxygen: power, kLa, solubility, flooding.

SI units unless said. Sources: G. A. Hughmark, Ind. Eng. Chem. Process Des. Dev. 19 (1980) 638-641
(gassed power); K. van 't Riet, Ind. Eng. Chem. Process Des. Dev. 18 (1979) 357-364 (kLa; 20-40 %
accuracy); A. W. Nienow, Annu. Rev. Fluid Mech. 30 (1998) for flooding; all recalled.
"""

from typing import Any, Final

from models.fn import power
from models.model import Functions

AIR_O2: Final = 0.2095  # mol/mol, dry
AIR_CO2: Final = 0.0004
NORMAL_LITRE: Final = 22.414  # L/mol at 0 Cel and 1.01325 bar: what flow controllers count
GRAVITY: Final = 9.81
WATER: Final = 1000.0  # kg/m3

NON_COALESCING: Final = (0.002, 0.7, 0.2)  # van 't Riet's K, a, b
COALESCING: Final = (0.026, 0.4, 0.5)


def vapour_pressure(T: Any, fn: Functions) -> Any:
    """Return the vapour pressure of water, bar, at ``T`` in Cel (Magnus)."""
    return 6.112e-3 * fn.exp(17.62 * T / (243.12 + T))


def solubility(T: Any, fn: Functions) -> Any:
    """Return Henry's constant of O2 in water, mol/(L.bar), at ``T`` in Cel."""
    return 1.28e-3 * fn.exp(1650.0 * (1.0 / (T + 273.15) - 1.0 / 298.15))


def saturation(T: Any, y_o2: Any, pressure: Any, fn: Functions) -> Any:
    """Return dissolved O2 in equilibrium with wet gas, g/L.

    Args:
        T: Cel.
        y_o2: mole fraction of the dry gas.
        pressure: bar, absolute.
        fn: the functions for the type of the arguments.
    """
    return dissolved(32.0 * solubility(T, fn), vapour_pressure(T, fn), y_o2, pressure)


def dissolved(henry: Any, steam: Any, y_o2: Any, pressure: Any) -> Any:
    """Return dissolved O2 in equilibrium with wet gas, g/L.

    Args:
        henry: its solubility, g/(L.bar).
        steam: vapour pressure of water, bar.
        y_o2: mole fraction of the dry gas.
        pressure: bar, absolute.
    """
    return henry * y_o2 * (pressure - steam)


def stirrer_power(N: Any, diameter: float, number: float, impellers: int) -> Any:
    """Return the ungassed power of all impellers, W, turbulent, at ``N`` in 1/s."""
    return impellers * number * WATER * N * N * N * diameter**5


def gassed_share(N: Any, Q: Any, volume: Any, diameter: float, fn: Functions) -> Any:
    """Return gassed over ungassed power, 0.3..1, at ``Q`` in m3/s and ``volume`` in m3."""
    blade = 0.2 * diameter
    aeration = Q / (volume * N + 1e-9)
    froude = N * N * diameter**4 / (GRAVITY * blade * power(volume, 2.0 / 3.0, fn))
    share = 0.10 * power(aeration + 1e-6, -0.25, fn) * power(froude + 1e-6, -0.2, fn)
    return fn.max(0.3, fn.min(1.0, share, 1e-2), 1e-2)


def kla(
    power_density: Any,
    gas_velocity: Any,
    fn: Functions,
    law: tuple[float, float, float] = NON_COALESCING,
) -> Any:
    """Return the oxygen transfer coefficient, 1/s.

    Args:
        power_density: gassed power by volume, W/m3; fitted between 500 and 10 000.
        gas_velocity: superficial, m/s, at the vessel's pressure and temperature.
        fn: the functions for the type of the arguments.
        law: K, a and b of ``K (P/V)^a v^b``.
    """
    factor, a, b = law
    return factor * power(power_density, a, fn) * power(gas_velocity, b, fn)


def flooding(N: Any, Q: Any, impeller: float, tank: float) -> Any:
    """Return the gas flow over what floods the impeller: above 1 it no longer disperses the gas."""
    n = N + 0.05  # 1/s: a standing impeller is flooded, but by a finite number
    froude = n * n * impeller / GRAVITY
    return Q / (n * impeller**3) / (30.0 * froude * (impeller / tank) ** 3.5)


def dispersed_share(flooded: Any, fn: Functions) -> Any:
    """Return what flooding leaves of kLa: 1 well below, 0.4 well above ``flooded`` = 1 (ours)."""
    return 1.0 - 0.6 / (1.0 + fn.exp((1.1 - flooded) / 0.05))


def actual_flow(normal_l_per_min: Any, T: Any, pressure: Any) -> Any:
    """Return m3/s at ``T`` in Cel and ``pressure`` in bar of a flow in normal litres per minute."""
    return normal_l_per_min / 60e3 * (T + 273.15) / 273.15 * 1.01325 / pressure
