"""The commands that speak to a running controller, over its real socket."""

import asyncio
import io
import json
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from controller.acting.api import CommandServer
from controller.acting.whatif import Wish
from controller.sensing.laboratory import Entry
from drivers.point import RangeError
from fermloop.commands import advice, alarms, interlock, live, remote, sample
from fermloop.failure import FailureError
from tests.controller.untuned import Untuned
from tests.dashboards.far_end import alarm

STATE: dict[str, Any] = {
    "site": "demo", "time": 1.79e9, "speed": 60.0, "simulated": True, "scan_s": 1.0,
    "scans": 123, "scans_missed": 0, "samples_stored": 3690, "samples_forwarded": 0,
    "samples_lost": 0, "pid": 1234,
    "devices": {
        "R1-io": {"answering": True, "address": "127.0.0.1:5020", "error": "",
                  "simulated": True, "insecure": False, "armed": True},
        "R1-gas": {"answering": False, "address": "opc.tcp://127.0.0.1:4840",
                   "error": "no reply", "simulated": True, "insecure": True, "armed": True},
    },
    "reactors": {"R1": {
        "laboratory": {"analytes": {"acetate": "g/L"}, "results": [
            {"number": 3, "analyte": "acetate", "value": 0.05, "unit": "g/L", "below_limit": True,
             "t_sampled": 1.79e9, "who": "ana", "corrects": 1},
        ]},
        "batch": {"id": "R1-1", "recipe": "ecoli", "state": "RUNNING", "phase": "feed",
                  "age_h": 12.345, "phase_age_h": 0.4, "phases": ["feed"], "message": ""},
        "loops": {
            "temperature": {"pv": 37.01, "pv_unit": "Cel", "quality": "GOOD", "sp": 37.0,
                            "op": 3.2, "op_unit": "%", "target": "AUTO", "actual": "AUTO",
                            "reason": ""},
            "ph": {"pv": None, "pv_unit": "[pH]", "quality": "BAD", "sp": 7.0, "op": 0.0,
                   "op_unit": "%", "target": "AUTO", "actual": "OFF", "reason": "R1.ph is BAD"},
            "do": {"pv": 30.14, "pv_unit": "%", "quality": "GOOD", "sp": 30.0, "op": 45.2,
                   "op_unit": "%", "target": "OPTIMISER", "actual": "OPTIMISER", "reason": ""},
            "feed": {"pv": None, "pv_unit": "mL/h", "quality": "GOOD", "sp": 45.0, "op": 45.0,
                     "op_unit": "mL/h", "target": "AUTO", "actual": "AUTO", "reason": ""},
        },
        "tags": {},
        "interlocks": {"low_do": {"tripped": True, "text": "R1.do below 12 %: R1.feed = 0"}},
        "estimate": {"biomass_g_per_l": {"value": 32.14, "sd": 0.5}, "volume_l": {}},
        "optimiser": {"mode": "on", "state": "good", "plans": 5},
    }},
    "alarms": [
        alarm("R1-gas.device", subject="R1-gas", text="no reply", priority="high", first_out=True,
              count=3, who="ana", comment="unplugged", time=1.79e9 - 3000.0),
        alarm("R1.ph.quality", active=False, state="returned", time=1.79e9),
    ],
}  # fmt: skip


BAND = {"low": [1.0, 2.0], "middle": [2.0, 4.0], "high": [3.0, 6.0]}
COURSE: dict[str, Any] = {"bands": dict.fromkeys(advice.PICTURES, BAND), "limits": []}
LIMITED = {"limit": "oxygen transfer", "possible_h": 0.5, "expected_h": None}
EMPTY = {"limit": "feed tank", "possible_h": 2.5, "expected_h": 2.5}
AHEAD: dict[str, Any] = {
    "reactor": "R1",
    "hours": [0.0, 4.0],
    "wish": {"feed_percent": 120.0},
    "units": dict.fromkeys(advice.PICTURES, "g/L"),
    "present": COURSE,
    "changed": {**COURSE, "limits": [LIMITED, EMPTY]},
    "text": "product at the end 4 g",
}


class Plant(Untuned):
    """Obeys a setpoint of one loop and writes down what else it was asked."""

    def __init__(self) -> None:
        self.setpoint = 30.0
        self.asked: list[tuple[str, ...]] = []

    def _note(self, *words: str) -> str:
        self.asked.append(words)
        return " ".join(words)

    async def state_in_turns(self) -> dict[str, Any]:
        return STATE

    def looks(self) -> dict[str, Any]:
        return {"time": 1.79e9, "devices": {}}

    def set_mode(self, loop: str, mode: str, reason: str, who: str) -> str:
        return self._note("mode", loop, mode, reason, who)

    def set_setpoint(
        self, loop: str, value: float, reason: str, who: str, old: float | None = None
    ) -> str:
        if loop != "R1.do":
            raise LookupError(f"{loop}: no such loop; R1.do")
        if not 10 <= value <= 80:
            raise RangeError(f"R1.do: setpoint {value:g} is outside 10 to 80 %")
        old, self.setpoint = self.setpoint, value
        return f"R1.do setpoint: {old:g} → {value:g} %"

    def set_output(
        self, loop: str, value: float, reason: str, who: str, old: float | None = None
    ) -> str:
        raise ValueError(f"{loop}: its output is set in MANUAL, not in AUTO")

    def recipe(
        self,
        reactor: str,
        action: str,
        recipe_path: str,
        reason: str,
        who: str,
        parameters: Mapping[str, float] | None = None,
        phase: str = "",
    ) -> str:
        chosen = [f"{name}={value:g}" for name, value in (parameters or {}).items()]
        return self._note("recipe", reactor, action, recipe_path, reason, *chosen)

    def edit_recipe(
        self, reactor: str, recipe_path: str, parameters: Mapping[str, float], reason: str, who: str
    ) -> str:
        chosen = [f"{name}={value:g}" for name, value in parameters.items()]
        return self._note("edit", reactor, recipe_path, reason, *chosen)

    def recipes(self, reactor: str) -> list[dict[str, Any]]:
        return []

    def sample(self, reactor: str, entry: Entry, reason: str, who: str) -> str:
        return self._note(
            "sample",
            reactor,
            f"{entry.value:g} {entry.unit} {entry.analyte} {entry.t_sampled:.0f}",
            who,
        )

    def acknowledge(self, name: str, comment: str, who: str) -> str:
        return self._note("acknowledge", name, comment, who)

    def optimiser(self, reactor: str, mode: str, reason: str, who: str) -> str:
        return self._note("optimiser", reactor, mode, who)

    def promote(self, reactor: str, mode: str, reason: str, who: str, *, override: bool) -> str:
        return self._note("promote", reactor, mode, f"{override}", reason, who)

    def advise(
        self,
        reactor: str,
        action: str,
        number: int,
        feed: float | None,
        do: float | None,
        reason: str,
        who: str,
    ) -> str:
        return self._note("advice", reactor, action, f"{number} {feed} {do}", reason, who)

    async def what_if(self, reactor: str, wish: Wish) -> dict[str, Any]:
        self._note("what-if", reactor, f"{wish.feed_percent}")
        return AHEAD

    def bypass_interlock(self, name: str, minutes: float, reason: str, who: str) -> str:
        return self._note("bypass", name, f"{minutes:g}", reason, who)

    def end_bypass(self, name: str, reason: str, who: str) -> str:
        return self._note("end", name, reason, who)

    def reset_interlock(self, name: str, reason: str, who: str) -> str:
        return self._note("reset", name, reason, who)

    def safe_stop(self, reactor: str, reason: str, who: str) -> str:
        return self._note("safe stop", reactor, reason, who)

    def release(self, reactor: str, reason: str, who: str) -> str:
        return self._note("release", reactor, reason, who)

    def stop(self, reason: str, who: str) -> str:
        return self._note("stop", who)

    def user(self, name: str, what: str, old: str, new: str, reason: str, who: str) -> str:
        return self._note("user", name, what, old, new, who)

    def refused(self, subject: str, what: str, asked: Mapping[str, object], error: str) -> None:
        self._note("refused", subject, what, str(asked.get("who")), error)

    def events(self, after: int, limit: int) -> list[dict[str, object]]:
        return []


@contextmanager
def answering(plant: Plant, path: Path, file: Path | None = None) -> Generator[None]:
    """Serve ``plant`` from a thread with an event loop of its own."""
    up, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with CommandServer(plant, path, file):
            up.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert up.wait(20)
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder of our own, with our own registry."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("getpass.getuser", lambda: "ana")
    return tmp_path


@pytest.fixture
def plant(folder: Path) -> Generator[Plant]:
    """Run a controller in ``data``, where the commands look first."""
    plant = Plant()
    with answering(plant, folder / "data/control.sock"):
        yield plant


def test_set_prints_old_and_new(plant: Plant, capsys: pytest.CaptureFixture[str]) -> None:
    remote.setpoint(None, False, "R1.do", 35.0, "trial")
    assert capsys.readouterr().out == "R1.do setpoint: 30 → 35 %\n"
    remote.setpoint(None, True, "R1.do", 36.0, "trial")
    said = {"ok": True, "text": "R1.do setpoint: 35 → 36 %"}
    assert json.loads(capsys.readouterr().out) == said


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (
            lambda: remote.setpoint(None, False, "R1.do", 95.0, ""),
            "R1.do: setpoint 95 is outside 10 to 80 %",
        ),
        (lambda: remote.setpoint(None, False, "R1.d", 35.0, ""), "R1.d: no such loop; R1.do"),
        (
            lambda: remote.output(None, False, "R1.do", 35.0, ""),
            "R1.do: its output is set in MANUAL, not in AUTO",
        ),
    ],
)
def test_a_refusal_is_1_and_the_controllers_own_words(
    plant: Plant, command: Callable[[], None], says: str
) -> None:
    with pytest.raises(FailureError) as refused:
        command()
    assert (refused.value.lines, refused.value.code) == ([says], 1)


def test_every_command_arrives_with_who_and_why(plant: Plant, folder: Path) -> None:
    remote.mode(None, False, "R1.do", "MANUAL", "probe out")
    remote.recipe(None, False, "hold", "R1", None, {}, "sampling")
    remote.recipe(None, False, "start", "R1", Path("r.toml"), {"mu": 0.2}, "")
    remote.recipe(None, False, "edit", "R1", Path("r.toml"), {}, "acetate")
    remote.optimiser(None, False, "R1", "shadow", "")
    advice.promote(None, False, "R1", "on", True, "acceptance test", "")
    advice.decide(None, False, "R1", {"action": "edit", "feed": 22.0, "reason": "foam"}, "")
    remote.safe_stop(None, False, "", "smoke")
    remote.safe_stop(None, False, "R1", "")
    remote.release(None, False, "R1", "no smoke")
    remote.acknowledge(None, False, "R1.t.high", "valve opened")
    remote.stop(None, False)
    assert plant.asked == [
        ("mode", "R1.do", "MANUAL", "probe out", "ana"),
        ("recipe", "R1", "hold", "", "sampling"),
        ("recipe", "R1", "start", str(folder / "r.toml"), "", "mu=0.2"),
        ("edit", "R1", str(folder / "r.toml"), "acetate"),
        ("optimiser", "R1", "shadow", "ana"),
        ("promote", "R1", "on", "True", "acceptance test", "ana"),
        ("advice", "R1", "edit", "0 22.0 None", "foam", "ana"),
        ("safe stop", "", "smoke", "ana"),
        ("safe stop", "R1", "", "ana"),
        ("release", "R1", "no smoke", "ana"),
        ("acknowledge", "R1.t.high", "valve opened", "ana"),
        ("stop", "ana"),
    ]


def test_a_what_if_is_drawn_with_its_limits_and_what_it_comes_to(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    advice.what_if(None, False, "R1", {"feed_percent": 120.0})
    out = capsys.readouterr().out
    assert plant.asked == [("what-if", "R1", "120.0")]
    assert out.startswith("R1: feed_percent 120; the next 4.0 h\n")
    assert "product / g/L, 0 to 4.0 h: o present, * changed, : 90 %" in out
    assert "4 (2 … 6)" in out
    assert "changed: oxygen transfer may be exceeded from 0.5 h on" in out
    assert "changed: feed tank empty from 2.5 h on" in out
    assert out.endswith("product at the end 4 g\n")


def test_an_optimiser_tells_its_evidence_and_its_advice() -> None:
    suggestion = {"number": 7, "text": "suggestion 7: feed 18 → 24 mL/h"}
    shown = {
        "mode": "advisory",
        "granted": "advisory",
        "state": "good",
        "reason": "",
        "evidence": {
            "hours": {"shadow": 24.0, "advisory": 2.0, "on": 0.0},
            "plans": 300,
            "refused": 2,
            "fed_more_ml": 194.0,
            "forecasts": 46,
            "coverage": 0.9,
            "scores": {"biomass_g_per_l": {"count": 23, "inside": 22, "bias_percent": -0.5}},
            "lacking": {"advisory": [], "on": [{"text": "in advisory for 2.0 h of 12.0 h"}]},
        },
        "guardrail": {"share": 1.0, "reason": "", "region": None},
        "advice": {
            "open": suggestion,
            "accepted": None,
            "decisions": [{"number": 6, "decision": "rejected", "who": "bo", "reason": "foam"}],
        },
    }
    assert list(advice.lines(shown)) == [
        "mode advisory (promoted up to advisory), good",
        "evidence: shadow 24.0 h, advisory 2.0 h, on 0.0 h; 300 plans, 2 refused",
        "forecasts: 46, inside the 90 % interval 90 %; its plans would have fed +194 mL",
        "  biomass_g_per_l: 22 of 23 inside, bias -0.5 %",
        "lacking for advisory: nothing",
        "lacking for on: in advisory for 2.0 h of 12.0 h",
        "waits: suggestion 7: feed 18 → 24 mL/h",
        "  6: rejected by bo (foam)",
    ]


def test_a_result_is_entered_by_the_plants_clock_and_listed(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.fromtimestamp(float(STATE["time"])).astimezone()
    taken = (now - timedelta(minutes=40)).replace(second=0, microsecond=0)
    body: dict[str, object] = {"analyte": "acetate", "value": 1.2, "unit": "g/L"}
    sample.enter(None, False, "R1", body, taken.strftime("%H:%M"), "", "")
    assert plant.asked[-1] == (
        "sample",
        "R1",
        f"1.2 g/L acetate {taken.timestamp():.0f}",
        "ana",
    )
    capsys.readouterr()
    sample.show(None, False, "R1")
    assert "acetate      < 0.05 g/L  (ana, corrects 1)" in capsys.readouterr().out
    with pytest.raises(FailureError, match="R9: no such reactor; R1"):
        sample.show(None, False, "R9")


@pytest.mark.parametrize("text", ["25:00", "ten past two", "2026-13-01T00:00"])
def test_a_time_that_is_none_is_named(text: str) -> None:
    now = datetime(2026, 1, 1, 3, 0).astimezone()
    with pytest.raises(FailureError) as refused:
        sample.moment("--taken", text, now)
    assert refused.value.lines == [
        f"--taken: {text} is not allowed; 02:10, or 2026-01-31T02:10, is"
    ]


def test_a_time_of_day_is_the_last_one() -> None:
    now = datetime(2026, 1, 2, 3, 0).astimezone()
    assert sample.moment("--taken", "02:10", now) == now.timestamp() - 3000.0
    assert sample.moment("--taken", "3:10", now) == now.timestamp() - 23 * 3600.0 - 3000.0


def test_alarms_are_listed_as_they_stand_and_as_json(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    alarms.run(None, as_json=False)
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        "high      ACTIVE, to be acknowledged   50 min  R1-gas.device: FIRST OUT: no reply "
        "(began 3 times) (ana: unplugged)",
        "low       over, to be acknowledged        0 s  R1.ph.quality: no usable value",
    ]
    alarms.run(None, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert [a["id"] for a in found] == ["R1-gas.device", "R1.ph.quality"]


@pytest.mark.parametrize(("file", "values"), [(Path("r.toml"), {}), (None, {"mu": 0.2})])
def test_a_recipe_and_its_parameters_belong_to_start_and_edit(
    plant: Plant, file: Path | None, values: dict[str, float]
) -> None:
    with pytest.raises(FailureError, match="not allowed with hold; only with start and") as wrong:
        remote.recipe(None, False, "hold", "R1", file, values, "")
    assert wrong.value.code == 2


def test_nothing_runs_is_said_with_what_to_do(folder: Path) -> None:
    with pytest.raises(
        FailureError, match="no controller runs; start one with: fermloop run"
    ) as no:
        remote.status(None, False)
    assert no.value.code == 1
    (folder / "p.toml").write_text('site = "a"\n')
    with pytest.raises(FailureError, match="no controller runs this plant"):
        remote.status(Path("p.toml"), False)
    with pytest.raises(FailureError, match="a plant file is required"):
        remote.status(Path("q.toml"), False)


def test_the_only_one_is_found_from_anywhere_and_of_several_one_must_be_named(
    folder: Path,
) -> None:
    first, second = Plant(), Plant()
    with ExitStack() as stack:
        stack.enter_context(answering(first, folder / "a/control.sock", folder / "a.toml"))
        remote.stop(None, False)
        stack.enter_context(answering(second, folder / "b/control.sock", folder / "b.toml"))
        with pytest.raises(FailureError) as several:
            remote.stop(None, False)
        assert several.value.code == 2
        assert [line.split("  (")[0] for line in several.value.lines[1:]] == [
            f"  --plant {folder}/a.toml",
            f"  --plant {folder}/b.toml",
        ]
        remote.stop(Path("b.toml"), False)
    assert (len(first.asked), len(second.asked)) == (1, 1)


def test_status_in_json_is_the_state(plant: Plant, capsys: pytest.CaptureFixture[str]) -> None:
    remote.status(None, True)
    assert json.loads(capsys.readouterr().out) == STATE


def test_status_where_piped_is_lines_for_grep(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    remote.status(None, False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "site: demo pid 1234 simulated at 60x"
    assert "device R1-gas: SILENT no reply, simulated, without encryption" in lines
    assert "loop R1.do: pv=30.14 % sp=30 % op=45.2 % mode=OPTIMISER quality=GOOD" in lines
    assert (
        "loop R1.ph: pv=– sp=7 op=0 % mode=AUTO, now OFF quality=BAD reason=R1.ph is BAD" in lines
    )
    assert "interlock R1.low_do: TRIPPED R1.do below 12 %: R1.feed = 0" in lines
    assert "estimate R1.biomass: 32.14 ± 0.5 g/L" in lines
    assert "alarm R1-gas: no reply" in lines
    assert not any("was" in line for line in lines)


def test_the_status_line_says_what_the_demo_promises() -> None:
    assert live.line(STATE, "R1") == (
        "R1  12.35 h | feed | pH – | DO 30.1 % | T 37.01 °C | feed 45.0 mL/h | "
        "biomass 32.1 g/L | optimiser on (good) | SILENT: R1-gas | 1 alarm"
    )


def test_the_tables_can_be_drawn() -> None:
    out = Console(width=140, file=None, record=True)
    with out.capture() as drawn:
        out.print(live.tables(STATE))
    assert "SIMULATED at 60x" in drawn.get()
    assert "AUTO, now OFF" in drawn.get()


def test_what_devices_warn_of_is_in_the_line_and_in_the_status() -> None:
    devices = {**STATE["devices"]}
    devices["R1-io"] = {**devices["R1-io"], "warnings": ["certificate ends in 12 days"]}
    lines = list(live.plain({**STATE, "devices": devices}))
    assert "warning R1-io: certificate ends in 12 days" in lines
    (line,) = [line for line in lines if line.startswith("R1 ")]
    assert "| 1 warning | 1 alarm" in line


def test_what_stands_in_brackets_is_shown_in_the_tables_too() -> None:
    devices = {**STATE["devices"]}
    devices["R1-gas"] = {**devices["R1-gas"], "error": "[Errno 113] no route", "answering": False}
    out = Console(width=200)
    with out.capture() as drawn:
        out.print(live.tables({**STATE, "devices": devices}))
    assert "SILENT [Errno 113] no route" in drawn.get()


def test_an_interlock_is_bypassed_ended_reset_and_listed(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    interlock.bypass(None, False, "R1.low_do", 1800.0, "probe", "")
    interlock.tell(None, False, "R1.low_do", "end", "", "")
    interlock.tell(None, False, "R1.low_do", "reset", "looked", "")
    assert plant.asked == [
        ("bypass", "R1.low_do", "30", "probe", "ana"),
        ("end", "R1.low_do", "", "ana"),
        ("reset", "R1.low_do", "looked", "ana"),
    ]
    capsys.readouterr()
    interlock.show(None, False)
    assert capsys.readouterr().out == "R1.low_do: TRIPPED: R1.do below 12 %: R1.feed = 0\n"
    interlock.show(None, True)
    assert json.loads(capsys.readouterr().out)["R1.low_do"]["tripped"] is True


def test_a_bypass_stays_on_screen() -> None:
    bypass = {"left_min": 29.7, "who": "li", "reason": "probe"}
    lock = {"tripped": True, "order": 1, "latched": True, "text": "so", "bypass": bypass}
    state = {**STATE, "reactors": {"R1": {**STATE["reactors"]["R1"], "interlocks": {"a": lock}}}}
    assert "| BYPASSED: a |" in live.line(state, "R1")
    said = "TRIPPED first, latched, BYPASSED 30 min more by li (probe)"
    assert f"interlock R1.a: {said} so" in list(live.plain(state))
    assert live.standing({"bypass": bypass}) == "BYPASSED 30 min more by li (probe)"
    assert live.standing({}) == "ready"
    out = Console(width=140)
    with out.capture() as drawn:
        out.print(live.tables(state))
    assert f"interlock a: {said}: so" in drawn.get()


def test_what_a_batch_asks_is_in_the_status() -> None:
    reactor: Any = STATE["reactors"]["R1"]
    asking = {**reactor, "batch": {**reactor["batch"], "question": "is the seed in?"}}
    state = {**STATE, "reactors": {"R1": asking}}
    assert "question R1: is the seed in?" in list(live.plain(state))
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(live.tables(state))
    assert "(fermloop recipe confirm R1): is the seed in?" in console.export_text()
