"""The command socket: HTTP with JSON on a Unix socket, beside the scan in the same event loop.

Whoever can open the socket (mode 0600) may command; the console, which faces the network,
authenticates people and passes on ``who``. Bad input is 4xx and one line; it never reaches the
controller. Starlette and uvicorn are imported when a server is made, so that a batch in one
process does not pay for them.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from controller.body import (
    BODY_MAX,
    REQUIRED,
    BadRequestError,
    Keys,
    choice,
    dumps,
    integer,
    number,
    parse,
    text,
)
from controller.registry import Claim, announce
from drivers.point import RangeError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

EVENTS_MAX = 1000
LOOP_MODES = ("OFF", "MANUAL", "AUTO", "CASCADE", "OPTIMISER")
RECIPE_ACTIONS = ("start", "hold", "resume", "abort")
OPTIMISER_MODES = ("off", "shadow", "on")

_REASON = (text, "")
_WHO = (text, "local")
_VALUE: Keys = {"value": (number, REQUIRED), "reason": _REASON, "who": _WHO}
_HTTP_ERRORS = {
    404: "no such path",
    405: "that method is not allowed here",
    500: "the controller failed at this; its log says why",
}


class Commands(Protocol):
    """What can be asked of a running controller. Each call is synchronous and short.

    A text that comes back is one line for a person: what is so now. ``LookupError`` means no such
    loop or reactor (404), ``RangeError`` a value that is not allowed (422), any other
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

    def optimiser(self, reactor: str, mode: str, who: str) -> str:
        """Switch the optimiser ``off``, to ``shadow`` or ``on``."""
        ...

    def stop(self, who: str) -> str:
        """End the controller in order: outputs to their safe values, store committed."""
        ...

    def events(self, after: int, limit: int) -> list[dict[str, object]]:
        """Return at most ``limit`` events with an id above ``after``, oldest first."""
        ...


class CommandServer:
    """Serves the command socket from the running event loop; also an async context manager.

    Args:
        commands: who obeys.
        path: the socket's path, ``data_dir/control.sock``.
        plant: the plant file, announced to ``fermloop status``; ``None`` announces nothing.

    Raises:
        AlreadyRunningError: a live controller has this socket; its pid is named.
        SocketError: the path cannot be a socket.
    """

    def __init__(self, commands: Commands, path: Path, plant: Path | None = None) -> None:
        self._app = application(commands)
        self._plant = plant
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
            self._card = announce(self._plant, self.path)

    async def stop(self) -> None:
        """Finish what is being answered (within 1 s), close and remove the socket."""
        if self._card is not None:
            self._card.unlink(missing_ok=True)
        if self._task is not None:
            self._ending.set()
            await self._task
        self._claim.release()

    async def __aenter__(self) -> "CommandServer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def application(commands: Commands) -> "Starlette":
    """Return the routes of the command socket as an ASGI application."""
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.routing import Route

    async def state(_: "Request") -> "Response":
        return _json(commands.state())

    async def devices(_: "Request") -> "Response":
        return _json(commands.looks())

    async def events(request: "Request") -> "Response":
        try:
            query = request.query_params
            after = integer("after", query.get("after"), 0, 2**63 - 1, 0)
            limit = integer("limit", query.get("limit"), 1, EVENTS_MAX, 200)
        except BadRequestError as error:
            return _json({"error": str(error)}, error.status)
        return _json({"events": commands.events(after, limit)})

    async def refused(_: "Request", error: Exception) -> "Response":
        status = error.status_code if isinstance(error, HTTPException) else 500
        return _json({"error": _HTTP_ERRORS.get(status, "the request is not allowed")}, status)

    return Starlette(
        routes=[
            Route("/state", state),
            Route("/devices", devices),
            Route("/events", events),
            *(
                Route(path, _post(keys, call), methods=["POST"])
                for path, keys, call in _routes(commands)
            ),
        ],
        exception_handlers={HTTPException: refused, Exception: refused},
    )


_Call = Callable[[str, dict[str, Any]], str]


def _routes(to: Commands) -> list[tuple[str, Keys, _Call]]:
    """Return path, allowed keys and call of each command; ``name`` is a loop or a reactor."""
    mode: Keys = {"mode": (choice(*LOOP_MODES), REQUIRED), "reason": _REASON, "who": _WHO}
    recipe: Keys = {
        "action": (choice(*RECIPE_ACTIONS), REQUIRED),
        "recipe": (text, ""),
        "reason": _REASON,
        "who": _WHO,
    }
    optimiser: Keys = {"mode": (choice(*OPTIMISER_MODES), REQUIRED), "who": _WHO}
    return [
        ("/loop/{name}/mode", mode, lambda name, b: to.set_mode(name, **b)),
        ("/loop/{name}/setpoint", _VALUE, lambda name, b: to.set_setpoint(name, **b)),
        ("/loop/{name}/output", _VALUE, lambda name, b: to.set_output(name, **b)),
        (
            "/recipe/{name}",
            recipe,
            lambda name, b: to.recipe(name, b["action"], b["recipe"], b["reason"], b["who"]),
        ),
        ("/optimiser/{name}", optimiser, lambda name, b: to.optimiser(name, **b)),
        ("/stop", {"who": _WHO}, lambda _, b: to.stop(b["who"])),
    ]


def _post(keys: Keys, call: _Call) -> Callable[["Request"], Any]:
    async def endpoint(request: "Request") -> "Response":
        try:
            values = parse(await _body(request), keys)
            done = call(request.path_params.get("name", ""), values)
        except BadRequestError as error:
            return _json({"error": str(error)}, error.status)
        except LookupError as error:
            return _json({"error": _line(error)}, 404)
        except RangeError as error:
            return _json({"error": _line(error)}, 422)
        except ValueError as error:
            return _json({"error": _line(error)}, 409)
        return _json({"ok": True, "text": done})

    return endpoint


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


def _line(error: Exception) -> str:
    """Return an error as one line; a KeyError's own text is in quotes, so its argument is taken."""
    lines = getattr(error, "lines", None) or [str(error.args[0]) if error.args else str(error)]
    return "; ".join(" ".join(str(line).split()) for line in lines)


def _json(value: object, status: int = 200) -> "Response":
    from starlette.responses import Response

    return Response(dumps(value), status, media_type="application/json")
