"""What people do in the console: log in, command, log out. Commands go on to the controller."""

import asyncio
import contextlib
import hmac
import json
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from controller.acting.authority import Role
from controller.acting.users import DeniedError, User, UserError
from controller.texts.said import said
from dashboards.console.door import IDLE_S, LIFE_S, BusyError, Door, Session

BODY_MAX = 16 * 1024  # bytes
TIMEOUT_S = 5.0  # wall; the controller answers within a scan
AHEAD_S = 70.0  # wall, for a what-if: a worker's deadline and more
COMMANDS = frozenset(
    (
        *("loop", "recipe", "optimiser", "advice", "what-if"),
        *("safe-stop", "release", "interlock", "alarm"),
    )
)  # first words of what may be passed on; what a role may is the controller's decision


class RefusedError(Exception):
    """A request is not obeyed; the text is the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Acting:
    """The console's side of log-in and commands.

    Args:
        door: who is there.
        socket_path: the controller's command socket.
        cookie: name of the cookie; consoles on several ports of a machine share their cookies.
        secure: the console is served through TLS.
    """

    def __init__(self, door: Door, socket_path: Path, cookie: str, *, secure: bool) -> None:
        self.door = door
        self.cookie = cookie
        self._secure = secure
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket_path)),
            base_url="http://controller",
            timeout=TIMEOUT_S,
        )
        self._telling: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        """End what is under way."""
        for task in self._telling:
            task.cancel()
        self.door.close()
        await self._client.aclose()

    # -- who is there --------------------------------------------------------------------------

    def viewer(self, request: Request) -> tuple[Session, User]:
        """Return who asks.

        Raises:
            RefusedError: nobody has logged in.
        """
        found = self.door.who(request.cookies.get(self.cookie, ""))
        if found is None:
            raise RefusedError(401, said("log_in"))
        return found

    def actor(self, request: Request) -> tuple[Session, User]:
        """Return who commands, and take note that a person is there.

        Raises:
            RefusedError: nobody has logged in, or the page is not ours.
        """
        session, user = self.viewer(request)
        sent = request.headers.get("x-csrf-token", "")
        if not hmac.compare_digest(sent.encode(), session.csrf.encode()):
            raise RefusedError(403, said("csrf"))
        self.door.touch(session)
        return session, user

    def fresh_actor(self, request: Request) -> User:
        """Return who commands, if he was here lately.

        Raises:
            RefusedError: as ``actor``, or nobody was here for a while.
        """
        session, user = self.actor(request)
        if not self.door.fresh(session):
            raise RefusedError(401, said("idle", minutes=IDLE_S / 60))
        return user

    def card(self, session: Session, user: User) -> dict[str, object]:
        """Return what the page needs to know of its user."""
        return {
            "name": user.name,
            "role": user.role.word,
            "language": user.language,
            "csrf": session.csrf,
            "fresh": self.door.fresh(session),
        }

    def let_in(self, secret: str, session: Session, user: User) -> Response:
        """Return the answer to a log-in, with the cookie."""
        self.tell(user.name, user.role, "log in", user.role.word)
        answer = JSONResponse(self.card(session, user))
        answer.set_cookie(
            self.cookie,
            secret,
            max_age=int(LIFE_S),
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    def let_out(self, request: Request) -> Response:
        """End the session of a request."""
        _, user = self.actor(request)
        self.door.log_out(request.cookies.get(self.cookie, ""))
        self.tell(user.name, user.role, "log out", "")
        answer = JSONResponse({"ok": True})
        answer.delete_cookie(self.cookie, path="/", secure=self._secure, samesite="strict")
        return answer

    # -- what goes on to the controller --------------------------------------------------------

    async def command(self, request: Request, path: str) -> Response:
        """Pass a command on in its user's name.

        Raises:
            RefusedError: he may not, or the controller does not answer.
        """
        word = path.partition("/")[0]
        # a safe stop needs no fresh session: it must not wait for a password
        urgent = word == "safe-stop"
        user = self.actor(request)[1] if urgent else self.fresh_actor(request)
        if word not in COMMANDS or ".." in path or "//" in path:
            raise RefusedError(404, said("no_command", path=path[:80]))
        body = await sent(request)
        if body.keys() & {"who", "role"}:
            raise RefusedError(422, said("names_himself"))
        by = {"who": user.name, "role": user.role.word}
        try:
            longest = AHEAD_S if word == "what-if" else TIMEOUT_S
            asked = {**body, **by}
            answer = await self._client.post(f"/{quote(path)}", json=asked, timeout=longest)
        except (httpx.HTTPError, OSError) as error:
            why = str(error) or type(error).__name__
            raise RefusedError(503, said("silent", why=why)) from None
        return Response(answer.content, answer.status_code, media_type="application/json")

    def tell(self, name: str, role: Role, what: str, new: str, reason: str = "") -> None:
        """Have the controller record what happened to a session, when it answers."""
        body = {"what": what, "new": new, "reason": reason, "who": name, "role": role.word}
        self._keep(self._tell(f"/session/{name}", body))

    def tell_change(self, name: str, by: User, what: str, old: str, new: str, reason: str) -> None:
        """Have the controller record what an engineer did to a user."""
        change = {"what": what, "old": old, "new": new, "reason": reason}
        self._keep(self._tell(f"/user/{name}", {**change, "who": by.name, "role": by.role.word}))

    async def must_answer(self) -> None:
        """Return if the controller answers.

        Raises:
            RefusedError: it does not.
        """
        await self.ask("/events?limit=1")

    async def ask(self, path: str) -> Response:
        """Return the controller's answer to a question.

        Raises:
            RefusedError: it does not answer.
        """
        try:
            answer = await self._client.get(path)
        except (httpx.HTTPError, OSError) as error:
            why = str(error) or type(error).__name__
            raise RefusedError(503, said("silent", why=why)) from None
        return Response(answer.content, answer.status_code, media_type="application/json")

    def _keep(self, telling: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(telling)
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, path: str, body: Mapping[str, str]) -> None:
        for pause_s in (1.0, 5.0, 30.0, 0.0):
            with contextlib.suppress(httpx.HTTPError, OSError):
                await self._client.post(path, json=body)
                return
            await asyncio.sleep(pause_s)


async def sent(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        RefusedError: it is none, or too long.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise RefusedError(415, said("not_json"))
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_MAX:
                raise RefusedError(413, said("too_long", most=BODY_MAX))
        found: object = json.loads(body or b"{}")
        # what JSON cannot say again, NaN and half characters, could not be passed on
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError, ClientDisconnect):
        raise RefusedError(422, said("unreadable")) from None
    if not isinstance(found, dict):
        raise RefusedError(422, said("no_object"))
    return cast("dict[str, Any]", found)


async def texts(request: Request, *keys: str) -> list[str]:
    """Return these keys of a request's body, all of them texts, and no others.

    Raises:
        RefusedError: one is missing, or is no text, or there is another.
    """
    body = await sent(request)
    values = [body.get(key) for key in keys]
    if set(body) != set(keys) or not all(isinstance(v, str) and len(v) <= 500 for v in values):
        raise RefusedError(422, said("texts", keys=", ".join(keys)))
    return [str(value) for value in values]


def add_routes(app: FastAPI, acting: Acting) -> None:
    """Add what people may do to the console's application."""
    door = acting.door

    @app.get("/api/session")
    async def session(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        found = door.who(request.cookies.get(acting.cookie, ""))
        user = None if found is None else acting.card(*found)
        return JSONResponse(
            {"user": user, "setup": door.needs_setup()}, headers={"cache-control": "no-store"}
        )

    @app.post("/api/login")
    async def log_in(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        name, password = await texts(request, "name", "password")
        try:
            return acting.let_in(*await door.log_in(name, password))
        except DeniedError as error:
            if error.locked:
                acting.tell(name, Role.VIEWER, "locked out", "locked", str(error))
            raise RefusedError(401, error.args[0]) from None
        except BusyError as error:
            raise RefusedError(429, error.args[0]) from None

    @app.post("/api/setup")
    async def set_up(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        token, name, password = await texts(request, "token", "name", "password")
        try:
            return acting.let_in(*await door.set_up(token.strip(), name, password))
        except UserError as error:
            raise RefusedError(403, error.args[0]) from None
        except BusyError as error:
            raise RefusedError(429, error.args[0]) from None

    @app.post("/api/logout")
    async def log_out(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return acting.let_out(request)

    @app.post("/api/active")
    async def active(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse(acting.card(*acting.actor(request)))

    @app.get("/api/recipes/{reactor}")
    async def recipes(request: Request, reactor: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        acting.viewer(request)
        return await acting.ask(f"/recipes/{quote(reactor)}")

    @app.post("/api/command/{path:path}")
    async def command(request: Request, path: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await acting.command(request, path)
