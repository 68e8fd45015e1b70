"""Whose time it is: real, our simulator's at its speed, or in lock-step with it."""

from collections.abc import Sequence

import pytest

from controller.devices.devices import build
from controller.pace import PlantClock
from controller.plant import load_plant
from controller.plant_file.registers import register
from drivers import modbus, opcua
from drivers.clock import SystemClock
from drivers.driver import DeviceError, Driver, Identity
from fermloop.commands.simulated import vessels
from sim.clock import run_virtual
from sim.links import VesselModbusLink, VesselOpcUaLink, modbus_link
from sim.motion import SimulatedPlant

PLANT = load_plant("sim/plants/ecoli_5l.toml")
START = 1_000_000.0
REAL = Identity("some PLC")


def simulated(speed: float, at: float = START) -> Identity:
    return Identity("fermloop simulator", speed, at)


def lock_step() -> tuple[SimulatedPlant, list[Driver], list[VesselModbusLink | VesselOpcUaLink]]:
    """Return a plant that stands until it is told to move, and both drivers of it."""
    plant = SimulatedPlant(vessels(PLANT, 1, START))
    clock = SystemClock(1.0, START)
    links: list[VesselModbusLink | VesselOpcUaLink] = []
    drivers: list[Driver] = []
    for name, s in PLANT.settings.device.items():
        if s.driver == "modbus_tcp":
            dog = s.watchdog and modbus.Watchdog(s.watchdog.holding, s.watchdog.armed_input)
            link = modbus_link(plant, [register(t) for t in s.tags], dog)
        else:
            nodes = [opcua.Node(t.tag(), t.node or "") for t in s.tags]
            link = VesselOpcUaLink(plant, nodes)
        links.append(link)
        drivers.append(build(name, s, link, clock))
    return plant, drivers, links


def drivers() -> Sequence[Driver]:
    return lock_step()[1]


def test_real_devices_run_in_real_time() -> None:
    clock = PlantClock()
    before = clock.now()
    clock.follow(drivers(), [REAL, REAL])
    assert (clock.speed, clock.lock_step) == (1.0, False)
    assert 0.0 <= clock.now() - before < 10.0


def test_a_simulators_speed_and_time_are_taken() -> None:
    clock = PlantClock()
    clock.follow(drivers(), [simulated(60.0), simulated(60.0, START + 3.0)])
    assert (clock.speed, clock.lock_step) == (60.0, False)
    assert START + 3.0 <= clock.now() < START + 600.0


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ([simulated(1.0), REAL], "R1-io simulated at 1x, R1-gas real"),
        ([REAL, simulated(60.0)], "R1-io real, R1-gas simulated at 60x"),
        ([simulated(60.0), simulated(1.0)], "R1-io simulated at 60x, R1-gas simulated at 1x"),
        ([simulated(0.0), simulated(1.0)], "R1-io simulated at 0x, R1-gas simulated at 1x"),
    ],
)
def test_devices_that_do_not_run_in_one_time_are_refused_by_name(
    said: list[Identity], what: str
) -> None:
    with pytest.raises(DeviceError, match=f"^the devices do not run in one time: {what}$"):
        PlantClock().follow(drivers(), said)


def test_a_plant_without_required_devices_runs_in_real_time() -> None:
    clock = PlantClock()
    clock.follow([], [])
    assert clock.speed == 1.0


def test_in_lock_step_the_plant_moves_only_when_the_clock_sleeps() -> None:
    async def steps() -> None:
        plant, both, _ = lock_step()
        clock = PlantClock()
        clock.follow(both, [await d.identify() for d in both])
        assert (clock.lock_step, clock.speed, clock.now()) == (True, 0.0, START)
        await clock.sleep_until(START + 5.0)
        assert (clock.now(), plant.time, plant.vessels["R1"].time) == (START + 5.0,) * 3
        await clock.sleep_until(START + 2.0)  # it is past
        assert (clock.now(), plant.time) == (START + 5.0, START + 5.0)

    run_virtual(steps())


def test_in_lock_step_any_device_that_answers_moves_the_plant() -> None:
    async def steps() -> None:
        plant, both, links = lock_step()
        clock = PlantClock()
        clock.follow(both, [await d.identify() for d in both])
        mend = links[0].wire.begin("cut")
        await clock.sleep_until(START + 1.0)
        assert plant.time == START + 1.0
        links[1].wire.begin("cut")
        with pytest.raises(DeviceError, match=r"R1-io at virtual: no reply to an advance"):
            await clock.sleep_until(START + 2.0)
        assert clock.now() == START + 1.0
        mend()
        await clock.sleep_until(START + 2.0)
        assert (clock.now(), plant.time) == (START + 2.0, START + 2.0)

    run_virtual(steps())
