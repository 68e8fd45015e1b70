"""``fermloop tune`` on a running controller: real processes, real sockets, plant time × 60."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from historian.events import Kind
from tests.system.plant_processes import Site, site

pytestmark = [pytest.mark.long, pytest.mark.real_time]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Site]:
    async with site(tmp_path) as plant:
        plant.start_simulator(60)
        plant.start_controller()
        await plant.until(
            "half an hour of batch",
            lambda s: (s["reactors"]["R1"]["batch"]["age_h"] or 0.0) > 0.5,
        )
        yield plant


async def test_a_live_step_test_is_shown_applied_and_on_record(running: Site) -> None:
    words = ("tune", "R1.temperature", "--plant", running.plant.path, "--method", "step")
    limits = ("--size", "10", "--deviation", "0.6", "--reason", "sluggish")
    code, out, err = await running.run(*words, *limits)
    assert code == 0, err
    assert "SIMC *" in out
    assert "R1.temperature: nothing was changed" in err  # nobody was there to say yes
    assert (running.folder / "R1.temperature-tuning.svg").exists()
    age = (await running.state())["reactors"]["R1"]["batch"]["age_h"]
    await running.until(
        "the temperature is at rest again",
        lambda s: s["reactors"]["R1"]["batch"]["age_h"] > age + 0.75,
    )
    code, out, err = await running.run(*words, *limits, "--yes")
    assert code == 0, err
    assert "R1.temperature tuning: kp 30, ti_s 400" in out

    def recorded() -> list[str]:
        with running.store() as reader:
            return [e["text"] for e in reader.latest_events(200, [Kind.AUDIT])]

    await running.wait(
        "it is on record", lambda: any("R1.temperature tuning: kp 30" in t for t in recorded())
    )
    assert sum("R1.temperature experiment" in text for text in recorded()) == 2
