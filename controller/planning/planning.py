"""Who is asked for plans: a pool of processes, or, in virtual time, this process itself.

The scan speaks to either in the same words, and to ``Shedding`` about what came of it.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from controller.planning.economic.settings import EconomicSettings
from controller.planning.outlook import Outlook, Question
from controller.planning.plan import Plan, Situation
from controller.planning.pool import WorkerPool
from controller.planning.shedding import Shedding
from drivers.clock import Clock

if TYPE_CHECKING:
    from controller.planning.economic.estimated import Estimated
    from controller.sensing.estimator import Estimate

__all__ = ["InProcessPlanner", "Plan", "Planner", "Shedding", "Situation", "WorkerPool"]


class Planner(Protocol):
    """Asked for a plan now, it has one later; neither call waits."""

    async def start(self) -> None:
        """Get ready."""
        ...

    async def close(self) -> None:
        """Give back whatever ``start`` took."""
        ...

    def request(self, reactor: str, estimate: "Estimate", situation: Situation) -> None:
        """Ask for a plan; an older request of the same reactor is forgotten."""
        ...

    def poll(self, reactor: str) -> Plan | None:
        """Return the answer once, ``None`` while there is none.

        A missed deadline and a dead worker are answers too: a plan with status ``late`` or
        ``dead``.
        """
        ...

    def foresee(self, key: str, reactor: str, estimate: "Estimate", question: Question) -> None:
        """Ask for an outlook of ``reactor``; an older question with this ``key`` is forgotten."""
        ...

    def foreseen(self, key: str) -> Outlook | None:
        """Return the outlook once, ``None`` while there is none; ``poll`` of questions."""
        ...

    def cancel(self, key: str) -> None:
        """Forget what was asked for a reactor, or with a key, and an answer nobody took."""
        ...


class InProcessPlanner:
    """For virtual time: solves at once, but the scan gets the answer only after a fixed latency.

    So a seed gives one result, however fast the machine is.

    Args:
        settings: of every reactor that may ask, by name.
        clock: virtual time.
        latency_s: plant seconds from the request to the answer.
    """

    def __init__(
        self, settings: Mapping[str, EconomicSettings], clock: Clock, latency_s: float = 30.0
    ) -> None:
        self._settings, self._clock, self.latency_s = dict(settings), clock, latency_s
        self._solvers: dict[str, Estimated] = {}
        self._answers: dict[str, tuple[float, Plan]] = {}
        self._outlooks: dict[str, tuple[float, Outlook]] = {}

    async def start(self) -> None:
        self._solvers = {
            n: _solver(json.dumps(settings.as_json())) for n, settings in self._settings.items()
        }

    async def close(self) -> None:
        self._answers.clear()
        self._outlooks.clear()
        self._solvers.clear()

    def request(self, reactor: str, estimate: "Estimate", situation: Situation) -> None:
        plan = self._solvers[reactor].plan(estimate, situation)
        self._answers[reactor] = (self._clock.now() + self.latency_s, plan)

    def poll(self, reactor: str) -> Plan | None:
        waiting = self._answers.get(reactor)
        if waiting is None or self._clock.now() < waiting[0]:
            return None
        return self._answers.pop(reactor)[1]

    def foresee(self, key: str, reactor: str, estimate: "Estimate", question: Question) -> None:
        outlook = self._solvers[reactor].foresee(estimate, question)
        self._outlooks[key] = (self._clock.now() + self.latency_s, outlook)

    def foreseen(self, key: str) -> Outlook | None:
        waiting = self._outlooks.get(key)
        if waiting is None or self._clock.now() < waiting[0]:
            return None
        return self._outlooks.pop(key)[1]

    def cancel(self, key: str) -> None:
        self._answers.pop(key, None)
        self._outlooks.pop(key, None)


# A solver keeps nothing between questions, so the batches of one process share what was built.


@lru_cache(maxsize=8)
def _solver(settings: str) -> "Estimated":
    from controller.planning.economic.estimated import Estimated  # it imports CasADi

    solver = Estimated(EconomicSettings.from_json(json.loads(settings)))
    solver.warm_up()
    return solver
