"""Watching a running controller: its alarms as they come and go, and its state as a live line."""

import asyncio
import contextlib
import math
import os
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import httpx
from rich.console import Console
from rich.live import Live
from rich.text import Text

from controller.acting.authority import Role
from controller.alarms.notices import kind
from controller.supervisor import Supervisor
from drivers.clock import monotonic
from fermloop.commands import live
from fermloop.identity import os_user

LOOK_S = 1.0  # wall s between two looks


class Watch:
    """Shows one controller and what its supervisor says, until told otherwise.

    Args:
        socket: the controller's command socket.
        out: where people read: a line that is renewed each second on a terminal, plain lines else.
        plain_s: wall s between two plain lines of state.
        who: the command that stops the controller at the end.

    Attributes:
        hours: the greatest batch age seen, h.
    """

    def __init__(self, socket: Path, out: Console, plain_s: float, who: str) -> None:
        self.hours = 0.0
        self._socket = socket
        self._out = out
        self._plain_s = plain_s
        self._who = who
        self._began = monotonic()
        self._ending = False
        self._alarms: dict[tuple[str, str], None] = {}
        self._warnings: dict[tuple[str, str], str] = {}

    def say(self, line: str) -> None:
        """Print a line above the live one."""
        if not self._ending:  # that processes end is then what was asked for
            self._out.print(line, soft_wrap=True, markup=False)

    async def over(self, supervisor: Supervisor, hours: float = math.inf) -> int:
        """Run the supervisor, show how it goes and return its exit code.

        Ends everything when a batch is ``hours`` old. The controller is told itself and first:
        the console may take a second, and the plant does not stand still meanwhile.
        """
        watching = asyncio.create_task(self._watch(supervisor, hours))
        code = await supervisor.run()
        self._ending = True
        watching.cancel()
        await asyncio.wait({watching})
        if not watching.cancelled() and (error := watching.exception()):
            raise error
        return code

    async def _watch(self, supervisor: Supervisor, hours: float) -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(self._socket))
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://fermloop") as client:
                with Live(console=self._out, auto_refresh=False, transient=True) as screen:
                    await self._follow(screen, self._states(client, hours), hours)
                self._ending = True
                # whoever started it may end it, with or without a user of the plant
                by = {"who": os_user(), "role": Role.ENGINEER.word, "reason": f"{self._who} ends"}
                with contextlib.suppress(httpx.HTTPError):  # then it is ended with the others
                    await client.post("/stop", json=by, timeout=LOOK_S)
        finally:
            supervisor.stop()

    async def _follow(self, screen: Live, states: AsyncGenerator[live.State], hours: float) -> None:
        shown, measuring = -math.inf, False
        async for state in states:
            now = monotonic()
            self.hours = max(self.hours, _age(state))
            self._tell_alarms(state)
            if self._out.is_terminal:
                text = Text("\n".join(self._lines(state)))
                screen.update(text, refresh=True)
            elif now - shown >= self._plain_s or (_measures(state) and not measuring):
                shown, measuring = now, measuring or _measures(state)
                for line in self._lines(state):
                    self.say(line)
            if self.hours >= hours:
                return

    def _tell_alarms(self, state: live.State) -> None:
        if not state:
            return
        alarms: list[live.State] = state.get("alarms") or []
        now = {(str(a.get("subject")), str(a.get("text"))): None for a in alarms if a.get("active")}
        for subject, text in now.keys() - self._alarms.keys():
            self.say(f"ALARM {_about(subject, text)}")
        for subject, text in self._alarms.keys() - now.keys():
            self.say(f"over: {_about(subject, text)}")
        self._alarms = now
        self._tell_warnings(state)

    def _tell_warnings(self, state: live.State) -> None:
        now = {(device, kind(text)): text for device, text in live.warnings(state)}
        for (device, _), text in [(k, v) for k, v in now.items() if k not in self._warnings]:
            self.say(f"warning {_about(device, text)}")
        for (device, _), text in [(k, v) for k, v in self._warnings.items() if k not in now]:
            self.say(f"no longer: {_about(device, text)}")
        self._warnings = now

    def _lines(self, state: live.State) -> list[str]:
        if not state:
            return [f"starting … {monotonic() - self._began:.0f} s"]
        reactors: live.State = state["reactors"]
        return [live.line(state, name) for name in reactors]

    async def _states(self, client: httpx.AsyncClient, hours: float) -> AsyncGenerator[live.State]:
        """Yield the controller's state, each second and more often as the end comes near.

        An empty one means that the controller does not answer (yet).
        """
        before, age = monotonic(), 0.0
        while True:
            state: live.State = {}
            if os.path.exists(self._socket):  # noqa: ASYNC240 (one stat; httpcore leaks without)
                with contextlib.suppress(httpx.HTTPError, ValueError):
                    state = (await client.get("/state", timeout=LOOK_S)).json()
            yield state
            now = monotonic()
            pace = (_age(state) - age) / max(now - before, 1e-3)  # batch h per wall s
            before, age = now, _age(state)
            left = (hours - age) / pace if pace > 0 else LOOK_S
            await asyncio.sleep(min(LOOK_S if state else 0.1, max(left / 2, 0.005)))


def _about(subject: str, text: str) -> str:
    return text if text.startswith(subject) else f"{subject}: {text}"


def _measures(state: live.State) -> bool:
    """Return whether the controller has measured something."""
    reactors: Mapping[str, live.State] = state.get("reactors") or {}
    for reactor in reactors.values():
        loops: Mapping[str, live.State] = reactor.get("loops") or {}
        if any(loop.get("pv") is not None for loop in loops.values()):
            return True
    return False


def _age(state: live.State) -> float:
    """Return the age of the oldest batch, h; 0 while there is none."""
    reactors: Mapping[str, live.State] = state.get("reactors") or {}
    batches: list[live.State] = [reactor.get("batch") or {} for reactor in reactors.values()]
    return max((float(batch.get("age_h") or 0.0) for batch in batches), default=0.0)
