"""The plant file and a recipe with all they name, so that a batch may run on another machine."""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

Files = Mapping[str, str]  # absolute path -> text


def gather(*paths: Path) -> Files:
    """Return the text of TOML files and of those TOML files that they name by relative path."""
    found: dict[str, str] = {}
    for path in paths:
        _gather(path.absolute(), found)
    return found


def _gather(path: Path, found: dict[str, str]) -> None:
    if str(path) in found:
        return
    found[str(path)] = text = path.read_text(encoding="utf-8")
    for word in _words(tomllib.loads(text)):
        other = path.parent / word
        if word.endswith(".toml") and other.is_file():
            _gather(other, found)


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in cast("Mapping[str, Any]", value).values():
            yield from _words(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _words(item)


def unpack(files: Files, root: Path) -> None:
    """Write the files below ``root`` as they stood to each other; see ``placed``."""
    for name, text in files.items():
        path = placed(name, root)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def placed(name: str, root: Path) -> Path:
    """Return where ``unpack`` put the file that stood at the absolute path ``name``."""
    return root / Path(name).relative_to("/")


def digest(path: Path) -> str:
    """Return what changes when a batch of this file, or of those it names, could change.

    Comments, order and ``[accept]`` limits, which judge batches and do not change them, do not.
    """
    tables = {}
    for name, text in gather(path).items():
        table = tomllib.loads(text)
        table.pop("accept", None)
        tables[Path(name).name] = table
    spelled = json.dumps(tables, sort_keys=True, default=str)
    return hashlib.sha256(spelled.encode()).hexdigest()[:16]
