"""What a server offers, from a real asyncua server."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.ua.object_ids import ObjectIds

from drivers.opcua import LinkError
from drivers.opcua.browse import Found, TooManyError, browse
from drivers.opcua.link import OpcUaLink
from drivers.opcua.units import Description
from tests.drivers.opcua.served import URI, Plant, double, free_port

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.real_time]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant() -> AsyncIterator[Plant]:
    served = Plant()
    await served.start("urn:first")
    assert served.server is not None
    index = await served.server.get_namespace_index(URI)
    vessel = await served.server.nodes.objects.add_object(index, "vessel")
    for k in range(90):  # more than one request takes
        await vessel.add_variable(
            ua.NodeId.from_string(f"ns={index};s=vessel;bay={k}"), f"{index}:level{k}", float(k)
        )
    await vessel.add_variable(index, "curve", [1.0, 2.0])
    d = served.server.get_node(f"ns={index};s=d")
    await vessel.add_reference(d, ua.NodeId(ua.Int32(ObjectIds.Organizes)))  # a second way to it
    celsius = ua.EUInformation(
        NamespaceUri=ua.String("http://www.opcfoundation.org/UA/units/un/cefact"),
        UnitId=ua.Int32(4408652),
        DisplayName=ua.LocalizedText("°C"),
    )
    span = ua.Range(Low=ua.Double(0), High=ua.Double(150))
    await served.describe("d", EngineeringUnits=celsius, EURange=span)
    await served.put("i", ua.DataValue(ua.Variant(7, ua.VariantType.Int32)))
    await served.put("f", double(1.5, 0x808C0000))
    yield served
    await served.stop()


async def test_every_variable_is_found_once_with_what_a_plant_file_needs(plant: Plant) -> None:
    link = OpcUaLink(plant.url, 20.0, insecure=True)
    found = {f.node: f async for f in browse(link)}
    await link.close()
    ours = {n: f for n, f in found.items() if URI in n}
    assert len(ours) == 3 + 90 + 1
    assert ours[f"nsu={URI};s=d"] == Found(
        node=f"nsu={URI};s=d",
        name="d",
        path="d",
        type="Double",
        value=1,
        status="Good",
        described=Description("°C", "Cel", (0.0, 150.0)),
        description="d",
        readable=True,
        writable=True,
    )
    level = ours[f"nsu={URI};s=vessel;bay=89"]
    assert (level.path, level.value, level.writable) == ("vessel/level89", 89.0, False)
    assert (ours[f"nsu={URI};s=i"].type, ours[f"nsu={URI};s=i"].value) == ("Int32", 7)
    assert ours[f"nsu={URI};s=f"].status == "BadSensorFailure"
    (curve,) = [f for f in ours.values() if f.name == "curve"]
    assert (curve.type, curve.numeric) == ("Double[]", False)
    assert level.numeric
    assert not any("ServerStatus" in f.path for f in found.values())


async def test_it_begins_where_it_is_told_and_ends_at_its_limit(plant: Plant) -> None:
    link = OpcUaLink(plant.url, 20.0, insecure=True)
    assert not [f async for f in browse(link, f"nsu={URI};s=d")]  # it has nothing but properties
    few: list[Found] = []

    async def look() -> None:
        async for found in browse(link, limit=2):
            few.append(found)

    with pytest.raises(TooManyError, match="more than 2 nodes"):
        await look()
    assert 0 < len(few) < 20
    shallow = {f.path: f async for f in browse(link, depth=1)}
    assert {p for p, f in shallow.items() if URI in f.node} == {"d", "f", "i"}
    assert shallow["d"].described == Description("°C", "Cel", (0.0, 150.0))
    with pytest.raises(LinkError, match="no namespace of nsu=urn:nobody;s=d"):
        _ = [f async for f in browse(link, "nsu=urn:nobody;s=d")]
    await link.close()


async def test_a_server_that_is_not_there_is_an_error() -> None:
    link = OpcUaLink(f"opc.tcp://127.0.0.1:{free_port()}", 20.0, insecure=True)
    with pytest.raises(LinkError, match="connection refused"):
        _ = [f async for f in browse(link)]
    await link.close()
