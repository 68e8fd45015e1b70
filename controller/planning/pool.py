"""A pool of optimiser processes: asked without waiting, killed and replaced at a deadline."""

import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from controller.planning.nursery import PARENT
from controller.planning.outlook import Outlook, Question
from controller.planning.plan import Plan, Situation

if TYPE_CHECKING:
    from controller.planning.economic.settings import EconomicSettings
    from controller.sensing.estimator import Estimate

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


class _Worker:
    """A worker's channel; there is always one read under way, so its end is seen at once.

    Attributes:
        pid: process id.
        said: the next line.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.pid = 0
        self.listen()

    def listen(self) -> None:
        """Wait for another line."""
        self.said = asyncio.create_task(self._reader.readline())

    async def exchange(self, line: bytes, number: int, deadline: float) -> Mapping[str, Any]:
        """Send one line and return the one that answers it.

        Raises:
            TimeoutError: it did not come before ``deadline`` (s of the event loop).
            WorkerError: the worker died or its answer is garbage.
        """
        try:
            async with asyncio.timeout_at(deadline):
                self._writer.write(line)
                await self._writer.drain()
                answer = await self.said
        except ConnectionError as error:
            raise WorkerError(f"worker {self.pid} died") from error
        except ValueError as error:
            raise WorkerError(f"worker {self.pid}: {error}") from error
        if not answer:
            raise WorkerError(f"worker {self.pid} died")
        self.listen()
        try:
            parsed: Any = json.loads(answer)
        except ValueError as error:
            raise WorkerError(f"worker {self.pid} talks garbage: {answer[:60]!r}") from error
        if not isinstance(parsed, dict) or cast(dict[str, Any], parsed).get("id") != number:
            raise WorkerError(f"worker {self.pid} talks garbage: {answer[:60]!r}")
        return cast(dict[str, Any], parsed)

    async def close(self) -> None:
        """Wait for its end, whatever it still says, and close the channel."""
        self.said.cancel()
        await asyncio.gather(self.said, return_exceptions=True)
        with contextlib.suppress(OSError, ValueError):
            while await self._reader.read(LINE_MAX):
                pass
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class WorkerPool:
    """Workers without state, any of them for any reactor, over JSON lines.

    ``request`` and ``poll`` never wait, so a scan may call them. A worker that is late, dead,
    frozen or talks garbage is killed and replaced at once, and the request's answer is a plan
    with status ``late`` or ``dead``. A worker dies with this process.

    Args:
        settings: of every reactor that may ask, by name.
        workers: how many processes.
        deadline_s: wall seconds from the request to the answer.
        command: how to start one, ``nursery.PARENT`` in it is its parent's process id; ours if
            not given (the tests start broken ones).
    """

    def __init__(
        self,
        settings: Mapping[str, "EconomicSettings"],
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
            *(sys.executable, "-m", "controller.planning.worker"),
            PARENT,
        )
        self._queue: asyncio.Queue[_Job] = asyncio.Queue()
        self._pending: dict[str, _Job] = {}
        self._answers: dict[str, Answer] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._workers: dict[int, _Worker] = {}
        self._nursery: asyncio.subprocess.Process | None = None
        self._channel: socket.socket | None = None
        self._starting = asyncio.Lock()
        self._ready: set[int] = set()
        self._number = 0
        self.replaced = 0  # workers that had to be, since the start
        self.news = asyncio.Event()  # set when a worker gets ready or goes and when one answers

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that are ready for a question."""
        return sorted(self._workers[slot].pid for slot in self._ready)

    async def start(self) -> None:
        """Start the nursery and the workers; returns before they are ready for a question."""
        await self._nurse()
        self._tasks = [asyncio.create_task(self._keep(slot)) for slot in range(self._count)]

    async def close(self) -> None:
        """Kill the workers and forget every request."""
        for reactor in list(self._pending):
            self.cancel(reactor)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._channel is not None and self._nursery is not None:
            self._channel.close()  # which ends it
            await self._nursery.wait()
            self._channel = self._nursery = None

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
                worker = self._workers[slot] = await self._spawn()
                await self._warm(worker)
                started = True
                self._ready.add(slot)
                self.news.set()
                await self._serve(worker)
            except (WorkerError, OSError) as error:
                _log.warning("optimiser worker %d replaced: %s", slot, error)
                self.replaced += 1
            finally:
                self._ready.discard(slot)
                self.news.set()
                if slot in self._workers:
                    await self._end(self._workers.pop(slot))
            fruitless = 0 if started else fruitless + 1

    async def _nurse(self) -> socket.socket:
        """Return the channel to the nursery, which is started where there is none."""
        async with self._starting:
            if self._channel is not None and self._nursery is not None:
                if self._nursery.returncode is None:
                    return self._channel
                self._channel.close()
            ours, theirs = socket.socketpair()
            with theirs:
                self._nursery = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "controller.planning.nursery", str(os.getpid())),
                    stdin=theirs.fileno(),
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                )
            self._channel = ours
            return ours

    async def _spawn(self) -> _Worker:
        """Have a worker started.

        Raises:
            WorkerError: it cannot be.
        """
        nursery = await self._nurse()
        ours, theirs = socket.socketpair()
        with theirs:
            line = json.dumps({"command": self._command}).encode() + b"\n"
            try:
                socket.send_fds(nursery, [line], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise WorkerError(f"no worker can be started: {error}") from error
        worker = _Worker(*await asyncio.open_connection(sock=ours, limit=LINE_MAX))
        try:
            async with asyncio.timeout(START_S):
                first = await worker.said
            worker.pid = int(json.loads(first)["pid"])
        except (TimeoutError, ValueError, KeyError, ConnectionError) as error:
            await worker.close()
            raise WorkerError("a worker did not start") from error
        worker.listen()
        return worker

    async def _end(self, worker: _Worker) -> None:
        """Kill a worker and wait until it is buried."""
        if self._channel is not None:
            with contextlib.suppress(OSError):  # without a nursery it is dead already
                self._channel.send(json.dumps({"kill": worker.pid}).encode() + b"\n")
        await worker.close()

    async def _warm(self, worker: _Worker) -> None:
        """Let a new worker build its problems before it is given a question with a deadline."""
        deadline = asyncio.get_running_loop().time() + START_S
        unique = {json.dumps(one, sort_keys=True): one for one in self._settings.values()}
        for one in unique.values():
            line = json.dumps({"id": 0, "warm": one}).encode() + b"\n"
            try:
                answer = await worker.exchange(line, 0, deadline)
            except TimeoutError as error:
                raise WorkerError(f"worker {worker.pid} does not get ready") from error
            if answer.get("ready") is not True:
                raise WorkerError(f"worker {worker.pid} does not get ready: {answer}")

    async def _serve(self, worker: _Worker) -> None:
        while True:
            asked = asyncio.create_task(self._queue.get())
            try:
                await asyncio.wait({asked, worker.said}, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                asked.cancel()
                raise
            if not asked.done():
                asked.cancel()
                raise WorkerError(f"worker {worker.pid} died")
            job = asked.result()
            if worker.said.done():  # it died as the question came: another worker gets it
                self._queue.put_nowait(job)
                raise WorkerError(f"worker {worker.pid} died")
            if not job.done:
                await self._work(worker, job)

    async def _work(self, worker: _Worker, job: _Job) -> None:
        try:
            said = await worker.exchange(job.line, job.number, job.deadline)
            answer = job.read(said)
        except TimeoutError as error:
            self._expire(job)
            raise WorkerError(f"worker {worker.pid} was late and is killed") from error
        except (WorkerError, ValueError, OSError) as error:
            self._finish(job, job.lost("dead", str(error)))
            raise WorkerError(str(error)) from error
        self._finish(job, answer)
