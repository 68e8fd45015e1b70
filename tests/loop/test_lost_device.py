"""When a device is lost (RELIABILITY §1): stale, BAD, safe, and back without a bump."""

from itertools import pairwise
from pathlib import Path

import pytest

from controller.loops.loops import Mode
from drivers.point import Quality
from historian.events import Kind
from tests.loop.rig import FED, Rig, bump

DOSING = ("R1.acid", "R1.base", "R1.feed", "R1.antifoam", "R1.inducer")
TRIPS = 2  # scans without a heartbeat after which the device's watchdog, 3 s, has tripped
RUNNING = {
    "temperature": Mode.AUTO,
    "ph": Mode.AUTO,
    "do": Mode.AUTO,
    "agitation": Mode.CASCADE,
    "air": Mode.CASCADE,
    "feed": Mode.CASCADE,
}


def actual_modes(rig: Rig) -> dict[str, Mode]:
    return {name: rig.loop(name).actual for name in RUNNING}


def test_readings_go_uncertain_after_three_scans_and_bad_after_five(steady: Rig) -> None:
    steady.wires["R1-io"].answering = False
    qualities = [steady.samples["R1.ph"].quality for _ in steady.scans(8)]
    good, uncertain, bad = Quality.GOOD, Quality.UNCERTAIN, Quality.BAD
    assert qualities == [good, good, good, uncertain, uncertain, bad, bad, bad]
    assert steady.samples["R1.ph"].value != steady.samples["R1.ph"].value
    assert steady.samples["R1.offgas_o2"].quality is Quality.GOOD
    assert steady.state()["reactors"]["R1"]["tags"]["R1.ph"]["value"] is None


def test_no_pump_runs_from_the_scan_that_sees_bad(steady: Rig) -> None:
    steady.wires["R1-io"].answering = False
    steady.run(6)
    assert steady.samples["R1.ph"].quality is Quality.BAD
    held = steady.held()
    assert {n: held[n] for n in DOSING} == dict.fromkeys(DOSING, 0.0)  # the device's own watchdog
    assert steady.loop("ph").actual is Mode.MANUAL
    assert steady.loop("feed").actual is Mode.MANUAL
    for _ in steady.scans(60):
        pass
    assert steady.loop("feed").output == 0
    assert steady.loop("ph").output == 0


@pytest.mark.parametrize("seconds", [1, 2, 4, 10, 60])
def test_a_lost_device_comes_back_without_a_bump_and_every_loop_resumes(
    steady: Rig, seconds: int
) -> None:
    steady.wires["R1-io"].answering = False
    steady.run(seconds)
    steady.wires["R1-io"].answering = True
    before = steady.held()
    if seconds >= TRIPS:  # what the device itself has done by then
        before = {n: t.safe for n, t in steady.plant.tags.items() if t.safe is not None}
    for _ in steady.scans(3):
        after = steady.held()
        # the scan's own control is no bump: the probes' noise through the PID, and the ramps
        for name, move in {n: after[n] - before[n] for n in after}.items():
            tag = steady.plant.tags[name]
            ramp = {"R1.feed": 1.0, "R1.air": 0.2}.get(name, 0.02 * (tag.high - tag.low))
            assert abs(move) <= ramp + 1e-9, name
        before = after
    steady.run(3)
    # the feed waits until the interlock on dissolved oxygen, which was BAD, is clear again
    assert actual_modes(steady) | {"feed": Mode.CASCADE} == RUNNING
    steady.run(1500)
    assert actual_modes(steady) == RUNNING
    assert steady.held()["R1.feed"] == 20
    assert steady.vessel.truth["do_percent"] == pytest.approx(30, abs=5)
    assert steady.vessel.truth["temperature_cel"] == pytest.approx(37.0, abs=0.2)
    assert steady.vessel.truth["ph"] == pytest.approx(7.0, abs=0.06)


def test_the_first_written_output_after_bad_readings_is_where_the_device_is(steady: Rig) -> None:
    steady.wires["R1-io"].answering = False
    steady.run(20)
    steady.wires["R1-io"].answering = True
    before = steady.held()
    wrote = len(steady.wires["R1-io"].writes)
    while len(steady.wires["R1-io"].writes) < wrote + 4:  # heartbeats, and the first output
        steady.run(1)
    steady.loop("feed")  # which ramps from nothing
    moving = {n: v for n, v in before.items() if n != "R1.feed"}
    assert bump(steady, moving, steady.held()) <= 0.015


@pytest.mark.parametrize("seconds", [1, 2, 4, 60])
def test_an_outage_is_told_once_and_its_end_once(steady: Rig, seconds: int) -> None:
    steady.wires["R1-io"].answering = False
    steady.run(seconds)
    assert list(steady.alarms()) == ["R1-io.device"]
    steady.wires["R1-io"].answering = True
    steady.run(10)
    assert not {"R1-io.device", "R1-io.watchdog"} & steady.alarms().keys()
    lost = steady.told(Kind.ALARM, "no reply")
    assert len(lost) == 2
    assert lost[1].startswith("over after")
    assert steady.told(Kind.ALARM, "watchdog") == []  # it is armed again before anybody could act


def test_a_dose_that_an_outage_interrupts_is_completed_and_not_repeated(
    grown: Rig, tmp_path: Path
) -> None:
    recipe = tmp_path / "early.toml"
    recipe.write_text(FED.replace("batch_h = 2.0", "batch_h = 0.1"))
    given_ml = 0.0

    def count() -> None:
        nonlocal given_ml
        given_ml += grown.vessel.actual("R1.inducer") / 60.0

    grown.begin(recipe)
    grown.vessel.watch(count)
    grown.run(360 + 90)
    assert 2.5 < given_ml < 3.5
    grown.wires["R1-io"].answering = False
    grown.run(45)
    assert given_ml < 3.7  # the device's own watchdog has stopped the pump
    grown.wires["R1-io"].answering = True
    grown.run(600)
    assert given_ml == pytest.approx(10.0, abs=0.15)  # what ran until the watchdog is a guess
    assert len(grown.told(Kind.NOTE, "10 mL were given through inducer")) == 1


def test_without_the_gas_device_the_feed_falls_back_and_ph_is_still_held(steady: Rig) -> None:
    air = steady.held()["R1.air"]
    steady.wires["R1-gas"].answering = False
    steady.run(5)
    assert steady.held()["R1.feed"] == 20
    steady.run(1)
    assert steady.samples["R1.air_flow"].quality is Quality.BAD
    assert steady.held()["R1.feed"] == 5
    feed = steady.loop("feed")
    assert (feed.target, feed.actual) == (Mode.CASCADE, Mode.AUTO)
    assert feed.reason == "fall-back: R1.air_flow is BAD"
    bases = {steady.held()["R1.base"] for _ in steady.scans(300)}
    assert len(bases) > 10
    assert steady.vessel.truth["ph"] == pytest.approx(7.0, abs=0.06)
    assert steady.held()["R1.air"] == air  # nobody moves it: it has no watchdog
    assert steady.loop("do").actual is Mode.AUTO
    steady.wires["R1-gas"].answering = True
    flows = [steady.held()["R1.feed"] for _ in steady.scans(30)]
    assert flows[-1] == 20
    assert max(b - a for a, b in pairwise(flows)) <= 1.0
    assert list(steady.alarms()) == []


def test_nothing_winds_up_behind_a_flow_controller_that_is_lost(steady: Rig) -> None:
    steady.wires["R1-gas"].answering = False
    steady.run(10)
    steady.vessel.set_state(S=5.0)  # so hungry that the stirrer alone cannot hold the oxygen
    steady.run(600)
    do = steady.loop("do")
    assert steady.held()["R1.stirrer"] == 1000
    assert 56.0 <= do.output <= 78.0  # the end of the stirrer, the beginning of oxygen
    steady.wires["R1-gas"].answering = True
    before = steady.held()["R1.air"]
    for _ in steady.scans(20):
        after = steady.held()["R1.air"]
        assert after - before <= 0.2 + 1e-9
        before = after
    steady.vessel.set_state(O=0.006, S=0.0)  # all at once there is too much
    outputs = [do.output for _ in steady.scans(30)]
    assert outputs[-1] < outputs[0]


def test_both_devices_lost_at_once_come_back_too(steady: Rig) -> None:
    for wire in steady.wires.values():
        wire.answering = False
    steady.run(120)
    assert set(steady.alarms()) == {"R1-io.device", "R1-gas.device"}
    for wire in steady.wires.values():
        wire.answering = True
    steady.run(120)
    assert actual_modes(steady) | {"feed": Mode.CASCADE} == RUNNING
    assert not {"R1-io.device", "R1-gas.device"} & steady.alarms().keys()


def test_a_flapping_wire_ends_with_every_loop_where_it_was(steady: Rig) -> None:
    for scan in range(240):
        steady.wires["R1-io"].answering = scan % 7 < 5
        steady.run(1)
        assert steady.held()["R1.feed"] <= 20
        assert steady.held()["R1.stirrer"] >= 300
    steady.wires["R1-io"].answering = True
    steady.run(30)
    assert actual_modes(steady) | {"feed": Mode.CASCADE} == RUNNING
