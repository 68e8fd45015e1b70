"""pH from the balance of charges, as an equation to solve and as an equation to integrate.

All concentrations in mmol/L. Weak acids and bases are carried as totals; ``strong`` is the strong
ions, sodium minus chloride and the like. Constants are those of broth at 37 Cel and do not move
with temperature (PROCESS: phosphate 6.8 at ionic strength 0.2, NH4 8.9, CO2 6.1).
"""

import math
from typing import Any, Final, NamedTuple

from models.fn import LN10, SCALARS
from models.model import Functions

K_AMMONIUM: Final = 1e3 * 10**-8.9
K_CO2: Final = 1e3 * 10**-6.1
K_BICARBONATE: Final = 1e3 * 10**-10.3
K_ACETATE: Final = 1e3 * 10**-4.76
K_PHOSPHORIC: Final = 1e3 * 10**-2.0
K_PHOSPHATE: Final = 1e3 * 10**-6.8
K_WATER: Final = 1e6 * 10**-13.6  # (mmol/L)^2
HYDRATION: Final = 0.05 * 3600.0  # 1/h: CO2 + H2O -> H+ + HCO3- takes its time


class Ions(NamedTuple):
    """Totals in mmol/L, or their rates of change, or their charges.

    ``bicarbonate`` includes carbonate; dissolved CO2 carries no charge and is not here. ``acid``
    is a weak acid that cells make or eat, acetic unless another constant is given with it.
    """

    ammonia: Any
    bicarbonate: Any
    acid: Any
    phosphate: Any
    strong: Any


def hydrogen(pH: Any, fn: Functions) -> Any:
    """Return H+ in mmol/L."""
    return fn.exp(-LN10 * (pH - 3.0))


def charges(h: Any, K_acid: float = K_ACETATE) -> Ions:
    """Return the mean charge of a molecule of each total at H+ of ``h`` mmol/L."""
    phosphate = h * h + K_PHOSPHORIC * h + K_PHOSPHORIC * K_PHOSPHATE
    return Ions(
        h / (h + K_AMMONIUM),
        -(h + 2.0 * K_BICARBONATE) / (h + K_BICARBONATE),
        -K_acid / (h + K_acid),
        -(K_PHOSPHORIC * h + 2.0 * K_PHOSPHORIC * K_PHOSPHATE) / phosphate,
        1.0,
    )


def imbalance(pH: Any, ions: Ions, fn: Functions, K_acid: float = K_ACETATE) -> Any:
    """Return the sum of all charges, mmol/L: 0 at the right pH, falling with pH."""
    h = hydrogen(pH, fn)
    return h - K_WATER / h + sum(z * c for z, c in zip(charges(h, K_acid), ions, strict=True))


def buffering(pH: Any, ions: Ions, fn: Functions, K_acid: float = K_ACETATE) -> Any:
    """Return the strong base that raises pH by one, mmol/L: always positive."""
    h = hydrogen(pH, fn)

    def weak(K: float) -> Any:
        return K * h / ((h + K) * (h + K))

    a, b = K_PHOSPHORIC, K_PHOSPHATE
    den = h * h + a * h + a * b
    phosphate = a * h * (h * h + 4.0 * b * h + a * b) / (den * den)
    return LN10 * (
        h
        + K_WATER / h
        + weak(K_AMMONIUM) * ions.ammonia
        + weak(K_BICARBONATE) * ions.bicarbonate
        + weak(K_acid) * ions.acid
        + phosphate * ions.phosphate
    )


def ph_rate(
    pH: Any, ions: Ions, rates: Ions, fn: Functions, K_acid: float = K_ACETATE, pull: float = 3600.0
) -> Any:
    """Return ``d pH/dt`` that keeps the charges balanced, so that pH is a state like any other.

    It is the balance differentiated; ``pull`` (1 / time) draws what the integration leaves of an
    imbalance back to 0 (Baumgarte).

    Args:
        pH: now.
        ions: totals now.
        rates: their rates of change, same time unit as ``pull``.
        fn: the functions for the type of the arguments.
        K_acid: constant of ``acid``, mmol/L.
        pull: 1 / time.
    """
    z = charges(hydrogen(pH, fn), K_acid)
    moved = sum(a * b for a, b in zip(z, rates, strict=True))
    wrong = imbalance(pH, ions, fn, K_acid)
    return (moved + pull * wrong) / buffering(pH, ions, fn, K_acid)


def solve(ions: Ions, low: float = 2.0, high: float = 12.0) -> float:
    """Return the pH at which the charges balance, by bisection.

    Raises:
        ValueError: it is not between ``low`` and ``high``.
    """
    at_low, at_high = (imbalance(pH, ions, SCALARS) for pH in (low, high))
    if not at_low >= 0.0 >= at_high:
        raise ValueError(f"no pH between {low:g} and {high:g} balances {ions}")
    while high - low > 1e-12:
        middle = 0.5 * (low + high)
        if imbalance(middle, ions, SCALARS) > 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def strong_ions(pH: float, ions: Ions, K_acid: float = K_ACETATE) -> float:
    """Return the strong ions that make ``pH`` with the other totals of ``ions``, mmol/L."""
    return ions.strong - imbalance(pH, ions, SCALARS, K_acid)


def bicarbonate(pH: float, co2: float) -> float:
    """Return bicarbonate with carbonate in equilibrium with dissolved CO2, mmol/L."""
    h = 1e3 * math.pow(10.0, -pH)
    return co2 * K_CO2 / h * (1.0 + K_BICARBONATE / h)
