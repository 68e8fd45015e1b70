"""``fermloop tune``: what is shown of an experiment, the picture, and what is refused."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from controller.loops.pid import Tuning
from controller.tuning.experiment import Limits, StepTest
from controller.tuning.process import Process
from fermloop.cli import app
from fermloop.commands.tune_picture import svg, terminal
from fermloop.commands.tune_study import lines, plant_lines, study
from fermloop.failure import FailureError
from tests.controller.tuning.plants import run

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "sim/plants/ecoli_5l.toml"


def said(*words: str | Path) -> Any:
    done = CliRunner().invoke(app, ["tune", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def report(**changes: Any) -> dict[str, Any]:
    """Return what a controller tells of a step test on a lag, gain 2, 100 s, dead time 10 s."""
    process = Process.lag(2.0, 100.0, 10.0)
    done = run(StepTest(40.0, 5.0, Limits(0.0, 100.0, 12.0, 2000.0, 60.0)), process, noise=0.05)
    return {
        "loop": "R1.temperature",
        "method": "step",
        "asked": "step, +5 %",
        "state": "done",
        "text": "there and back",
        "reason": "",
        "unit": "Cel",
        "elapsed_s": 600.0,
        "move": 5.0,
        "deviation": 12.0,
        "band": 0.2,
        "times": done.record.times,
        "measured": done.record.measured,
        "outputs": done.record.outputs,
        "tuning": Tuning(1.0, 200.0, 5.0).as_json(),
        "gain": 1.0,
        "start": 40.0,
        "output_low": 0.0,
        "output_high": 100.0,
        "stretches": 1,
    } | changes


def test_a_report_says_process_margins_prediction_and_what_to_write() -> None:
    s = study(report(), "simc", None)
    told = "\n".join(lines(s))
    assert re.search(
        r"lag of (9|10)\d(\.\d)? s, gain (2|1\.9\d|2\.\d+) Cel/%, dead time 1?\d", told
    )
    assert re.search(r"\nnow +1 +200 +1\.\d\d ", told)
    assert re.search(r"\nSIMC \* +2\.\d+ +8\d\.?\d* +1\.[56]\d +3\.\d", told)
    assert "Tyreus-Luyben" in told
    assert "Ziegler-Nichols only to compare" in told
    assert "note: a PI is proposed: today's derivative of 5 s goes" in told
    assert plant_lines(s)[0] == "[reactor.R1.loop.temperature]"
    assert plant_lines(s)[1].startswith("kp = 2.")
    assert plant_lines(s)[3] == "td_s = 0"
    calm = study(report(), "tl", None).advice.proposed
    assert calm.rule == "Tyreus-Luyben"
    assert calm.margins.ms < 1.7
    slow = study(report(), "simc", 60.0)
    assert slow.advice.tau_c_s == 60.0
    assert slow.tuning.kp < s.tuning.kp


def test_a_gain_schedule_is_taken_out_of_what_is_applied() -> None:
    plain, scheduled = study(report(), "simc", None), study(report(gain=2.0), "simc", None)
    assert scheduled.advice.now.tuning.kp == 2.0
    assert scheduled.advice.proposed.tuning.kp == pytest.approx(plain.advice.proposed.tuning.kp)
    assert scheduled.tuning.kp == pytest.approx(plain.tuning.kp / 2, rel=0.01)
    assert "kp is multiplied by 2 now" in "\n".join(lines(scheduled))


def test_the_picture_is_an_svg_with_both_answers_and_the_experiment() -> None:
    s = study(report(), "simc", None)
    root = ET.fromstring(svg(s))
    kinds = [path.get("class") for path in root.iter("{http://www.w3.org/2000/svg}path")]
    assert (kinds.count("meas"), kinds.count("model")) == (1, 1)
    assert (kinds.count("now"), kinds.count("new")) == (4, 5)
    texts = [t.text or "" for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any(t.startswith("R1.temperature: now (dashed) kp 1, ti 200 s; SIMC") for t in texts)
    drawn = terminal(s)
    assert len(drawn) == 24
    assert max(map(len, drawn)) <= 80
    assert all(mark in "".join(drawn) for mark in "o*·")


def test_what_says_nothing_is_refused_with_the_reason() -> None:
    aborted = report(state="aborted", reason="alarm: R1-io is silent")
    with pytest.raises(FailureError, match=r"aborted: alarm: R1-io is silent; the loop is as it"):
        study(aborted, "simc", None)
    with pytest.raises(FailureError, match="the output was not moved; nothing is proposed"):
        study(report(outputs=[40.0] * len(report()["times"])), "simc", None)


def test_a_step_on_the_simulated_plant_is_found_and_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "picture.svg"
    words = ("--method", "step", "--size", "10", "--deviation", "0.6", "--after", "15min")
    done = said(
        "R1.temperature", "--plant", PLANT, "--simulate", *words, "--picture", picture, "--json"
    )
    found = json.loads(done.stdout)
    assert found["fit"]["explained_share"] > 0.7
    proposed = found["tunings"]["proposed"]
    assert proposed["stable"] is True
    assert proposed["ms"] <= 1.7
    assert found["apply"]["kp"] == pytest.approx(proposed["kp"], rel=0.01)
    assert 10 < found["apply"]["kp"] < 120
    assert ET.parse(picture).getroot().tag.endswith("svg")


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(FailureError, match=r"R1\.x: no such loop; R1\.temperature"):
        said("R1.x", "--plant", PLANT, "--simulate", "--after", "10s")
    with pytest.raises(FailureError, match=r"R1\.feed: has no PID"):
        said("R1.feed", "--plant", PLANT, "--simulate", "--after", "10s")
    with pytest.raises(FailureError, match=r"--plant: is required with --simulate"):
        said("R1.do", "--simulate")


@pytest.mark.long
def test_the_readme_s_example_runs_and_says_what_it_shows(tmp_path: Path) -> None:
    """Words as they stand, numbers within 3 %: another machine's compiler rounds otherwise."""
    readme = (ROOT / "controller/README.md").read_text(encoding="utf-8")
    block = re.findall(r"```console\n\$ fermloop (tune .*?)```", readme, re.DOTALL)[0]
    command, _, shown = block.partition("\n")
    words = [str(PLANT) if w == "plant.toml" else w for w in command.split()[1:]]
    out = said(*words, "--picture", tmp_path / "p.svg").stdout
    number = re.compile(r"-?\d+(?:\.\d+)?")

    def taken(line: str) -> tuple[str, list[float]]:
        words = number.sub("#", " ".join(line.split()))
        return words, [float(x) for x in number.findall(line)]

    said_lines = [taken(line) for line in out.split("\n")]
    for line in shown.rstrip().split("\n"):
        words, values = taken(line)
        near = [pytest.approx(v, rel=0.03, abs=0.02) for w, v in said_lines if w == words]
        assert words == "..." or values in near, line
