"""The console's web application: one page, its live state, its trends and its texts; read-only."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import cast

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import Send

from dashboards.console.live import Live, TooManyError
from dashboards.console.rim import Rim
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
    socket_path: Path, store_path: Path, site: str, period_s: float = 1.0, listeners_max: int = 64
) -> FastAPI:
    """Return the console of one plant. It keeps no state but the last answer of the controller.

    Args:
        socket_path: the controller's command socket; it need not be there yet.
        store_path: the local store; it need not be there yet.
        site: the plant's name until the controller has told its own.
        period_s: wall seconds between two questions to the controller, > 0.
        listeners_max: browsers served with live values at once.

    Raises:
        ValueError: ``period_s`` is not > 0.
    """
    live = Live(socket_path, site, period_s, listeners_max)
    trends = Trends(store_path)

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
            trends.close()

    # FastAPI's own pages load scripts from other hosts, so there are none
    app = FastAPI(
        title="fermloop console", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.state.live = live
    app.add_middleware(Rim)
    app.add_exception_handler(HTTPException, _refused)
    _routes(app, live, trends)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _routes(app: FastAPI, live: Live, trends: Trends) -> None:
    @app.get("/")
    async def page() -> FileResponse:  # pyright: ignore[reportUnusedFunction]
        return FileResponse(STATIC / "index.html", media_type="text/html")

    @app.get("/favicon.ico")
    async def icon() -> FileResponse:  # pyright: ignore[reportUnusedFunction]
        return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml")

    @app.get("/api/state")
    async def state() -> Response:  # pyright: ignore[reportUnusedFunction]
        return Response(live.text, media_type="application/json")

    @app.get("/events")
    async def events() -> Response:  # pyright: ignore[reportUnusedFunction]
        try:
            return EventStream(live.events(), headers={"cache-control": "no-store"})
        except TooManyError as error:
            return _error(503, str(error))

    @app.get("/api/catalogue/{language}")
    async def catalogue(language: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        if language not in LANGUAGES:
            return _error(404, f"language {language!r}: allowed is {' or '.join(LANGUAGES)}")
        return FileResponse(LOCALE / f"{language}.json", media_type="application/json")

    @app.get("/api/series")
    async def series(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
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
    words = {404: "no such page", 405: "this console only reads; GET is allowed"}
    return _error(status, f"{request.url.path}: {words.get(status, 'the request was refused')}")


def catalogue(language: str) -> dict[str, str]:
    """Return every text of one language, by key.

    Raises:
        OSError, ValueError: the catalogue is missing or broken.
    """
    return json.loads((LOCALE / f"{language}.json").read_text(encoding="utf-8"))
