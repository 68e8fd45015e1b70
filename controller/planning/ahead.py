"""Outlooks on their way: asked for in one scan, taken in a later one, never waited for."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from controller.planning.outlook import Outlook, Question
from controller.planning.planning import Planner

if TYPE_CHECKING:
    from controller.sensing.estimate import Estimate


class _Asked(NamedTuple):
    """One question and who takes its answer."""

    at: float
    take: Callable[[Outlook], None]


class Ahead:
    """Asks for outlooks of one reactor.

    Args:
        reactor: whose.
        planner: who makes them.
        latency_s: after which one that has not come is given up.
        lock_step: an answer is taken at the latency exactly, so that a seed gives one result.
    """

    def __init__(
        self, reactor: str, planner: Planner, latency_s: float, *, lock_step: bool
    ) -> None:
        self._reactor, self._planner, self._latency_s = reactor, planner, latency_s
        self.lock_step = lock_step
        self._asked: dict[str, _Asked] = {}
        self._arrived: dict[str, Outlook] = {}

    def ask(
        self,
        what: str,
        now: float,
        estimate: "Estimate",
        question: Question,
        take: Callable[[Outlook], None],
    ) -> None:
        """Ask; ``take`` gets the answer in a later ``collect``, if there is one."""
        self._arrived.pop(what, None)
        self._planner.foresee(self._key(what), self._reactor, estimate, question)
        self._asked[what] = _Asked(now, take)

    def waits_for(self, what: str) -> bool:
        """Whether an answer is on its way."""
        return what in self._asked

    def collect(self, now: float) -> None:
        """Hand over what has come; forget what is late."""
        for what, asked in list(self._asked.items()):
            due = now >= asked.at + self._latency_s
            if self.lock_step and not due:
                continue
            outlook = self._arrived.pop(what, None) or self._planner.foreseen(self._key(what))
            if outlook is not None:
                del self._asked[what]
                asked.take(outlook)
            elif due:
                del self._asked[what]
                self._planner.cancel(self._key(what))

    def settled(self, now: float) -> bool:
        """Whether no answer is due at ``now`` that has not come; lock-step waits for it."""
        for what, asked in self._asked.items():
            if now < asked.at + self._latency_s or what in self._arrived:
                continue
            outlook = self._planner.foreseen(self._key(what))
            if outlook is None:
                return False
            self._arrived[what] = outlook
        return True

    def cancel(self) -> None:
        """Forget everything that was asked."""
        for what in self._asked:
            self._planner.cancel(self._key(what))
        self._asked.clear()
        self._arrived.clear()

    def _key(self, what: str) -> str:
        return f"{self._reactor}/{what}"
