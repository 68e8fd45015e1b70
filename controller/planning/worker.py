"""The optimiser's process: one JSON line in, one JSON line out, no state that matters.

Started by ``controller.nursery``. It dies with its parent, gives up its priority, bounds its memory
and keeps its standard output for answers alone: what a solver's C++ prints goes to stderr.

    {"id": 0, "warm": settings}                                  -> {"id": 0, "ready": true}
    {"id": 7, "settings": …, "estimate": …, "situation": …}      -> {"id": 7, "plan": …}
    {"id": 8, "settings": …, "estimate": …, "question": …}       -> {"id": 8, "outlook": …}
"""

import json
import math
import os
import resource
import signal
import sys
from typing import IO, TYPE_CHECKING, Any, cast

from controller.planning.economic.settings import EconomicSettings
from controller.planning.nursery import die_with
from controller.planning.outlook import Outlook, Question
from controller.planning.plan import Plan, Situation
from controller.sensing.estimate import Estimate

if TYPE_CHECKING:
    from controller.planning.economic.estimated import Estimated

MEMORY_BYTES = 4 << 30  # address space; a solver that runs away ends here, not in the swap
NICE = 5
SOLVERS_MAX = 8  # problems kept built, for as many kinds of reactor


def confine() -> None:
    """Bound memory, step behind the scan, leave Ctrl-C to the controller."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICE)


def private_stdout() -> IO[str]:
    """Return standard output as it was and send whatever else prints to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return answers


class Worker:
    """Answers questions; keeps the problems it has built because building takes longer."""

    def __init__(self) -> None:
        self._solvers: dict[str, Estimated] = {}

    def solver(self, settings: dict[str, Any]) -> "Estimated":
        """Return what plans by ``settings``, built once."""
        from controller.planning.economic.estimated import Estimated  # it imports CasADi

        key = json.dumps(settings, sort_keys=True)
        if key not in self._solvers:
            while len(self._solvers) >= SOLVERS_MAX:
                del self._solvers[next(iter(self._solvers))]
            self._solvers[key] = Estimated(EconomicSettings.from_json(settings))
        return self._solvers[key]

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return what is to be said to ``question``; a wrong one is answered, not raised."""
        number = question.get("id")
        try:
            if "warm" in question:
                self.solver(question["warm"]).warm_up()
                return {"id": number, "ready": True}
            estimate = Estimate.from_state(question["estimate"])
            if "question" in question:
                asked = Question.from_json(cast(dict[str, Any], question["question"]))
                outlook = self.solver(question["settings"]).foresee(estimate, asked)
                return {"id": number, "outlook": outlook.as_json()}
            situation = Situation.from_json(question["situation"])
            plan = self.solver(question["settings"]).plan(estimate, situation)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            if "question" in question:
                outlook = Outlook("bad_input", 0.0, reason=reason)
                return {"id": number, "outlook": outlook.as_json()}
            return {"id": number, "plan": Plan("bad_input", math.nan, reason=reason).as_json()}
        return {"id": number, "plan": plan.as_json()}


def main(worker: Worker | None = None) -> None:
    """Answer until standard input ends."""
    answers = private_stdout()
    die_with(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    confine()
    worker = worker or Worker()
    for line in sys.stdin:
        question: Any = json.loads(line)
        answers.write(json.dumps(worker.answer(cast(dict[str, Any], question))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
