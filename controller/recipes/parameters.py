"""A recipe's parameters: numbers with limits that its other tables refer to as ``"$name"``."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import Field, model_validator

from controller.plant_file.config import ConfigError, Settings, validate

TABLE = "parameters"


class Parameter(Settings):
    """A number that whoever starts the batch may choose within its limits."""

    value: float = Field(description="in its unit, low to high")
    unit: str = ""
    low: float = Field(description="the least that is allowed")
    high: float = Field(description="the most that is allowed")

    @model_validator(mode="after")
    def _check(self) -> "Parameter":
        if not self.low <= self.value <= self.high:
            raise ValueError(f"value: {self.value:g} is not allowed; {self.limits}")
        return self

    @property
    def limits(self) -> str:
        """What is allowed, for people: ``0.05 to 0.3 1/h``."""
        return f"{self.low:g} to {self.high:g} {self.unit}".rstrip()


class _Parameters(Settings):
    parameters: dict[str, Parameter] = Field(default_factory=dict)


def chosen(table: Mapping[str, Any], values: Mapping[str, float], file: str) -> dict[str, Any]:
    """Return a recipe's table with other values of its parameters.

    Raises:
        ConfigError: one line for each that the recipe does not have or does not allow.
    """
    known = _known(table, file)
    lines = [f"{file}: {line}" for line in _refused(known, values)]
    if lines:
        raise ConfigError(lines)
    if not values:
        return dict(table)
    given = {n: {**p, "value": values.get(n, p["value"])} for n, p in table[TABLE].items()}
    return {**table, TABLE: given}


def filled(table: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Return a recipe's table with the value of its parameter in place of each ``"$name"``.

    Raises:
        ConfigError: one line for each that is referred to and is not there, or the other way round.
    """
    known = _known(table, file)
    used: set[str] = set()
    lines: list[str] = []

    def fill(value: Any, key: str) -> Any:
        if isinstance(value, dict):
            inner = cast("dict[str, Any]", value)
            return {k: fill(v, f"{key}.{k}") for k, v in inner.items()}
        if isinstance(value, list | tuple):
            items = cast("list[Any]", value)
            return [fill(v, f"{key}.{k}") for k, v in enumerate(items)]
        if not (isinstance(value, str) and value.startswith("$")):
            return value
        name = value[1:]
        if name not in known:
            there = ", ".join(known) or "it has none"
            lines.append(f"{file}: {key[1:]}: {value} is no parameter of the recipe; {there}")
            return 0.0
        used.add(name)
        return known[name].value

    result = {k: v if k == TABLE else fill(v, f".{k}") for k, v in table.items()}
    lines += [
        f"{file}: {TABLE}.{name}: nothing refers to it; write ${name} where it is to stand"
        for name in known
        if name not in used
    ]
    if lines:
        raise ConfigError(lines)
    return result


def _known(table: Mapping[str, Any], file: str) -> dict[str, Parameter]:
    part = {TABLE: table[TABLE]} if TABLE in table else {}
    return validate(_Parameters, part, file).parameters


def _refused(known: Mapping[str, Parameter], values: Mapping[str, float]) -> Iterator[str]:
    for name, value in values.items():
        if name not in known:
            yield f"{TABLE}.{name}: no such parameter; {', '.join(known) or 'it has none'}"
        elif not known[name].low <= value <= known[name].high:
            yield f"{TABLE}.{name}: {value:g} is not allowed; {known[name].limits}"
