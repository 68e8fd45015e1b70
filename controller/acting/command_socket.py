"""A command socket: HTTP with JSON on a Unix socket, served from the running event loop.

Whoever can open the socket (mode 0600) may command. Bad input is 4xx and one line; it never reaches
who obeys. Starlette and uvicorn are imported when a server is made, so that a batch in one process
does not pay for them.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from controller.acting.body import BODY_MAX, BadRequestError, Keys, dumps, parse
from controller.registry import Claim, Kind, announce
from controller.texts.said import answer, in_chinese
from drivers.point import RangeError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

Call = Callable[[str, dict[str, Any]], Any]

_HTTP_ERRORS = {
    404: "no such path",
    405: "that method is not allowed here",
    500: "it failed at this; its log says why",
}


class CommandSocket:
    """Serves an application on a Unix socket; also an async context manager.

    Args:
        app: the routes, see ``application``.
        path: the socket's path.
        plant: the plant file, announced to the command line; ``None`` announces nothing.
        kind: what runs there.

    Raises:
        AlreadyRunningError: a live controller has this socket; its pid is named.
        SocketError: the path cannot be a socket.
    """

    def __init__(
        self,
        app: "Starlette",
        path: Path,
        plant: Path | None = None,
        kind: Kind = "controller",
    ) -> None:
        self._app = app
        self._plant = plant
        self._kind: Kind = kind
        self._card: Path | None = None
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._claim = Claim(path)
        self.path = self._claim.path

    async def start(self) -> None:
        """Answer from now on; return when the socket is open."""
        import uvicorn

        open_now = asyncio.Event()
        ending = self._ending

        class Server(uvicorn.Server):
            @contextlib.contextmanager
            def capture_signals(self) -> Generator[None]:
                yield  # the process has its own signal handlers

            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                open_now.set()

            async def main_loop(self) -> None:
                await ending.wait()  # instead of looking ten times a second

        # uvicorn tells each start and stop at INFO; the controller says what matters itself
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        server = Server(
            uvicorn.Config(
                self._app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        serving = server.serve(sockets=[self._claim.bind()])
        self._task = asyncio.create_task(serving, name="command socket")
        opened = asyncio.create_task(open_now.wait())
        await asyncio.wait({self._task, opened}, return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        if self._task.done():
            await self._task  # raises what went wrong
        if self._plant is not None:
            self._card = announce(self._plant, self.path, self._kind)

    async def stop(self) -> None:
        """Finish what is being answered (within 1 s), close and remove the socket."""
        if self._card is not None:
            self._card.unlink(missing_ok=True)
        if self._task is not None:
            self._ending.set()
            await self._task
        self._claim.release()

    async def __aenter__(self) -> "CommandSocket":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def application(routes: "Sequence[Route]") -> "Starlette":
    """Return an ASGI application that answers in JSON, errors too."""
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException

    async def refused(_: "Request", error: Exception) -> "Response":
        status = error.status_code if isinstance(error, HTTPException) else 500
        return reply({"error": _HTTP_ERRORS.get(status, "the request is not allowed")}, status)

    return Starlette(routes=routes, exception_handlers={HTTPException: refused, Exception: refused})


def question(path: str, ask: Callable[[], object]) -> "Route":
    """Return a GET that answers what ``ask`` returns, now or when it is awaited."""
    from starlette.routing import Route

    async def endpoint(_: "Request") -> "Response":
        found = ask()
        if isinstance(found, Awaitable):
            found = await cast("Awaitable[object]", found)
        return reply(found)

    return Route(path, endpoint)


def command(path: str, keys: Keys, call: Call) -> "Route":
    """Return a POST that calls ``call`` with ``{name}`` of the path and the checked keys.

    What it returns is a line, or a whole answer, now or when it is awaited.
    """
    from starlette.routing import Route

    async def endpoint(request: "Request") -> "Response":
        try:
            values = parse(await _body(request), keys)
            done: object = call(request.path_params.get("name", ""), values)
            if isinstance(done, Awaitable):
                done = await cast("Awaitable[object]", done)
        except BadRequestError as error:
            return reply(answer(error), error.status)
        except PermissionError as error:
            return reply(answer(error), 403)
        except LookupError as error:
            return reply(answer(error), 404)
        except RangeError as error:
            return reply(answer(error), 422)
        except ValueError as error:
            return reply(answer(error), 409)
        if not isinstance(done, str):
            return reply(done)
        return reply({"ok": True, "text": done, **in_chinese(done)})

    return Route(path, endpoint, methods=["POST"])


async def _body(request: "Request") -> bytes:
    from starlette.requests import ClientDisconnect

    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_MAX:
                raise BadRequestError(f"body: at most {BODY_MAX} bytes are allowed", 413)
    except ClientDisconnect:  # nobody is there to read the answer
        raise BadRequestError("body: the caller went away", 400) from None
    return bytes(body)


def reply(value: object, status: int = 200) -> "Response":
    """Return an answer in JSON."""
    from starlette.responses import Response

    return Response(dumps(value), status, media_type="application/json")
