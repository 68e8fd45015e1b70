"""A device is silent when the controller starts: it is named, waited for, and nothing is moved."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from drivers.clock import monotonic
from tests.drivers.proxy import MODBUS_TCP, Frame, Piece
from tests.system.plant_processes import State, site
from tests.system.served_plant import wire_to, wires

pytestmark = pytest.mark.real_time

WRITES = {5, 6, 15, 16, 22, 23}  # the function codes of Modbus that change something


class Listener:
    """Lets every frame through and notes the function codes of the requests."""

    def __init__(self) -> None:
        self.codes: set[int] = set()

    def __call__(self, frame: Frame) -> Sequence[Piece]:
        if frame.to_device:
            self.codes.add(frame.data[7])  # behind the MBAP header
        return (frame.data,)


@pytest.mark.parametrize("silent", [pytest.param("R1-io", marks=pytest.mark.long), "R1-gas"])
async def test_nothing_is_written_before_every_device_has_answered(
    tmp_path: Path, silent: str
) -> None:
    async with (
        site(tmp_path) as plant,
        wires(plant, 10.0, biomass_g_per_l=1.0) as real,
        wire_to(plant, "R1-io", MODBUS_TCP) as wire,
    ):
        wire.fault = heard = Listener()
        safe = {t.name: t.safe for t in plant.plant.tags.values() if t.safe is not None}
        await real.close(silent)
        plant.start_controller()

        def named(state: State) -> bool:
            return any(a["subject"] == silent for a in state["alarms"])

        state = await plant.until("the silent one is named", named)
        assert [a["subject"] for a in state["alarms"]] == [silent]
        device = state["devices"][silent]
        assert not device["answering"]
        assert device["error"].startswith(f"{silent} at {device['address']}: ")
        moment = monotonic()
        await plant.wait("some tries more", lambda: monotonic() > moment + 1.2)
        state = await plant.state()
        assert (state["scans"], state["samples_stored"]) == (0, 0)
        assert not WRITES & heard.codes  # not even a heartbeat
        assert {n: real.vessel.actual(n) for n in safe} == safe

        await real.open(silent)
        state = await plant.until("it scans", lambda s: s["scans"] > 5)
        assert not [a for a in state["alarms"] if a["active"]]
        assert WRITES & heard.codes
