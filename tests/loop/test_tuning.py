"""Experiments on a running controller: what they need, what ends them, and what is kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.acting.api import routes
from controller.acting.command_socket import application
from controller.acting.tuner import Wish
from controller.loops.loops import Mode, RefusedError
from controller.loops.pid import Tuning
from drivers.point import RangeError
from historian.events import Kind
from tests.loop.rig import GROWN, Rig, bump

Make = Callable[..., Rig]
WHO = ("a test", "ana")
RELAY = Wish("relay", 10.0, 4.0)
STEP = Wish("step", 10.0, 0.6)


def tune(rig: Rig, wish: Wish, loop: str = "temperature") -> str:
    w = wish
    return rig.controller.tune(f"R1.{loop}", w.method, w.size, w.deviation, w.longest_s, *WHO)


def begin(rig: Rig, wish: Wish = RELAY, loop: str = "temperature", scans: int = 180) -> float:
    """Begin an experiment, run until it moves something, and return where its output began."""
    tune(rig, wish, loop)
    start = rig.loop(loop).output
    rig.run(scans)
    assert report(rig, loop)["state"] == "running"
    assert abs(rig.loop(loop).output - start) == pytest.approx(wish.size)
    return start


def report(rig: Rig, loop: str = "temperature") -> Any:
    return rig.controller.tuning(f"R1.{loop}")


def test_a_step_test_stays_within_its_size_and_ends_where_it_began(steady: Rig) -> None:
    rig, loop = steady, steady.loop("temperature")
    before = rig.held()
    text = tune(rig, STEP)
    assert text == "R1.temperature experiment: none → step, +10 %, at most 0.6 Cel away"
    while report(rig)["state"] in ("baseline", "running"):
        assert "measured" not in report(rig)
        rig.run(20)
    found = report(rig)
    assert found["state"] == "done"
    start, measured = found["start"], found["measured"]
    assert {round(output - start, 9) for output in found["outputs"]} == {0.0, 10.0}
    assert max(measured) - min(measured) < 0.7
    assert loop.actual is Mode.AUTO
    assert loop.output == pytest.approx(start, abs=12.0)  # the PID goes on from there
    others = {n: v for n, v in rig.held().items() if n not in ("R1.heater", "R1.cooling")}
    assert bump(rig, others, before) < 0.05  # the rest of the plant has its own work
    assert rig.told(Kind.AUDIT, "experiment")
    assert rig.told(Kind.NOTE, "experiment on R1.temperature: there and back")


def test_whatever_else_wants_the_loop_ends_an_experiment(steady: Rig) -> None:
    """The output is back where it began in that scan, or where the other one wants it."""
    rig, controller = steady, steady.controller
    loop: Any = rig.loop("temperature")

    def ended(start: float | None, why: str) -> None:
        rig.run(1)
        assert report(rig)["state"] == "aborted"
        assert why in report(rig)["reason"]
        assert loop.trial is None
        if start is not None:  # one scan of the PID later
            assert loop.output == pytest.approx(start, abs=4.0)
        rig.run(5)

    start = begin(rig)
    controller.set_setpoint("R1.temperature", 37.1, *WHO)
    ended(None, "setpoint was changed to 37.1")
    controller.set_setpoint("R1.temperature", 37.0, *WHO)
    rig.run(120)

    start = begin(rig)
    controller.end_tuning("R1.temperature", *WHO)
    ended(start, "ended by ana")
    with pytest.raises(RefusedError, match="no experiment is under way"):
        controller.end_tuning("R1.temperature", *WHO)

    start = begin(rig)
    controller.set_mode("R1.temperature", "MANUAL", *WHO)
    ended(None, "mode was changed to MANUAL")
    assert loop.actual is Mode.MANUAL

    begin(rig)
    controller.set_output("R1.temperature", -3.0, *WHO)
    ended(None, "output by hand was changed to -3.0")
    assert loop.output == -3.0
    controller.set_mode("R1.temperature", "AUTO", *WHO)
    rig.run(120)

    begin(rig)
    rig.faults.shows["R1.temperature"] = float("nan")
    rig.run(1)
    assert report(rig)["reason"] == "R1.temperature is BAD"
    del rig.faults.shows["R1.temperature"]
    rig.run(120)

    begin(rig)
    rig.faults.shows["R1.temperature"] = 41.5
    ended(None, "the measurement went +4.")
    del rig.faults.shows["R1.temperature"]
    rig.run(120)

    begin(rig)
    controller.recipe("R1", "hold", "", *WHO)
    ended(None, "recipe was changed to HELD, phase feed")
    assert loop.actual is Mode.AUTO
    rig.run(120)

    begin(rig)
    rig.faults.shows["R1.agitation"] = 100.0  # its interlock forces the heater to 0
    rig.run(6)
    assert "interlock" in report(rig)["reason"]
    assert "no_agitation" in report(rig)["reason"]
    with pytest.raises(RefusedError, match=r"no experiment now: it is in LO \(R1\.agitation below"):
        tune(rig, RELAY)
    del rig.faults.shows["R1.agitation"]
    rig.run(120)

    begin(rig)
    rig.wires["R1-io"].answering = False
    rig.run(8)
    assert report(rig)["state"] == "aborted"
    assert "R1" in report(rig)["reason"]
    with pytest.raises(RefusedError, match=r"^R1\.temperature: no experiment now: "):
        tune(rig, RELAY)


def test_it_is_refused_where_the_plant_is_not_steady_or_it_does_not_fit(steady: Rig) -> None:
    controller = steady.controller

    def refused(loop: str, wish: Wish, why: str) -> None:
        with pytest.raises(RefusedError, match=why):
            tune(steady, wish, loop)
        assert controller.tuner.sessions == {}

    refused("feed", RELAY, r"R1\.feed: has no PID to be tuned")
    refused(
        "temperature", Wish("relay", 99.0, 0.6), r"amplitude: 99 is not allowed; .* -100 to 100"
    )
    refused("temperature", Wish("step", 5.0, -1.0), "deviation: -1 is not allowed")
    refused("ph", Wish("relay", 60.0, 0.1), r"outside 0 to 100")  # never acid against base
    controller.set_mode("R1.temperature", "OFF", *WHO)
    steady.run(1)
    refused("temperature", RELAY, "it is in OFF; AUTO or MANUAL is required")
    with pytest.raises(LookupError, match=r"R1\.x: no such loop; "):
        tune(steady, RELAY, "x")
    with pytest.raises(LookupError, match=r"R1\.do: no experiment since the controller began"):
        controller.tuning("R1.do")
    controller.set_mode("R1.temperature", "AUTO", *WHO)
    steady.run(2)
    tune(steady, RELAY)
    with pytest.raises(RefusedError, match=r"R1\.do: R1\.temperature is in an experiment; one at"):
        tune(steady, Wish("step", 5.0, 10.0), "do")
    with pytest.raises(RefusedError, match="an experiment is under way"):
        controller.retune("R1.temperature", 40.0, 300.0, 0.0, *WHO)


def test_a_new_tuning_moves_nothing_is_on_record_and_survives_a_restart(
    make: Make, grown: Rig, fed: Path
) -> None:
    steady = grown.begin(fed)
    steady.run(5)
    loop: Any = steady.loop("temperature")
    new, before = Tuning(90.0, 200.0), sum(loop.pid.terms)
    text = steady.controller.retune("R1.temperature", 90.0, 200.0, 0.0, *WHO)
    assert text == (
        "R1.temperature tuning: kp 30, ti_s 400, td_s 0, filter_s 0 → "
        "kp 90, ti_s 200, td_s 0, filter_s 0"
    )
    assert sum(loop.pid.terms) == pytest.approx(before, abs=1e-9)
    steady.run(1)
    assert text in steady.told(Kind.AUDIT, "tuning")
    with pytest.raises(RangeError, match="kp -1 is not allowed"):
        steady.controller.retune("R1.temperature", -1.0, 200.0, 0.0, *WHO)
    assert loop.pid.tuning == new

    steady.die(20.0)
    again: Any = make(GROWN, vessels_of=steady).connect()
    assert again.controller.restore()
    assert again.loop("temperature").pid.tuning == new
    (told,) = again.told(Kind.NOTE, "keeps kp")
    assert "R1.temperature keeps kp 90, ti_s 200; put it into the plant file" in told
    again.run(2)

    again.die(20.0)
    changes = GROWN | {"kp = 30.0 ": "kp = 45.0 "}  # somebody has edited the plant file since
    edited: Any = make(changes, vessels_of=again).connect()
    assert edited.controller.restore()
    assert edited.loop("temperature").pid.tuning.kp == 45.0
    assert edited.told(Kind.NOTE, "R1.temperature has the plant file's new tuning, not kp 90")


def test_the_command_socket_passes_on_experiments_and_tunings(grown: Rig, fed: Path) -> None:
    grown.begin(fed)
    grown.run(5)
    app = application(routes(grown.controller))

    def ask(
        path: str, body: dict[str, object] | None = None, role: str = "engineer"
    ) -> tuple[int, Any]:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://plant") as client:
                if body is None:
                    return await client.get(path)
                return await client.post(path, json={**body, "who": "ana", "role": role})

        answer: httpx.Response = grown.do(asked())
        return answer.status_code, answer.json()

    temperature = "/loop/R1.temperature"
    assert ask("/tuning/R1.temperature")[0] == 404
    assert ask(f"{temperature}/tune", {"method": "bump"})[0] == 422
    assert ask("/loop/R1.feed/tune", {"method": "step"})[0] == 409
    assert ask("/loop/R1.x/tune", {"method": "step"})[0] == 404
    assert ask(f"{temperature}/tune", {"method": "step"}, "operator")[0] == 403
    assert ask(f"{temperature}/retune", {"kp": 40, "ti_s": 300}, "operator")[0] == 403
    status, said = ask(f"{temperature}/tune", {"method": "step", "size": -4})
    assert (status, said["text"]) == (
        200,
        "R1.temperature experiment: none → step, -4 %, at most 0.6 Cel away",
    )
    assert ask(f"{temperature}/tune", {"method": "step"})[0] == 409
    grown.run(2)
    status, said = ask("/tuning/R1.temperature")
    assert (status, said["state"], said["who"]) == (200, "baseline", "ana")
    assert ask(f"{temperature}/retune", {"kp": 40, "ti_s": 300})[0] == 409
    assert ask(f"{temperature}/end-tuning", {}, "operator")[0] == 200
    grown.run(1)
    status, said = ask("/tuning/R1.temperature")
    assert (said["state"], said["reason"]) == ("aborted", "ended by ana")
    assert len(said["times"]) == len(said["measured"]) == len(said["outputs"]) == 2
    assert ask(f"{temperature}/retune", {"kp": 0, "ti_s": 300})[0] == 422
    assert ask(f"{temperature}/retune", {"kp": 40, "ti_s": 0})[0] == 422
    assert ask(f"{temperature}/retune", {"kp": 40, "ti_s": 300})[0] == 200
    loop: Any = grown.loop("temperature")
    assert (loop.pid.tuning.kp, loop.pid.tuning.ti_s) == (40.0, 300.0)
    # what is not given stays; the filter too is changed without a bump
    before = sum(loop.pid.terms)
    assert ask(f"{temperature}/retune", {"kp": 40, "filter_s": 8})[0] == 200
    assert sum(loop.pid.terms) == pytest.approx(before, abs=1e-9)
    assert (loop.pid.tuning.ti_s, loop.pid.tuning.filter_s) == (300.0, 8.0)
    shown = grown.state()["reactors"]["R1"]["loops"]["temperature"]["tuning"]
    assert (shown["kp"], shown["filter_s"]) == (40.0, 8.0)
    assert ask(f"{temperature}/retune", {"kp": 40, "filter_s": -1})[0] == 422


@pytest.mark.long
def test_an_experiment_on_a_master_moves_what_it_leads(steady: Rig) -> None:
    """DO by a step: agitation follows, and the model is that of the simulated vessel: a lag."""
    from controller.tuning.experiment import Record
    from controller.tuning.identify import fit

    tune(steady, Wish("step", 6.0, 15.0), "do")
    stirrer = steady.held()["R1.stirrer"]
    steady.run(150)
    assert steady.held()["R1.stirrer"] > 1.05 * stirrer
    while report(steady, "do")["state"] == "running":
        steady.run(30)
    found = report(steady, "do")
    assert found["state"] == "done"
    process = fit(Record(found["times"], found["measured"], found["outputs"])).process
    assert 0.5 < process.gain < 10.0
    assert process.dead_s + process.lag2_s < 60.0
