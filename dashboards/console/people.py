"""What a person looks up and keeps in order: the audit trail, his password, the plant's users."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from controller.acting.authority import NAME, ROLES, Role, require
from controller.acting.users import DeniedError, User, UserError, Users
from controller.texts.audit import in_both
from controller.texts.said import Said, said
from dashboards.console.acting import Acting, RefusedError, sent, texts
from dashboards.console.door import BusyError
from drivers.clock import monotonic
from historian.reader import SqliteReader
from historian.schema import StoreError

ROWS_MAX = 500
VERIFIED_S = 30.0  # wall s for which one look at the whole chain answers everybody
WHAT = ("made", "role", "password", "locked", "unlocked", "removed")


class Records:
    """Reads the audit trail, in a thread and one question at a time."""

    def __init__(self, store: Path) -> None:
        self._reader = SqliteReader(store)
        self._lock = asyncio.Lock()
        self._verified: tuple[float, dict[str, Any]] | None = None

    def close(self) -> None:
        """Close the store."""
        self._reader.close()

    async def newest(self, limit: int, who: str, subject: str) -> list[dict[str, Any]]:
        """Return the newest acts, newest first; see ``SqliteReader.audit``.

        Raises:
            StoreError: the store cannot be read.
        """
        async with self._lock:
            rows = await asyncio.to_thread(self._reader.audit, limit, who, subject)
        return [{**row, **in_both(row["subject"], row["text"], row["data"])} for row in rows]

    async def verdict(self) -> dict[str, Any]:
        """Return whether the chain is as it was written.

        Raises:
            StoreError: the store cannot be read.
        """
        async with self._lock:
            if self._verified is None or monotonic() - self._verified[0] > VERIFIED_S:
                found = await asyncio.to_thread(self._reader.verify)
                self._verified = monotonic(), {"ok": found.ok, **asdict(found)}
            return self._verified[1]


def permit(user: User, action: str) -> None:
    """Return if the user's role may do ``action``.

    Raises:
        RefusedError: it may not.
    """
    try:
        require(user.role, action)
    except PermissionError as error:
        raise RefusedError(403, error.args[0]) from None


def add_people(app: FastAPI, acting: Acting, records: Records) -> None:
    """Add the routes."""

    @app.get("/api/audit")
    async def audit(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        _, user = acting.viewer(request)
        permit(user, "audit")
        asked = request.query_params
        limit = asked.get("limit", "100")
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= ROWS_MAX):
            raise RefusedError(422, said("limit", most=ROWS_MAX))
        who, subject = asked.get("who", "")[:200], asked.get("subject", "")[:200]
        try:
            return JSONResponse({"acts": await records.newest(int(limit), who, subject)})
        except StoreError as error:
            raise RefusedError(503, str(error)) from None

    @app.get("/api/audit/verdict")
    async def verdict(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        _, user = acting.viewer(request)
        permit(user, "audit")
        try:
            return JSONResponse(await records.verdict())
        except StoreError as error:
            raise RefusedError(503, str(error)) from None

    @app.get("/api/users")
    async def people(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        _, user = acting.viewer(request)
        permit(user, "users")
        users = acting.door.users
        return JSONResponse({"users": [_shown(users, one) for one in users.all().values()]})

    @app.post("/api/users/{name}")
    async def change(request: Request, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        user = acting.fresh_actor(request)
        permit(user, "users")
        body = await sent(request)
        done = await _changed(acting, user, name, body)
        return JSONResponse(done)

    @app.post("/api/password")
    async def password(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        session, user = acting.actor(request)
        old, new = await texts(request, "old", "new")
        await _hashing(acting, lambda: _own_password(acting.door.users, user.name, old, new))
        acting.door.end_others(session)
        acting.tell(user.name, user.role, "password", "changed")
        return JSONResponse({"ok": True})

    @app.post("/api/language")
    async def language(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        _, user = acting.actor(request)
        (chosen,) = await texts(request, "language")
        try:
            await asyncio.to_thread(acting.door.users.set_language, user.name, chosen)
        except UserError as error:
            raise RefusedError(422, error.args[0]) from None
        return JSONResponse({"ok": True})


def _shown(users: Users, user: User) -> dict[str, Any]:
    why = users.refusal(user.name)
    chinese = why.told("zh") if isinstance(why, Said) else why
    return {"name": user.name, "role": user.role.word, "refused": why, "refused_zh": chinese}


def _own_password(users: Users, name: str, old: str, new: str) -> User:
    users.authenticate(name, old)
    return users.set_password(name, new)


async def _hashing(acting: Acting, work: Callable[[], User]) -> User:
    """Do what hashes a password in the door's own thread."""
    try:
        return await acting.door.in_turn(work)
    except DeniedError as error:
        raise RefusedError(403, error.args[0]) from None
    except BusyError as error:
        raise RefusedError(429, error.args[0]) from None
    except UserError as error:
        raise RefusedError(422, error.args[0]) from None


async def _changed(acting: Acting, by: User, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """Make or change a user in an engineer's name, and have it recorded.

    A change that could not be recorded is not made: the controller must answer.

    Raises:
        RefusedError: it is not allowed, or the controller does not answer.
    """
    what, reason = body.get("what"), body.get("reason", "")
    role, new = body.get("role", ""), body.get("password", "")
    if set(body) - {"what", "reason", "role", "password"} or not all(
        isinstance(text, str) and len(text) <= 500 for text in (reason, role, new)
    ):
        raise RefusedError(422, said("texts", keys="what, reason, role, password"))
    if what not in WHAT or (what in ("made", "role") and role not in ROLES):
        raise RefusedError(422, said("user_change", allowed=WHAT, roles=list(ROLES)))
    if not NAME.fullmatch(name):
        raise RefusedError(404, said("no_user", name=repr(name[:40]), known="-"))
    await acting.must_answer()
    users = acting.door.users
    before = users.all().get(name)
    old = "" if before is None else before.role.word if what in ("role", "removed") else ""
    await _hashing(acting, lambda: _do(users, name, str(what), role, new))
    now = role if what in ("made", "role") else "changed" if what == "password" else str(what)
    acting.tell_change(name, by, str(what), old, now, reason)
    return {"ok": True}


def _do(users: Users, name: str, what: str, role: str, password: str) -> User:
    match what:
        case "made":
            return users.add(name, ROLES[role], password)
        case "role":
            return users.set_role(name, Role[role.upper()])
        case "password":
            return users.set_password(name, password)
        case "locked":
            return users.lock(name)
        case "unlocked":
            return users.unlock(name)
        case _:
            return users.remove(name)
