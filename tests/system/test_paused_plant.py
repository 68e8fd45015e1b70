"""``fermloop sim`` against ``fermloop simulate``: alone, and with a controller that follows."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.system.plant_processes import Site, State, site

pytestmark = pytest.mark.real_time


def age_s(state: State) -> float:
    """Return how old the batch is, plant s; 0 before it begins."""
    batch: dict[str, float | None] = state["reactors"]["R1"]["batch"] or {}
    return 3600.0 * (batch.get("age_h") or 0.0)


async def sim(plant: Site, *words: str) -> dict[str, object]:
    """Return what ``fermloop sim`` says in JSON; it must succeed."""
    code, out, error = await plant.run("sim", *words, "--json")
    assert code == 0, error
    return json.loads(out)


async def test_the_command_line_finds_pauses_and_steps_a_simulator(tmp_path: Path) -> None:
    async with site(tmp_path) as plant:
        code, _, error = await plant.run("sim", "pause")
        assert (code, error) == (
            1, "no simulator runs; start one with: fermloop simulate PLANT.toml\n"
        )  # fmt: skip
        plant.start_simulator(100)
        await plant.wait("it is served", lambda: "Ctrl-C ends it" in plant.said())
        assert "stands at" in str(await sim(plant, "pause"))
        before = await sim(plant, "status")
        after = await sim(plant, "step", "1min", "--plant", str(plant.plant.path))
        assert after["time"] == pytest.approx(float(str(before["time"])) + 60.0)
        assert (after["paused"], after["speed"]) == (True, 100.0)
        _, out, _ = await plant.run("sim", "status")
        assert "100 times real time, paused\nR1 (ecoli, 5l): " in out
        code, _, error = await plant.run("sim", "step", "10")
        assert code == 2
        assert "a time with its unit (s, min, h, d), such as 90s" in " ".join(error.split())


@pytest.mark.long
async def test_a_controller_stands_steps_and_speeds_up_with_its_plant(tmp_path: Path) -> None:
    """Longer than the supervisor waits for a beat, and than any watchdog; nothing goes mad."""
    async with site(tmp_path) as plant:
        plant.start_simulator(20)
        await plant.wait("it is served", lambda: "Ctrl-C ends it" in plant.said())
        plant.start_site()
        await plant.until("a minute of the batch", lambda s: age_s(s) > 60)
        pid = (await plant.state())["pid"]
        await sim(plant, "pause")
        truth = await sim(plant, "status")
        await plant.until("it stands", lambda _: plant.told("the simulated plant stands"))
        before = await plant.state()
        await asyncio.sleep(5.0)
        after = await plant.state()
        assert (after["pid"], after["scans"]) == (pid, before["scans"])
        assert after["time"] == before["time"] == pytest.approx(float(str(truth["time"])), abs=10)
        await sim(plant, "step", "2min")
        stepped = await plant.until("two minutes", lambda s: s["time"] >= before["time"] + 110)
        assert 100 <= stepped["scans"] - before["scans"] <= 135
        await sim(plant, "speed", "60")
        await sim(plant, "resume")
        state = await plant.until("it goes on", lambda s: age_s(s) > 400)
        assert (state["pid"], state["speed"]) == (pid, 60.0)
        assert not [a for a in state["alarms"] if a["active"] and "watchdog" in a["text"]]
        assert state["scans_missed"] <= 30
        await sim(plant, "pause")
        code, _, error = await plant.run("stop")  # a controller that stands can be stopped
        assert code == 0, error
        await plant.wait("the site has ended", lambda: plant.processes[1].poll() is not None)
