"""Drivers that are not ours: the class that a plant file names is found, imported and judged here.

Importing a class runs the code of whoever wrote it, so a plant file is a matter of trust. Only
``load`` imports; nothing that a person or a program asks of a running controller leads here.
"""

import difflib
import importlib
import inspect
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from drivers.driver import Driver

GROUP = "fermloop.drivers"
METHODS = ("identify", "read", "write", "heartbeat", "advance", "close")  # those that wait
TELLING = ("raw", "warnings")
_NEEDED = ("read", "write", "close")  # what a class must bring along itself
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LONGEST = 300  # characters of somebody else's error that are shown


class LoadError(ValueError):
    """Somebody else's class cannot be used; the text tells what, why and what was allowed."""


def offered() -> dict[str, list[str]]:
    """Return each entry point of ``fermloop.drivers`` that is installed, with what it names."""
    found: dict[str, set[str]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, set()).add(point.value.replace(" ", ""))
    return {name: sorted(values) for name, values in sorted(found.items())}


def wrong_name(driver: str, ours: Collection[str]) -> str | None:
    """Return why ``driver`` cannot be a driver's name, or ``None``; imports nothing.

    Args:
        driver: as in the plant file.
        ours: the drivers that fermloop brings along.
    """
    if driver in ours or names_class(driver):
        return None
    installed = offered()
    if driver in installed:
        return None
    if ":" in driver:
        return f"{driver} is not allowed; package.module:Class is required"
    have = ", ".join(installed) or "none is installed"
    return (
        f"{driver} is not allowed; one of {', '.join(ours)}, an entry point of {GROUP} ({have}) "
        f"or package.module:Class{_meant(driver, [*ours, *installed])}"
    )


def load(driver: str) -> type[Driver]:
    """Import and return the class that ``driver`` names.

    Args:
        driver: ``package.module:Class`` or the name of an entry point.

    Raises:
        LoadError: there is no such package, module or class, or it is no driver.
    """
    target = driver
    if ":" not in driver:
        targets = offered().get(driver, [])
        if len(targets) != 1:
            several = f"{' and '.join(targets)} have that name; name one of them instead"
            raise LoadError(wrong_name(driver, ()) or f"{driver} is not allowed; {several}")
        target = targets[0]
    shown = driver if target == driver else f"{driver} ({target})"
    found = find(target, shown)
    wrong = list(faults(found))
    try:
        inspect.signature(found).bind(None)
    except TypeError as error:
        if not wrong:
            wrong = [f"it must be made with one argument, a fermloop.Setup, but {error}"]
    except ValueError:
        pass  # made in C: seen when it is made
    if wrong:
        raise LoadError(f"{shown} is not allowed; {'; '.join(wrong)}")
    return found


def names_class(name: str) -> bool:
    """Whether ``name`` has the form ``package.module:Class``; imports nothing."""
    return _CLASS.fullmatch(name) is not None


def find(target: str, shown: str) -> Any:
    """Import and return what ``package.module:Class`` names, whatever it is.

    Args:
        target: where it is.
        shown: how a message calls it.

    Raises:
        LoadError: there is no such package, module or class, or importing it fails.
    """
    module_name, _, attribute = target.partition("[")[0].partition(":")
    module = _imported(module_name, shown)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            classes = [n for n, c in vars(module).items() if _own_class(c, module_name)]
            have = f"it has {', '.join(classes)}" if classes else "it has no class"
            raise LoadError(
                f"{shown} is not allowed; {module_name} has no {attribute}: {have}"
                f"{_meant(part, classes)}"
            )
        found = getattr(found, part)
    return found


def faults(driver: object) -> Iterator[str]:
    """Yield what a class lacks to be a driver, each as a clause."""
    if not isinstance(driver, type):
        what = "a function" if inspect.isfunction(driver) else says(driver)
        yield f"it is no class but {what}"
        return
    missing = [n for n in (*METHODS, *TELLING) if _missing(driver, n)]
    if missing:
        yield (
            f"it has no {', '.join(missing)}; a driver needs read, write and close, and takes "
            "the rest from fermloop.Driver, of which it is a subclass"
        )
    for name in (*METHODS, *TELLING):
        if name in missing:
            continue
        waits = inspect.iscoroutinefunction(inspect.unwrap(getattr(driver, name)))
        if waits != (name in METHODS):
            yield f"{name} is {'' if waits else 'not '}async; it must {'not ' if waits else ''}be"
    if not isinstance(getattr(driver, "virtual_time", False), bool):
        yield "virtual_time must be True or False"


def words(error: BaseException) -> str:
    """Return somebody else's error in a line: its class and what it says, not too long."""
    inner: Any = getattr(error, "exceptions", ())
    if type(error) in (ExceptionGroup, BaseExceptionGroup) and len(inner) == 1:
        return words(inner[0])  # as a TaskGroup raises it
    return f"{type(error).__name__}: {says(error)}".removesuffix(": ")


def says(error: object) -> str:
    """Return what somebody else's error says, in a line and not too long."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 (whatever it raises, it says nothing)
        return ""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _imported(name: str, shown: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if missing != name and not name.startswith(f"{missing}."):
            why = f"it needs {missing}, which is not installed in {sys.prefix}"
        elif missing == name.partition(".")[0]:
            why = (
                f"there is no package {missing} in {sys.prefix}; install it there, or put the "
                "folder that it is in on PYTHONPATH"
            )
        else:
            why = f"{missing.rpartition('.')[0]} has no module {missing.rpartition('.')[2]}"
        raise LoadError(f"{shown} is not allowed; {why}") from None
    except (Exception, SystemExit) as error:
        raise LoadError(f"{shown} is not allowed; importing it fails: {words(error)}") from error


def _missing(driver: type, name: str) -> bool:
    found = getattr(driver, name, None)
    return not callable(found) or (name in _NEEDED and found is getattr(Driver, name))


def _own_class(thing: object, module: str) -> bool:
    return isinstance(thing, type) and thing.__module__ == module


def _meant(name: str, among: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, among, n=1)
    return f"; did you mean {near[0]}?" if near else ""
