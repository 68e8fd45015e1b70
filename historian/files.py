"""Files on the disk for good: written, named, and known by their checksum."""

import hashlib
import os
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20


def entry(path: Path) -> dict[str, Any]:
    """Return bytes and SHA-256 of a file, as a manifest has them."""
    found, size = digest(path)
    return {"bytes": size, "sha256": found}


def digest(path: Path) -> tuple[str, int]:
    """Return SHA-256 (hex) and bytes of a file."""
    found, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
            size += len(chunk)
    return found.hexdigest(), size


def write(path: Path, content: bytes) -> None:
    """Write a file; it is on the disk when this returns."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
