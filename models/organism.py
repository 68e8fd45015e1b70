"""What an organism brings into a vessel, and what it exchanges with it.

A ``Bioreactor`` is a vessel with an organism: the vessel brings gas, dissolved oxygen and CO2,
acids and bases, heat, volume and weight; the organism brings everything else that is dissolved
or suspended, and the rates. Neither knows the other's equations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from models.model import Functions, Variable


class Surroundings(NamedTuple):
    """What the cells feel of the vessel.

    ``O`` g/L dissolved oxygen; ``T`` Cel; ``NH3`` mmol/L ammonia with ammonium; ``CO2`` mmol/L.
    """

    O: Any  # noqa: E741
    T: Any
    pH: Any
    NH3: Any
    CO2: Any


class Exchange(NamedTuple):
    """What the cells do to a litre of broth in an hour.

    Attributes:
        mu: specific growth rate, 1/h.
        species: the rate of each species in its unit per h, without feeds and dilution.
        our: oxygen taken up, mmol/(L.h).
        cer: CO2 given off, mmol/(L.h).
        ammonia: ammonia taken up, mmol/(L.h).
        heat: J/(L.h).
        strong: strong ions given off, positive minus negative, mmol/(L.h): a product that is an
            anion, sulphate that is eaten.
    """

    mu: Any
    species: Sequence[Any]
    our: Any
    cer: Any
    ammonia: Any
    heat: Any
    strong: Any = 0.0


@dataclass(frozen=True, slots=True)
class Feed:
    """A pump of the process beside the vessel's own acid, base and antifoam.

    Attributes:
        name: of the input and of the tag.
        pump: which of the vessel's pumps: ``feed`` or ``dose``.
        brings: the parameter with its concentration for each species that it carries; besides
            species, ``NH3``, ``PO4`` and ``strong`` in mmol/L.
        density: the parameter with its density, kg/L; without one it is that of the medium.
        doc: what it is.
    """

    name: str
    pump: str
    brings: Mapping[str, str] = field(default_factory=dict[str, str])
    density: str = ""
    doc: str = ""


class Composition(NamedTuple):
    """What one unit of a species is made of: a g, or a mmol of what is in mmol/L.

    ``electrons`` is the carbon times its degree of reduction, against CO2, water and ammonia.
    """

    carbon: float  # mol C
    electrons: float  # mol
    nitrogen: float = 0.0  # mol N


class Acid(NamedTuple):
    """The weak acid among the species, for the balance of charges."""

    species: str
    g_per_mol: float
    K: float  # mmol/L


class Organism(Protocol):
    """Rates and nothing else: no volume, no gas, no clock.

    Attributes:
        name: as in the plant file.
        temperature: at which it is grown, Cel.
        acidity: the pH, likewise.
        species: what it adds to the broth, biomass first. What is per litre is diluted by what
            flows in; any other unit is a property of the cells and stays with them.
        feeds: the pumps of the process, the main feed of substrate first.
        parameters: of the strain; two batches differ in them.
        medium: parameters of the medium and of the bottles. Every medium has ``broth`` (kLa over
            that of the law), ``salting`` (O2 solubility over that in water), ``c_base`` and
            ``c_acid`` (mmol/L of ammonia and of phosphoric acid).
        salts: ammonia and phosphate at the start, mmol/L.
        acid: its weak acid, if it makes or eats one.
        composition: of each species; one that is not there holds neither carbon nor electrons.
        kla_law: ``oxygen.NON_COALESCING`` or ``COALESCING``.
        called: the species behind the words of a report: ``biomass``, ``substrate``, ``oil`` if it
            is eaten beside that, ``product``, and a by-product by its own name, last.
    """

    @property
    def name(self) -> str: ...
    @property
    def temperature(self) -> float: ...
    @property
    def acidity(self) -> float: ...
    @property
    def species(self) -> Sequence[Variable]: ...
    @property
    def feeds(self) -> Sequence[Feed]: ...
    @property
    def parameters(self) -> Sequence[Variable]: ...
    @property
    def medium(self) -> Sequence[Variable]: ...
    @property
    def salts(self) -> tuple[float, float]: ...
    @property
    def acid(self) -> Acid | None: ...
    @property
    def composition(self) -> Mapping[str, Composition]: ...
    @property
    def kla_law(self) -> tuple[float, float, float]: ...
    @property
    def called(self) -> Mapping[str, str]: ...

    def exchange(
        self, x: Sequence[Any], at: Surroundings, p: Sequence[Any], fn: Functions
    ) -> Exchange:
        """Return what the cells do.

        Args:
            x: the species, in order.
            at: what the cells feel of the vessel.
            p: ``parameters`` followed by ``medium``, in order.
            fn: the functions for the type of the arguments.
        """
        ...

    def kla_factor(self, x: Sequence[Any], p: Sequence[Any], fn: Functions) -> Any:
        """Return what the broth of these species leaves of kLa: viscosity."""
        ...
