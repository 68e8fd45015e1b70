"""What an organism tells a soft sensor beside its rates: what to track, to learn and to report.

Nothing here is an equation. Spreads are one standard deviation; what is called a walk grows with
the square root of time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from models.organism import Organism


@dataclass(frozen=True, slots=True)
class Tracked:
    """A species that is a state of the filter.

    Attributes:
        name: of the species.
        share: spread at the start, as a share of what was inoculated.
        sd: likewise beside that, in the species' unit.
        walk: of the value an hour, as a share: what the equations get wrong.
        noise: likewise beside that, in the species' unit.
        widest: spread up to which it is doubted again where readings keep disagreeing.
    """

    name: str
    share: float = 0.0
    sd: float = 0.0
    walk: float = 0.0
    noise: float = 0.0
    widest: float = 0.0


@dataclass(frozen=True, slots=True)
class Learned:
    """A parameter of the strain that the filter learns, as the logarithm of a factor.

    Attributes:
        name: of the factor.
        parameter: of the organism.
        sd: spread from strain to strain.
        hours: in which one that is watched, and says nothing, goes back to what is usual.
    """

    name: str
    parameter: str
    sd: float
    hours: float = 30.0

    @property
    def most(self) -> float:
        """Greatest logarithm: some three spreads; beyond, something else is wrong."""
        return 2.7 * self.sd


@dataclass(frozen=True, slots=True)
class Watched:
    """What a filter needs to know of an organism.

    Attributes:
        tracked: species that are states, the biomass first.
        learned: parameters that are learned; the vessel's own factor on kLa comes beside them.
        quantities: what is reported, by its name with its unit: the species that it is the sum of.
        assays: likewise what the laboratory finds, by its name.
        given: species that are not tracked: what they are while the product is expressed; else 0.
        doubt: of what is reported, what other equations would make of it, as a share: no filter
            knows how wrong its own are. It widens the interval, not the filter.
        probes: likewise what a probe in the broth shows, by its meaning in the plant file.
        offsets: those of ``probes`` of which the filter learns what they show too much. Where cells
            eat at once what is there (ethanol below their capacity), a tenth of a g/L that is none
            is taken for overflow, and that for less capacity than they have.
        titrated: what base and acid have neutralised is the nitrogen that was built in and the
            organism's own acid, so that what was dosed tells of both.
    """

    tracked: Sequence[Tracked]
    learned: Sequence[Learned]
    quantities: Mapping[str, Sequence[str]]
    assays: Mapping[str, Sequence[str]]
    given: Mapping[str, float] = field(default_factory=dict[str, float])
    doubt: Mapping[str, float] = field(default_factory=dict[str, float])
    probes: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    offsets: Sequence[str] = ()
    titrated: bool = False


class WatchedOrganism(Organism, Protocol):
    """An organism that a soft sensor can watch."""

    @property
    def watched(self) -> Watched: ...
