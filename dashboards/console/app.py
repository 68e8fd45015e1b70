"""The console's web application: one page, its live state, its trends, its texts, and acting."""

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import cast

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import Send

from controller.acting.users import UserError, Users
from controller.texts.said import answer
from dashboards.console.acting import Acting, RefusedError, add_routes
from dashboards.console.door import Door
from dashboards.console.live import Live, TooManyError
from dashboards.console.people import Records, add_people
from dashboards.console.rim import LOOPBACK, Rim
from dashboards.console.trends import QueryError, StoreError, Trends

LANGUAGES = ("en", "zh")
STATIC = Path(__file__).parent / "static"
LOCALE = Path(__file__).parents[1] / "locale"


class EventStream(StreamingResponse):
    """A stream of server-sent events that ends its source in the moment the browser is gone."""

    media_type = "text/event-stream"

    async def stream_response(self, send: Send) -> None:
        """Send until the source ends or the connection does."""
        try:
            await super().stream_response(send)
        finally:
            await cast("AsyncGenerator[bytes, None]", self.body_iterator).aclose()


def create_app(
    socket_path: Path,
    store_path: Path,
    site: str,
    period_s: float = 1.0,
    listeners_max: int = 64,
    *,
    users: Users | None = None,
    cookie: str = "fermloop",
    hosts: tuple[str, ...] = LOOPBACK,
    secure: bool = False,
) -> FastAPI:
    """Return the console of one plant: the last answer of the controller, and who has logged in.

    Args:
        socket_path: the controller's command socket; it need not be there yet.
        store_path: the local store; it need not be there yet.
        site: the plant's name until the controller has told its own.
        period_s: wall seconds between two questions to the controller, > 0.
        listeners_max: browsers served with live values at once.
        users: of the plant; those beside the store if not given.
        cookie: name of the session's cookie.
        hosts: names by which browsers may call this console.
        secure: it is served through TLS.

    Raises:
        ValueError: ``period_s`` is not > 0, or the file of the users is damaged.
    """
    live = Live(socket_path, site, period_s, listeners_max)
    trends = Trends(store_path)
    records = Records(store_path)
    door = Door(users or Users(store_path.with_name("users.json")))
    acting = Acting(door, socket_path, cookie, secure=secure)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        asking = asyncio.create_task(live.run(), name="console asks the controller")
        try:
            yield
        finally:
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking
            await live.aclose()
            await acting.aclose()
            trends.close()
            records.close()

    # FastAPI's own pages load scripts from other hosts, so there are none
    app = FastAPI(
        title="fermloop console", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.state.live = live
    app.state.acting = acting
    app.add_middleware(Rim, hosts=hosts, secure=secure)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RefusedError, _said)
    app.add_exception_handler(UserError, _said)
    _routes(app, live, trends, acting)
    add_routes(app, acting)
    add_people(app, acting, records)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _routes(app: FastAPI, live: Live, trends: Trends, acting: Acting) -> None:
    @app.get("/")
    async def page() -> FileResponse:  # pyright: ignore[reportUnusedFunction]
        return FileResponse(STATIC / "index.html", media_type="text/html")

    @app.get("/favicon.ico")
    async def icon() -> FileResponse:  # pyright: ignore[reportUnusedFunction]
        return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml")

    @app.get("/api/state")
    async def state(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        acting.viewer(request)
        return Response(live.text, media_type="application/json")

    @app.get("/events")
    async def events(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        acting.viewer(request)
        secret = request.cookies.get(acting.cookie, "")
        there = functools.partial(acting.door.who, secret)
        try:
            return EventStream(live.events(there), headers={"cache-control": "no-store"})
        except TooManyError as error:
            return _error(503, str(error))

    @app.get("/api/catalogue/{language}")
    async def catalogue(language: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        if language not in LANGUAGES:
            return _error(404, f"language {language!r}: allowed is {' or '.join(LANGUAGES)}")
        return FileResponse(LOCALE / f"{language}.json", media_type="application/json")

    @app.get("/api/series")
    async def series(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        acting.viewer(request)
        try:
            query = trends.query(request.query_params.multi_items(), live.plant_time)
            text = await trends.text(query)
        except QueryError as error:
            return _error(400, str(error))
        except StoreError as error:
            return _error(503, str(error))
        return Response(text, media_type="application/json")


def _error(status: int, text: str) -> JSONResponse:
    return JSONResponse({"error": text}, status_code=status)


async def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: "no such page", 405: "that method is not allowed here"}
    return _error(status, f"{request.url.path}: {words.get(status, 'the request was refused')}")


async def _said(_: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, RefusedError) else 503
    return JSONResponse(answer(error), status_code=status)


def catalogue(language: str) -> dict[str, str]:
    """Return every text of one language, by key.

    Raises:
        OSError, ValueError: the catalogue is missing or broken.
    """
    return json.loads((LOCALE / f"{language}.json").read_text(encoding="utf-8"))
