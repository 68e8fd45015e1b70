"""What the command socket understands of tuning: experiments on loops and new tunings."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from controller.acting.body import REQUIRED, Keys, choice, number
from controller.acting.command_socket import reply
from controller.acting.tuner import METHODS, Method
from controller.texts.said import answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

WISH: Keys = {
    "method": (choice(*METHODS), REQUIRED),
    "size": (number, None),
    "deviation": (number, None),
    "longest_s": (number, 3600.0),
}
NEW: Keys = {
    "kp": (number, REQUIRED),
    "ti_s": (number, None),
    "td_s": (number, None),
    "filter_s": (number, None),
}


class Tunes(Protocol):
    """Who obeys; errors as those of `controller.api.Commands`."""

    def tune(
        self,
        loop: str,
        method: Method,
        size: float | None,
        deviation: float | None,
        longest_s: float,
        reason: str,
        who: str,
    ) -> str:
        """Begin an experiment on a loop, see `controller.tuner.Wish`."""
        ...

    def end_tuning(self, loop: str, reason: str, who: str) -> str:
        """End the experiment on a loop."""
        ...

    def tuning(self, loop: str) -> Mapping[str, object]:
        """Return how the last experiment on a loop stands; its record when it is over."""
        ...

    def retune(
        self,
        loop: str,
        kp: float,
        ti_s: float | None,
        td_s: float | None,
        reason: str,
        who: str,
        filter_s: float | None = None,
    ) -> str:
        """Change a loop's tuning without a bump; what is ``None`` stays."""
        ...


def tuning(to: Tunes) -> "Callable[[Request], Awaitable[Response]]":
    """Return what answers how the experiment on the loop ``name`` stands."""

    async def answering(request: "Request") -> "Response":
        try:
            return reply(to.tuning(request.path_params["name"]))
        except LookupError as error:
            return reply(answer(error), 404)

    return answering
