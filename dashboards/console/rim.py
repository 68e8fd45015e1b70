"""What every request must be and every answer carries, before any page is reached."""

import re
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.texts.said import Said, answer, said
from dashboards.console.flood import Flood

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
POSTED = (
    "/api/login", "/api/setup", "/api/logout", "/api/active", "/api/password", "/api/language",
)  # fmt: skip
TRIED = ("/api/login", "/api/setup")  # what a stranger may try, so often
POSTED_BELOW = ("/api/command/", "/api/users/")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?")


class Rim:
    """Lets through only what a page asks that this console itself has served.

    A foreign site whose name was made to point at this machine (DNS rebinding) is told by its
    ``Host`` header; its page could otherwise read the plant through the operator's browser. A flood
    of log-ins is refused before its body is read. What is posted must come from a page of the same
    origin, to one of the paths that take something.

    Args:
        app: what is behind it.
        hosts: names by which this console may be called.
        secure: it is served through TLS.
    """

    def __init__(
        self, app: ASGIApp, hosts: tuple[str, ...] = LOOPBACK, *, secure: bool = False
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._flood = Flood()
        self._scheme = "https" if secure else "http"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no web sockets here
            await send({"type": "websocket.close", "code": 1008})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if self._scheme == "https":
                    headers["strict-transport-security"] = "max-age=31536000"
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None or match[1].lower() not in self._hosts:
            allowed = ", ".join(self._hosts)
            host = ", ".join(hosts) or "missing"
            return _refused(421, said("host", host=host, allowed=allowed))
        method, path = scope["method"], scope["path"]
        if method in ("GET", "HEAD"):
            return None
        if method != "POST" or not (path in POSTED or path.startswith(POSTED_BELOW)):
            return _refused(405, said("method", method=method, path=path[:200]))
        origins = [v.decode("latin-1") for name, v in scope["headers"] if name == b"origin"]
        ours = f"{self._scheme}://{hosts[0]}"
        if origins != [ours]:
            origin = ", ".join(origins) or "missing"
            return _refused(403, said("origin", origin=origin, allowed=ours))
        if path in TRIED and (wait := self._flood.wait_s((scope.get("client") or ("",))[0])):
            return _refused(429, said("flood", seconds=wait), {"retry-after": str(wait)})
        return None


def _refused(status: int, line: Said, headers: Mapping[str, str] | None = None) -> JSONResponse:
    if status == 405:
        headers = {"allow": "GET, HEAD"}
    return JSONResponse(answer(ValueError(line)), status_code=status, headers=headers)
