"""What do I type, what do I import?

The public names of fermloop, each imported when it is first used, so that ``import fermloop``
costs nothing: ``from fermloop import Tag, Driver, load_plant``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controller.optimal import Solution, optimal_control
    from controller.plant import Plant, load_plant
    from controller.plant_file.config import ConfigError
    from drivers.clock import Clock, SystemClock
    from drivers.driver import DeviceError, Driver, Identity, Setup
    from drivers.point import Quality, RangeError, Sample, Tag, sample
    from historian.batch import BatchRecord
    from historian.batches import Batch
    from historian.events import Event, Kind
    from historian.history import Aligned, History
    from historian.store import Historian
    from models.model import Model, Variable

_HOME = {
    "Aligned": "historian.history",
    "Batch": "historian.batches",
    "BatchRecord": "historian.batch",
    "Clock": "drivers.clock",
    "ConfigError": "controller.plant_file.config",
    "DeviceError": "drivers.driver",
    "Driver": "drivers.driver",
    "Event": "historian.events",
    "Historian": "historian.store",
    "History": "historian.history",
    "Identity": "drivers.driver",
    "Kind": "historian.events",
    "Model": "models.model",
    "Plant": "controller.plant",
    "Quality": "drivers.point",
    "RangeError": "drivers.point",
    "Sample": "drivers.point",
    "Setup": "drivers.driver",
    "Solution": "controller.optimal",
    "SystemClock": "drivers.clock",
    "Tag": "drivers.point",
    "Variable": "models.model",
    "load_plant": "controller.plant",
    "optimal_control": "controller.optimal",
    "sample": "drivers.point",
}
__all__ = [
    "Aligned",
    "Batch",
    "BatchRecord",
    "Clock",
    "ConfigError",
    "DeviceError",
    "Driver",
    "Event",
    "Historian",
    "History",
    "Identity",
    "Kind",
    "Model",
    "Plant",
    "Quality",
    "RangeError",
    "Sample",
    "Setup",
    "Solution",
    "SystemClock",
    "Tag",
    "Variable",
    "load_plant",
    "optimal_control",
    "sample",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'fermloop' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
