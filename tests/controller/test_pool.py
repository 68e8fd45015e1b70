"""The pool against real processes, good ones and broken ones."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from controller.planning.outlook import Course, Outlook, Question
from controller.planning.plan import Plan, Situation
from controller.planning.pool import WorkerPool
from controller.sensing.estimator import Estimate
from tests.controller.economies import NOW, believed, case, quick

READY = 'import sys, json\nprint(json.dumps({"id": 0, "ready": True}), flush=True)\n'


def broken(code: str) -> tuple[str, ...]:
    """A worker that gets ready and then runs ``code`` once it has read its warm-up line."""
    return (sys.executable, "-c", f"import sys\nsys.stdin.readline()\n{READY}{code}")


@pytest.fixture(scope="module")
def estimate() -> Estimate:
    return believed()


SITUATION = case("ecoli_5l").situation


@asynccontextmanager
async def pool(
    command: tuple[str, ...] = (), deadline_s: float = 20.0
) -> AsyncGenerator[WorkerPool]:
    one = WorkerPool({"R1": quick()}, deadline_s=deadline_s, command=command)
    await one.start()
    try:
        yield one
    finally:
        await one.close()


async def until(one: WorkerPool, condition: Callable[[], object], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            one.news.clear()
            await one.news.wait()


async def answer(one: WorkerPool, seconds: float = 30.0) -> Plan:
    found: list[Plan] = []

    def look() -> bool:
        plan = one.poll("R1")
        if plan is not None:
            found.append(plan)
        return bool(found)

    await until(one, look, seconds)
    return found[0]


async def test_a_worker_plans_and_the_answer_is_given_once(estimate: Estimate) -> None:
    async with pool() as one:
        await until(one, lambda: one.pids)
        one.request("R1", estimate, SITUATION)
        assert one.poll("R1") is None
        plan = await answer(one)
        assert (plan.status, plan.reason) == ("good", "")
        assert plan.made == SITUATION.now
        assert one.poll("R1") is None
        assert one.replaced == 0


async def test_a_question_that_is_wrong_is_answered_not_fatal(estimate: Estimate) -> None:
    async with pool() as one:
        await until(one, lambda: one.pids)
        before = one.pids
        one.request("R1", estimate, Situation(float("nan"), 8.0, 24.0))
        assert (await answer(one)).status == "bad_input"
        assert (one.pids, one.replaced) == (before, 0)


@pytest.mark.parametrize("busy", [True, False])
async def test_a_killed_worker_is_replaced(estimate: Estimate, busy: bool) -> None:
    async with pool() as one:
        await until(one, lambda: one.pids)
        (pid,) = one.pids
        if busy:
            os.kill(pid, signal.SIGSTOP)  # so that the question is still open when it dies
            one.request("R1", estimate, SITUATION)
            await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        if busy:
            plan = await answer(one)
            assert (plan.status, f"worker {pid} died" in plan.reason) == ("dead", True)
        await until(one, lambda: one.pids and one.pids != [pid])
        one.request("R1", estimate, SITUATION)
        assert (await answer(one)).status == "good"
        assert one.replaced == 1


async def test_a_frozen_worker_is_late_and_replaced(estimate: Estimate) -> None:
    async with pool(deadline_s=1.0) as one:
        await until(one, lambda: one.pids)
        (pid,) = one.pids
        os.kill(pid, signal.SIGSTOP)
        one.request("R1", estimate, SITUATION)
        plan = await answer(one, 5.0)
        assert (plan.status, plan.reason) == ("late", "no plan within 1 s")
        await until(one, lambda: one.pids and one.pids != [pid])
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize(
    "code",
    [
        "sys.stdin.readline(); print('Segmentation fault', flush=True); sys.stdin.readline()",
        'sys.stdin.readline(); print(\'{"id": 1, "plan": 3}\', flush=True); sys.stdin.readline()',
        "sys.stdin.readline(); print('{\"id\": 99}', flush=True); sys.stdin.readline()",
        "sys.stdin.readline(); print('[' * 5_000_000, flush=True); sys.stdin.readline()",
        "sys.stdin.readline(); sys.exit(3)",
    ],
)
async def test_a_worker_that_talks_garbage_or_dies_is_replaced(
    estimate: Estimate, code: str
) -> None:
    async with pool(broken(code)) as one:
        await until(one, lambda: one.pids)
        (pid,) = one.pids
        one.request("R1", estimate, SITUATION)
        assert (await answer(one)).status == "dead"
        await until(one, lambda: one.pids and one.pids != [pid])
        assert one.replaced == 1


async def test_while_no_worker_gets_ready_requests_are_late_and_the_loop_runs(
    estimate: Estimate,
) -> None:
    async with pool((sys.executable, "-c", "raise SystemExit(1)"), deadline_s=0.5) as one:
        one.request("R1", estimate, SITUATION)
        assert (await answer(one, 5.0)).status == "late"
        assert one.pids == []


async def test_a_cancelled_request_is_never_answered(estimate: Estimate) -> None:
    async with pool() as one:
        await until(one, lambda: one.pids)
        one.request("R1", estimate, SITUATION)
        one.cancel("R1")
        one.request("R1", estimate, SITUATION)
        assert (await answer(one)).status == "good"
        assert one.poll("R1") is None


async def test_workers_end_with_the_pool() -> None:
    async with pool() as one:
        await until(one, lambda: one.pids)
        (pid,) = one.pids
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_worker_runs_a_vessel_ahead_beside_the_plans(estimate: Estimate) -> None:
    line = ((NOW, 5.0),)
    question = Question(NOW, NOW + 3600.0, (Course(line, line),))
    async with pool() as one:
        one.foresee("R1/whatif", "R1", estimate, question)
        one.request("R1", estimate, SITUATION)
        found: list[Outlook] = []

        def look() -> bool:
            outlook = one.foreseen("R1/whatif")
            found.extend([] if outlook is None else [outlook])
            return bool(found)

        await until(one, look)
        assert (found[0].status, len(found[0].courses)) == ("good", 1)
        assert one.foreseen("R1/whatif") is None
        assert (await answer(one)).status != "dead"
        one.foresee("R1/whatif", "R1", estimate, replace(question, courses=()))
        found.clear()
        await until(one, look)
        assert found[0].status == "bad_input"
        assert one.replaced == 0


async def test_an_outlook_that_never_comes_is_late_and_its_worker_replaced(
    estimate: Estimate,
) -> None:
    line = ((NOW, 5.0),)
    question = Question(NOW, NOW + 3600.0, (Course(line, line),))
    async with pool(broken("import time\ntime.sleep(60)"), deadline_s=0.3) as one:
        await until(one, lambda: one.pids)
        one.foresee("R1/whatif", "R1", estimate, question)
        await until(one, lambda: one.replaced)
        outlook = one.foreseen("R1/whatif")
        assert outlook is not None
        assert outlook.status == "late"
