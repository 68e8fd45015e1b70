"""The supervisor with real processes: they die, freeze, refuse to end and are left alone."""

import asyncio
import os
import select
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from controller.supervisor import Child, Supervisor
from drivers.clock import monotonic

pytestmark = pytest.mark.real_time

ROOT = Path(__file__).parents[2]
FOREVER = "import signal\nsignal.pause()\n"
# writes its pid, then beats: what a controller does
BEATING = """
import os, sys, threading
from controller.supervisor import Heartbeat
heart = Heartbeat()
heart.beat()
print(os.getpid(), os.environ.get("FERMLOOP_RESTARTS"),
      os.environ.get("FERMLOOP_RESTART_REASON"), flush=True)
while not threading.Event().wait(0.1):
    heart.beat()
"""
CONNECTING = """
import asyncio, sys, threading
from controller.supervisor import Heartbeat
async def main():
    async with Heartbeat().beating():
        await asyncio.sleep(1.5)
    print("quiet", flush=True)
    threading.Event().wait()
asyncio.run(main())
"""
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture(autouse=True)
def whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let children write a line at once: unbuffered, print writes its end by itself."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


class Told:
    """Collects what the supervisor reports and wakes who waits for a line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._more = asyncio.Event()

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        self._more.set()

    async def until(self, text: str) -> str:
        async with asyncio.timeout(20):
            while True:
                for line in self.lines:
                    if text in line:
                        return line
                self._more.clear()
                await self._more.wait()


async def until(true: Callable[[], bool]) -> None:
    """Return when ``true()``: what another process does cannot wake an event here."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def supervised(*children: Child) -> AsyncGenerator[tuple[Supervisor, Told]]:
    told = Told()
    supervisor = Supervisor(children, told)
    task = asyncio.create_task(supervisor.run())
    try:
        yield supervisor, told
    finally:
        supervisor.stop()
        assert await task == 0


def lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def gone(pid: int) -> bool:
    """Return whether a process that may be a child of another has ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"


async def test_a_killed_child_is_started_again_and_told_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = Child("controller", python(BEATING), log=log, critical=True, beat_s=3.0)
    async with supervised(child) as (supervisor, told):
        await until(lambda: len(lines(log)) == 1)
        os.kill(supervisor.conditions["controller"].pid, signal.SIGKILL)
        await told.until("controller: killed by SIGKILL; starting it again in 0.2 s")
        await until(lambda: len(lines(log)) == 2)
        condition = supervisor.conditions["controller"]
        assert (condition.restarts, condition.reason) == (1, "killed by SIGKILL")
        assert lines(log)[1][1:] == ["1", "killed", "by", "SIGKILL"]
        assert lines(log)[1][0] == str(condition.pid)


async def test_a_frozen_child_is_killed_and_started_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = Child("controller", python(BEATING), log=log, beat_s=0.8)
    async with supervised(child) as (supervisor, told):
        await until(lambda: len(lines(log)) == 1)
        pid = supervisor.conditions["controller"].pid
        frozen_at = monotonic()
        os.kill(pid, signal.SIGSTOP)
        await told.until("frozen: no beat for")
        assert monotonic() - frozen_at < 3.0
        await until(lambda: len(lines(log)) == 2)
        assert gone(pid)


async def test_a_child_that_never_beats_is_given_its_first_time_only(tmp_path: Path) -> None:
    child = Child("controller", python(FOREVER), beat_s=0.1, first_beat_s=0.5)
    async with supervised(child) as (_, told):
        await told.until("no beat within 0.5 s of its start")


async def test_a_long_start_that_beats_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = Child("controller", python(CONNECTING), log=log, beat_s=0.8)
    async with supervised(child) as (_, told):
        await told.until("frozen: no beat for")
        assert lines(log) == [["quiet"]]


async def test_the_backoff_doubles_and_others_go_on() -> None:
    mad = Child("mad", python("raise SystemExit(7)"))
    calm = Child("calm", python(FOREVER))
    async with supervised(mad, calm) as (supervisor, told):
        await told.until("mad: exit code 7; starting it again in 0.8 s")
        waits = [line.rpartition(" in ")[2] for line in told.lines]
        assert waits[:3] == ["0.2 s", "0.4 s", "0.8 s"]
        assert supervisor.conditions["calm"].restarts == 0
        assert supervisor.conditions["calm"].pid > 0


async def test_a_program_that_is_not_there_is_reported_and_tried_again() -> None:
    async with supervised(Child("ghost", ["/no/such/program"])) as (_, told):
        await told.until("ghost: exit code 1; starting it again")


async def test_a_critical_child_that_was_started_wrongly_ends_everything() -> None:
    told = Told()
    wrong = Child("controller", python("raise SystemExit(2)"), critical=True)
    supervisor = Supervisor([Child("calm", python(FOREVER)), wrong], told)
    assert await supervisor.run() == 2
    assert told.lines == ["controller: ended (exit code 2)"]


async def test_a_critical_child_that_ends_of_its_own_accord_ends_everything() -> None:
    supervisor = Supervisor(
        [Child("calm", python(FOREVER)), Child("controller", python("pass"), critical=True)], Told()
    )
    assert await supervisor.run() == 0


async def test_one_that_is_not_started_again_and_fails_ends_everything_with_1() -> None:
    plant = Child("simulator", python("raise SystemExit(9)"), critical=True, restart=False)
    assert await Supervisor([plant], Told()).run() == 1


async def test_a_wrongly_started_console_is_left_and_the_rest_goes_on() -> None:
    console = Child("console", python("raise SystemExit(2)"))
    async with supervised(Child("calm", python(FOREVER)), console) as (supervisor, told):
        await told.until("console: ended (exit code 2)")
        assert supervisor.conditions["calm"].pid > 0


async def test_children_end_one_after_the_other_last_started_first(tmp_path: Path) -> None:
    log = tmp_path / "log"
    # blocked and waited for: a signal just before a pause() would be slept through
    says = "import signal, sys\nsignal.pthread_sigmask(signal.SIG_BLOCK, [15])\n"
    says += "print('up', flush=True)\nsignal.sigwait([15])\nprint(sys.argv[1])\n"
    children = [Child(name, python(says, name), log=log) for name in ("plant", "controller", "web")]
    async with supervised(*children):
        await until(lambda: len(lines(log)) == 3)
    assert lines(log)[3:] == [["web"], ["controller"], ["plant"]]


async def test_a_child_that_will_not_end_is_killed_after_its_grace(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with supervised(Child("deaf", python(STUBBORN), log=log, grace_s=0.3)) as (_, told):
        await until(lambda: lines(log) == [["deaf"]])
    assert told.lines == ["deaf: did not end within 0.3 s; killed"]


async def test_a_child_waits_until_it_may_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    may: list[bool] = []
    waiting = Child("controller", python("print('up')"), log=log, after=lambda: bool(may))
    async with supervised(waiting, Child("calm", python(FOREVER))) as (supervisor, _):
        await until(lambda: supervisor.conditions["calm"].pid > 0)
        assert supervisor.conditions["controller"].pid == 0
        may.append(True)
        await until(lambda: lines(log) == [["up"]])


SUPERVISING = f"""
import asyncio, sys
from controller.supervisor import Child, Supervisor
deaf, beating = {STUBBORN!r}, {BEATING!r}
children = [Child("deaf", [sys.executable, "-c", deaf], grace_s=0.3),
            Child("controller", [sys.executable, "-c", beating], beat_s=3.0)]
supervisor = Supervisor(children, lambda line: print(line, flush=True))
async def main():
    task = asyncio.create_task(supervisor.run())
    while not all(c.pid for c in supervisor.conditions.values()):
        await asyncio.sleep(0.01)
    print("pids", *(c.pid for c in supervisor.conditions.values()), flush=True)
    return await task
sys.exit(asyncio.run(main()))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_children_die_with_the_supervisor(number: signal.Signals) -> None:
    supervisor = await asyncio.create_subprocess_exec(
        *python(SUPERVISING), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert supervisor.stdout is not None
    pids: list[int] = []
    seen: set[str] = set()
    async with asyncio.timeout(20):
        while not pids or "deaf" not in seen:
            words = (await supervisor.stdout.readline()).decode().split()
            seen.add(words[0])
            if words[0] == "pids":
                pids = [int(word) for word in words[1:]]
    watched = [os.pidfd_open(pid) for pid in pids]
    supervisor.send_signal(number)
    await supervisor.wait()
    assert supervisor.returncode == (0 if number == signal.SIGTERM else -number)
    for pidfd in watched:  # readable when the process has ended
        ready, _, _ = await asyncio.to_thread(select.select, [pidfd], [], [], 10.0)
        os.close(pidfd)
        assert ready
