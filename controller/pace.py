"""Plant time against whatever answers: real time, or the pace that our simulator names."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from drivers.clock import SystemClock, monotonic
from drivers.driver import DeviceError, Driver, Identity

ASK_S = 0.1  # wall s between two looks at whether a simulator's time still goes as it did
PATIENCE_S = 10.0  # wall s until a plant in lock-step that nobody can move is given up


class PlantClock:
    """Real time until a simulator says otherwise; then its speed, or lock-step with it.

    In lock-step the simulated plant stands still while the controller works: sleeping until a
    deadline is telling the plant to run there. Otherwise the simulator is asked again ten times a
    second: where it stands (``fermloop sim pause``) plant time stands here too, and no scan is
    made; where it goes at another speed, so do we.

    Args:
        wait_on: called while plant time stands; says whether to wait for it any longer.
        told: gets a line for people when the simulator's time stands or goes otherwise.
    """

    def __init__(
        self,
        wait_on: Callable[[], bool] = lambda: True,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._running = SystemClock()
        self._least = 0.0  # plant time that has been: it never steps back
        self._stepped: float | None = None
        self._plants: Sequence[Driver] = ()
        self._wait_on, self._told = wait_on, told
        self._asked = 0.0  # wall s
        self._asking: asyncio.Task[None] | None = None
        self._whom = 0
        self._untold: set[int] = set()  # of ``_plants``: have not been asked since a change
        self.paused = False
        self.speed = 1.0

    @property
    def lock_step(self) -> bool:
        """Whether plant time moves only with the scan."""
        return self._stepped is not None

    def follow(self, drivers: Sequence[Driver], identities: Sequence[Identity]) -> None:
        """Take the pace of the devices; all must agree.

        Args:
            drivers: every device of the plant.
            identities: what each said, in the same order.

        Raises:
            DeviceError: simulated and real devices are mixed, or their speeds differ.
        """
        paces = {(i.simulated, i.speed) for i in identities}
        if len(paces) > 1:
            said = ", ".join(
                f"{d.name} {f'simulated at {i.speed:g}x' if i.simulated else 'real'}"
                for d, i in zip(drivers, identities, strict=True)
            )
            raise DeviceError(f"the devices do not run in one time: {said}")
        if not identities or identities[0].plant_time is None:
            return
        first = identities[0]
        self._plants = [d for d, i in zip(drivers, identities, strict=True) if i.simulated]
        latest = max(i.plant_time or 0.0 for i in identities)
        if first.speed == 0:
            self.speed, self._stepped = 0.0, latest
        else:
            self._least = latest
            self._take(first.speed, latest, any(i.paused for i in identities))

    def now(self) -> float:
        if self._stepped is not None:
            return self._stepped
        if not self.paused:
            self._least = max(self._least, self._running.now())
        return self._least

    async def sleep_until(self, deadline: float) -> None:
        """Return when it is ``deadline``, or earlier where nobody waits for a paused plant.

        Raises:
            DeviceError: in lock-step no device answers for long, so plant time cannot move.
        """
        if self._stepped is not None:
            if deadline > self._stepped:
                await self._advance(deadline)
                self._stepped = deadline
        elif not self._plants:
            await self._running.sleep_until(deadline)
        else:
            await self._sleep_with_it(deadline)

    async def _sleep_with_it(self, deadline: float) -> None:
        """Sleep as long as a simulator needs, whatever becomes of its pace meanwhile."""
        while True:
            if monotonic() - self._asked >= ASK_S and self._asking is None:
                self._asked = monotonic()
                # on its own: a device that keeps silent must not hold up the scan
                self._asking = asyncio.create_task(self._ask(), name="the simulator's pace")
            wait = (deadline - self.now()) / self.speed
            if self.paused:
                if not self._wait_on():
                    return
                wait = ASK_S
            elif wait <= 0:
                return
            await asyncio.sleep(min(wait, ASK_S))

    async def _ask(self) -> None:
        """Ask one device how time goes, the next one if it does not answer; all after a change."""
        try:
            said = await self._plants[self._whom].pace()
            if said.plant_time is not None and said.speed:
                if (said.speed, said.paused) != (self.speed, self.paused):
                    self._untold = set(range(len(self._plants))) - {self._whom}
                    self._least = self.now()
                    self._take(said.speed, said.plant_time, said.paused)
                    how = f"goes on at {said.speed:g} times real time"
                    self._told(f"the simulated plant {'stands' if said.paused else how}")
                elif self.paused:  # it may have made a step meanwhile
                    self._least = max(self._least, said.plant_time)
            for k in sorted(self._untold):
                with contextlib.suppress(DeviceError):
                    await self._plants[k].pace()
                    self._untold.discard(k)
        except DeviceError:
            self._whom = (self._whom + 1) % len(self._plants)
        finally:
            self._asking = None

    def _take(self, speed: float, plant_time: float, paused: bool) -> None:
        self._running = SystemClock(speed, plant_time)
        self._least = max(self._least, plant_time)
        self.speed, self.paused = speed, paused

    async def _advance(self, deadline: float) -> None:
        """Let the one plant behind all the devices run on, through the first that answers.

        After a fault of its network a link waits before it tries again; plant time stands, so
        nothing is late.
        """
        end = monotonic() + PATIENCE_S
        while True:
            lost: DeviceError | None = None
            for device in self._plants:
                try:
                    await device.advance(deadline)
                except DeviceError as error:
                    lost = lost or error
                else:
                    return
            if lost is None:
                return
            if monotonic() > end:
                raise lost
            await asyncio.sleep(ASK_S)
