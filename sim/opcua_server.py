"""One simulated device as an OPC UA server (asyncua): what a node holds is computed when asked."""

import contextlib
import gc
import math
from collections.abc import Callable, Generator
from functools import partial
from typing import Any
from urllib.parse import urlparse

from asyncua import ua
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

from drivers.opcua import Node
from drivers.opcua.driver import SIMULATOR
from drivers.point import Tag
from sim.listen import require_free
from sim.motion import Device, SimulatedPlant
from sim.opcua_security import ServedSecurity
from sim.opcua_wire import Connections
from sim.wire import Wire


class OpcUaServer:
    """One OPC UA server, for clients on this machine.

    Args:
        name: the device's.
        url: where it listens.
        nodes: its tags.
        plant: the vessels that they show.
        follow: lets plant time pass until then, in lock-step.
        security: as the plant file wants it; none if it has none.
        wire: what faults do to the device.
    """

    def __init__(
        self,
        name: str,
        url: str,
        nodes: list[Node],
        plant: SimulatedPlant,
        follow: Callable[[float], None],
        security: ServedSecurity | None,
        wire: Wire,
    ) -> None:
        self._name, self._url, self._nodes = name, url, nodes
        self._plant, self._follow = plant, follow
        self._security = security
        self._wire = wire
        self._server: Server | None = None

    async def start(self) -> None:
        parts = urlparse(self._url)
        require_free(self._name, parts.hostname or "", parts.port or 4840)
        security = self._security
        if security is not None:
            security.trust()
        server = Server(user_manager=security.users() if security else None)
        with _without_collection():  # 10^5 objects of the standard's own nodes, none of them waste
            await server.init()
        server.set_endpoint(self._url)
        server.set_server_name("fermloop simulator")
        await server.set_application_uri(security.uri if security else SIMULATOR)
        if security is None:
            server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        else:
            await security.apply(server)
        for node in self._nodes:
            await self._add_tag(server, node)
        await self._add_pace(server)
        await server.start()
        # in lock-step the client that moves the plant must get through, or a fault never ends
        if server.bserver is not None and self._plant.speed > 0:
            server.bserver.clients = Connections(self._wire)
        self._server = server

    async def stop(self) -> None:
        server, self._server = self._server, None
        if self._security is not None:
            self._security.distrust()
        if server is not None:
            await server.stop()

    async def _add_tag(self, server: Server, node: Node) -> None:
        uri, _, name = node.node.removeprefix("nsu=").partition(";")
        index = await server.register_namespace(uri)
        vessel = self._plant.vessel(node.tag)
        actuator = node.tag.safe is not None
        look = partial(vessel.actual if actuator else vessel.read, node.tag.name)
        known = ua.NodeId.from_string(f"ns={index};{name}")
        variable = await server.nodes.objects.add_variable(
            known, f"{index}:{node.tag.name}", 0.0, ua.VariantType.Double
        )
        space = server.iserver.aspace
        show = partial(_shown, self._wire, look)
        space.set_attribute_value_callback(known, AttributeIds.Value, show)
        if actuator:
            await variable.set_writable()
            setter: Any = partial(_set, self._wire, node.tag, vessel)
            space.set_attribute_value_setter(known, AttributeIds.Value, setter)

    async def _add_pace(self, server: Server) -> None:
        index = await server.register_namespace(SIMULATOR)
        plant = self._plant
        looks = {
            "speed": lambda: plant.speed,
            "plant_time": lambda: plant.time,
            "paused": lambda: plant.paused,
        }
        for name, look in looks.items():
            known = ua.NodeId.from_string(f"ns={index};s={name}")
            await server.nodes.objects.add_variable(
                known, f"{index}:{name}", 0.0, ua.VariantType.Double
            )
            server.iserver.aspace.set_attribute_value_callback(
                known, AttributeIds.Value, partial(_data_value, look)
            )
        if plant.speed == 0:
            await server.nodes.objects.add_method(
                ua.NodeId.from_string(f"ns={index};s=advance"),
                f"{index}:advance",
                self._advance,
                [ua.VariantType.Double],
                [],
            )

    async def _advance(self, parent: ua.NodeId, time: ua.Variant) -> Any:
        if not isinstance(time.Value, float) or not math.isfinite(time.Value):
            return ua.StatusCode(ua.UInt32(StatusCodes.BadInvalidArgument))
        self._follow(time.Value)
        return []


@contextlib.contextmanager
def _without_collection() -> Generator[None]:
    """Keep the garbage collector still: loading asyncua's nodes then takes half as long."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _shown(wire: Wire, look: Any, node: ua.NodeId, attribute: AttributeIds) -> ua.DataValue:
    """Return what a tag's node holds, through the faults of its device."""
    if not wire.faults:
        return _data_value(look, node, attribute)
    if wire.exception:
        return ua.DataValue(None, _status(StatusCodes.BadDeviceFailure))
    if wire.cut or wire.refused:  # in lock-step
        return ua.DataValue(None, _status(StatusCodes.BadNoCommunication))
    now = partial(_data_value, look, node, attribute)
    value = wire.held(node, now) if wire.frozen else now()
    if wire.uncertain and (value.StatusCode is None or value.StatusCode.is_good()):
        return ua.DataValue(value.Value, _status(StatusCodes.Uncertain))
    return value


def _status(code: int) -> ua.StatusCode:
    return ua.StatusCode(ua.UInt32(code))


def _data_value(look: Any, node: ua.NodeId, attribute: AttributeIds) -> ua.DataValue:
    value = float(look())
    if math.isnan(value):
        return ua.DataValue(
            ua.Variant(value, ua.VariantType.Double),
            ua.StatusCode(ua.UInt32(StatusCodes.BadSensorFailure)),
        )
    return ua.DataValue(ua.Variant(value, ua.VariantType.Double))


def _set(
    wire: Wire,
    tag: Tag,
    vessel: Device,
    node: object,
    attribute: object,
    given: ua.DataValue,
) -> None:
    if wire.exception or wire.cut or wire.refused:
        raise ua.uaerrors.BadDeviceFailure
    if wire.frozen:
        return
    value: Any = given.Value.Value if given.Value is not None else None
    if not isinstance(value, float | int) or value not in tag:
        raise ua.uaerrors.BadOutOfRange
    vessel.write(tag.name, float(value))
