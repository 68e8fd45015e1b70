"""What may come in over the command socket: strict JSON with known keys, checked one by one.

Pure functions of bytes; every error is one line that names the key, the value and what is allowed.
"""

import difflib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

from controller.texts.said import said

BODY_MAX = 64 * 1024  # bytes
TEXT_MAX = 500  # characters of a reason, a name or a path
SHOWN = 60  # characters of a wrong value that an error repeats

Key = Callable[[object], object]  # takes the value sent, returns the value to use
Keys = Mapping[str, tuple[Key, object]]  # the second is the default; REQUIRED has none
REQUIRED = object()


class BadRequestError(Exception):
    """What was sent cannot be understood; the text is the answer."""

    def __init__(self, text: str, status: int = 422) -> None:
        super().__init__(text)
        self.status = status


def parse(body: bytes, keys: Keys) -> dict[str, Any]:
    """Return the value of every key, defaults filled in.

    Raises:
        BadRequestError: no JSON object, an unknown, missing or wrong key.
    """
    sent = _decode(body)
    for name in sent:
        if name not in keys:
            near = difflib.get_close_matches(name, keys, 1)
            hint = said("hint", near=near[0]) if near else ""
            allowed = ", ".join(keys) or "none"
            raise BadRequestError(said("no_key", key=_show(name), allowed=allowed, hint=hint))
    values: dict[str, Any] = {}
    for name, (check, default) in keys.items():
        if name not in sent:
            if default is REQUIRED:
                raise BadRequestError(said("missing", key=name))
            values[name] = default
            continue
        try:
            values[name] = check(sent[name])
        except ValueError as error:
            why = error.args[0]
            raise BadRequestError(
                said("value", key=name, value=_show(sent[name]), why=why)
            ) from None
    return values


def number(value: object) -> float:
    """Accept a finite number; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(said("a_number"))
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise ValueError(said("a_finite_number"))
    return result


def numbers(value: object) -> dict[str, float]:
    """Accept finite numbers by name."""
    if not isinstance(value, dict):
        raise ValueError("it must be an object of numbers by name")
    return {name: number(one) for name, one in cast("dict[str, object]", value).items()}


def text(value: object) -> str:
    """Accept one line of text."""
    if not isinstance(value, str) or len(value) > TEXT_MAX or not (value.isprintable()):
        raise ValueError(said("a_line", most=TEXT_MAX))
    return value.strip()


def flag(value: object) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise ValueError(said("a_choice", allowed="true, false"))
    return value


def whole(value: object) -> int:
    """Accept a whole number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise ValueError(said("a_whole_number"))
    return value


def choice(*allowed: str) -> Key:
    """Return a check that accepts one of the words."""

    def check(value: object) -> str:
        if value not in allowed:
            raise ValueError(said("a_choice", allowed=", ".join(allowed)))
        return str(value)

    return check


def integer(name: str, sent: str | None, low: int, high: int, default: int) -> int:
    """Return a query parameter as a whole number within its limits.

    Raises:
        BadRequestError: it is none.
    """
    if sent is None:
        return default
    # isdecimal takes digits of every script, int takes them too; 19 keeps int() short
    if sent.isdecimal() and len(sent) <= 19 and low <= int(sent) <= high:
        return int(sent)
    raise BadRequestError(
        f"{name}: {_show(sent)} is not allowed; it must be a whole number from {low} to {high}"
    )


def dumps(value: object) -> bytes:
    """Return strict JSON: what is not finite becomes null."""
    try:
        line = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except ValueError:
        line = json.dumps(
            _finite(value), allow_nan=False, ensure_ascii=False, separators=(",", ":")
        )
    return line.encode("utf-8", "replace")


def _decode(body: bytes) -> dict[str, object]:
    if not body.strip():
        return {}
    try:
        sent: object = json.loads(
            body, parse_constant=_refuse_constant, object_pairs_hook=_refuse_doubles
        )
    except BadRequestError:
        raise
    except (ValueError, RecursionError) as error:
        reason = error if isinstance(error, json.JSONDecodeError) else "too deep or not UTF-8"
        raise BadRequestError(f"body: is not JSON: {reason}") from None
    if not isinstance(sent, dict):
        raise BadRequestError(f"body: {_show(sent)} is not allowed; it must be a JSON object")
    return cast("dict[str, object]", sent)


def _refuse_constant(name: str) -> object:
    raise BadRequestError(f"body: {name} is not allowed; numbers must be finite")


def _refuse_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise BadRequestError("body: a key is there twice")
    return result


def _show(value: object) -> str:
    try:
        shown = json.dumps(value, default=str)
    except (ValueError, RecursionError):
        shown = type(value).__name__
    return shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + "…"


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value)
        return {key: _finite(item) for key, item in pairs.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in cast("list[object]", value)]
    return value
