"""What is wrong with the store now, told when it begins and when all of it is over."""

import threading
from collections.abc import Callable


class Troubles:
    """Several things may be wrong at once; the alarm ends with the last of them.

    Args:
        tell: gets a sentence and True when one begins, and False when none is left.
    """

    def __init__(self, tell: Callable[[str, bool], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._now: dict[str, str] = {}

    def begin(self, what: str, text: str) -> None:
        """Tell of ``what``; a repeating fault is told once."""
        with self._lock:
            if what in self._now:
                return
            self._now[what] = text
        self._tell(text, True)

    def end(self, what: str, text: str) -> None:
        """Tell that it is over, or else what still is not; nothing if it never began."""
        with self._lock:
            if self._now.pop(what, None) is None:
                return
            left = next(iter(self._now.values()), "")
        self._tell(left or text, bool(left))
