"""Which program makes the results: its version, and a hash of what a batch rests on."""

import hashlib
import tomllib
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from drivers.third_party import names_class

PACKAGES: Final = ("controller", "drivers", "models", "sim")
MODULES: Final = ("closed_loop", "report", "simulated")  # of fermloop.commands


@lru_cache
def software() -> str:
    """Return ``VERSION+HASH``; the hash is of the source, as a checkout changes under one version.

    Each package is found as it is imported, so a worker tells what it really runs.
    """
    import fermloop.commands

    files = [Path(next(iter(fermloop.commands.__path__))) / f"{name}.py" for name in MODULES]
    for package in PACKAGES:
        folder = Path(next(iter(import_module(package).__path__)))
        files += sorted(folder.rglob("*.py"))
    seen = hashlib.sha256()
    for file in files:
        seen.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return f"{version('fermloop')}+{seen.hexdigest()[:12]}"


def own_code(plant: str) -> str:
    """Return a hash of the classes that the text of a plant file simulates; empty: all are ours.

    Of each the Python files in its folder count: what is edited there makes another plant.
    """
    tables: dict[str, Any] = tomllib.loads(plant).get("simulation", {})
    named = [t[key] for t in tables.values() for key in ("organism", "model") if key in t]
    seen = hashlib.sha256()
    own = sorted({name.partition(":")[0] for name in named if names_class(name)})
    for module in own:
        for file in sorted(Path(str(import_module(module).__file__)).parent.glob("*.py")):
            seen.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return seen.hexdigest()[:12] if own else ""
