"""The people of a night: what they do goes through the routes of the command socket."""

from typing import Any

import httpx

from controller.acting.api import routes
from controller.acting.command_socket import application
from tests.loop.rig import Rig


class Operator:
    """Somebody at the console.

    Args:
        rig: the plant under control.
        name: who he is.
    """

    def __init__(self, rig: Rig, name: str = "night shift") -> None:
        self._rig = rig
        self._app = application(routes(rig.controller))
        self._by = {"who": name, "role": "operator"}

    def ask(self, path: str, **keys: object) -> tuple[int, Any]:
        """Ask for something; return the HTTP status and the answer."""

        async def post() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://plant") as client:
                return await client.post(path, json={**keys, **self._by})

        reply = self._rig.do(post())
        return reply.status_code, reply.json()

    def does(self, path: str, **keys: object) -> str:
        """Ask for something that must be obeyed; return what is so now."""
        status, answer = self.ask(path, **keys)
        if status != 200:
            raise ValueError(f"{path}: {status} {answer}")
        return answer["text"]
