"""The controller's state, asked once a second for all browsers together and fanned out to them."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, cast

import httpx

from drivers.clock import monotonic

RETRY_MS = 1000  # how long a browser waits before it connects again


class TooManyError(Exception):
    """No room for one more listener; the message names the limit."""


class Live:
    """Asks the controller's command socket for its state and tells every listener.

    A listener is woken when there is something newer and then takes the newest: a slow one skips
    what it missed and never holds up another, and nothing is queued for it.

    Args:
        socket_path: the controller's Unix socket.
        site: shown until the controller has told its own.
        period_s: wall seconds between two questions, > 0; also the limit for one answer.
        listeners_max: event streams served at once.

    Raises:
        ValueError: ``period_s`` is not > 0.
    """

    def __init__(
        self, socket_path: Path, site: str, period_s: float = 1.0, listeners_max: int = 64
    ) -> None:
        if not period_s > 0:
            raise ValueError(f"period_s: {period_s:g} is not allowed; it must be > 0 s")
        self._socket_path = socket_path
        self._site = site
        self._period_s = period_s
        self._listeners_max = listeners_max
        self._listeners: set[asyncio.Event] = set()
        self._client: httpx.AsyncClient | None = None
        self._state: dict[str, Any] | None = None
        self._error = "not asked yet"
        self._good_at: float | None = None  # monotonic s of the last answer
        self._moved_at: float | None = None  # monotonic s at which plant time last moved
        self._number = 0
        self._closed = False
        self._text = self._snapshot()

    @property
    def listeners(self) -> int:
        """Event streams being served."""
        return len(self._listeners)

    @property
    def text(self) -> str:
        """The newest snapshot as JSON."""
        return self._text

    @property
    def plant_time(self) -> float | None:
        """Plant time of the last answer, s since 1970 UTC."""
        time = (self._state or {}).get("time")
        return float(time) if isinstance(time, int | float) else None

    async def run(self) -> None:
        """Ask until closed, one question a period; a failed one is news like any other."""
        while not self._closed:
            began = monotonic()
            await self.ask()
            await asyncio.sleep(max(0.0, self._period_s - (monotonic() - began)))

    async def ask(self) -> None:
        """Ask once and wake every listener."""
        try:
            async with asyncio.timeout(self._period_s):
                reply = await self._connection().get("/state")
            state = _state(reply)
        except TimeoutError:
            self._error = f"{self._socket_path}: no answer within {self._period_s:g} s"
        except (httpx.HTTPError, OSError, ValueError) as error:
            self._error = f"{self._socket_path}: {error or type(error).__name__}"
        else:
            now = monotonic()
            if self._state is None or state.get("time") != self._state.get("time"):
                self._moved_at = now
            self._state, self._error, self._good_at = state, "", now
        self._number += 1
        self._text = self._snapshot()
        self._wake()

    def events(self, wanted: Callable[[], object] = lambda: True) -> AsyncGenerator[bytes, None]:
        """Return one browser's server-sent events: the newest snapshot at once, then each newer.

        Args:
            wanted: asked before each; the stream ends when it says no: the session is over.

        Raises:
            TooManyError: ``listeners_max`` streams are being served.
        """
        if len(self._listeners) >= self._listeners_max:
            raise TooManyError(f"{self._listeners_max} browsers are watching; no more are served")
        return self._events(wanted)

    async def _events(self, wanted: Callable[[], object]) -> AsyncGenerator[bytes, None]:
        news = asyncio.Event()
        self._listeners.add(news)
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            while not self._closed and wanted():
                news.clear()
                yield f"id: {self._number}\nevent: state\ndata: {self._text}\n\n".encode()
                await news.wait()
        finally:
            self._listeners.discard(news)

    def close(self) -> None:
        """End every stream and the asking, so that the server can stop."""
        self._closed = True
        self._wake()

    async def aclose(self) -> None:
        """Close the connection to the controller as well."""
        self.close()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _connection(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=httpx.AsyncHTTPTransport(uds=str(self._socket_path)),
                base_url="http://controller",
            )
        return self._client

    def _wake(self) -> None:
        for news in self._listeners:
            news.set()

    def _snapshot(self) -> str:
        now = monotonic()
        answer = {
            "site": (self._state or {}).get("site") or self._site,
            "controller": {
                "answering": self._good_at is not None and not self._error,
                "error": self._error,
                # wall seconds, so that a page can age its values without trusting its own clock
                "answered_s_ago": _ago(now, self._good_at),
                "moved_s_ago": _ago(now, self._moved_at),
            },
            "state": self._state,
        }
        return json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _ago(now: float, then: float | None) -> float | None:
    return None if then is None else round(now - then, 1)


def _state(reply: httpx.Response) -> dict[str, Any]:
    """Return the state in an answer; a NaN in it becomes null, for JSON has none.

    Raises:
        ValueError: the answer is an error or no state.
    """
    if reply.status_code != 200:
        raise ValueError(f"GET /state: answered {reply.status_code}, 200 was expected")
    state: object = json.loads(reply.content, parse_constant=lambda _: None)
    if not isinstance(state, dict):
        raise ValueError("GET /state: its answer is no JSON object")
    found = cast("dict[str, Any]", state)
    if not isinstance(found.get("reactors"), dict):
        raise ValueError("GET /state: its answer has no object 'reactors'")
    return found
