"""Who is let in: log-in, sessions and their end. Everything is in this process and ends with it."""

import asyncio
import contextlib
import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from controller.acting.authority import Role
from controller.acting.users import User, UserError, Users
from controller.texts.said import said
from drivers.clock import monotonic

T = TypeVar("T")

IDLE_S = 900.0  # wall s without a key or a click after which a session only shows
LIFE_S = 12 * 3600.0  # wall s after which it ends: a shift
WAITING_MAX = 16  # log-ins that may wait for their password to be checked
SESSIONS_MAX = 200


class BusyError(Exception):
    """More log-ins wait than are served."""


@dataclass(slots=True)
class Session:
    """Somebody who has logged in.

    Attributes:
        name: of the user.
        csrf: what the page must send with every command.
        began: wall s, monotonic.
        touched: when a person last did something.
    """

    name: str
    csrf: str
    began: float
    touched: float


class Door:
    """Lets people in and remembers who is there.

    Passwords are hashed on one thread of low priority, one at a time, with a bounded queue: a
    flood of log-ins waits or is turned away, and nothing else does.

    Args:
        users: of the plant.
        timer: monotonic wall s.

    Attributes:
        setup: the one-time token that makes the first engineer; empty where there are users.
    """

    def __init__(self, users: Users, timer: Callable[[], float] = monotonic) -> None:
        self.users = users
        self.setup = "" if users.all() else secrets.token_hex(16)
        self._timer = timer
        self._sessions: dict[str, Session] = {}
        self._waiting = 0
        self._hashing = ThreadPoolExecutor(1, "log-in", initializer=_stand_back)

    async def log_in(self, name: str, password: str) -> tuple[str, Session, User]:
        """Return a new session, with the secret of its cookie.

        Raises:
            DeniedError: name or password is wrong, or the user is locked.
            BusyError: too many wait.
            UserError: the file of the users is damaged.
        """
        user = await self.in_turn(lambda: self.users.authenticate(name, password))
        secret, session = self.begin(user.name)
        return secret, session, user

    async def set_up(self, token: str, name: str, password: str) -> tuple[str, Session, User]:
        """Make the first engineer and let him in.

        Raises:
            UserError: the token is wrong or was used, or name or password is not allowed.
            BusyError: too many wait.
        """
        if not (self.setup and hmac.compare_digest(token.encode(), self.setup.encode())):
            raise UserError(said("token"))
        user = await self.in_turn(lambda: self.users.add(name, Role.ENGINEER, password, first=True))
        self.setup = ""
        secret, session = self.begin(user.name)
        return secret, session, user

    def who(self, secret: str) -> tuple[Session, User] | None:
        """Return the session of a cookie and its user as he is now; ``None``: there is none."""
        key = _key(secret)
        session = self._sessions.get(key)
        if session is None:
            return None
        user = None
        with contextlib.suppress(UserError):  # a damaged file lets nobody in
            user = self.users.all().get(session.name)
        if user is None or user.locked or self._timer() - session.began > LIFE_S:
            del self._sessions[key]
            return None
        return session, user

    def fresh(self, session: Session) -> bool:
        """Whether a person has touched it lately, so that it may act."""
        return self._timer() - session.touched <= IDLE_S

    def touch(self, session: Session) -> None:
        """A person has done something; an idle session stays idle until the next log-in."""
        if self.fresh(session):
            session.touched = self._timer()

    def log_out(self, secret: str) -> Session | None:
        """End a session and return it."""
        return self._sessions.pop(_key(secret), None)

    def needs_setup(self) -> bool:
        """Whether there are no users yet; one made elsewhere ends the set-up."""
        if self.setup and self.users.all():
            self.setup = ""
        return bool(self.setup)

    def close(self) -> None:
        """End the thread."""
        self._hashing.shutdown(wait=False, cancel_futures=True)

    def begin(self, name: str) -> tuple[str, Session]:
        """Begin the session of a user who has proven that he is; return the cookie's secret."""
        now = self._timer()
        if len(self._sessions) >= SESSIONS_MAX:
            oldest = min(self._sessions, key=lambda key: self._sessions[key].touched)
            del self._sessions[oldest]
        secret = secrets.token_urlsafe(32)
        session = Session(name, secrets.token_urlsafe(32), now, now)
        self._sessions[_key(secret)] = session
        return secret, session

    def end_others(self, kept: Session) -> None:
        """End the other sessions of a user, whose password is not what it was."""
        ended = [k for k, s in self._sessions.items() if s.name == kept.name and s is not kept]
        for key in ended:
            del self._sessions[key]

    async def in_turn(self, work: Callable[[], T]) -> T:
        """Do what hashes a password, after those that came before.

        Raises:
            BusyError: too many wait.
        """
        if self._waiting >= WAITING_MAX:
            raise BusyError(said("busy"))
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._hashing, work)
        finally:
            self._waiting -= 1


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _stand_back() -> None:
    """Let everything else on this machine go first."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
