"""Which program makes the results: its version, and a hash of what a batch rests on."""

import hashlib
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Final

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
