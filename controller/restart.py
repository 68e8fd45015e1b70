"""What a restart needs: kept with the store's commits, recalled when the controller is back."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from drivers.clock import monotonic

if TYPE_CHECKING:
    from controller.reactor import Reactor

EVERY_S = 0.5  # wall s between two copies


class StateStore(Protocol):
    """The part of the store that keeps small JSON objects."""

    def put_state(self, key: str, obj: object) -> None:
        """Keep ``obj`` with the next commit."""
        ...

    def get_state(self, key: str) -> Any:
        """Return what was committed last, or ``None``."""
        ...


class Memory:
    """Keeps each reactor's state, at most twice a wall second.

    Args:
        store: where it is kept.
        timer: wall seconds.
    """

    def __init__(self, store: StateStore, timer: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._timer = timer
        self._kept: dict[str, float] = {}  # when, by reactor

    def keep(self, now: float, reactors: Iterable["Reactor"], *, at_once: bool = False) -> None:
        """Keep the state of those ``reactors`` whose time it is, at plant time ``now``."""
        time = self._timer()
        for reactor in reactors:
            if at_once or time - self._kept.get(reactor.name, -EVERY_S) >= EVERY_S:
                self._kept[reactor.name] = time
                self._store.put_state(f"reactor.{reactor.name}", reactor.as_state(now))

    def keep_alarms(self, state: Mapping[str, Any]) -> None:
        """Keep the alarms, at once: each change is one that an operator has been shown."""
        self._store.put_state("alarms", state)

    def recall_alarms(self) -> Mapping[str, Any]:
        """Return the last committed alarms; nothing if there are none."""
        state: Any = self._store.get_state("alarms")
        return cast("Mapping[str, Any]", state) if isinstance(state, dict) else {}

    def recall(self, reactor: str) -> Mapping[str, Any] | None:
        """Return the last committed state of ``reactor``, or ``None``."""
        state: Any = self._store.get_state(f"reactor.{reactor}")
        return state
