"""What the command socket understands of the optimiser: mode, promotion, advice and what-if."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from controller.acting.authority import ROLES, require
from controller.acting.body import REQUIRED, Keys, choice, flag, number, text, whole
from controller.acting.command_socket import command
from controller.acting.whatif import Wish
from controller.planning.evidence import LEVELS

if TYPE_CHECKING:
    from starlette.routing import Route

ACTIONS = ("accept", "edit", "reject")
_REASON = (text, "")
MODE: Keys = {"mode": (choice(*LEVELS), REQUIRED), "reason": _REASON}
PROMOTION: Keys = {**MODE, "override": (flag, False)}
DECISION: Keys = {
    "action": (choice(*ACTIONS), REQUIRED),
    "number": (whole, 0),
    "feed": (number, None),
    "do": (number, None),
    "reason": _REASON,
}
WISH: Keys = {name: (number, None) for name in Wish.__slots__}

Act = Callable[[str, str, Keys, Callable[..., str]], "Route"]


class Advises(Protocol):
    """Who obeys; errors as those of `controller.api.Commands`."""

    def optimiser(self, reactor: str, mode: str, reason: str, who: str) -> str:
        """Switch the optimiser to one of ``LEVELS``, as far as it was promoted."""
        ...

    def promote(self, reactor: str, mode: str, reason: str, who: str, *, override: bool) -> str:
        """Let the optimiser be switched up to ``mode``; an override needs a reason."""
        ...

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
        """Accept, edit or reject the suggestion ``number``, or the one that waits."""
        ...

    async def what_if(self, reactor: str, wish: Wish) -> dict[str, Any]:
        """Run the present state ahead under a change that nobody has made."""
        ...


def advising(to: Advises, act: Act, by: Keys) -> "Sequence[Route]":
    """Return the routes.

    Args:
        to: who obeys.
        act: makes the route of a command that changes something.
        by: the keys that say who asks.
    """

    def promote(name: str, mode: str, override: bool, reason: str, who: str) -> str:
        return to.promote(name, mode, reason, who, override=override)

    def what_if(name: str, sent: dict[str, Any]) -> Any:
        require(ROLES[sent.pop("role")], "what-if")
        del sent["who"]
        return to.what_if(name, Wish(**sent))

    return (
        act("/optimiser/{name}", "optimiser", MODE, to.optimiser),
        act("/optimiser/{name}/promote", "promote", PROMOTION, promote),
        act("/advice/{name}", "advice", DECISION, to.advise),
        command("/what-if/{name}", {**WISH, **by}, what_if),
    )
