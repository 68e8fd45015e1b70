"""Foam in the head space: gas carries it up, cells keep it, antifoam breaks it, the filter drowns.

Foam that gas at ``v`` m/s feeds and that lives for ``S`` s stands ``S v`` high: Bikerman's measure
of foaminess, a property of the broth alone (J. J. Bikerman, Trans. Faraday Soc. 34 (1938) 634-638).
Every number is ours, inside what is told of fermenters. Below the lid foam changes nothing else.
"""

from typing import Any, Final, NamedTuple

from models.model import Functions, Variable

FOAMING: Final = Variable(
    "foaming", "s", 10.0, 0.0, doc="life of foam on broth full of cells", source="ours"
)
CELLS_HALF: Final = 10.0  # g/L of cells, with their protein, that make half as much foam
COLLAPSE: Final = 60.0  # 1/h: foam falls within a minute of the gas that fed it
BREAKS: Final = 20.0  # times as fast in ample antifoam
BREAKS_HALF: Final = 0.05  # mL/L of antifoam that does half of that
OVER: Final = 600.0  # 1/h: what stands above the lid leaves within seconds
BROTH_SHARE: Final = 0.03  # of the volume of the foam that leaves
LEAST_SPACE: Final = 0.05  # of the vessel, however full: pipes and lid
FILTER_HOLDS: Final = 0.002  # broth that drowns the filter, of the vessel's volume
FILTER_DRIES: Final = 0.2  # 1/h, by the gas that passes
FILTER_BAR: Final = 0.3  # over a drowned filter at one volume of gas per working volume and minute


class Foam(NamedTuple):
    """The rates of the two states per h, and the broth that goes out with the gas, L/h."""

    foam: Any
    filter: Any
    out: Any


def rates(
    foam: Any,
    wet: Any,
    cells: Any,
    antifoam: Any,
    velocity: Any,
    foaming: Any,
    V: Any,
    total: float,
    area: float,
    fn: Functions,
) -> Foam:
    """Return what foam does.

    Args:
        foam: % of the height of the head space.
        wet: share of the filter.
        cells: g/L.
        antifoam: active, mL/L.
        velocity: of the gas in the head space, m/s.
        foaming: s, see ``FOAMING``.
        V: broth, L.
        total: broth and head space, L.
        area: of the head space, m2.
        fn: the functions for the type of the arguments.
    """
    space = fn.max(total - V, LEAST_SPACE * total, 0.01 * total)  # L
    height = space * 1e-3 / area
    fed = 100.0 * foaming * cells / (cells + CELLS_HALF) * velocity / height
    breaks = 1.0 + BREAKS * antifoam / (antifoam + BREAKS_HALF)
    above = foam - 100.0
    size = fn.sqrt(above * above + 1e-18)
    over = OVER * (0.5 * (above + size) + fn.log(1.0 + fn.exp(-size)))  # %/h; exactly 0 below 60 %
    out = BROTH_SHARE * 0.01 * space * over
    drowns = out / (FILTER_HOLDS * total)
    return Foam(
        foam=COLLAPSE * (fed - breaks * foam) - over,
        filter=drowns * (1.0 - wet) - FILTER_DRIES * wet,
        out=out,
    )


def back_pressure(wet: Any, gas: Any, working: float) -> Any:
    """Return what a wet filter adds to the pressure of the head space, bar.

    Args:
        wet: share of the filter.
        gas: normal L/min.
        working: the vessel's working volume, L.
    """
    return FILTER_BAR * wet * gas / working
