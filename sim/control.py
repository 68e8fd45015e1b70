"""What can be said to a running simulator, pause or inoculate, and what it says of itself.

The routes are served on a Unix socket (``controller.command_socket``) by ``fermloop simulate`` and
used by ``fermloop sim``.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controller.acting.body import REQUIRED, Keys, number, text
from controller.acting.command_socket import command, question
from drivers.clock import monotonic, wall
from drivers.point import RangeError
from sim.faults import Faults
from sim.lines import SEED
from sim.motion import Simulated
from sim.server import PlantServer
from sim.vessel import Vessel

if TYPE_CHECKING:
    from starlette.routing import Route

SLOWEST, FASTEST = 0.01, 1000.0  # plant seconds per second
LONGEST_STEP_S = 1000 * 3600.0  # plant s
IN_USE_S = 5.0  # wall s after its last word a controller in lock-step is still there
AHEAD_S = 60.0  # wall s that a faster plant must be able to run before its stamps lie in the future
PART_S = 60.0  # plant s of a step in lock-step between two looks at the sockets


class Control:
    """Obeys what is said to the simulator. Each call is short; the text says what is so now.

    Args:
        server: whose plant time is stopped.
        vessels: by reactor.
        seed: what they were drawn from, for the record.
    """

    def __init__(
        self, server: PlantServer, vessels: Mapping[str, Simulated], seed: int = 0
    ) -> None:
        self._server = server
        self._vessels = vessels
        self._seed = seed
        self._stepping: asyncio.Task[None] | None = None

    def state(self) -> dict[str, object]:
        """Return plant time, its pace and every vessel as it really is."""
        plant = self._server.plant
        return {
            "time": plant.time,
            "speed": plant.speed,
            "lock_step": self._server.pace is None,
            "paused": plant.paused,
            "stepping": self._steps,
            "seed": self._seed,
            "listening": sorted(self._server.listening),
            "vessels": {
                name: {
                    **vessel.about,
                    **vessel.truth,
                }
                for name, vessel in self._vessels.items()
            },
        }

    @property
    def _steps(self) -> bool:
        pace = self._server.pace
        if pace is not None:
            return not (pace.endless or self._server.plant.paused)
        return self._stepping is not None and not self._stepping.done()

    def pause(self) -> str:
        """Let plant time stand; devices answer with what they showed last.

        Raises:
            ValueError: the plant is in lock-step.
        """
        pace = self._server.pace
        if pace is None:
            raise ValueError(
                "pause is not allowed: this plant is in lock-step (--speed max), so it stands "
                "already whenever its controller does not move it"
            )
        pace.pause()
        self._server.plant.catch_up()
        return f"stands at {self._when()}"

    def resume(self) -> str:
        """Let plant time go on.

        Raises:
            ValueError: the plant is in lock-step.
        """
        pace = self._server.pace
        if pace is None:
            raise ValueError(
                "resume is not allowed: this plant is in lock-step (--speed max); it goes on when "
                "its controller or fermloop sim step moves it"
            )
        pace.resume()
        return f"goes on from {self._when()} at {pace.speed:g} times real time"

    def step(self, seconds: float) -> str:
        """Let so many plant seconds pass, at the plant's speed, and stand then.

        In lock-step they pass as fast as can be computed.

        Raises:
            RangeError: ``seconds`` are none.
            ValueError: a step is under way, or a controller moves the plant in lock-step.
        """
        if not 0 < seconds <= LONGEST_STEP_S:
            raise RangeError(
                f"seconds: {seconds:g} is not allowed; it must be > 0 and <= {LONGEST_STEP_S:g}"
            )
        if self._steps:
            raise ValueError("step is not allowed: one is under way; wait for it, or pause")
        pace = self._server.pace
        if pace is not None:
            pace.step(seconds)
            return f"{seconds:g} s from {self._when()} at {pace.speed:g} times real time"
        if monotonic() - self._server.advanced < IN_USE_S:
            raise ValueError(
                "step is not allowed: a controller moves this plant in lock-step; stop it before"
            )
        self._stepping = asyncio.create_task(self._step(self._server.plant.time + seconds))
        return f"{seconds:g} s from {self._when()}"

    def speed(self, speed: float) -> str:
        """Let plant time pass at another speed; a plant that stands, stands on.

        Raises:
            RangeError: it is no speed.
            ValueError: the plant is in lock-step, or its stamps would soon lie in the future.
        """
        pace = self._server.pace
        if pace is None:
            raise ValueError(
                "speed is not allowed: this plant is in lock-step (--speed max), as fast as its "
                "controller; start it with another --speed"
            )
        if not SLOWEST <= speed <= FASTEST:
            raise RangeError(
                f"speed: {speed:g} is not allowed; it must be from {SLOWEST:g} to {FASTEST:g}"
            )
        if speed > 1 and (wall() - pace.now()) < AHEAD_S * (speed - 1):
            raise ValueError(
                f"speed {speed:g} is not allowed: plant time ({self._when()}) would overtake the "
                "wall clock within a minute, and stamps would lie in the future; start the "
                "simulator with --hours, how long the plant may run faster"
            )
        pace.change(speed)
        return f"{speed:g} times real time from {self._when()}" + (
            ", when it is resumed" if pace.standing else ""
        )

    def faults(self) -> dict[str, object]:
        """Return, by reactor, the faults that last, that are planned, and that have happened."""
        return {
            name: {
                "now": [v.faults.described(f) for f in v.faults.now()],
                "planned": [v.faults.described(f) for f in v.faults.planned()],
                "record": v.faults.record,
                "allowed": v.faults.names(),
            }
            for name, v in self._vessels.items()
        }

    def inject(self, reactor: str, fault: str, for_s: float | None, size: float | None) -> str:
        """Let a fault begin with the vessel's next step.

        Raises:
            LookupError: there is no such vessel.
            ValueError: the fault cannot be, or contradicts one that lasts or is planned.
        """
        faults = self._faults(reactor)
        return f"{reactor}: {faults.described(faults.inject(fault, for_s, size))}"

    def clear(self, reactor: str, fault: str) -> str:
        """End a fault that lasts or forget one that is planned; all of the vessel if unnamed.

        Raises:
            LookupError: there is no such vessel.
            ValueError: the fault is not there, or cannot end.
        """
        cleared = self._faults(reactor).clear(fault)
        return f"{reactor}: cleared {', '.join(cleared) or 'nothing'}"

    def inoculate(self, reactor: str) -> str:
        """Pour the seed that stands beside a vessel in by hand.

        Raises:
            LookupError: there is no such vessel.
            ValueError: no seed stands beside it.
        """
        vessel = self._vessel(reactor)
        lines = vessel.lines if isinstance(vessel, Vessel) else None
        left = 0.0 if lines is None else lines.tanks[SEED].left_l
        if lines is None or not left:
            raise ValueError(f"{reactor}: no seed stands beside it; simulate --clean begins so")
        lines.inoculate()
        return f"{reactor}: {left:g} L of seed poured in"

    def _faults(self, reactor: str) -> Faults:
        return self._vessel(reactor).faults

    def _vessel(self, reactor: str) -> Simulated:
        if reactor not in self._vessels:
            raise LookupError(f"{reactor}: no such vessel; there are {', '.join(self._vessels)}")
        return self._vessels[reactor]

    async def close(self) -> None:
        """End a step that is under way."""
        if self._stepping is not None:
            self._stepping.cancel()
            await asyncio.wait({self._stepping})

    async def _step(self, end: float) -> None:
        plant = self._server.plant
        while plant.time < end:
            self._server.step(min(end, plant.time + PART_S))
            await asyncio.sleep(0)

    def _when(self) -> str:
        return f"{datetime.fromtimestamp(self._server.plant.time, UTC):%Y-%m-%d %H:%M:%S} UTC"


def routes(to: Control) -> "list[Route]":
    """Return what the simulator's socket understands."""
    step: Keys = {"seconds": (number, REQUIRED)}
    speed: Keys = {"speed": (number, REQUIRED)}
    fault: Keys = {
        "reactor": (text, REQUIRED),
        "fault": (text, REQUIRED),
        "for_s": (number, None),
        "size": (number, None),
    }
    which: Keys = {"reactor": (text, REQUIRED)}
    cleared: Keys = {"reactor": (text, REQUIRED), "fault": (text, "")}
    return [
        question("/state", to.state),
        command("/pause", {}, lambda _, __: to.pause()),
        command("/resume", {}, lambda _, __: to.resume()),
        command("/step", step, lambda _, b: to.step(b["seconds"])),
        command("/speed", speed, lambda _, b: to.speed(b["speed"])),
        question("/faults", to.faults),
        command(
            "/fault",
            fault,
            lambda _, b: to.inject(b["reactor"], b["fault"], b["for_s"], b["size"]),
        ),
        command("/inoculate", which, lambda _, b: to.inoculate(b["reactor"])),
        command("/fault/clear", cleared, lambda _, b: to.clear(b["reactor"], b["fault"])),
    ]
