"""Which software runs a plant: told once at every start, so that the record knows it for ever."""

import platform
import sqlite3
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from controller.devices.devices import Device
from controller.texts.said import said
from historian.events import Event, Kind

_PACKAGES: Final = ("fermloop", "pymodbus", "asyncua", "influxdb-client", "casadi", "numpy")


def versions(devices: Iterable[Device] = ()) -> dict[str, str]:
    """Return the version of each program, and what each device calls itself, by name."""
    found = {name.replace("-", "_"): _version(name) for name in _PACKAGES}
    found["python"] = platform.python_version()
    found["sqlite"] = sqlite3.sqlite_version
    found["system"] = f"{platform.system()} {platform.release()} {platform.machine()}"
    named = {f"device.{device.name}": device.identity.name for device in devices}
    return {name: text for name, text in {**found, **named}.items() if text}


def started(now: float, site: str, devices: Iterable[Device]) -> Event:
    """Return the event that tells of them; the forwarder makes points of it as well."""
    found = versions(devices)
    text = said("controller_runs", fermloop=found["fermloop"], python=found["python"])
    return Event(now, "system", Kind.NOTE, site, text, {"versions": found})


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
