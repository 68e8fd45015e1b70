"""Several organisms and scales in one plant file, each on its own port, and one shared device."""

import asyncio
from pathlib import Path

import pytest

from controller.devices.devices import build, wire
from controller.plant import load_plant
from drivers.clock import SystemClock, monotonic, wall
from drivers.point import Quality
from fermloop.commands.simulated import vessels
from sim.server import PlantServer
from tests.drivers.opcua.served import free_port

pytestmark = pytest.mark.real_time

KINDS = {"R1": ("ecoli", "5l"), "R2": ("yeast", "300l"), "R3": ("penicillin", "100m3")}


def device(name: str, tags: list[str]) -> str:
    return (
        f'[device.{name}]\ndriver = "modbus_tcp"\naddress = "127.0.0.1:{free_port()}"\n'
        f"timeout_s = 10\ntags = [\n  " + ",\n  ".join(tags) + "\n]\n"
    )


def tag(name: str, unit: str, high: float, place: str) -> str:
    return (
        f'{{ name = "{name}", unit = "{unit}", low = 0, high = {high}, {place}, type = "float32" }}'
    )


def own(r: str) -> str:
    """Return a reactor's own device: two probes and an actuator."""
    return device(
        f"{r}-io",
        [
            tag(f"{r}.temperature", "Cel", 150, "input = 0"),
            tag(f"{r}.ph", "[pH]", 14, "input = 2"),
            tag(f"{r}.stirrer", "{r}/min", 1000, "holding = 0, safe = 30"),
        ],
    )


def plant_text(kinds: dict[str, tuple[str, str]], folder: Path) -> str:
    weights = [tag(f"{r}.weight", "kg", 2e5, f"input = {2 * k}") for k, r in enumerate(kinds)]
    shared = device("weights", weights)
    parts = [f'site = "many"\ndata_dir = "{folder}"\nscan_s = 1.0\n', *map(own, kinds), shared]
    for r, (organism, vessel) in kinds.items():
        parts.append(
            f"[reactor.{r}]\nvolume_max_l = 90000.0\n[reactor.{r}.loop.stirrer]\n"
            f'outputs = [{{ actuator = "{r}.stirrer" }}]\n'
            "setpoint = 100.0\nsetpoint_low = 0.0\nsetpoint_high = 1000.0\nrate_per_s = 20.0\n"
        )
        parts.append(f'[simulation.{r}]\norganism = "{organism}"\nvessel = "{vessel}"\n')
    return "\n".join(parts)


async def test_three_vessels_on_their_own_ports_and_one_shared_device(tmp_path: Path) -> None:
    path = tmp_path / "plant.toml"
    path.write_text(plant_text(KINDS, tmp_path))
    plant = load_plant(path)
    made = vessels(plant, 1, wall() - 1e6)
    clock = SystemClock()
    drivers = {n: build(n, s, wire(s), clock) for n, s in plant.settings.device.items()}
    try:
        async with PlantServer(plant.settings.device, made, 0.0) as server:
            for r, speed in zip(KINDS, (500.0, 200.0, 50.0), strict=True):
                await drivers[f"{r}-io"].write({f"{r}.stirrer": speed})
            await drivers["weights"].identify()
            await drivers["weights"].advance(server.plant.time + 120.0)  # one plant, one time
            shown = {k: s for d in drivers.values() for k, s in (await d.read()).items()}
    finally:
        for driver in drivers.values():
            await driver.close()
    assert {s.quality for s in shown.values()} == {Quality.GOOD}
    for r, vessel in made.items():
        assert vessel.time == server.plant.time
        truth = vessel.truth
        assert shown[f"{r}.weight"].value == pytest.approx(truth["mass_kg"], rel=0.1), r
        assert shown[f"{r}.ph"].value == pytest.approx(truth["ph"], abs=0.3), r
    assert (
        shown["R1.weight"].value < 10 < shown["R2.weight"].value < 1000 < shown["R3.weight"].value
    )
    assert made["R1"].flow("stirrer") > made["R2"].flow("stirrer") > made["R3"].flow("stirrer") > 0


@pytest.mark.long
async def test_twenty_vessels_at_sixty_times_real_time_keep_up(tmp_path: Path) -> None:
    """The vessels are where plant time is: a look later, on a busy machine a few."""
    kinds = dict(zip((f"R{k}" for k in range(1, 21)), [*KINDS.values()] * 7, strict=False))
    path = tmp_path / "plant.toml"
    path.write_text(plant_text(kinds, tmp_path))
    plant = load_plant(path)
    made = vessels(plant, 1, wall() - 1e6)
    async with PlantServer(plant.settings.device, made, 60.0) as server:
        assert server.pace is not None
        behind: list[float] = []
        end = monotonic() + 10.0
        while monotonic() < end:
            await asyncio.sleep(0.05)
            behind.append((server.pace.now() - server.plant.time) / 60.0)
    behind.sort()
    print(
        f"\n20 vessels at 60x: median {behind[len(behind) // 2] * 1e3:.0f} ms behind, "
        f"worst {behind[-1] * 1e3:.0f} ms"
    )
    assert behind[len(behind) // 2] < 0.25
    assert behind[-1] < 1.0
