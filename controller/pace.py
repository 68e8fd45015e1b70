"""Plant time against whatever answers: real time, or the pace that our simulator names."""

from collections.abc import Sequence

from drivers.clock import SystemClock
from drivers.driver import DeviceError, Driver, Identity


class PlantClock:
    """Real time until a simulator says otherwise; then its speed, or lock-step with it.

    In lock-step the simulated plant stands still while the controller works: sleeping until a
    deadline is telling the plant to run there.
    """

    def __init__(self) -> None:
        self._running = SystemClock()
        self._stepped: float | None = None
        self._plants: Sequence[Driver] = ()
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
        self.speed = first.speed
        latest = max(i.plant_time or 0.0 for i in identities)
        if first.speed == 0:
            self._stepped = latest
            self._plants = [d for d, i in zip(drivers, identities, strict=True) if i.simulated]
        else:
            self._running = SystemClock(first.speed, latest)

    def now(self) -> float:
        return self._running.now() if self._stepped is None else self._stepped

    async def sleep_until(self, deadline: float) -> None:
        """Return when it is ``deadline``.

        Raises:
            DeviceError: in lock-step no device answers, so plant time cannot move.
        """
        if self._stepped is None:
            await self._running.sleep_until(deadline)
        elif deadline > self._stepped:
            await self._advance(deadline)
            self._stepped = deadline

    async def _advance(self, deadline: float) -> None:
        """Let the one plant behind all the devices run on, through the first that answers."""
        lost: DeviceError | None = None
        for device in self._plants:
            try:
                await device.advance(deadline)
            except DeviceError as error:
                lost = lost or error
            else:
                return
        if lost is not None:
            raise lost
