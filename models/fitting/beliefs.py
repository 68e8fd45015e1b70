"""What is believed of an organism's parameters before any batch of a plant was looked at.

The numbers are standard deviations of logarithms, about relative errors. A parameter that was
measured in many laboratories is believed to 10-20 %, one that differs from strain to strain or
that was recalled without being read again to 20-40 %, and one that fermloop chose, since nobody
has published it for this form of the equations, to a factor of about two. What is not named here is
not looked for unless it is asked for.
"""

from collections.abc import Mapping
from typing import Final

from models.fitting.problem import Prior
from models.watched import WatchedOrganism

STRAIN: Final = 0.3  # of a parameter that is asked for and not named here
INOCULUM: Final = 0.2  # of the biomass at the start, in each batch its own
BELIEFS: Final[Mapping[str, Mapping[str, float]]] = {
    "ecoli": {
        # Xu et al. (1999), recalled; strains differ
        "qSmax": 0.15,
        "qOmax": 0.2,
        "Yem": 0.12,
        "qm": 0.4,
        "KiS": 0.4,
        "YXA": 0.2,
        "qAmax": 0.3,
        # ours: the shape is common, the numbers are not
        "qPm": 0.6,
        "Kmu": 0.5,
        "Kimu": 0.5,
        "kE": 0.7,
    },
    "yeast": {
        # Sonnleitner and Kaeppeli (1986)
        "qSmax": 0.2,
        "qOmax": 0.2,
        "Yox": 0.1,
        "Yred": 0.3,
        "YE": 0.15,
        "qEmax": 0.4,
        "KiE": 0.5,
    },
    "penicillin": {
        # Goldrick et al. (2015) for other equations
        "Y": 0.15,
        "m": 0.3,
        "kl": 0.5,
        # ours
        "qSmax": 0.3,
        "qLmax": 0.4,
        "qPm": 0.6,
        "Kq": 0.5,
        "Ki": 0.6,
        "a": 0.7,
        "kd": 0.7,
        "tau": 0.5,
    },
}


def priors(organism: WatchedOrganism, names: tuple[str, ...] = ()) -> list[Prior]:
    """Return what is believed of an organism, then what is each batch's own: strain and inoculum.

    Args:
        organism: whose parameters.
        names: which of them; all that are named here if none is given.

    Raises:
        ValueError: one is no parameter of the strain; those that are, are named.
    """
    known = {v.name: v for v in organism.parameters}
    usual = BELIEFS.get(organism.name, {})
    wanted = names or tuple(usual) or tuple(n for n, v in known.items() if v.default > 0.0)
    if unknown := [n for n in wanted if n not in known]:
        raise ValueError(
            f"{', '.join(unknown)}: no parameter of {organism.name}; {', '.join(known)} are"
        )
    if still := [n for n in wanted if not known[n].default > 0.0]:
        raise ValueError(f"{', '.join(still)}: is 0 in the model, and nothing can be found near 0")
    found = [Prior(n, usual.get(n, STRAIN)) for n in dict.fromkeys(wanted)]
    strains = [Prior(f.parameter, f.sd, own=True) for f in organism.watched.learned]
    own = [p for p in strains if p.name in wanted]
    return [*found, *own, Prior(organism.called["biomass"], INOCULUM, own=True)]
