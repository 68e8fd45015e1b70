"""What the optimiser suggests to an operator, and what he made of it.

A suggestion is a plan with what it would change, gain and be limited by, and why. It waits until
somebody accepts, edits or rejects it, or a newer one takes its place. One that is accepted leads
feed and oxygen for a while; then, or when the optimiser sheds, the recipe leads again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from controller.planning.plan import Plan
from controller.texts.said import Said, said, word

Decided = Literal["accepted", "edited", "rejected", "superseded", "lapsed"]
KEPT: Final = 20  # decisions of a batch that are shown; the events have all
LEAST_CHANGE: Final = 0.02  # share of the feed, below which there is nothing to suggest
LEAST_DO: Final = 1.0  # % likewise
LEAST_GAIN: Final = 0.01  # share of the product, below which it is not worth a decision
AHEAD_S: Final = 1800.0  # a suggestion says what the feed is then
BINDINGS: Final = (  # as codes of the stored tag; 0: nothing binds
    *("", "oxygen transfer", "specific uptake", "cooling", "volume", "feed pump"),
    *("acetate", "harvest", "ethanol", "feed tank"),
)
OTHER: Final = 99  # a limit that has no code


def binding_code(name: str) -> int:
    """Return the code of a limit that binds, as it is stored."""
    return BINDINGS.index(name) if name in BINDINGS else OTHER


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One piece of advice.

    Attributes:
        number: counts up within a batch.
        time: when it was made, s since 1970 UTC.
        plan: what would be followed.
        feed: applied when it was made, suggested now and in half an hour, mL/h.
        do: setpoint then and suggested, %.
        gain_g: product at the end more than on the present course: low, middle, high.
        product_g: on the present course, the middle; for the gain as a share.
        spares: the first limit that the present course may cross and the plan does not.
    """

    number: int
    time: float
    plan: Plan
    feed: tuple[float, float, float]
    do: tuple[float, float]
    gain_g: tuple[float, float, float]
    product_g: float
    spares: str = ""

    @property
    def binding(self) -> str:
        """The limit that holds the plan; empty where none does."""
        return self.plan.binding

    @property
    def worth(self) -> bool:
        """Whether it changes anything, for more product or for safety."""
        if not self.spares and self.gain_g[1] < LEAST_GAIN * self.product_g:
            return False
        now, first, then = self.feed
        far = max(abs(first - now), abs(then - now)) > LEAST_CHANGE * max(now, 1.0)
        return far or abs(self.do[1] - self.do[0]) > LEAST_DO

    @property
    def why(self) -> Said:
        """One line: what leaves room, or what is near."""
        now, first, then = self.feed
        if self.spares:
            return said("why.safer", limit=_limit(self.spares))
        if first <= 0.0 < now:
            return said("why.wait")
        move = max(first - now, then - now, key=abs)
        if abs(move) <= LEAST_CHANGE * max(now, 1.0):
            return said("why.oxygen", limit=_limit(self.binding))
        free = "" if self.binding else "free_"
        way = f"{free}{'more' if move > 0 else 'less'}"
        return said(f"why.{way}", limit=_limit(self.binding))

    @property
    def text(self) -> Said:
        """One line: what would change, and what it is worth."""
        low, middle, high = self.gain_g
        return said(
            "suggestion",
            number=self.number,
            feed=f"{self.feed[0]:.4g}",
            first=f"{self.feed[1]:.4g}",
            then=f"{self.feed[2]:.4g}",
            do=f"{self.do[0]:.3g}",
            to=f"{self.do[1]:.3g}",
            gain=f"{middle:+.3g} g ({low:+.3g} … {high:+.3g})",
            why=self.why,
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as it is shown and recorded; units in the keys."""
        share = 100.0 / self.product_g if self.product_g > 0 else None
        return {
            "number": self.number,
            "time": self.time,
            "feed_ml_per_h": self.feed,
            "do_percent": self.do,
            "gain_g": self.gain_g,
            "gain_percent": None if share is None else [g * share for g in self.gain_g],
            "binding": self.binding,
            "why": self.why,
            "why_zh": self.why.told("zh"),
            "text": self.text,
            "text_zh": self.text.told("zh"),
        }


class Advice:
    """The suggestion that waits, the one that is followed, and what was decided, of one batch.

    Args:
        hold_s: for how long an accepted suggestion leads.
        outlives_s: for how long it does once the optimiser has shed.

    Attributes:
        open: waits for a decision.
        accepted: is followed, edited or not.
        until: then the recipe leads again, s since 1970 UTC.
        decisions: what became of each, the latest last.
    """

    def __init__(self, hold_s: float, outlives_s: float) -> None:
        self._hold_s, self._outlives_s = hold_s, outlives_s
        self.forget()

    def forget(self) -> None:
        """A batch begins."""
        self.open: Suggestion | None = None
        self.accepted: Suggestion | None = None
        self.until = 0.0
        self.decisions: list[dict[str, Any]] = []
        self._number = 0
        self._good_at = 0.0

    def number(self) -> int:
        """Return the number of the next suggestion."""
        self._number += 1
        return self._number

    def offer(self, suggestion: Suggestion) -> None:
        """Let a suggestion wait for a decision; the one before it, if it waits, is superseded."""
        if self.open is not None:
            self._decided(self.open, "superseded", suggestion.time, "optimiser", "")
        self.open = suggestion

    def accept(
        self, now: float, who: str, reason: str, feed_ml_per_h: float | None, do: float | None
    ) -> Suggestion:
        """Follow the suggestion that waits, with another feed or oxygen where they are given.

        Another feed scales the whole trajectory, so that it goes on as the plan would.
        """
        suggestion = self.waiting()
        edited = feed_ml_per_h is not None or do is not None
        if edited:
            suggestion = _edited(suggestion, feed_ml_per_h, do)
        self.accepted, self.open = suggestion, None
        self.until, self._good_at = now + self._hold_s, now
        what: Decided = "edited" if edited else "accepted"
        self._decided(suggestion, what, now, who, reason)
        return suggestion

    def reject(self, now: float, who: str, reason: str) -> Suggestion:
        """Drop the suggestion that waits."""
        suggestion = self.waiting()
        self.open = None
        self._decided(suggestion, "rejected", now, who, reason)
        return suggestion

    def waiting(self) -> Suggestion:
        """Return the suggestion that waits.

        Raises:
            LookupError: none does.
        """
        if self.open is None:
            raise LookupError(said("no_advice"))
        return self.open

    def follow(self, now: float, shed: str) -> Plan | None:
        """Return the accepted plan, while there is one.

        Args:
            now: s since 1970 UTC.
            shed: why the optimiser sheds now, or an empty string.
        """
        if not shed:
            self._good_at = now
        return None if self.accepted is None else self.accepted.plan

    def ended(self, now: float, shed: str) -> Said | None:
        """End an accepted suggestion whose time is over, and say why; ``None``: it goes on."""
        if self.accepted is None:
            return None
        if now >= self.until:
            why = said("advice.time_over")
        elif shed and now - self._good_at > self._outlives_s:
            why = said("advice.shed", why=shed)
        else:
            return None
        self._decided(self.accepted, "lapsed", now, "optimiser", why)
        self.accepted = None
        return why

    def drop(self, now: float, why: str) -> None:
        """End what is followed and what waits."""
        for one in (self.accepted, self.open):
            if one is not None:
                self._decided(one, "lapsed", now, "optimiser", why)
        self.accepted = self.open = None

    def _decided(
        self, suggestion: Suggestion, what: Decided, now: float, who: str, reason: str
    ) -> None:
        row = {
            **suggestion.as_json(),
            "decision": what,
            "decided": now,
            "who": who,
            "reason": reason,
        }
        self.decisions = [*self.decisions[1 - KEPT :], row]

    def as_json(self) -> dict[str, Any]:
        """Return what is shown of it."""
        return {
            "open": None if self.open is None else self.open.as_json(),
            "accepted": None if self.accepted is None else self.accepted.as_json(),
            "until": self.until if self.accepted is not None else None,
            "decisions": self.decisions,
        }

    def as_state(self) -> dict[str, Any]:
        """Return what a restart needs, as JSON: nothing is followed after one."""
        return {"number": self._number, "decisions": self.decisions}

    def restore(self, state: Mapping[str, Any]) -> Callable[[], None]:
        """Read what ``as_state`` wrote, and return what takes it.

        Raises:
            KeyError, TypeError, ValueError: it is damaged; nothing has changed.
        """
        number = int(state["number"])
        decisions = [dict(row) for row in state["decisions"]]

        def take() -> None:
            self.forget()
            self._number, self.decisions = number, decisions

        return take


def _limit(name: str) -> object:
    return word(name) if name else said("no_limit")


def _edited(suggestion: Suggestion, feed: float | None, do: float | None) -> Suggestion:
    plan, (now, first, then) = suggestion.plan, suggestion.feed
    names = list(plan.names)
    column = names.index("feed_ml_per_h")
    oxygen = names.index("do_percent") if "do_percent" in names else None
    rows = [list(row) for row in plan.setpoints]
    share = 1.0 if feed is None or first <= 0 else feed / first
    for row in rows:
        row[column] = feed if feed is not None and first <= 0 else share * row[column]
        if oxygen is not None and do is not None:
            row[oxygen] = do
    changed = replace(plan, setpoints=tuple(map(tuple, rows)))
    feeds = (now, first if feed is None else feed, share * then if first > 0 else feed or then)
    return replace(
        suggestion,
        plan=changed,
        feed=feeds,
        do=(suggestion.do[0], suggestion.do[1] if do is None else do),
    )
