"""The state of a device's wire and of what stands at its end, as faults make it.

The links of virtual time and the servers on real sockets look here before they answer.
"""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

WRITES = (5, 6, 15, 16)  # Modbus function codes that change something, and answer with an echo


class Wire:
    """One device's wire; without a fault ``faults`` is empty and nobody looks further.

    Attributes:
        faults: kind and size of each fault that it has now.
        watchers: called when ``faults`` has changed.
    """

    def __init__(self) -> None:
        self.faults: list[tuple[str, float]] = []
        self.watchers: list[Callable[[], None]] = []
        self._held: dict[Hashable, Any] = {}

    def begin(self, kind: str, size: float = 0.0) -> Callable[[], None]:
        """Give it a fault; return what ends it."""
        entry = (kind, size)
        self.faults.append(entry)
        self._changed()

        def end() -> None:
            self.faults.remove(entry)
            self._changed()

        return end

    def _changed(self) -> None:
        if not self.frozen:
            self._held.clear()
        for look in self.watchers:
            look()

    def _has(self, kind: str) -> bool:
        return any(k == kind for k, _ in self.faults)

    @property
    def cut(self) -> bool:
        """Whether nothing comes through, and nobody says so."""
        return self._has("cut")

    @property
    def refused(self) -> bool:
        """Whether nobody listens: a request to connect is refused."""
        return self._has("refused")

    @property
    def frozen(self) -> bool:
        """Whether a gateway in between repeats what it last heard and passes nothing on."""
        return self._has("frozen")

    @property
    def uncertain(self) -> bool:
        """Whether every OPC UA value is Uncertain."""
        return self._has("uncertain")

    @property
    def delay_s(self) -> float:
        """How late every answer is, s."""
        return sum(size for kind, size in self.faults if kind == "slow")

    @property
    def exception(self) -> int:
        """The Modbus exception that answers every request; 0 for none."""
        return next((int(size) for kind, size in self.faults if kind == "exception"), 0)

    def held(self, what: Hashable, make: Callable[[], T]) -> T:
        """Return what was first made of ``what`` since it froze."""
        if what not in self._held:
            self._held[what] = make()
        return self._held[what]
