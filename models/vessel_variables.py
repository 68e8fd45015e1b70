"""What a vessel has of its own, whatever grows in it: its states and its inputs by name."""

from typing import Any, Final, NamedTuple

from models import oxygen
from models.model import Variable

OWN: Final = (  # the vessel's states, after the organism's species
    Variable("V", "L", 3.0, 0.1, doc="volume"),
    Variable("M", "kg", 3.03, 0.1, doc="mass of the broth"),
    Variable("O", "g/L", 6.4e-3, 0.0, doc="dissolved oxygen"),
    Variable("CO2", "mmol/L", 0.01, 0.0, doc="dissolved CO2"),
    Variable("HCO3", "mmol/L", 0.08, 0.0, doc="bicarbonate with carbonate"),
    Variable("NH3", "mmol/L", 100.0, 0.0, doc="ammonia with ammonium"),
    Variable("PO4", "mmol/L", 50.0, 0.0, doc="phosphate, all of it"),
    Variable("strong", "mmol/L", 0.0, doc="strong ions, positive minus negative"),
    Variable("pH", "[pH]", 7.0, 2.0, 12.0, doc="pH"),
    Variable("T", "Cel", 37.0, 0.0, 100.0, doc="broth"),
    Variable("Tj", "Cel", 37.0, 0.0, 130.0, doc="jacket"),
    Variable("yO2", "1", oxygen.AIR_O2, 0.0, 1.0, doc="O2 in the gas, dry"),
    Variable("yCO2", "1", oxygen.AIR_CO2, 0.0, 1.0, doc="CO2 in the gas, dry"),
    Variable("antifoam", "mL/L", 0.0, 0.0, doc="active antifoam"),
    Variable("foam", "%", 0.0, 0.0, doc="foam, of the height of the head space"),
    Variable("filter", "1", 0.0, 0.0, 1.0, doc="share of the exhaust filter that is wet"),
)
ACTUATORS: Final = {  # the vessel's inputs, before the organism's feeds
    "stirrer": "stirrer speed",
    "air": "air, normal volume",
    "oxygen": "oxygen, normal volume",
    "heater": "heater of the jacket",
    "cooling": "coolant valve of the jacket",
    "acid": "acid pump",
    "base": "base pump",
    "antifoam": "antifoam pump",
    "pressure": "pressure of the head space, absolute",
    "harvest": "broth that is taken out",
}


class State(NamedTuple):
    """The vessel's own states by name, in the order of ``OWN``."""

    V: Any
    M: Any
    O: Any  # noqa: E741
    CO2: Any
    HCO3: Any
    NH3: Any
    PO4: Any
    strong: Any
    pH: Any
    T: Any
    Tj: Any
    yO2: Any
    yCO2: Any
    antifoam: Any
    foam: Any
    filter: Any


class Input(NamedTuple):
    """The inputs as the equations want them, whatever the units of their tags.

    ``stirrer`` 1/min; ``air``, ``oxygen`` normal L/min; ``heater``, ``cooling`` %; ``acid``,
    ``base``, ``antifoam``, ``harvest`` and each of ``feeds`` L/h; ``pressure`` bar absolute.
    """

    stirrer: Any
    air: Any
    oxygen: Any
    heater: Any
    cooling: Any
    acid: Any
    base: Any
    antifoam: Any
    pressure: Any
    harvest: Any
    feeds: tuple[Any, ...]
