"""A pool of optimiser processes: asked without waiting, killed and replaced at a deadline."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from controller.outlook import Outlook, Question
from controller.plan import Plan, Situation

if TYPE_CHECKING:
    from controller.estimator import Estimate
    from controller.solver import SolverSettings

LINE_MAX = 4 * 1024 * 1024  # bytes of one answer; more is garbage
START_S = 60.0  # wall seconds for a worker to import, build its problem and say so
# wall seconds before the n-th start in a row that came to nothing
BACKOFF_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

Answer = Plan | Outlook
Lost = Literal["late", "dead"]

_log = logging.getLogger(__name__)


class WorkerError(Exception):
    """A worker died, froze or talked garbage."""


class _Job:
    """One question, and what came of it.

    Attributes:
        key: of who waits.
        line: the question.
        number: that its answer bears.
        deadline: s of the event loop.
        read: makes an answer of a worker's.
        lost: makes an answer of what went wrong.
    """

    def __init__(
        self,
        key: str,
        line: bytes,
        number: int,
        deadline: float,
        read: Callable[[Mapping[str, Any]], Answer],
        lost: Callable[[Lost, str], Answer],
    ) -> None:
        self.key, self.line, self.number, self.deadline = key, line, number, deadline
        self.read, self.lost = read, lost
        self.done = False
        self.expiry: asyncio.TimerHandle | None = None


class WorkerPool:
    """Workers without state, any of them for any reactor, over JSON lines.

    ``request`` and ``poll`` never wait, so a scan may call them. A worker that is late, dead,
    frozen or talks garbage is killed and replaced at once, and the request's answer is a plan
    with status ``late`` or ``dead``. A worker dies with this process.

    Args:
        settings: of every reactor that may ask, by name.
        workers: how many processes.
        deadline_s: wall seconds from the request to the answer.
        command: how to start one; ours if not given (the tests start broken ones).
    """

    def __init__(
        self,
        settings: Mapping[str, "SolverSettings"],
        *,
        workers: int = 1,
        deadline_s: float = 30.0,
        command: Sequence[str] = (),
    ) -> None:
        if workers < 1 or not deadline_s > 0:
            raise ValueError(f"{workers} workers, {deadline_s:g} s: both must be > 0")
        self._settings = {name: one.as_json() for name, one in settings.items()}
        self._count, self.deadline_s = workers, deadline_s
        self._command = tuple(command) or (
            *(sys.executable, "-m", "controller.worker"),
            str(os.getpid()),
        )
        self._queue: asyncio.Queue[_Job] = asyncio.Queue()
        self._pending: dict[str, _Job] = {}
        self._answers: dict[str, Answer] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._ready: set[int] = set()
        self._number = 0
        self.replaced = 0  # workers that had to be, since the start
        self.news = asyncio.Event()  # set when a worker gets ready or goes and when one answers

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that are ready for a question."""
        return sorted(self._processes[slot].pid for slot in self._ready)

    async def start(self) -> None:
        """Start the workers; returns at once, they warm up by themselves."""
        self._tasks = [asyncio.create_task(self._keep(slot)) for slot in range(self._count)]

    async def close(self) -> None:
        """Kill the workers and forget every request."""
        for reactor in list(self._pending):
            self.cancel(reactor)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def request(self, reactor: str, estimate: "Estimate", situation: Situation) -> None:
        """Ask for a plan; an older request of the same reactor is forgotten."""
        self._ask(
            reactor,
            reactor,
            {"estimate": estimate.as_state(), "situation": situation.as_json()},
            lambda answer: Plan.from_json(cast(Mapping[str, Any], answer.get("plan"))),
            lambda status, why: Plan(status, situation.now, reason=why),
        )

    def poll(self, reactor: str) -> Plan | None:
        """Return the answer once, ``None`` while there is none."""
        return cast("Plan | None", self._answers.pop(reactor, None))

    def foresee(self, key: str, reactor: str, estimate: "Estimate", question: Question) -> None:
        """Ask for an outlook of ``reactor``; an older question with this ``key`` is forgotten.

        A key must not be a reactor's name: that is its plans'.
        """
        self._ask(
            key,
            reactor,
            {"estimate": estimate.as_state(), "question": question.as_json()},
            lambda answer: Outlook.from_json(cast(Mapping[str, Any], answer.get("outlook"))),
            lambda status, why: Outlook(status, question.start, reason=why),
        )

    def foreseen(self, key: str) -> Outlook | None:
        """Return the outlook once, ``None`` while there is none."""
        return cast("Outlook | None", self._answers.pop(key, None))

    def cancel(self, key: str) -> None:
        """Forget what was asked for a reactor, or with a key, and an answer nobody took."""
        self._answers.pop(key, None)
        job = self._pending.pop(key, None)
        if job is not None:
            self._finish(job)

    def _ask(
        self,
        key: str,
        reactor: str,
        asked: Mapping[str, Any],
        read: Callable[[Mapping[str, Any]], Answer],
        lost: Callable[[Lost, str], Answer],
    ) -> None:
        self.cancel(key)
        self._number += 1
        question = {"id": self._number, "settings": self._settings[reactor], **asked}
        loop = asyncio.get_running_loop()
        line = json.dumps(question).encode() + b"\n"
        job = _Job(key, line, self._number, loop.time() + self.deadline_s, read, lost)
        job.expiry = loop.call_at(job.deadline, self._expire, job)
        self._pending[key] = job
        self._queue.put_nowait(job)

    def _finish(self, job: _Job, answer: Answer | None = None) -> None:
        if job.done:
            return
        job.done = True
        if job.expiry is not None:
            job.expiry.cancel()
        if self._pending.get(job.key) is job:
            del self._pending[job.key]
        if answer is not None:
            self._answers[job.key] = answer
            self.news.set()

    def _expire(self, job: _Job) -> None:
        self._finish(job, job.lost("late", f"no plan within {self.deadline_s:g} s"))

    async def _keep(self, slot: int) -> None:
        """Keep one worker alive for ever."""
        fruitless = 0
        while True:
            if fruitless:
                await asyncio.sleep(BACKOFF_S[min(fruitless, len(BACKOFF_S) - 1)])
            started = False
            try:
                process = await self._spawn(slot)
                await self._warm(process)
                started = True
                self._ready.add(slot)
                self.news.set()
                await self._serve(process)
            except (WorkerError, OSError) as error:
                _log.warning("optimiser worker %d replaced: %s", slot, error)
                self.replaced += 1
            finally:
                self._ready.discard(slot)
                self.news.set()
                await self._kill(slot)
            fruitless = 0 if started else fruitless + 1

    async def _spawn(self, slot: int) -> asyncio.subprocess.Process:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=LINE_MAX,
                env=environment,
                start_new_session=True,  # a Ctrl-C of the terminal is the controller's to handle
            )
        )
        try:  # who closes the pool in the middle of a start must still find the process
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._processes[slot] = await starting
            raise
        self._processes[slot] = process
        return process

    async def _kill(self, slot: int) -> None:
        process = self._processes.pop(slot, None)
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)  # also ends a stopped one
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()

    async def _warm(self, process: asyncio.subprocess.Process) -> None:
        """Let a new worker build its problems before it is given a question with a deadline."""
        deadline = asyncio.get_running_loop().time() + START_S
        unique = {json.dumps(one, sort_keys=True): one for one in self._settings.values()}
        for one in unique.values():
            line = json.dumps({"id": 0, "warm": one}).encode() + b"\n"
            answer = await self._exchange(process, line, 0, deadline)
            if answer.get("ready") is not True:
                raise WorkerError(f"worker {process.pid} does not get ready: {answer}")

    async def _serve(self, process: asyncio.subprocess.Process) -> None:
        gone = asyncio.create_task(process.wait())
        try:
            while True:
                asked = asyncio.create_task(self._queue.get())
                await asyncio.wait({asked, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not asked.done():
                    asked.cancel()
                    raise WorkerError(f"worker {process.pid} ended with code {gone.result()}")
                job = asked.result()
                if gone.done():  # it died as the question came: another worker gets it
                    self._queue.put_nowait(job)
                    raise WorkerError(f"worker {process.pid} ended with code {gone.result()}")
                if not job.done:
                    await self._work(process, job)
        finally:
            gone.cancel()

    async def _work(self, process: asyncio.subprocess.Process, job: _Job) -> None:
        try:
            said = await self._exchange(process, job.line, job.number, job.deadline)
            answer = job.read(said)
        except TimeoutError as error:
            self._expire(job)
            raise WorkerError(f"worker {process.pid} was late and is killed") from error
        except (WorkerError, ValueError, OSError) as error:
            self._finish(job, job.lost("dead", str(error)))
            raise WorkerError(str(error)) from error
        self._finish(job, answer)

    async def _exchange(
        self, process: asyncio.subprocess.Process, line: bytes, number: int, deadline: float
    ) -> Mapping[str, Any]:
        """Send one line and return the one that answers it.

        Raises:
            TimeoutError: it did not come before ``deadline`` (s of the event loop).
            WorkerError: the worker died or its answer is garbage.
        """
        stdin, stdout = process.stdin, process.stdout
        if stdin is None or stdout is None:
            raise WorkerError(f"worker {process.pid} has no pipes")
        async with asyncio.timeout_at(deadline):
            try:
                stdin.write(line)
                await stdin.drain()
                answer = await stdout.readline()
            except (ValueError, ConnectionError) as error:
                raise WorkerError(f"worker {process.pid}: {error}") from error
        if not answer:
            raise WorkerError(f"worker {process.pid} died")
        try:
            parsed: Any = json.loads(answer)
        except ValueError as error:
            raise WorkerError(f"worker {process.pid} talks garbage: {answer[:60]!r}") from error
        if not isinstance(parsed, dict) or cast(dict[str, Any], parsed).get("id") != number:
            raise WorkerError(f"worker {process.pid} talks garbage: {answer[:60]!r}")
        return cast(dict[str, Any], parsed)
