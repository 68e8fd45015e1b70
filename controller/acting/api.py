"""The command socket: HTTP with JSON on a Unix socket, beside the scan in the same event loop.

Whoever can open the socket (mode 0600) is believed who asks: console and command line, which
authenticate people, pass on ``who`` and ``role``. What the role may is decided here, by the table
of ``controller.authority``; a command without them, or without an entry there, is refused.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from controller.acting.advising_api import Advises, advising
from controller.acting.authority import ROLES, require
from controller.acting.body import (
    REQUIRED,
    BadRequestError,
    Keys,
    choice,
    flag,
    integer,
    number,
    numbers,
    text,
    whole,
)
from controller.acting.command_socket import (
    CommandSocket,
    application,
    command,
    question,
    reply,
)
from controller.acting.tuning_api import NEW, WISH, Tunes, tuning
from controller.sensing.laboratory import Entry
from controller.texts.said import answer, line, said

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

EVENTS_MAX = 1000
WHO_MAX = 64  # characters
LOOP_MODES = ("OFF", "MANUAL", "AUTO", "CASCADE", "OPTIMISER")
RECIPE_ACTIONS = ("start", "hold", "resume", "abort", "confirm", "step")

SESSION_EVENTS = ("log in", "log out", "locked out", "password")  # his own
USER_EVENTS = ("made", "role", "password", "locked", "unlocked", "removed")


def _somebody(value: object) -> str:
    name = text(value)
    if not 1 <= len(name) <= WHO_MAX:
        raise ValueError(said("a_name", most=WHO_MAX))
    return name


_REASON = (text, "")
_BY: Keys = {"who": (_somebody, REQUIRED), "role": (choice(*ROLES), REQUIRED)}
_VALUE: Keys = {"value": (number, REQUIRED), "old": (number, None), "reason": _REASON}


class Commands(Advises, Tunes, Protocol):
    """What can be asked of a running controller. Each call is synchronous and short.

    A text that comes back is one line for a person: what is so now. ``LookupError`` means no such
    loop, reactor or interlock (404), ``RangeError`` a value that is not allowed (422), any other
    ``ValueError`` a command that cannot be obeyed now (409).
    """

    async def state_in_turns(self) -> Mapping[str, object]:
        """Return everything that the console and ``fermloop status`` show."""
        ...

    def looks(self) -> Mapping[str, object]:
        """Return what every device said last, raw words included, for ``fermloop probe``."""
        ...

    def set_mode(self, loop: str, mode: str, reason: str, who: str) -> str:
        """Ask for a loop's target mode, one of ``LOOP_MODES``."""
        ...

    def set_setpoint(
        self, loop: str, value: float, reason: str, who: str, old: float | None = None
    ) -> str:
        """Move a loop's setpoint, in its measured unit; the text says old and new.

        Refused where ``old`` is given and is not what it is: somebody else was quicker.
        """
        ...

    def set_output(
        self, loop: str, value: float, reason: str, who: str, old: float | None = None
    ) -> str:
        """Move the output of a loop in MANUAL, in its output's unit; arguments as above."""
        ...

    def recipe(
        self,
        reactor: str,
        action: str,
        recipe_path: str,
        reason: str,
        who: str,
        parameters: Mapping[str, float] | None = None,
        phase: str = "",
    ) -> str:
        """Do one of ``RECIPE_ACTIONS`` to a batch.

        Args:
            reactor: of the batch.
            action: a confirmation answers what the batch asks; a step leaves its phase.
            recipe_path: to start; the one before if empty.
            reason: required for a step.
            who: asks.
            parameters: of the recipe to start, by name.
            phase: that he saw the batch in; refused if it is no longer there. Empty: any.
        """
        ...

    def recipes(self, reactor: str) -> list[dict[str, Any]]:
        """Return the recipes that a reactor could be started with; called in a thread."""
        ...

    def edit_recipe(
        self,
        reactor: str,
        recipe_path: str,
        parameters: Mapping[str, float],
        reason: str,
        who: str,
    ) -> str:
        """Let a batch go on by another version of its recipe; a reason is required.

        The version is that of a file, or the present one where ``recipe_path`` is empty, with
        other values of its parameters.
        """
        ...

    def acknowledge(self, name: str, comment: str, who: str) -> str:
        """Acknowledge an alarm by its id, or all of a reactor."""
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

    def sample(self, reactor: str, entry: Entry, reason: str, who: str) -> str:
        """Enter a result of the laboratory, or a correction of one."""
        ...

    def safe_stop(self, reactor: str, reason: str, who: str) -> str:
        """Bring a reactor, or all where it is empty, to its safe values until it is released."""
        ...

    def release(self, reactor: str, reason: str, who: str) -> str:
        """End the safe stop of a reactor; its loops stay OFF until somebody moves them."""
        ...

    def stop(self, reason: str, who: str) -> str:
        """End the controller in order: outputs to their safe values, store committed."""
        ...

    def user(self, name: str, what: str, old: str, new: str, reason: str, who: str) -> str:
        """Record what happened to a user or his session; console and command line have done it."""
        ...

    def refused(self, subject: str, what: str, asked: Mapping[str, object], error: str) -> None:
        """Record that a person asked for what was refused; ``asked`` has ``who`` and ``role``."""
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
            return reply(answer(error), error.status)
        return reply({"events": to.events(after, limit)})

    async def recipes(request: "Request") -> "Response":
        try:
            found = await asyncio.to_thread(to.recipes, request.path_params["name"])
        except LookupError as error:
            return reply(answer(error), 404)
        return reply({"recipes": found})

    def act(path: str, action: str, keys: Keys, call: Callable[..., str]) -> "Route":
        """Return a command that ``action``'s least role may give; what is refused is recorded."""

        def checked(name: str, sent: dict[str, Any]) -> str:
            asked = dict(sent)
            role = ROLES[sent.pop("role")]
            try:
                require(role, action)
                return call(name, **sent)
            except (PermissionError, LookupError, ValueError) as error:
                to.refused(name, action, asked, line(error))
                raise

        return command(path, {**keys, **_BY}, checked)

    def stop(_: str, reason: str, who: str) -> str:
        return to.stop(reason, who)

    mode: Keys = {"mode": (choice(*LOOP_MODES), REQUIRED), "reason": _REASON}
    recipe: Keys = {
        "action": (choice(*RECIPE_ACTIONS), REQUIRED),
        "recipe": (text, ""),
        "parameters": (numbers, {}),
        "phase": (text, ""),
        "reason": _REASON,
    }
    version: Keys = {
        "recipe": (text, ""),
        "parameters": (numbers, {}),
        "reason": (text, REQUIRED),
    }
    bypass: Keys = {"minutes": (number, REQUIRED), "reason": (text, REQUIRED)}

    def run(
        name: str,
        action: str,
        recipe: str,
        parameters: Mapping[str, float],
        phase: str,
        reason: str,
        who: str,
    ) -> str:
        return to.recipe(name, action, recipe, reason, who, parameters, phase)

    def edit(name: str, recipe: str, parameters: Mapping[str, float], reason: str, who: str) -> str:
        return to.edit_recipe(name, recipe, parameters, reason, who)

    result: Keys = {
        "analyte": (text, REQUIRED),
        "value": (number, REQUIRED),
        "unit": (text, REQUIRED),
        "t_sampled": (number, REQUIRED),
        "t_available": (number, None),
        "below_limit": (flag, False),
        "corrects": (whole, 0),
        "reason": _REASON,
    }

    def sample(name: str, reason: str, who: str, **entry: Any) -> str:
        return to.sample(name, Entry(**entry), reason, who)

    why: Keys = {"reason": _REASON}
    seen: Keys = {"comment": (text, "")}
    old_new: Keys = {"old": (text, ""), "new": (text, ""), "reason": _REASON}
    session: Keys = {"what": (choice(*SESSION_EVENTS), REQUIRED), **old_new}
    users: Keys = {"what": (choice(*USER_EVENTS), REQUIRED), **old_new}
    return [
        question("/state", to.state_in_turns),
        question("/devices", to.looks),
        Route("/events", events),
        Route("/recipes/{name}", recipes),
        act("/loop/{name}/mode", "mode", mode, to.set_mode),
        act("/loop/{name}/setpoint", "setpoint", _VALUE, to.set_setpoint),
        act("/loop/{name}/output", "output", _VALUE, to.set_output),
        act("/recipe/{name}", "recipe", recipe, run),
        act("/recipe/{name}/edit", "edit recipe", version, edit),
        act("/sample/{name}", "sample", result, sample),
        *advising(to, act, _BY),
        act("/interlock/{name}/bypass", "bypass", bypass, to.bypass_interlock),
        act("/interlock/{name}/end", "end bypass", why, to.end_bypass),
        act("/interlock/{name}/reset", "reset", why, to.reset_interlock),
        act("/alarm/{name}/acknowledge", "acknowledge", seen, to.acknowledge),
        act("/safe-stop", "safe-stop", why, to.safe_stop),
        act("/safe-stop/{name}", "safe-stop", why, to.safe_stop),
        act("/release/{name}", "release", why, to.release),
        act("/session/{name}", "session", session, to.user),
        act("/user/{name}", "users", users, to.user),
        Route("/tuning/{name}", tuning(to)),
        act("/loop/{name}/tune", "tune", {**WISH, **why}, to.tune),
        act("/loop/{name}/end-tuning", "end tuning", why, to.end_tuning),
        act("/loop/{name}/retune", "tune", {**NEW, **why}, to.retune),
        act("/stop", "stop", why, stop),
    ]
