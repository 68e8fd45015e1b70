"""What a person types, what they get back, and with which exit code."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.clock import monotonic
from fermloop.cli import main

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "sim/plants/ecoli_5l.toml"
RECIPE = ROOT / "sim/recipes/ecoli.toml"
COMMANDS = [
    "demo", "simulate", "run", "batch", "campaign", "check", "probe", "profiles", "browse",
    "status", "mode", "set", "output", "recipe", "optimiser", "whatif", "stop",
]  # fmt: skip

PLAN_KEYS = {"driver", "address", "unit_id", "how", "tags", "requests", "count", "unused"}
REQUEST_KEYS = {"code", "table", "start", "number", "count", "unused", "tags"}


class Typed:
    """Types a command line and keeps what came back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.out = ""
        self.err = ""

    def __call__(self, *words: str | Path) -> int:
        self._monkeypatch.setattr(sys, "argv", ["fermloop", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        self.out, self.err = self._capsys.readouterr()
        return int(ended.value.code or 0)


@pytest.fixture
def fermloop(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(monkeypatch, capsys)


def test_help_lists_every_command(fermloop: Typed) -> None:
    assert fermloop("--help") == 0
    assert all(f" {command} " in fermloop.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(fermloop: Typed, command: str) -> None:
    assert fermloop(command, "--help") == 0
    assert f"fermloop {command}" in fermloop.out
    assert len(fermloop.out.splitlines()) > 5


def test_help_is_there_at_once() -> None:
    """Loading the program for its help takes no numerics, no web and no wire."""
    asked = "import sys; sys.argv = ['fermloop', '--help']\nimport fermloop.cli\ntry:\n"
    asked += (
        " fermloop.cli.main()\nexcept SystemExit:\n print(sorted(sys.modules), file=sys.stderr)"
    )
    began = monotonic()
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert monotonic() - began < 5.0  # 0.2 s where nothing else runs
    heavy = {"numpy", "casadi", "asyncua", "pymodbus", "starlette", "httpx", "pydantic", "scipy"}
    assert not heavy & set(done.stderr.replace("'", "").strip("[]\n").split(", "))


def test_version(fermloop: Typed) -> None:
    assert fermloop("--version") == 0
    assert fermloop.out.startswith("fermloop ")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("statsu",), "Did you mean 'status'?"),
        (("demo", "--sped", "60"), "--speed"),
        (("demo", "--speed", "0"), "a number from 1 to 1000, or"),
        (("demo", "--speed", "fast"), "a number from 1 to 1000, or"),
        (("demo", "--hours", "-1"), "--hours"),
        (("demo", "--optimiser", "maybe"), "'off', 'shadow', 'advisory', 'on'"),
        (("mode", "R1.do", "SOMEHOW"), "SOMEHOW is not allowed; one of OFF, MANUAL, AUTO"),
        (("set", "R1.do", "much"), "much is not allowed; a number such as 35"),
        (("set", "R1.do", "nan"), "nan is not allowed"),
        (("set", "R1/do", "3"), "a name as in the plant file"),
        (("recipe", "pause", "R1"), "'start', 'hold', 'resume', 'abort'"),
        (("batch", "plant.toml"), "--recipe"),
        (("run",), "PLANT.toml"),
        (("campaign", "p.toml", "--recipe", "r.toml", "--report", "out"), "--seeds"),
        (
            ("campaign", "p.toml", "--recipe", "r.toml", "--report", "out", "--seeds", "3:3"),
            "--seeds: 3:3 has no seed in it; A:B (from A up to but not B)",
        ),
        (("probe", "plant.toml", "--every", "0"), "--every"),
    ],
)
def test_bad_usage_ends_with_2_and_says_what_is_allowed(
    fermloop: Typed, words: tuple[str, ...], says: str
) -> None:
    assert fermloop(*words) == 2
    # typer folds long errors into a box
    assert says in " ".join(fermloop.err.replace("│", " ").split())
    assert "Traceback" not in fermloop.err


def test_check_says_what_the_files_hold(fermloop: Typed) -> None:
    assert fermloop("check", PLANT, RECIPE) == 0
    lines = dict(line.split(": ", 1) for line in fermloop.out.splitlines())
    assert lines["site"] == "demo"
    assert lines["tags"] == "21"
    assert lines["phases"] == "batch, feed, induce, harvest"
    assert "R1-io (modbus_tcp at 127.0.0.1:5020)" in lines["devices"]
    shares = r"\d+: 7\d % low, 1\d % medium, \d % high and critical"
    assert re.fullmatch(shares, lines["alarms"])


def test_check_says_where_the_priorities_of_alarms_are_far_from_the_guideline(
    fermloop: Typed, tmp_path: Path
) -> None:
    text = PLANT.read_text(encoding="utf-8")
    loud = re.sub(
        r"(\[reactor\.R1\.interlock\.\w+\][^\n]*\n)(?:priority[^\n]*\n)?",
        r'\1priority = "high"\n',
        text,
    )
    (tmp_path / "plant.toml").write_text(loud, encoding="utf-8")
    assert fermloop("check", tmp_path / "plant.toml") == 0
    assert "high and critical; about 80, 15 and 5 % let a person see" in fermloop.out


def test_check_answers_in_json(fermloop: Typed) -> None:
    assert fermloop("check", PLANT, "--json") == 0
    assert json.loads(fermloop.out)["R1 loops"][:3] == ["temperature", "ph", "do"]


def test_check_reads_what_the_simulation_names(fermloop: Typed, tmp_path: Path) -> None:
    plant, night = tmp_path / "plant.toml", tmp_path / "night.toml"
    text = PLANT.read_text(encoding="utf-8")
    own = '[simulation.R1]\nfaults = "night.toml"\n'
    plant.write_text(text.replace("[simulation.R1]\n", own), encoding="utf-8")
    night.write_text('fault = [{ at_h = 1.0, fault = "do.stuck", for = "10min" }]')
    assert fermloop("check", plant) == 0

    night.write_text("""
fault = [
  { at_h = 1.0, fault = "do.stuk" },
  { at_h = 1.0, fault = "do.drift", for = "soon" },
  { at_h = 1.0, fault = "feed.worn", size = 300.0 },
]
random = [{ rate_per_100h = 1.0, kinds = ["R9.cut"] }]
""")
    assert fermloop("check", plant) == 2
    at = "plant.toml: simulation.R1.faults: night.toml: "
    lines = fermloop.err.splitlines()
    assert all(line.startswith(at) for line in lines)
    stuk, soon, worn, cut = (line.removeprefix(at) for line in lines)
    assert stuk.startswith("fault.0: do.stuk: stuk is no fault of do; stuck, drift, ")
    assert soon.startswith("fault.1: soon is not allowed; a duration such as 90s")
    assert worn.startswith("fault.2: feed.worn: size 300 is not allowed; -50 to 90 (flow lost, %)")
    assert cut.startswith("random.0.kinds: R9.cut: R9 is no target; ")

    night.write_text("[[fault]]\nat_h = -1.0\nfault = 3\nat = 2\n")
    assert fermloop("check", plant) == 2
    keys = ["fault.0.at_h", "fault.0.fault", "fault.0.at"]
    assert [line.removeprefix(at).split(":")[0] for line in fermloop.err.splitlines()] == keys

    night.unlink()
    text = text.replace("[simulation.R1]\n", own).replace("volume_l = 3.0", "volume_l = 6000.0")
    text += '\n[simulation.R1.laboratory]\nassays = ["od", "paa", "smell"]\n'
    plant.write_text(text, encoding="utf-8")
    assert fermloop("check", plant) == 2
    named = "plant.toml: simulation.R1."
    broth = "no assay for this broth; there are od, dry_weight, glucose, nitrogen, acetate, product"
    assert fermloop.err.splitlines() == [
        f"{named}faults: night.toml: no such file beside the plant file",
        f"{named}volume_l: 6000 is not allowed; a vessel of 5l holds 6.6 L at most",
        f"{named}laboratory.assays: paa: {broth}",
        f"{named}laboratory.assays: smell: {broth}",
    ]


def test_check_shows_which_profile_a_device_uses(fermloop: Typed, tmp_path: Path) -> None:
    real, _, _ = PLANT.read_text(encoding="utf-8").partition("[simulation.R1]")
    text = real + (
        '\n[device.R1-co2]\ndriver = "modbus_tcp"\naddress = "10.0.0.1:502"\n'
        'profile = "vaisala_gmp25x"\n'
        'tags = [{ name = "R1.co2", signal = "co2", low = 0, high = 20 }]\n'
    )
    (tmp_path / "plant.toml").write_text(text, encoding="utf-8")
    assert fermloop("check", tmp_path / "plant.toml") == 0
    assert "R1-co2 (modbus_tcp at 10.0.0.1:502, profile vaisala_gmp25x)" in fermloop.out


def test_profiles_are_listed_each_in_a_line(fermloop: Typed) -> None:
    assert fermloop("profiles") == 0
    lines = dict(line.split(": ", 1) for line in fermloop.out.splitlines())
    assert lines["vaisala_gmp25x"].startswith("CO2 in gas, infrared; Vaisala Oyj CARBOCAP GMP251")
    assert lines["vaisala_gmp25x"].endswith("signals co2, status, pressure, oxygen")
    assert fermloop("profiles", "--json") == 0
    listed = json.loads(fermloop.out)
    assert [p["name"] for p in listed] == list(lines)
    assert all(p["profile"]["source"][0]["revision"] for p in listed)


def test_a_profile_is_shown_with_its_source_and_lines_to_paste(fermloop: Typed) -> None:
    assert fermloop("profiles", "omron_e5_c") == 0
    shown = fermloop.out
    assert "source (maker): E5_C Digital Temperature Controllers Communications Manual" in shown
    assert "not on a real controller" in shown
    assert '{ name = "R1.heating", signal = "heating" },' in shown
    assert fermloop("profiles", "omron_e5_c", "--json") == 0
    assert json.loads(fermloop.out)["signal"]["heating"]["scale"] == 0.1
    assert fermloop("profiles", "omron") == 2
    assert fermloop.err.startswith("omron is not allowed; omron_e5_c, ")


def test_check_shows_what_each_device_is_asked(fermloop: Typed) -> None:
    assert fermloop("check", PLANT, "--plan") == 0
    lines = fermloop.out.splitlines()
    assert lines[0] == "device R1-io: modbus_tcp at 127.0.0.1:5020, unit 1"
    assert (
        "request R1-io: FC4 input start=0 number=1 count=8 unused=0 "
        "tags=R1.temperature, R1.jacket_temperature, R1.ph, R1.do, R1.agitation, armed"
    ) in lines
    assert "sum R1-io: 2 requests a scan, 22 registers or bits, 1 of them unused, 13 tags" in lines
    assert lines[-1] == "sum R1-gas: one batched read, 8 nodes"


def test_the_plan_keeps_to_what_a_device_can_do_and_says_how_nodes_come(
    fermloop: Typed, tmp_path: Path
) -> None:
    text = PLANT.read_text()
    few = text.replace("unit_id = 1\n", "unit_id = 1\nread = { max_registers = 6, max_gap = 0 }\n")
    few = few.replace("insecure = true ", "subscribe = { interval_s = 0.25 }\ninsecure = true ")
    plant = tmp_path / "plant.toml"
    plant.write_text(few)
    assert fermloop("check", plant, "--plan", "--json") == 0
    plan = json.loads(fermloop.out)["plan"]
    io, gas = plan["R1-io"], plan["R1-gas"]
    assert set(io) == set(gas) == PLAN_KEYS
    assert all(set(request) == REQUEST_KEYS for request in io["requests"])
    assert all(request["count"] <= 6 for request in io["requests"])
    assert all(request["number"] == request["start"] + 1 for request in io["requests"])
    assert io["unused"] == 0
    assert io["count"] == sum(request["count"] for request in io["requests"]) == 21
    named = [tag for request in io["requests"] for tag in request["tags"]]
    assert len(set(named)) == len(named) == 14  # 13 tags and whether the watchdog is armed
    assert (gas["how"], gas["tags"]) == ("subscription, every 0.25 s", 8)
    room = (ROOT / "fermloop/README.md").read_text()
    assert [key for key in PLAN_KEYS | REQUEST_KEYS if f"`{key}`" not in room] == []


def test_check_names_every_mistake_in_a_line_of_its_own(fermloop: Typed, tmp_path: Path) -> None:
    plant = tmp_path / "plant.toml"
    text = PLANT.read_text().replace("scan_s = 1.0", "scan_s = -3", 1)
    text = text.replace("[reactor.R1.loop.ph]\n", "[reactor.R1.loop.ph]\nti = 3\n")
    plant.write_text(text)
    assert fermloop("check", plant) == 2
    assert fermloop.out == ""
    lines = fermloop.err.splitlines()
    assert len(lines) == 2
    assert any(line.startswith("plant.toml: scan_s: -3 is not allowed; ") for line in lines)
    assert any(line.startswith("plant.toml: reactor.R1.loop.ph.ti: no such key") for line in lines)


def test_check_names_a_file_that_is_not_there(fermloop: Typed, tmp_path: Path) -> None:
    assert fermloop("check", tmp_path / "no.toml") == 2
    assert "no.toml: No such file or directory; a TOML file is required" in fermloop.err


def test_a_wrong_recipe_is_refused_by_run_and_batch_too(fermloop: Typed, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.read_text().replace("max_h", "max_hours"))
    for words in (
        ("check", PLANT, recipe),
        ("run", PLANT, "--recipe", recipe),
        ("batch", PLANT, "--recipe", recipe),
    ):
        assert fermloop(*words) == 2
        assert "recipe.toml: " in fermloop.err
        assert "max_hours" in fermloop.err


def test_importing_fermloop_costs_nothing() -> None:
    asked = "import sys, fermloop; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(done.stdout.split())
    assert not {"casadi", "asyncua", "pydantic", "numpy", "typer"} & loaded


def test_every_public_name_is_there_and_no_other() -> None:
    import fermloop

    assert all(getattr(fermloop, name) is not None for name in fermloop.__all__)
    assert dir(fermloop) == sorted(fermloop.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Tagg'"):
        _ = fermloop.Tagg  # pyright: ignore[reportAttributeAccessIssue]
