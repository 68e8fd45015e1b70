"""The Driver protocol: the one way to touch a device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from drivers.clock import Clock
from drivers.point import Sample, Tag


class DeviceError(Exception):
    """The world failed: no answer, a broken frame, a refusal. Retry, then safe state."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device says it is, asked once after each connection.

    Attributes:
        name: vendor and product as the device gives them, for the log; may be empty.
        speed: plant seconds per wall second; 1 unless the device is our simulator; 0 is lock-step:
            the simulated plant moves only when ``Driver.advance`` says so.
        plant_time: the simulator's plant time, s since 1970 UTC; ``None`` for a real device.
        paused: somebody has stopped the simulator's plant time.
        info: what else it says of itself, by name: serial number, firmware.
    """

    name: str = ""
    speed: float = 1.0
    plant_time: float | None = None
    info: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    paused: bool = False

    @property
    def simulated(self) -> bool:
        return self.plant_time is not None


@dataclass(frozen=True, slots=True)
class Setup:
    """What a third-party driver is made from: the one argument of its class.

    Attributes:
        name: the device's name in the plant file.
        address: as in the plant file; what it means is the driver's own business.
        tags: what it must read, and write where a tag has ``safe``.
        options: the device's ``options`` in the plant file.
        tag_options: each tag's ``options``, by tag name; empty where a tag has none.
        timeout_s: wall s that any call may take.
        clock: stamps the samples; virtual in ``fermloop batch``.
        seed: what a simulation is drawn from in ``fermloop batch``; else 0.
    """

    name: str
    address: str
    tags: tuple[Tag, ...]
    timeout_s: float
    clock: Clock
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tag_options: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict[str, Mapping[str, Any]]
    )
    seed: int = 0


class Driver(Protocol):
    """A device with its tags. It connects when first used and again after every failure.

    ``read`` and ``write`` never block the event loop, end within the device's timeout (wall
    seconds) and leave the driver usable after any error or cancellation. A class that inherits
    from this protocol needs ``read``, ``write`` and ``close`` only.

    Attributes:
        virtual_time: no wire and no wall clock is behind it, so it may be used in virtual time.
    """

    name: str
    address: str
    tags: Sequence[Tag]
    virtual_time: ClassVar[bool] = False

    async def identify(self) -> Identity:
        """Connect if need be and ask the device what it is.

        Raises:
            DeviceError: it does not answer, or is not the device it should be.
        """
        return Identity()

    async def pace(self) -> Identity:
        """Ask our simulator how its time goes now; of no use with a real device.

        Raises:
            DeviceError: it does not answer, or is none.
        """
        return await self.identify()

    async def read(self) -> dict[str, Sample]:
        """Return one sample of every tag, by tag name; a value that is not real is BAD and NaN.

        Raises:
            DeviceError: nothing could be read; it names device, address, request and time.
        """
        ...

    async def write(self, values: dict[str, float]) -> dict[str, Sample]:
        """Write actuators, by tag name, and return what the device then held.

        The result is read back from the device.

        Raises:
            RangeError: a tag is no actuator of this device or a value is outside its range;
                nothing was written.
            DeviceError: a write or its readback failed; what was not confirmed is unknown.
        """
        ...

    async def heartbeat(self, count: int) -> bool:
        """Feed the device's watchdog and return whether the device says that it is armed.

        A device without a watchdog returns True.
        """
        return True

    async def advance(self, plant_time: float) -> None:
        """Lock-step only: let the simulated plant run to ``plant_time``; return when it is there.

        Raises:
            DeviceError: the device is no simulator in lock-step.
        """
        raise DeviceError(f"{self.name} at {self.address}: is no simulator in lock-step")

    async def close(self) -> None:
        """Close the connection; the driver may be used again."""
        ...

    def raw(self) -> Mapping[str, str]:
        """Return what the last read got for each tag as it came over the wire, for people."""
        return {}

    def warnings(self) -> Sequence[str]:
        """Return what stays on screen while it is so: no encryption, a certificate that ends."""
        return ()
