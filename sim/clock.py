"""Virtual time: an asyncio event loop whose ``time()`` jumps to the next deadline.

Nothing else changes: tasks, futures, locks and timeouts are asyncio's own, so even a third-party
driver's ``asyncio.sleep`` takes no wall time. There are no sockets, because the world behind them
would not wait.
"""

import asyncio
import selectors
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_POLL_EVERY = 1024  # selects between looks at the real world: signals, threads
_SPIN = 200_000  # turns of the loop at one instant; more is two tasks that wake each other for ever
_THREAD_WAIT = 60.0  # wall s that work in a thread may take before the loop gives up on it


class VirtualTimeError(RuntimeError):
    """Something that cannot be done in virtual time: wait for nothing, or open a socket."""


class _Selector(selectors.SelectSelector):
    """A selector that never waits: it lets the loop's time jump by what it was asked to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.jump: Callable[[], bool] = lambda: False
        self.threads = 0  # calls in executors that the loop still waits for
        self._left = _POLL_EVERY
        self._turns = 0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.get_map():  # the first is the loop's own pipe, by which threads wake it
            raise VirtualTimeError(
                "virtual time has no sockets or pipes; put the device behind a link of sim/links.py"
            )
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.threads:  # work in a thread takes no virtual time, so time stands until it is done
            if timeout == 0:
                return super().select(0)
            found = super().select(_THREAD_WAIT)
            if not found:
                raise VirtualTimeError(f"a thread did not end within {_THREAD_WAIT:g} wall seconds")
            return found
        self._left -= 1
        if not self._left:
            self._left = _POLL_EVERY
            if found := super().select(0):
                return found
        if timeout == 0:
            self._turns += 1
            if self._turns > _SPIN:
                self._turns = 0
                raise VirtualTimeError(
                    f"tasks ran {_SPIN} turns without letting time go on: one of them never waits"
                )
            return []
        self._turns = 0
        if self.jump():
            return []
        if found := super().select(0):  # a thread of somebody else's has just woken the loop
            return found
        raise VirtualTimeError(
            "every task waits and nothing is scheduled: in virtual time this would hang for ever"
        )


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that starts at 0 s and jumps to the next deadline when nothing is ready."""

    _scheduled: list[asyncio.TimerHandle]  # asyncio's heap; its head is the next deadline
    _ready: deque[asyncio.Handle]

    def __init__(self) -> None:
        self.now = 0.0  # what ``time`` returns
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self._virtual.jump = self._jump

    def time(self) -> float:
        return self.now

    @property
    def idle(self) -> bool:
        """Whether nothing else is ready to run now."""
        return not self._ready

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._virtual.threads += 1
        future.add_done_callback(self._thread_done)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        self._virtual.threads += 1  # it waits for a thread that it starts by itself
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._virtual.threads -= 1

    def _thread_done(self, _future: asyncio.Future[Any]) -> None:
        self._virtual.threads -= 1

    def _jump(self) -> bool:
        """Move to the next deadline; return False if there is none."""
        if not self._scheduled:
            return False
        self.now = max(self.now, self._scheduled[0].when())
        return True

    def skip(self, seconds: float) -> bool:
        """Let so many seconds pass at once if nothing would happen meanwhile; else do nothing."""
        time = self.now + seconds
        due = self._scheduled
        if self._ready or self._virtual.threads or (due and due[0].when() <= time):
            return False
        self.now = time
        return True


class SimClock:
    """Plant time on a virtual loop.

    Args:
        start: plant time now, s since 1970 UTC.
        loop: the virtual loop; the running one if not given.

    Raises:
        VirtualTimeError: the loop is not virtual.
    """

    def __init__(self, start: float = 0.0, loop: VirtualLoop | None = None) -> None:
        running = loop or events.get_running_loop()
        if not isinstance(running, VirtualLoop):
            raise VirtualTimeError(f"{type(running).__name__} is no VirtualLoop; use run_virtual")
        self._loop = running
        self._offset = start - running.time()

    def now(self) -> float:
        return self._offset + self._loop.now

    async def sleep_until(self, deadline: float) -> None:
        # More than once where the sum of two floats falls an ulp short of the deadline.
        while (wait := deadline - self.now()) > 0:
            if not self._loop.skip(wait):
                await asyncio.sleep(wait)

    async def run_until(self, time: float) -> None:
        """Let everything run that is due up to and including ``time``, s since 1970 UTC."""
        await self.sleep_until(time)
        await asyncio.sleep(0)
        while not self._loop.idle:  # noqa: ASYNC110 (nobody would set an event)
            await asyncio.sleep(0)


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` on a new virtual loop and return its result; cancel what it leaves behind."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
