"""What people may ask of the optimiser: its mode, its promotion, decisions on advice, what-if."""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, get_args

from controller.acting.whatif import Wish, question, told
from controller.loops.loops import RefusedError
from controller.planning.advisor import LEVELS, AdvisorMode
from controller.planning.outlook import Outlook
from controller.planning.planning import Planner
from controller.planning.seat import Seat
from controller.reactor import Reactor
from controller.texts.audit import change, refusal
from controller.texts.said import said, word
from drivers.clock import Clock
from drivers.point import RangeError
from historian.store import Historian

OPTIMISER_MODES: tuple[AdvisorMode, ...] = get_args(AdvisorMode)
LOOK_S = 0.05  # between two looks for an outlook
WAIT_S = 60.0  # longest for one; the planner's own deadline is shorter


class Advising(ABC):
    """The part of ``Acting`` that speaks to the optimiser."""

    clock: Clock
    store: Historian
    planner: Planner | None
    _ahead: set[str]

    @abstractmethod
    def _reactor(self, name: str) -> Reactor: ...

    @abstractmethod
    def _changed(
        self, who: str, subject: str, what: str, old: object, new: object, why: str, unit: str = ""
    ) -> str: ...

    def optimiser(self, reactor: str, mode: str, reason: str, who: str) -> str:
        """Switch the optimiser to one of ``OPTIMISER_MODES``, as far as it was promoted."""
        chosen = self._reactor(reactor)
        wanted = _mode(mode)
        if chosen.stopped and wanted != "off":
            raise RefusedError(said("stopped", reactor=chosen.name))
        seat = _seat(chosen) if wanted != "off" else chosen.seat
        held = chosen.runner is not None and chosen.runner.state == "HELD"
        if wanted in ("advisory", "on") and held:
            raise RefusedError(said("recipe_held", reactor=chosen.name))
        if seat is not None and not seat.advisor.may(wanted):
            granted, asked = word(seat.advisor.granted), word(wanted)
            raise RefusedError(
                said("not_promoted", reactor=chosen.name, granted=granted, mode=asked)
            )
        old = "off" if seat is None else seat.advisor.mode
        chosen.now = self.clock.now()
        chosen.set_optimiser(wanted)
        return self._changed(who, chosen.name, "optimiser", old, wanted, reason)

    def promote(self, reactor: str, mode: str, reason: str, who: str, *, override: bool) -> str:
        """Let the optimiser be switched up to ``mode``, on the evidence of the levels below.

        What is shown stands in the audit trail beside the promotion. A lower level than now
        withdraws; the optimiser follows at once.
        """
        chosen = self._reactor(reactor)
        wanted, advisor = _mode(mode), _seat(chosen).advisor
        up = not advisor.may(wanted)
        lacking = advisor.evidence.lacking(wanted) if up else []
        if lacking and not override:
            lines = {"mode": word(wanted), "lacking": lacking}
            raise RefusedError(said("evidence_lacks", reactor=chosen.name, **lines))
        if override and not reason:
            raise RefusedError(said("override_reason", reactor=chosen.name))
        old, now = advisor.granted, self.clock.now()
        advisor.grant(wanted)
        if not advisor.may(advisor.mode):
            chosen.now = now
            chosen.set_optimiser(wanted)
        event = change(now, f"operator:{who}", chosen.name, "promotion", old, wanted, reason)
        shown = advisor.evidence.as_json()
        missing = [str(line) for line in lacking]
        data = {**event.data, "evidence": shown, "overridden": missing}
        self.store.record(replace(event, data=data))
        return event.text

    def advise(
        self,
        reactor: str,
        action: str,
        number: int,
        feed: float | None,
        do: float | None,
        reason: str,
        who: str,
    ) -> str:
        """Accept, edit or reject the suggestion that waits.

        Args:
            reactor: whose.
            action: ``accept``, ``edit`` or ``reject``.
            number: of the suggestion that he saw; 0: the one that waits.
            feed: to edit, in the feed loop's unit, from now on; the trajectory is scaled to it.
            do: to edit, setpoint in %.
            reason: required to edit and to reject.
            who: decides.
        """
        chosen, now = self._reactor(reactor), self.clock.now()
        seat = _seat(chosen)
        advisor = seat.advisor
        if advisor.mode != "advisory":
            mode = word(advisor.mode)
            raise RefusedError(said("advice_mode", reactor=chosen.name, mode=mode))
        open_ = advisor.advice.waiting()
        if number not in (0, open_.number):
            numbers = {"number": open_.number, "expected": number}
            raise RefusedError(said("advice_moved", reactor=chosen.name, **numbers))
        if action != "accept" and not reason:
            raise RefusedError(said("advice_reason", reactor=chosen.name))
        if action == "edit" and feed is None and do is None:
            raise RefusedError(said("advice_nothing", reactor=chosen.name))
        shown = open_.as_json()
        if action == "reject":
            seat.reject(now, who, reason)
        else:
            edit = action == "edit"
            _check_range(seat, feed if edit else None, do if edit else None)
            seat.accept(now, who, reason, feed if edit else None, do if edit else None)
        done = {"accept": "accepted", "edit": "edited", "reject": "rejected"}[action]
        old = f"{open_.number}: {open_.text}"
        event = change(now, f"operator:{who}", chosen.name, "advice", old, done, reason)
        followed = advisor.advice.accepted
        data = {
            **event.data,
            "advice": shown,
            "decision": done,
            "followed": None if followed is None or action == "reject" else followed.as_json(),
        }
        self.store.record(replace(event, data=data))
        line = {"number": open_.number, "decision": word(done)}
        return said("advice.decision", **line)

    def _permitted(self, reactor: Reactor, mode: AdvisorMode) -> AdvisorMode:
        """Return the mode in which a batch begins: as asked for, as far as it was promoted.

        On a simulated plant whoever starts it promotes.
        """
        advisor, now = reactor.advisor, self.clock.now()
        if advisor is None or advisor.may(mode):
            return mode
        if reactor.derived.simulated:
            old = advisor.granted
            advisor.grant(mode)
            why = "the plant is simulated"
            self.store.record(change(now, "system", reactor.name, "promotion", old, mode, why))
            return mode
        granted, asked = word(advisor.granted), word(mode)
        error = said("not_promoted", reactor=reactor.name, granted=granted, mode=asked)
        self.store.record(refusal(now, reactor.name, "optimiser", {"mode": mode}, error))
        return advisor.granted

    async def what_if(self, reactor: str, wish: Wish) -> dict[str, Any]:
        """Run the present state ahead under a change, in a worker; nothing is changed by it."""
        chosen = self._reactor(reactor)
        asked, estimate, planner = question(chosen, wish), chosen.sensing.estimate, self.planner
        if planner is None or estimate is None:
            raise RefusedError(said("no_optimiser", reactor=chosen.name))
        if self._ahead:  # one at a time: plans wait behind it
            raise RefusedError(said("whatif_busy", reactor=chosen.name))
        key = f"{chosen.name}/what-if"
        self._ahead.add(key)
        try:
            planner.foresee(key, chosen.name, estimate, asked)
            outlook = await _outlook(planner, key)
        finally:
            self._ahead.discard(key)
            planner.cancel(key)
        return told(chosen, wish, asked, outlook)


async def _outlook(planner: Planner, key: str) -> Outlook:
    """Return the outlook when it is there; the planner's deadline ends the waiting."""
    waited = 0.0
    while waited < WAIT_S:
        outlook = planner.foreseen(key)
        if outlook is not None:
            return outlook
        await asyncio.sleep(LOOK_S)
        waited += LOOK_S
    return Outlook("late", 0.0, reason=f"no answer within {WAIT_S:g} s")


def _mode(mode: str) -> AdvisorMode:
    for known in LEVELS:
        if mode == known:
            return known
    raise RefusedError(said("optimiser_mode", mode=mode, allowed=OPTIMISER_MODES))


def _seat(reactor: Reactor) -> Seat:
    if reactor.seat is None:
        raise RefusedError(said("no_optimiser", reactor=reactor.name))
    return reactor.seat


def _check_range(seat: Seat, feed: float | None, do: float | None) -> None:
    for loop, value in ((seat.feed, feed), (seat.do, do)):
        if loop is None or value is None:
            continue
        s = loop.settings
        if not s.setpoint_low <= value <= s.setpoint_high:
            limits = {"low": s.setpoint_low, "high": s.setpoint_high, "unit": loop.unit}
            raise RangeError(said("setpoint_range", loop=loop.name, value=value, **limits))
