"""Who may do what: the one table that the controller's socket and the console both ask.

What is not in the table nobody may do.
"""

import re
from collections.abc import Mapping
from enum import IntEnum

from controller.texts.said import said, word

NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,30}[a-z0-9])?")
NAME_RULE = "1 to 32 of a-z, 0-9, dot, dash and underline, beginning and ending with a-z or 0-9"


class Role(IntEnum):
    """What a person may do; each role may do what those below it may."""

    VIEWER = 1
    OPERATOR = 2
    ENGINEER = 3

    @property
    def word(self) -> str:
        """The role as people write it."""
        return self.name.lower()


ROLES: Mapping[str, Role] = {role.word: role for role in Role}

LEAST: Mapping[str, Role] = {
    "view": Role.VIEWER,
    "audit": Role.OPERATOR,  # to read it
    "session": Role.VIEWER,  # log in, log out, one's own password
    "mode": Role.OPERATOR,
    "setpoint": Role.OPERATOR,
    "output": Role.OPERATOR,
    "recipe": Role.OPERATOR,
    "edit recipe": Role.ENGINEER,  # of a batch that is under way
    "optimiser": Role.OPERATOR,  # as far up as it was promoted
    "promote": Role.ENGINEER,  # the optimiser
    "advice": Role.OPERATOR,  # of the optimiser: accept, edit, reject
    "what-if": Role.VIEWER,  # it changes nothing
    "bypass": Role.ENGINEER,  # of an interlock
    "end bypass": Role.OPERATOR,
    "reset": Role.OPERATOR,  # of a latched interlock whose reason is gone
    "acknowledge": Role.OPERATOR,  # an alarm
    "tune": Role.ENGINEER,  # an experiment on a loop, and a new tuning
    "end tuning": Role.OPERATOR,  # of such an experiment
    "sample": Role.OPERATOR,  # a result of the laboratory, or its correction
    "safe-stop": Role.OPERATOR,
    "release": Role.OPERATOR,
    "stop": Role.ENGINEER,  # of the controller itself
    "users": Role.ENGINEER,
}


class ForbiddenError(PermissionError):
    """A person's role does not permit what he asked for; nothing has changed."""


def permits(role: Role, action: str) -> bool:
    """Whether ``role`` may do ``action``; what the table does not name is permitted to nobody."""
    least = LEAST.get(action)
    return least is not None and role >= least


def require(role: Role, action: str) -> None:
    """Return if ``role`` may do ``action``.

    Raises:
        ForbiddenError: it may not; the text names the role that may.
    """
    if not permits(role, action):
        least = LEAST.get(action)
        his = word(role.word)
        if least is None:
            raise ForbiddenError(said("nobody_may", action=action, role=his))
        needed = word(least.word)
        what = f"what.{action}"
        raise ForbiddenError(said("role", action=said(what), role=his, least=needed))
