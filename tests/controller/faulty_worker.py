"""A worker of the optimiser that goes wrong on purpose, in our own worker's process and limits.

Started by ``test_optimiser_faults.py`` in the place of ``controller.worker``. Which fault comes
next is drawn from a seed and the question's number, and written down as one byte of a file before
it happens; what is not a fault is a good plan at once.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.planning import worker
from controller.planning.plan import Plan, Situation

FAULTS = ("hang", "stop", "crash", "killed", "nan", "infeasible", "memory", "late", "garbage")
LATE_S = 0.6  # beyond the deadline of the test


def fault_of(number: int, seed: int) -> str:
    """Return what goes wrong with a question, or an empty string."""
    draw = random.Random(f"{seed} {number}")
    return draw.choice(FAULTS) if draw.random() < 0.6 else ""


class Faulty(worker.Worker):
    """Answers as the seed says."""

    def __init__(self, seed: int, record: Path) -> None:
        super().__init__()
        self._seed, self._record = seed, record

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        number = int(question["id"])
        if "warm" in question:
            return {"id": number, "ready": True}
        now = Situation.from_json(question["situation"]).now
        good = Plan("good", now, (now, now + 1e6), ((10.0, 30.0), (20.0, 30.0)))
        fault = fault_of(number, self._seed)
        if fault:
            with self._record.open("ab") as file:
                file.write(bytes([FAULTS.index(fault)]))
        if fault == "hang":
            while True:
                pass
        if fault == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        if fault == "crash":
            os.abort()
        if fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "memory":
            bytearray(2 * worker.MEMORY_BYTES)  # MemoryError: nobody takes it, the process ends
        if fault == "late":
            time.sleep(LATE_S)  # noqa: TID251 a device that dawdles
        if fault == "garbage":
            return {"id": number, "plan": {"status": "wonderful"}}
        if fault == "infeasible":
            return {"id": number, "plan": Plan("infeasible", now, reason="no way").as_json()}
        if fault == "nan":
            rows = ((float("nan"), 30.0), (20.0, 30.0))
            return {"id": number, "plan": Plan("good", now, good.times, rows).as_json()}
        return {"id": number, "plan": good.as_json()}


if __name__ == "__main__":
    worker.main(Faulty(int(sys.argv[2]), Path(sys.argv[3])))
