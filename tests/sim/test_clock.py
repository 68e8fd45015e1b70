import asyncio
import signal
import socket
import threading
from collections.abc import Callable

import pytest

from drivers.clock import Clock, monotonic
from sim.clock import SimClock, VirtualLoop, VirtualTimeError, run_virtual


def test_a_day_of_sleep_takes_no_wall_time_and_ends_on_the_second() -> None:
    async def main() -> tuple[float, float]:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time(), 0.0

    began = monotonic()
    assert run_virtual(main()) == (86_400, 0.0)
    assert monotonic() - began < 5


def test_tasks_wake_in_the_order_of_their_deadlines() -> None:
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *delays: float) -> None:
        for delay in delays:
            await asyncio.sleep(delay)
            woken.append((name, asyncio.get_running_loop().time()))

    async def main() -> None:
        await asyncio.gather(sleeper("a", 3, 3), sleeper("b", 1, 4), sleeper("c", 2))

    run_virtual(main())
    assert woken == [("b", 1), ("c", 2), ("a", 3), ("b", 5), ("a", 6)]


def test_a_timeout_is_virtual() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1000):
                await asyncio.sleep(2000)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 1000


@pytest.mark.parametrize("start", [0.0, 1_790_000_000.123])
def test_the_clock_reaches_every_deadline_and_never_steps_back(start: float) -> None:
    async def main() -> None:
        clock: Clock = SimClock(start)
        assert clock.now() == start
        last = start
        for scan in range(1, 20_000):
            deadline = start + scan * 0.1
            await clock.sleep_until(deadline)
            assert deadline <= clock.now() < deadline + 1e-6
            assert clock.now() >= last
            last = clock.now()
        await clock.sleep_until(start)  # long past: at once
        assert clock.now() == last

    run_virtual(main())


def test_nobody_is_slept_over() -> None:
    woken: list[str] = []

    async def other(clock: SimClock) -> None:
        await asyncio.sleep(5)
        woken.append(f"other at {clock.now():g}")

    async def main() -> None:
        clock = SimClock(100.0)
        task = asyncio.create_task(other(clock))
        for deadline in (103.0, 105.0, 107.0):  # the second is also the other's, who was first
            await clock.sleep_until(deadline)
            woken.append(f"main at {clock.now():g}")
        await task

    run_virtual(main())
    assert woken == ["main at 103", "other at 105", "main at 105", "main at 107"]


def test_an_interrupt_ends_a_task_that_only_sleeps() -> None:
    async def main() -> None:
        clock = SimClock()
        while clock.now() < 2000.0:
            await clock.sleep_until(clock.now() + 1.0)
            if clock.now() == 1000.0:
                signal.raise_signal(signal.SIGINT)

    # who starts the tests in the background has them ignore it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_virtual(main())
    finally:
        signal.signal(signal.SIGINT, before)


def test_run_until_runs_all_that_is_due_at_that_second() -> None:
    async def main() -> None:
        clock = SimClock(100.0)
        chain: list[int] = []

        async def reader() -> None:
            await clock.sleep_until(110.0)
            for step in range(5):  # each step needs a turn of the loop of its own
                await asyncio.sleep(0)
                chain.append(step)
            await clock.sleep_until(110.5)
            chain.append(99)

        task = asyncio.create_task(reader())
        await clock.run_until(110.0)
        assert chain == [0, 1, 2, 3, 4]
        assert clock.now() == 110.0
        await clock.run_until(111.0)
        assert chain[-1] == 99
        await task

    run_virtual(main())


def test_a_task_that_never_waits_is_an_error_and_no_hang() -> None:
    async def spin() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.create_task(spin())
        await SimClock(0.0).run_until(1.0)
        task.cancel()

    with pytest.raises(VirtualTimeError, match="never waits"):
        run_virtual(main())


def test_waiting_for_what_never_comes_is_an_error_and_no_hang() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(VirtualTimeError, match="nothing is scheduled"):
        run_virtual(main())


def test_work_in_a_thread_takes_no_virtual_time() -> None:
    async def main() -> tuple[int, float]:
        release = threading.Event()
        work = asyncio.create_task(asyncio.to_thread(release.wait))
        asyncio.get_running_loop().call_soon(release.set)
        asyncio.get_running_loop().call_later(3600, lambda: None)
        assert await work
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(5)
        return threading.active_count() > 0, now

    assert run_virtual(main()) == (True, 0.0)


def test_a_socket_is_refused() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            with pytest.raises(VirtualTimeError, match="no sockets"):
                await asyncio.open_connection("127.0.0.1", port)

    # Name resolution of a literal address needs no thread, so this reaches the selector.
    run_virtual(main())


def test_a_foreign_thread_can_wake_the_loop() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(done.set))
        thread.start()
        thread.join()
        await done.wait()

    run_virtual(main())


def test_what_main_leaves_behind_is_cancelled() -> None:
    ended: list[str] = []

    async def for_ever() -> None:
        try:
            while True:  # noqa: ASYNC110
                await asyncio.sleep(1)
        finally:
            ended.append("cancelled")

    async def main() -> None:
        main.task = asyncio.create_task(for_ever())  # type: ignore[attr-defined]
        await asyncio.sleep(10)

    run_virtual(main())
    assert ended == ["cancelled"]


async def test_a_clock_on_a_real_loop_is_refused() -> None:
    with pytest.raises(VirtualTimeError, match="no VirtualLoop"):
        SimClock(0.0)


@pytest.mark.bench
def test_one_scan_of_virtual_time_costs_microseconds(
    benchmark: Callable[[Callable[[], None]], None],
) -> None:
    async def scans(count: int) -> None:
        clock = SimClock(1.79e9)
        for scan in range(count):
            await clock.sleep_until(1.79e9 + scan)

    benchmark(lambda: run_virtual(scans(10_000)))


def test_the_loop_of_a_clock_may_be_given() -> None:
    loop = VirtualLoop()
    try:
        clock = SimClock(50.0, loop)
        loop.run_until_complete(asyncio.sleep(7))
        assert clock.now() == 57.0
    finally:
        loop.close()
