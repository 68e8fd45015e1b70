"""Reading a TOML file into frozen tables, and saying in one line each what is wrong with it."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

M = TypeVar("M", bound=BaseModel)


class ConfigError(ValueError):
    """A plant file or recipe that cannot be used; ``lines`` has one line a mistake."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[list[str]]]:
        """Return how another process makes it again; ``args`` are no lines."""
        return type(self), (self.lines,)


class Settings(BaseModel):
    """A table of the plant file: unknown keys are refused, nothing changes after reading."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True
    )


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises:
        ConfigError: it cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror or error}; a TOML file is required"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path.name}: not valid TOML: {error}"]) from None


def validate(model: type[M], table: Mapping[str, Any], file: str) -> M:
    """Return ``table`` as ``model``.

    Raises:
        ConfigError: one line a mistake, each naming file, key, value and what was allowed.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise ConfigError(explain(error, model, file)) from None


def explain(error: ValidationError, model: type[BaseModel], file: str) -> list[str]:
    """Return pydantic's complaints in the plant's own words, a line each."""
    lines: list[str] = []
    for e in error.errors():
        path = [str(part) for part in e["loc"]]
        key = ".".join(path)
        owner, field = _locate(model, path)
        if e["type"] == "extra_forbidden":
            known = ", ".join(f.alias or n for n, f in owner.model_fields.items())
            lines.append(f"{file}: {key}: no such key; {known} are allowed")
        elif e["type"] == "missing":
            lines.append(f"{file}: {key}: missing; {_allowed(path[-1], owner, field)} is required")
        elif e["type"] == "value_error":
            lines.append(f"{file}: {key}: {e['msg'].removeprefix('Value error, ')}")
        else:
            given: object = e["input"]
            shown = given if isinstance(given, str | int | float) else type(given).__name__
            allowed = _allowed(path[-1], owner, field)
            says = e["msg"][0].lower() + e["msg"][1:]
            lines.append(f"{file}: {key}: {shown} is not allowed; {allowed}: {says}")
    return lines


def _locate(model: type[BaseModel], path: list[str]) -> tuple[type[BaseModel], str]:
    """Return the table that holds the last key of ``path`` and that key's field name."""
    owner: type[BaseModel] = model
    for part in path[:-1]:
        fields = owner.model_fields
        name = next((n for n, f in fields.items() if part in (n, f.alias)), None)
        if name is None:
            continue  # a key of a dict or an index of a list
        inner = next(_models(fields[name].annotation), None)
        owner = inner or owner
    last = path[-1]
    field = next((n for n, f in owner.model_fields.items() if last in (n, f.alias)), last)
    return owner, field


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the tables that an annotation holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType, Annotated, tuple, dict, list):
        for part in get_args(annotation):
            yield from _models(part)


def _allowed(key: str, owner: type[BaseModel], field: str) -> str:
    """Return a key with its unit and bounds: ``kp (% of output per measured unit, > 0)``."""
    info = owner.model_fields.get(field)
    if info is None:
        return key
    words = [info.description] if info.description else []
    for bound in info.metadata:
        for name, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<=")):
            limit = getattr(bound, name, None)
            if limit is not None:
                words.append(f"{sign} {limit:g}")
    return f"{key} ({', '.join(words)})" if words else key
