"""What devices warn of: told once when it begins and once when it ends. It is no alarm."""

import re
from collections.abc import Callable, Sequence

from controller.texts.said import said
from historian.events import Event, Kind

_NUMBER = re.compile(r"\d+([.,]\d+)?")


def kind(text: str) -> str:
    """Return what makes two texts the same warning: ``ends in 12 days``, ``ends in 11 days``."""
    return _NUMBER.sub("#", text)


class Notices:
    """The standing warnings of all devices.

    Args:
        tell: takes the event of each beginning and end.
    """

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._last: dict[str, Sequence[str]] = {}
        self._standing: dict[str, dict[str, str]] = {}

    def take(self, device: str, warnings: Sequence[str], now: float) -> None:
        """Compare with what ``device`` warned of before; nothing happens while it stays so."""
        if warnings == self._last.get(device, ()):
            return
        self._last[device] = warnings
        before = self._standing.get(device, {})
        after = {kind(text): text for text in warnings}
        self._standing[device] = after
        for text in [t for k, t in after.items() if k not in before]:
            self._event(device, said("device_warns", device=device, text=text), True, now)
        for text in [t for k, t in before.items() if k not in after]:
            self._event(device, said("device_warned", device=device, text=text), False, now)

    def _event(self, device: str, text: str, begins: bool, now: float) -> None:
        self._tell(Event(now, "system", Kind.NOTE, device, text, {"active": begins}))
