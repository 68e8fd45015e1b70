"""Real-time priority for the controller's threads and for nothing that it starts."""

import os
import subprocess
import sys
from pathlib import Path

ASKED = """
import os, subprocess, sys, threading
from controller.priority import scan_first, take_turns
ready, over = threading.Event(), threading.Event()
def work():
    ready.set(); over.wait()
thread = threading.Thread(target=work); thread.start(); ready.wait()
print(scan_first())
print([os.sched_getscheduler(t) & ~os.SCHED_RESET_ON_FORK for t in (0, thread.native_id)])
child = [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"]
sys.stdout.flush(); subprocess.run(child, check=True)
take_turns()
print([os.sched_getscheduler(t) for t in (0, thread.native_id)])
over.set()
"""


def test_all_threads_get_it_and_children_do_not() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASKED],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    permitted, threads, child, given_back = done.stdout.splitlines()
    policy = os.SCHED_FIFO if permitted == "True" else os.SCHED_OTHER
    assert threads == str([policy, policy])
    assert child == str(os.SCHED_OTHER)
    assert given_back == str([os.SCHED_OTHER, os.SCHED_OTHER])
