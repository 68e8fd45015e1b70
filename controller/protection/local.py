"""Local/remote switches (就地/远程): what a hand at the device has taken is never written."""

from collections.abc import Mapping

from drivers.point import BAD, Sample


class Switches:
    """The switches of a reactor's actuators.

    A switch says 1 while its actuator listens to us. One that cannot be read stays as it was seen
    last; before it has ever been read its actuator counts as local.

    Args:
        of: the switch's tag by actuator.

    Attributes:
        switches: the switch's tag by actuator.
        local: actuators that are local now, and why, by tag name.
    """

    def __init__(self, of: Mapping[str, str]) -> None:
        self.switches = dict(of)
        self._remote: dict[str, bool] = {}  # by actuator, as seen last
        self.local: dict[str, str] = {
            name: f"{name} is local: {switch} has not been read" for name, switch in of.items()
        }

    def see(self, samples: Mapping[str, Sample]) -> list[tuple[str, str]]:
        """Look at the switches of this scan; return what changed: actuators, with a line each."""
        changed: list[tuple[str, str]] = []
        for name, switch in self.switches.items():
            sample = samples.get(switch)
            if sample is None or sample.quality is BAD:
                continue
            remote = sample.value >= 0.5
            was = self._remote.get(name)
            if remote == was:
                continue
            self._remote[name] = remote
            if remote:
                del self.local[name]
                if was is not None:
                    changed.append((name, f"{name} is remote again; its loop takes it up"))
            else:
                self.local[name] = f"{name} is local"
                changed.append((name, f"{name} is local; nothing is written to it"))
        return changed
