"""What the command line's arguments and options may be, and how they are explained."""

import math
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

# under which heading of ``fermloop --help`` a command stands
RUN, WITHOUT, LOOK, ASK = (
    "Run a plant",
    "Without a plant",
    "Look at devices",
    "Speak to the running controller",
)
LONGEST_S = 1000 * 3600.0
MODES = ("OFF", "MANUAL", "AUTO", "CASCADE", "OPTIMISER")


class Optimiser(StrEnum):
    """Who moves the feed."""

    OFF = "off"
    SHADOW = "shadow"
    ADVISORY = "advisory"
    ON = "on"


class Action(StrEnum):
    """What can be done to a batch."""

    START = "start"
    HOLD = "hold"
    RESUME = "resume"
    ABORT = "abort"
    CONFIRM = "confirm"
    STEP = "step"
    EDIT = "edit"


def speed(text: str) -> float:
    """Return ``60`` or ``max`` as a speed; 0 means lock-step, as fast as the machine allows."""
    if text == "max":
        return 0.0
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 1000:
        raise typer.BadParameter(f"{text} is not allowed; a number from 1 to 1000, or max")
    return value


def pace(text: str) -> float:
    """Return the speed of a plant that is not in lock-step; slower than real time is one too."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 1000:
        raise typer.BadParameter(f"{text} is not allowed; a number from 0.01 to 1000")
    return value


_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def duration(text: str) -> float:
    """Return ``90s``, ``10min``, ``2h`` or ``1.5d`` in s."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)", text.strip())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < seconds <= LONGEST_S:
        raise typer.BadParameter(
            f"{text} is not allowed; a time with its unit (s, min, h, d), such as 90s, 10min or "
            "2h, is required, up to 1000h"
        )
    return seconds


def loop_mode(text: str) -> str:
    """Return a mode as the controller knows it."""
    if text.upper() not in MODES:
        raise typer.BadParameter(f"{text} is not allowed; one of {', '.join(MODES)}")
    return text.upper()


def named(texts: list[str]) -> dict[str, float]:
    """Return ``mu=0.2`` and the like as numbers by name.

    Raises:
        typer.BadParameter: one is nothing of the kind.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"{text} is not allowed; name=value, such as mu=0.2")
        found[name.strip()] = finite(value)
    return found


def finite(text: str) -> float:
    """Return a number that can be a setpoint."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise typer.BadParameter(f"{text} is not allowed; a number such as 35 or 6.95 is required")
    return value


PlantFile = Annotated[Path, typer.Argument(metavar="PLANT.toml", help="The plant file.")]
Recipe = Annotated[
    Path | None, typer.Option("--recipe", metavar="RECIPE.toml", help="The recipe to start.")
]
OptimiserMode = Annotated[
    Optimiser,
    typer.Option(
        "--optimiser",
        case_sensitive=False,
        help="off: the recipe alone; shadow: plans are made and logged but change nothing; "
        "advisory: they are suggested to an operator; on: they move the feed and the DO setpoint.",
    ),
]
Report = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write the report there, as JSON.")
]
Seed = Annotated[
    int,
    typer.Option(
        min=0, max=2**31 - 1, help="Draws the simulated plant: strain, kLa, probes, pumps."
    ),
]
Speed = Annotated[
    float,
    typer.Option(
        parser=speed,
        metavar="N|max",
        help="Plant seconds per second, 1 to 1000; max: the next scan as soon as one is done.",
    ),
]
Hours = Annotated[float, typer.Option(min=0.001, max=1000, help="Batch time to run, h.")]
Every = Annotated[float, typer.Option(min=0.1, max=3600, help="Between two reads, wall s.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Which = Annotated[
    Path | None,
    typer.Option("--plant", metavar="PLANT.toml", help="Which plant, where more than one runs."),
]
StoreFile = Annotated[
    Path | None, typer.Option("--store", metavar="FILE", help="A store.sqlite, running or not.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")]
As = Annotated[
    str,
    typer.Option(
        "--as",
        metavar="NAME",
        help="Which user of the plant you are; else the one named as your log-in, or the only one.",
    ),
]
Loop = Annotated[str, typer.Argument(metavar="LOOP", help="Reactor and loop: R1.do")]
Reactor = Annotated[str, typer.Argument(metavar="REACTOR", help="Reactor: R1")]

# How an OPC UA server is spoken to: the keys of a device's ``security`` and ``login``.
Policy = Annotated[
    str | None,
    typer.Option(
        metavar="POLICY",
        help="Basic256Sha256, Aes128_Sha256_RsaOaep or Aes256_Sha256_RsaPss; else the first.",
    ),
]
Certificate = Annotated[
    str | None, typer.Option("--certificate", metavar="FILE", help="Ours; see fermloop cert.")
]
Key = Annotated[str | None, typer.Option("--key", metavar="FILE", help="The key of ours.")]
Trusted = Annotated[
    str | None,
    typer.Option("--trusted", metavar="FOLDER", help="Certificates of servers that are trusted."),
]
ApplicationUri = Annotated[
    str | None, typer.Option("--application-uri", metavar="URI", help="What the server must be.")
]
User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Log in as NAME.")]
PasswordFile = Annotated[
    str | None, typer.Option("--password-file", metavar="FILE", help="Readable by you alone.")
]
PasswordEnv = Annotated[
    str | None,
    typer.Option("--password-env", metavar="NAME", help="An environment variable's name."),
]
UserCertificate = Annotated[
    str | None, typer.Option("--user-certificate", metavar="FILE", help="Log in with it.")
]
UserKey = Annotated[str | None, typer.Option("--user-key", metavar="FILE", help="Its key.")]
