"""Third-party drivers of a plant file: their classes found and judged, their devices made.

Loading runs the code that the plant file names. It is done where a plant is checked or run, by
whoever starts that; never for the command socket or the console.
"""

import copy
from collections.abc import Callable, Iterator
from typing import cast

from controller.consistency.devices import own
from controller.plant import Plant
from controller.plant_file.config import ConfigError
from controller.plant_file.device_settings import DeviceSettings
from drivers.clock import Clock, SystemClock
from drivers.door import Door
from drivers.driver import Driver, Setup
from drivers.third_party import LoadError, load, says, words


def third_party(plant: Plant) -> dict[str, DeviceSettings]:
    """Return the devices of a plant whose driver is not ours, by name; imports nothing."""
    return {name: s for name, s in plant.settings.device.items() if not own(s)}


def make(name: str, settings: DeviceSettings, clock: Clock, seed: int = 0) -> Driver:
    """Return a third-party driver behind its door.

    Args:
        name: the device's name in the plant file.
        settings: its table.
        clock: for its samples.
        seed: for a simulation in virtual time.

    Raises:
        ConfigError: its class cannot be loaded, is no driver, or refuses the device.
    """
    try:
        driver = cast("Callable[[Setup], Driver]", load(settings.driver))
    except LoadError as error:
        raise ConfigError([f"device.{name}.driver: {error}"]) from error
    setup = Setup(
        name,
        settings.address,
        tuple(t.tag() for t in settings.tags),
        settings.timeout_s,
        clock,
        copy.deepcopy(settings.options),
        {t.name: copy.deepcopy(t.options) for t in settings.tags},
        seed,
    )
    ages = {t.name: t.max_age_s for t in settings.tags if t.max_age_s is not None}
    try:
        made = driver(setup)
    except (Exception, SystemExit) as error:
        why = says(error) if type(error) is ValueError else words(error)
        raise ConfigError([f"device.{name}: {settings.driver} refuses it: {why}"]) from error
    return Door(made, setup, ages)


def require_third_party(plant: Plant) -> None:
    """Load every third-party driver of a plant and make each of its devices once.

    Nothing is connected: a driver touches its device when it is first used.

    Raises:
        ConfigError: one line a mistake, of all devices.
    """
    _raise(plant, lambda name, s: make(name, s, SystemClock()))


def require_virtual(plant: Plant) -> None:
    """Refuse by name every third-party driver that cannot be used in virtual time.

    Raises:
        ConfigError: one line a mistake, of all devices.
    """

    def check(name: str, settings: DeviceSettings) -> None:
        if not getattr(load(settings.driver), "virtual_time", False):
            raise ConfigError(
                [
                    f"device.{name}.driver: {settings.driver} is not allowed in virtual time; its "
                    "class does not say virtual_time = True, so it may wait for a wire or for the "
                    "clock on the wall. Take the device out of a copy of the plant file, or run "
                    "the plant with fermloop run"
                ]
            )

    _raise(plant, check)


def _raise(plant: Plant, check: Callable[[str, DeviceSettings], object]) -> None:
    lines = [f"{plant.path.name}: {line}" for line in _mistakes(plant, check)]
    if lines:
        raise ConfigError(lines)


def _mistakes(plant: Plant, check: Callable[[str, DeviceSettings], object]) -> Iterator[str]:
    for name, settings in third_party(plant).items():
        try:
            check(name, settings)
        except LoadError as error:
            yield f"device.{name}.driver: {error}"
        except ConfigError as error:
            yield from error.lines
