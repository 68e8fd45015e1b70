"""What every simulated plant is to the wires before it: instruments, actuators, time in steps."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from sim.actuators import Actuators
from sim.panel import Panel


class Stepped(ABC):
    """A plant that plant time moves step by step; what is in it is its own business.

    Attributes:
        prefix: of its tags.
        time: s since 1970 UTC.
        step_s: its longest step, s.
        panel: its instruments.
    """

    prefix: str
    time: float
    step_s: float
    panel: Panel
    _actuators: Actuators
    _watchers: list[Callable[[], None]]

    @abstractmethod
    def _one(self, dt: float) -> None:
        """Move by one step of ``dt`` s, and ``time`` with it."""

    def read(self, name: str) -> float:
        """Return what the instrument or the actuator of a tag shows, in the tag's unit."""
        return self.reader(name)()

    def reader(self, name: str) -> Callable[[], float]:
        """Return what reads a tag as ``read`` does, again and again."""
        return self.panel.reader(name) or self._actuators.reader(name)

    def write(self, name: str, value: float) -> None:
        """Want ``value`` of an actuator from now on; the drive itself limits what happens."""
        self.writer(name)(value)

    def writer(self, name: str) -> Callable[[float], None]:
        """Return what writes an actuator as ``write`` does, again and again."""
        return self._actuators.writer(name)

    def actual(self, name: str) -> float:
        """Return what is wanted of an actuator, as its device reads it back."""
        return self._actuators.actual(name)

    def by_hand(self, name: str, value: float) -> Callable[[], None]:
        """Let a hand at the panel of a drive decide; return what switches it back to remote.

        Args:
            name: of the drive, without prefix.
            value: what the hand sets, in the drive's unit.
        """
        return self._actuators.by_hand(f"{self.prefix}.{name}", value)

    def to_safe(self) -> None:
        """Move every actuator to its safe value, as a device does that has lost its master."""
        self._actuators.to_safe()

    def advance(self, time: float) -> None:
        """Let plant time pass until ``time``, in steps of ``step_s`` and a shorter last one.

        Raises:
            FloatingPointError: the integration has left the numbers: at which age, which states,
                and the states and inputs before. The plant stands where it was then.
        """
        left, step = time - self.time, self.step_s
        while left > 1e-6:
            dt = step if left > step - 1e-6 else left
            self._one(dt)
            left -= dt
            for look in self._watchers:
                look()
        if time > self.time:
            self.time = time

    def watch(self, look: Callable[[], None]) -> None:
        """Call ``look`` after each step of at most ``step_s``, from now on."""
        self._watchers.append(look)
