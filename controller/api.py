"""The command socket: HTTP with JSON on a Unix socket, beside the scan in the same event loop.

Whoever can open the socket (mode 0600) may command; the console, which faces the network,
authenticates people and passes on ``who``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from controller.body import REQUIRED, BadRequestError, Keys, choice, integer, number, text
from controller.command_socket import CommandSocket, application, command, question, reply

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

EVENTS_MAX = 1000
LOOP_MODES = ("OFF", "MANUAL", "AUTO", "CASCADE", "OPTIMISER")
RECIPE_ACTIONS = ("start", "hold", "resume", "abort")
OPTIMISER_MODES = ("off", "shadow", "on")

_REASON = (text, "")
_WHO = (text, "local")
_VALUE: Keys = {"value": (number, REQUIRED), "reason": _REASON, "who": _WHO}


class Commands(Protocol):
    """What can be asked of a running controller. Each call is synchronous and short.

    A text that comes back is one line for a person: what is so now. ``LookupError`` means no such
    loop, reactor or interlock (404), ``RangeError`` a value that is not allowed (422), any other
    ``ValueError`` a command that cannot be obeyed now (409).
    """

    def state(self) -> Mapping[str, object]:
        """Return everything that the console and ``fermloop status`` show."""
        ...

    def looks(self) -> Mapping[str, object]:
        """Return what every device said last, raw words included, for ``fermloop probe``."""
        ...

    def set_mode(self, loop: str, mode: str, reason: str, who: str) -> str:
        """Ask for a loop's target mode, one of ``LOOP_MODES``."""
        ...

    def set_setpoint(self, loop: str, value: float, reason: str, who: str) -> str:
        """Move a loop's setpoint, in its measured unit; the text says old and new."""
        ...

    def set_output(self, loop: str, value: float, reason: str, who: str) -> str:
        """Move the output of a loop in MANUAL, in its output's unit."""
        ...

    def recipe(self, reactor: str, action: str, recipe_path: str, reason: str, who: str) -> str:
        """Start, hold, resume or abort a batch; ``recipe_path`` may be empty."""
        ...

    def acknowledge(self, name: str, comment: str, who: str) -> str:
        """Acknowledge an alarm by its id, or all of a reactor."""
        ...

    def optimiser(self, reactor: str, mode: str, who: str) -> str:
        """Switch the optimiser ``off``, to ``shadow`` or ``on``."""
        ...

    def bypass_interlock(self, name: str, minutes: float, reason: str, who: str) -> str:
        """Let an interlock demand nothing for so many minutes; a reason is required."""
        ...

    def end_bypass(self, name: str, reason: str, who: str) -> str:
        """End the bypass of an interlock before its time."""
        ...

    def reset_interlock(self, name: str, reason: str, who: str) -> str:
        """Clear a latched interlock whose reason is gone."""
        ...

    def stop(self, who: str) -> str:
        """End the controller in order: outputs to their safe values, store committed."""
        ...

    def events(self, after: int, limit: int) -> list[dict[str, object]]:
        """Return at most ``limit`` events with an id above ``after``, oldest first."""
        ...


class CommandServer(CommandSocket):
    """The command socket of a controller.

    Args:
        commands: who obeys.
        path: the socket's path, ``data_dir/control.sock``.
        plant: the plant file, announced to ``fermloop status``; ``None`` announces nothing.
    """

    def __init__(self, commands: Commands, path: Path, plant: Path | None = None) -> None:
        super().__init__(application(routes(commands)), path, plant)


def routes(to: Commands) -> "list[Route]":
    """Return what the command socket understands; ``name``: loop, reactor or interlock."""
    from starlette.routing import Route

    async def events(request: "Request") -> "Response":
        try:
            query = request.query_params
            after = integer("after", query.get("after"), 0, 2**63 - 1, 0)
            limit = integer("limit", query.get("limit"), 1, EVENTS_MAX, 200)
        except BadRequestError as error:
            return reply({"error": str(error)}, error.status)
        return reply({"events": to.events(after, limit)})

    mode: Keys = {"mode": (choice(*LOOP_MODES), REQUIRED), "reason": _REASON, "who": _WHO}
    recipe: Keys = {
        "action": (choice(*RECIPE_ACTIONS), REQUIRED),
        "recipe": (text, ""),
        "reason": _REASON,
        "who": _WHO,
    }
    bypass: Keys = {
        "minutes": (number, REQUIRED),
        "reason": (text, REQUIRED),
        "who": _WHO,
    }
    said: Keys = {"reason": _REASON, "who": _WHO}
    optimiser: Keys = {"mode": (choice(*OPTIMISER_MODES), REQUIRED), "who": _WHO}
    return [
        question("/state", to.state),
        question("/devices", to.looks),
        Route("/events", events),
        command("/loop/{name}/mode", mode, lambda name, b: to.set_mode(name, **b)),
        command("/loop/{name}/setpoint", _VALUE, lambda name, b: to.set_setpoint(name, **b)),
        command("/loop/{name}/output", _VALUE, lambda name, b: to.set_output(name, **b)),
        command(
            "/recipe/{name}",
            recipe,
            lambda name, b: to.recipe(name, b["action"], b["recipe"], b["reason"], b["who"]),
        ),
        command("/optimiser/{name}", optimiser, lambda name, b: to.optimiser(name, **b)),
        command("/interlock/{name}/bypass", bypass, lambda n, b: to.bypass_interlock(n, **b)),
        command("/interlock/{name}/end", said, lambda n, b: to.end_bypass(n, **b)),
        command("/interlock/{name}/reset", said, lambda n, b: to.reset_interlock(n, **b)),
        command(
            "/alarm/{name}/acknowledge",
            {"comment": (text, ""), "who": _WHO},
            lambda name, b: to.acknowledge(name, **b),
        ),
        command("/stop", {"who": _WHO}, lambda _, b: to.stop(b["who"])),
    ]
