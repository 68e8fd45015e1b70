"""Whatever the instruments show, only finite values within an actuator's range are written."""

import json
import math
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.acting.body import dumps
from tests.loop.rig import FED, GROWN, Rig, plant_file

MEASURED = (
    "R1.temperature",
    "R1.jacket_temperature",
    "R1.ph",
    "R1.do",
    "R1.agitation",
    "R1.offgas_o2",
    "R1.offgas_co2",
    "R1.air_flow",
    "R1.oxygen_flow",
    "R1.weight",
    "R1.feed_weight",
)
SHOWN = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -1.0, 1e-300, 1e6, -1e6, 3.4e38]),
    st.floats(width=32),
    st.floats(0.0, 100.0),
)
SCAN = st.tuples(
    st.dictionaries(st.sampled_from(MEASURED), SHOWN, max_size=4),
    st.sampled_from(["", "", "", "R1-io", "R1-gas"]),
)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Return one rig for all examples: what one leaves behind, the next must bear."""
    folder = tmp_path_factory.mktemp("nonsense")
    recipe = folder / "fed.toml"
    recipe.write_text(FED)
    with Rig(plant_file(folder, GROWN)) as rig:
        rig.vessel.set_state(X=8.0)
        rig.begin(recipe)
        rig.run(60)
        yield rig


SCANS = st.lists(SCAN, min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(SCANS)
def test_no_reading_makes_an_output_that_is_not_real(
    rig: Rig, scans: list[tuple[dict[str, float], str]]
) -> None:
    shown_to(rig, scans)


@pytest.mark.long
@settings(max_examples=12_000, deadline=None)
@given(SCANS)
def test_no_reading_of_a_hundred_thousand_does_either(
    rig: Rig, scans: list[tuple[dict[str, float], str]]
) -> None:
    shown_to(rig, scans)


def shown_to(rig: Rig, scans: list[tuple[dict[str, float], str]]) -> None:
    """Show the controller these readings; nothing that it writes may be unreal."""
    wrote: list[tuple[str, float]] = []
    write = rig.vessel.write

    def note(name: str, value: float) -> None:
        wrote.append((name, value))
        write(name, value)

    rig.vessel.write = note
    for shows, cut in scans:
        rig.faults.shows = shows
        for name, wire in rig.wires.items():
            wire.answering = name != cut
        rig.run(1)
        for loop in rig.controller.reactors["R1"].loops.values():
            assert loop.output_low <= loop.output <= loop.output_high, loop.name
            assert math.isfinite(loop.setpoint)
        json.loads(dumps(rig.state()))
    rig.vessel.write = write
    for name, value in wrote:
        assert value in rig.plant.tags[name], name


def test_and_afterwards_it_controls_as_if_nothing_had_been(rig: Rig) -> None:
    rig.faults.shows = {}
    for wire in rig.wires.values():
        wire.answering = True
    rig.vessel.set_state(X=8.0, S=0.02, A=0.0, T=37.0, V=3.0, M=3.03)
    rig.run(1800)
    assert rig.vessel.truth["temperature_cel"] == pytest.approx(37.0, abs=0.2)
    assert rig.vessel.truth["do_percent"] == pytest.approx(30.0, abs=6)
    assert {k for k in rig.alarms() if k.startswith(("device", "write", "watchdog"))} == set()
