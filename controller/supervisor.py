"""Starts the plant's processes, restarts what dies or freezes, and takes all of them down with it.

Linux kills the children when the supervisor dies, however it dies: each is started through a line
of Python that asks the kernel for it (``PR_SET_PDEATHSIG``) and then becomes the program, so that
no program has to cooperate. The controller also sends a beat each scan through a pipe; without one
it is frozen, and frozen is treated as dead.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drivers.clock import monotonic

BEAT_FD = "FERMLOOP_BEAT_FD"  # environment: the pipe that beats are written to
RESTARTS = "FERMLOOP_RESTARTS"  # environment: how often this process was restarted
REASON = "FERMLOOP_RESTART_REASON"  # environment: why the last one ended
USAGE = 2  # exit code of a wrong plant file or argument: starting again would not help
FIRST_BACKOFF_S = 0.2
LAST_BACKOFF_S = 10.0
SETTLED_S = 5.0  # a process that lived this long starts again with the first backoff
LOOK_S = 0.25  # how often a process that must beat is looked at

_PR_SET_PDEATHSIG = 1
# -I -S: without site packages the interpreter is there in 10 ms and nothing of the user's is run
_LAUNCH = (
    "import ctypes,os,sys;ctypes.CDLL(None).prctl(1,9);"
    "os.getppid()==int(sys.argv[1]) or sys.exit(1);"
    "os.execvpe(sys.argv[2],sys.argv[2:],os.environ)"
)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the one that started it dies (Linux)."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it went in between
        sys.exit(1)


def dying_with_parent(argv: Sequence[str]) -> list[str]:
    """Return a command that runs ``argv`` and is killed by the kernel when this process dies.

    The thread that starts it must be the one that lives: start it from the main thread.
    """
    return [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), *argv]


class Heartbeat:
    """What a supervised process calls once a scan; does nothing where nobody listens."""

    def __init__(self) -> None:
        number = os.environ.get(BEAT_FD, "")
        self._fd = int(number) if number.isdecimal() else -1
        self._last = 0.0

    def beat(self) -> None:
        """Say that the loop is alive; at most five times a second reach the pipe."""
        if self._fd < 0 or (now := monotonic()) - self._last < 0.2:
            return
        self._last = now
        # a full pipe is a supervisor that is stopped, a broken one that it is gone: go on
        with contextlib.suppress(OSError):
            os.write(self._fd, b".")

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncGenerator[None]:
        """Beat from a task of its own while inside: for a start or an end that may take long."""

        async def keep() -> None:
            while True:
                self.beat()
                await asyncio.sleep(LOOK_S)

        task = asyncio.create_task(keep(), name="heartbeat")
        try:
            yield
        finally:
            task.cancel()


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep alive.

    Attributes:
        name: as people know it: ``controller``.
        argv: program and arguments.
        env: added to this process's environment.
        log: file that its output is appended to; inherited if ``None``.
        critical: when it ends for good everything ends.
        restart: start it again when it dies; exit codes 2, and 0 if critical, are for good anyway.
        after: it is not started before this returns True; looked at ten times a second.
        beat_s: it must beat this often, wall s, or it is killed and restarted; ``None``: no beat.
        first_beat_s: time to the first beat of each start, wall s.
        grace_s: from SIGTERM to SIGKILL when it is told to end, wall s.
        backoff_s: longest pause before it is started again, wall s.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    log: Path | None = None
    critical: bool = False
    restart: bool = True
    after: Callable[[], bool] | None = None
    beat_s: float | None = None
    first_beat_s: float = 30.0
    grace_s: float = 5.0
    backoff_s: float = LAST_BACKOFF_S


@dataclass(slots=True)
class Condition:
    """How a child is: its process id (0: none), restarts so far and why the last one ended."""

    pid: int = 0
    restarts: int = 0
    reason: str = ""
    exit_code: int | None = None


class Supervisor:
    """Runs children until ``stop`` is called or a critical one ends for good.

    Args:
        children: in order of start; they are ended in the opposite order.
        report: takes one line for people whenever something starts, ends or freezes.
    """

    def __init__(self, children: Sequence[Child], report: Callable[[str], None]) -> None:
        self.children = list(children)
        self.conditions = {child.name: Condition() for child in children}
        self._report = report
        self._stopping = asyncio.Event()
        self._exit_code = 0

    def stop(self, exit_code: int = 0) -> None:
        """End all children in order; ``run`` then returns ``exit_code``."""
        if not self._stopping.is_set():
            self._exit_code = exit_code
            self._stopping.set()

    async def run(self) -> int:
        """Start and watch; return the exit code when everything has ended.

        SIGINT, SIGTERM and SIGHUP stop it. 0 means asked to end, 1 that a critical child that is
        not started again failed, 2 that one was started wrongly.
        """
        with _signals(self.stop):
            ended: dict[str, asyncio.Event] = {}
            tasks: list[asyncio.Task[None]] = []
            try:
                for child in self.children:
                    ended[child.name] = asyncio.Event()
                    watch = _Watch(child, self.conditions[child.name], self._report)
                    keeping = self._keep(watch, ended[child.name])
                    tasks.append(asyncio.create_task(keeping, name=child.name))
                await self._stopping.wait()
            finally:
                for child, task in reversed(list(zip(self.children, tasks, strict=False))):
                    ended[child.name].set()  # and only then the one before it
                    await task
        return self._exit_code

    async def _keep(self, watch: "_Watch", ending: asyncio.Event) -> None:
        """Start the child again whenever it ends, until ``ending``."""
        child, condition = watch.child, watch.condition
        while child.after is not None and not child.after() and not ending.is_set():
            await _pause(ending, 0.1)
        backoff = FIRST_BACKOFF_S
        while not ending.is_set():
            started = monotonic()
            reason = await watch.once(ending)
            if ending.is_set():
                break
            condition.reason = reason
            code = condition.exit_code
            if not child.restart or code == USAGE or (child.critical and code == 0):
                self._report(f"{child.name}: ended ({reason})")
                if child.critical:
                    self.stop(code if code in (0, USAGE) else 1)
                return
            backoff = FIRST_BACKOFF_S if monotonic() - started > SETTLED_S else backoff
            self._report(f"{child.name}: {reason}; starting it again in {backoff:.1f} s")
            await _pause(ending, backoff)
            backoff = min(backoff * 2, child.backoff_s)
            condition.restarts += 1


class _Watch:
    """One child: starts it, listens to its beats, ends it."""

    def __init__(self, child: Child, condition: Condition, report: Callable[[str], None]) -> None:
        self.child = child
        self.condition = condition
        self._report = report
        self._beat = 0.0
        self._beaten = False

    async def once(self, ending: asyncio.Event) -> str:
        """Run the process once and return why it ended; end it when ``ending`` is set."""
        listen, send = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        loop = asyncio.get_running_loop()
        try:
            process = await self._start(send)
        except OSError as error:
            os.close(listen)
            self.condition.exit_code = None
            return f"cannot be started: {error}"
        finally:
            os.close(send)
        self.condition.pid = process.pid
        self._beat, self._beaten = monotonic(), False
        loop.add_reader(listen, self._hear, listen)
        try:
            frozen = await self._watch(process, ending)
        finally:
            loop.remove_reader(listen)
            os.close(listen)
            self.condition.pid = 0
        code = process.returncode
        self.condition.exit_code = code
        return frozen or _why(code)

    async def _start(self, send: int) -> asyncio.subprocess.Process:
        child, condition = self.child, self.condition
        env = {**os.environ, **child.env, BEAT_FD: str(send)}
        if condition.restarts:
            env |= {RESTARTS: str(condition.restarts), REASON: condition.reason}
        with contextlib.ExitStack() as stack:
            output = None
            if child.log is not None:
                child.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                output = stack.enter_context(child.log.open("ab"))
            return await asyncio.create_subprocess_exec(
                *dying_with_parent(child.argv),
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(send,),
                start_new_session=True,  # a terminal's Ctrl-C reaches the supervisor alone
            )

    def _hear(self, listen: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(listen, 4096):
                self._beat, self._beaten = monotonic(), True

    async def _watch(self, process: asyncio.subprocess.Process, ending: asyncio.Event) -> str:
        """Return when the process has ended; the text says that it was frozen, else it is empty."""
        over = asyncio.create_task(process.wait())
        told = asyncio.create_task(ending.wait())
        frozen = ""
        looked = monotonic()
        try:
            while not over.done():
                await asyncio.wait(
                    {over, told}, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED
                )
                if told.done() and not over.done():
                    await self._end(process, over)
                # a late look means that this process was stopped: let the beats come in first
                late, looked = monotonic() - looked > 4 * LOOK_S, monotonic()
                if not frozen and not late and not over.done() and (frozen := self._frozen()):
                    _signal(process, signal.SIGKILL)
            return frozen
        except asyncio.CancelledError:
            _signal(process, signal.SIGKILL)
            raise
        finally:
            told.cancel()

    def _frozen(self) -> str:
        child = self.child
        if child.beat_s is None:
            return ""
        silence = monotonic() - self._beat
        if not self._beaten and silence > child.first_beat_s:
            return f"no beat within {child.first_beat_s:g} s of its start"
        if self._beaten and silence > child.beat_s:
            return f"frozen: no beat for {silence:.1f} s"
        return ""

    async def _end(self, process: asyncio.subprocess.Process, over: asyncio.Task[int]) -> None:
        _signal(process, signal.SIGTERM)
        done, _ = await asyncio.wait({over}, timeout=self.child.grace_s)
        if not done:
            self._report(f"{self.child.name}: did not end within {self.child.grace_s:g} s; killed")
            _signal(process, signal.SIGKILL)
            await over


async def _pause(ending: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ending.wait(), seconds)


def _why(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


@contextlib.contextmanager
def _signals(stop: Callable[[], None]) -> Generator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
