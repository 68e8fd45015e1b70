"""The simulated vessel behind the drivers' links: no sockets, nothing that waits.

What the real links carry over a wire is made here: Modbus PDUs and OPC UA DataValues, from the tag
tables of the plant file. A driver cannot tell the difference, so scaling, word order and every
check of a reply are exercised in virtual time too.
"""

import asyncio
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from drivers.clock import Clock
from drivers.modbus import Fence, Link, LinkError, Watchdog
from drivers.modbus.cells import READ_CODE, Info, Table
from drivers.modbus.fence import SIMULATOR_UNIT
from drivers.modbus.registers import Register
from drivers.opcua import DataValue, Node
from drivers.opcua import driver as opcua
from drivers.point import quick
from sim.image import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    PRODUCT,
    REVISION,
    VENDOR,
    Refused,
    RegisterImage,
    device_image,
    pace_image,
)
from sim.motion import Device, SimulatedPlant
from sim.wire import WRITES, Wire

if TYPE_CHECKING:
    from controller.plant_file.device_settings import DeviceSettings

GOOD, UNCERTAIN, BAD_DEVICE, BAD_SENSOR, BAD_UNKNOWN, BAD_READ_ONLY, BAD_RANGE = (
    0,
    0x40000000,  # Uncertain
    0x808B0000,  # BadDeviceFailure
    0x808C0000,  # BadSensorFailure
    0x80340000,  # BadNodeIdUnknown
    0x803B0000,  # BadNotWritable
    0x803C0000,  # BadOutOfRange
)
_TABLE_OF: dict[int, Table] = {code: table for table, code in READ_CODE.items()}


class VesselModbusLink(Link):
    """A simulated Modbus device that answers request PDUs.

    Args:
        plant: the vessels; they follow its clock, or stand until unit 247 is told to advance.
        image: the device's registers.
        unit_id: the device's unit.
        wire: what faults do to it.
        timeout_s: how long an answer may take.
    """

    def __init__(
        self,
        plant: SimulatedPlant,
        image: RegisterImage,
        unit_id: int = 1,
        wire: Wire | None = None,
        timeout_s: float = 0.5,
    ) -> None:
        self.address = "virtual"
        self.fence = Fence()
        self.wire = wire or Wire()
        self._timeout_s = timeout_s
        self._plant = plant
        self._unit = unit_id
        self._images = {unit_id: image, SIMULATOR_UNIT: pace_image(plant)}

    async def exchange(
        self,
        requests: Sequence[bytes],
        *,
        unit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[bytes]:
        self.fence.check(requests, unit)
        self._plant.catch_up()
        image = self._images.get(self._unit if unit is None else unit)
        if self.wire.faults:
            return await self._through_faults(requests, image, timeout_s or self._timeout_s)
        replies: list[bytes] = []
        for request in requests:  # one or two: to begin a comprehension would cost more
            replies.append(answer(image, request))
        return replies

    async def _through_faults(
        self, requests: Sequence[bytes], image: RegisterImage | None, timeout_s: float
    ) -> list[bytes]:
        wire = self.wire
        if why := await _lost(wire, timeout_s):
            raise LinkError(why, silent=wire.cut)
        if code := wire.exception:
            return [bytes((request[0] | 0x80, code)) for request in requests]
        if wire.frozen:
            return [repeated(wire, image, request) for request in requests]
        return [answer(image, request) for request in requests]

    def reset(self) -> None:
        """Do nothing: there is no connection."""

    async def close(self) -> None:
        """Do nothing: there is no connection."""


async def _lost(wire: Wire, timeout_s: float) -> str:
    """Wait as long as an answer is late; return why none comes, or nothing."""
    if wire.refused:
        return "no reply to {what}: connection refused"
    if wire.cut:
        return "no reply to {what}: the wire is cut"
    if delay := wire.delay_s:
        await asyncio.sleep(min(delay, timeout_s))
        if delay >= timeout_s:
            return f"no reply to {{what}} within {timeout_s:g} s"
    return ""


def repeated(wire: Wire, image: RegisterImage | None, request: bytes) -> bytes:
    """Return what a gateway says that has lost its device: what it knows; writes go nowhere."""
    if request[0] in WRITES:
        return request[:5]
    return wire.held(request, lambda: answer(image, request))


def answer(image: RegisterImage | None, request: bytes) -> bytes:
    """Return the reply PDU of a device to a request PDU.

    Source: MODBUS Application Protocol Specification V1.1b3, section 6.
    """
    code = request[0]
    try:
        if image is None:
            raise Refused(11)  # gateway target did not respond
        window = image.asked.get(request)
        if window is None:
            if code not in (3, 4):
                return _serve(image, code, request)
            window = image.window(_TABLE_OF[code], *_span(request, 125))
            if len(request) == 5:
                image.asked[request] = window
        return window.head + window.words()
    except Refused as refused:
        return bytes((code | 0x80, refused.code))
    except struct.error:  # the request is too short
        return bytes((code | 0x80, ILLEGAL_VALUE))


def _serve(image: RegisterImage, code: int, request: bytes) -> bytes:
    if code == 16:
        moved = image.told.get(request[:6])
        if moved is None or len(request) != 6 + request[5]:
            start, count = _span(request, 123)
            if len(request) != 6 + 2 * count or request[5] != 2 * count:
                raise Refused(ILLEGAL_VALUE)
            moved = image.writable("holding", start, count)
            image.told[request[:6]] = moved
        image.move(moved, request[6:])
        return request[:5]
    if code in (1, 2):
        start, count = _span(request, 2000)
        data = _pack_bits(image.bits(_TABLE_OF[code], start, count))
        return bytes((code, len(data))) + data
    if code == 15:
        start, count = _span(request, 1968)
        if len(request) != 6 + (count + 7) // 8 or request[5] != (count + 7) // 8:
            raise Refused(ILLEGAL_VALUE)
        number = int.from_bytes(request[6:], "little")
        image.write_bits(start, [bool(number >> i & 1) for i in range(count)])
        return request[:5]
    if code == 23:
        start, count = _span(request, 125)
        where, size = _span(request[4:], 121)
        if len(request) != 10 + 2 * size or request[9] != 2 * size:
            raise Refused(ILLEGAL_VALUE)
        image.words("holding", start, count)  # refuse before anything is written
        image.write_words(where, request[10:])
        return bytes((code, 2 * count)) + image.words("holding", start, count)
    if code == 6:
        (start,) = struct.unpack_from(">H", request, 1)
        image.write_words(start, request[3:5])
        return request[:5]
    if code == 5:
        start, value = struct.unpack_from(">HH", request, 1)
        if value not in (0, 0xFF00):
            raise Refused(ILLEGAL_VALUE)
        image.write_bits(start, [value != 0])
        return request[:5]
    if request[:2] == b"\x2b\x0e":
        return _identification()
    raise Refused(ILLEGAL_FUNCTION)


def _span(request: bytes, most: int) -> tuple[int, int]:
    start, count = struct.unpack_from(">HH", request, 1)
    if not 1 <= count <= most:
        raise Refused(ILLEGAL_VALUE)
    if start + count > 0x10000:
        raise Refused(ILLEGAL_ADDRESS)
    return start, count


def _pack_bits(bits: Sequence[bool]) -> bytes:
    number = sum(1 << i for i, bit in enumerate(bits) if bit)
    return number.to_bytes((len(bits) + 7) // 8, "little")


def _identification() -> bytes:
    texts = [t.encode() for t in (VENDOR, PRODUCT, REVISION)]
    objects = b"".join(bytes((i, len(t))) + t for i, t in enumerate(texts))
    return b"\x2b\x0e\x01\x01\x00\x00\x03" + objects


class VesselOpcUaLink(opcua.Link):
    """A simulated OPC UA server that answers with DataValues.

    A sensor whose reading is NaN is BadSensorFailure, as analysers report it.

    Args:
        plant: the vessels.
        nodes: the device's tags.
        wire: what faults do to it.
        timeout_s: how long an answer may take.
    """

    def __init__(
        self,
        plant: SimulatedPlant,
        nodes: Sequence[Node],
        wire: Wire | None = None,
        timeout_s: float = 1.0,
    ) -> None:
        self.address = "virtual"
        self.wire = wire or Wire()
        self._timeout_s = timeout_s
        self._plant = plant
        self._nodes = {n.node: n for n in nodes}
        self._writers = {
            n.node: plant.vessel(n.tag).writer(n.tag.name) for n in nodes if n.tag.safe is not None
        }
        self._readers: dict[str, Callable[[], float]] = {
            n.node: plant.vessel(n.tag).reader(n.tag.name) for n in nodes
        }
        self._readers[opcua.SPEED] = lambda: plant.speed
        self._readers[opcua.PLANT_TIME] = lambda: plant.time
        self._readers[opcua.PAUSED] = lambda: float(plant.paused)
        self._asked: tuple[Sequence[str], list[Callable[[], float] | None]] = ((), [])

    async def read(self, nodes: Sequence[str]) -> Sequence[DataValue]:
        if self.wire.faults:
            await self._here()
            return [self._spoiled(node) for node in nodes]
        self._plant.catch_up()
        return self._read(nodes)

    def _spoiled(self, node: str) -> DataValue:
        wire = self.wire
        if wire.exception:
            return DataValue(None, BAD_DEVICE)
        (found,) = (
            wire.held(node, lambda: self._read([node])) if wire.frozen else self._read([node])
        )
        return found._replace(status=found.status or UNCERTAIN) if wire.uncertain else found

    def _read(self, nodes: Sequence[str]) -> list[DataValue]:
        time = self._plant.time
        if nodes is not self._asked[0]:
            self._asked = nodes, [self._readers.get(node) for node in nodes]
        found: list[DataValue] = []
        for reader in self._asked[1]:
            if reader is None:
                found.append(DataValue(None, BAD_UNKNOWN))
                continue
            value = reader()
            status = GOOD if value == value else BAD_SENSOR
            found.append(quick(DataValue, (value, status, time)))
        return found

    async def write(self, nodes: Sequence[str], values: Sequence[float]) -> Sequence[int]:
        await self._here()
        if self.wire.exception:
            return [BAD_DEVICE for _ in nodes]
        if self.wire.frozen:
            return [GOOD for _ in nodes]
        return [self._write(n, v) for n, v in zip(nodes, values, strict=True)]

    async def call(self, method: str, argument: float, timeout_s: float) -> int:
        await self._here()
        if method != opcua.ADVANCE or self._plant.speed:
            return BAD_UNKNOWN
        self._plant.advance(argument)
        return GOOD

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    async def _here(self) -> None:
        self._plant.catch_up()
        if self.wire.faults and (why := await _lost(self.wire, self._timeout_s)):
            raise opcua.LinkError(why)

    def _write(self, node: str, value: float) -> int:
        known = self._nodes.get(node)
        if known is None:
            return BAD_UNKNOWN
        if known.tag.safe is None:
            return BAD_READ_ONLY
        if math.isnan(value) or value not in known.tag:
            return BAD_RANGE
        self._writers[node](value)
        return GOOD


def modbus_link(
    plant: SimulatedPlant,
    registers: Sequence[Register],
    watchdog: Watchdog | None = None,
    within_s: float = 3.0,
    unit_id: int = 1,
    infos: Sequence[Info] = (),
    wire: Wire | None = None,
    timeout_s: float = 0.5,
) -> VesselModbusLink:
    """Return a simulated Modbus device with its watchdog, if any, in plant time."""
    if watchdog is None:
        image = device_image(registers, plant, infos=infos)
        return VesselModbusLink(plant, image, unit_id, wire, timeout_s)
    dog = plant.watchdog(within_s, [r.tag for r in registers])
    image = device_image(registers, plant, dog, watchdog.holding, watchdog.armed_input, infos)
    return VesselModbusLink(plant, image, unit_id, wire, timeout_s)


# The plant behind a vessel, by the vessel's id, for as long as a link to it lives.
_PLANTS: "WeakValueDictionary[int, SimulatedPlant]" = WeakValueDictionary()


def vessel_link(
    settings: "DeviceSettings",
    vessels: Mapping[str, Device],
    clock: Clock,
    wire: Wire | None = None,
) -> VesselModbusLink | VesselOpcUaLink:
    """Return the link of a device of the plant file to the vessels that stand behind it.

    Links to the same vessels share one plant, so that a watchdog acts on time whoever looks.

    Args:
        settings: the device's table of the plant file.
        vessels: by reactor.
        clock: the vessels go with it.
        wire: what faults do to the device.
    """
    from controller.plant_file.registers import about, register

    ids = [id(v) for v in vessels.values()]
    plant = next((p for p in map(_PLANTS.get, ids) if p is not None), None)
    if plant is None:
        plant = SimulatedPlant(vessels, clock)
        _PLANTS.update(dict.fromkeys(ids, plant))
    if settings.driver == "opcua":
        nodes = [Node(t.tag(), t.node or "") for t in settings.tags]
        return VesselOpcUaLink(plant, nodes, wire, settings.timeout_s)
    dog = settings.watchdog
    return modbus_link(
        plant,
        [register(t) for t in settings.tags],
        dog and Watchdog(dog.holding, dog.armed_input),
        dog.within_s if dog else 0.0,
        settings.unit_id,
        [about(i) for i in settings.info],
        wire,
        settings.timeout_s,
    )
