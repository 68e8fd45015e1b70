"""The plant file: every mistake is found before a device is touched, and named in one line."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.plant import load_plant
from controller.plant_file.config import ConfigError
from controller.plant_file.settings import InfluxSettings, influx_token

PLANT = Path("sim/plants/ecoli_5l.toml")


@pytest.fixture
def mutant(tmp_path: Path) -> Callable[..., list[str]]:
    """Return a function that changes the plant file and gives the lines it is refused with."""

    def lines(old: str, new: str, count: int = 1) -> list[str]:
        text = PLANT.read_text(encoding="utf-8")
        assert old in text
        path = tmp_path / "plant.toml"
        path.write_text(text.replace(old, new, count), encoding="utf-8")
        with pytest.raises(ConfigError) as refused:
            load_plant(path)
        assert all("\n" not in line for line in refused.value.lines)
        return refused.value.lines

    return lines


def test_the_demo_plant_is_accepted() -> None:
    plant = load_plant(PLANT)
    assert plant.tags["R1.stirrer"].safe == 300
    assert plant.device_of["R1.weight"] == "R1-gas"


def test_the_simulation_table_is_never_read(tmp_path: Path) -> None:
    path = tmp_path / "plant.toml"
    path.write_text(PLANT.read_text(encoding="utf-8") + '\n[simulation.R9]\nnonsense = "x"\n')
    load_plant(path)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "ti_s = 400.0",
            "ti = 400.0",
            "plant.toml: reactor.R1.loop.temperature.ti: no such key; measured, outputs,",
        ),
        (
            "ti_s = 400.0",
            "",
            "plant.toml: reactor.R1.loop.temperature.ti_s: missing; ti_s (s, > 0) is required",
        ),
        (
            "kp = 30.0",
            "kp = -3",
            "plant.toml: reactor.R1.loop.temperature.kp: -3 is not allowed; "
            "kp (% of output per measured unit, > 0)",
        ),
        (
            "scan_s = 1.0",
            "scan_s = 0",
            "plant.toml: scan_s: 0 is not allowed; scan_s (s, >= 0.1, <= 10)",
        ),
        (
            'site = "demo"',
            "",
            "plant.toml: site: missing; site is required",
        ),
        (
            'unit = "Cel",     low = 0,   high = 150,  input = 0,',
            'unit = "C",     low = 0,   high = 150,  input = 0,',
            "plant.toml: device.R1-io.tags.0 (R1.temperature).unit: C is not allowed; one of Cel,",
        ),
        (
            'unit = "[pH]",    low = 0,',
            'unit = "%",    low = 0,',
            "plant.toml: reactor.R1.measured.ph: R1.ph in % is not allowed; [pH]",
        ),
        (
            "low = 0,   high = 150,  input = 0,",
            "low = 200,   high = 150,  input = 0,",
            "plant.toml: device.R1-io.tags.0 (R1.temperature): R1.temperature: low 200 must be",
        ),
        (
            "input = 4,    type",
            "input = 3,    type",
            "plant.toml: device.R1-io.tags.3 (R1.do).input: 3 is not allowed; R1.ph lives there",
        ),
        (
            "holding = 12,",
            "holding = 14,",
            "plant.toml: device.R1-io.tags.12 (R1.inducer).holding: 14 is not allowed; "
            "the watchdog lives there",
        ),
        (
            'measured = "R1.temperature"\noutputs',
            'measured = "R1.temprature"\noutputs',
            "plant.toml: reactor.R1.loop.temperature.measured: R1.temprature is not allowed; "
            "a known tag of R1: R1.acid,",
        ),
        (
            'outputs = [{ actuator = "R1.stirrer" }]',
            'outputs = [{ actuator = "R1.air" }]',
            "plant.toml: reactor.R1.loop.air.outputs.0.actuator: R1.air is not allowed; "
            "reactor.R1.loop.agitation drives it",
        ),
        (
            "setpoint = 37.0",
            "setpoint = 99.0",
            "plant.toml: reactor.R1.loop.temperature.setpoint: 99 is not allowed; 20 to 42",
        ),
        (
            'address = "127.0.0.1:5020"',
            'address = "127.0.0.1"',
            "plant.toml: device.R1-io.address: 127.0.0.1 is not allowed; HOST:PORT",
        ),
        (
            "insecure = true ",
            "insecure = false ",
            "plant.toml: device.R1-gas.security: either security",
        ),
        (
            'driver = "modbus_tcp"',
            'driver = "modbus"',
            "plant.toml: device.R1-io.driver: modbus is not allowed; one of modbus_tcp",
        ),
        (
            "high = 150,  input = 0,    type",
            "high = 350,  input = 0,    type",
            "plant.toml: device.R1-io.tags.0 (R1.temperature): 0 to 350 Cel does not fit int16",
        ),
        (
            '"R1.feed" = { max_l_per_h = 0.16 }',
            '"R1.air" = { max_l_per_h = 0.16 }',
            "plant.toml: reactor.R1.dose.R1.air: L/min is no liquid flow;",
        ),
        (
            'force = { "R1.heater" = 0 }',
            'force = { "R1.heater" = 200 }',
            "plant.toml: reactor.R1.interlock.high_temperature.force.R1.heater: 200 is not",
        ),
        (
            'force = { "R1.heater" = 0 }',
            'at_least = { "R1.heater" = 200 }',
            "plant.toml: reactor.R1.interlock.high_temperature.at_least.R1.heater: 200 is not",
        ),
        (
            'force = { "R1.heater" = 0 }',
            'no_start = ["R1.ph"]',
            "plant.toml: reactor.R1.interlock.high_temperature.no_start: R1.ph is not allowed; "
            "a known actuator of R1: R1.acid,",
        ),
        (
            'force = { "R1.heater" = 0 }',
            "",
            "plant.toml: reactor.R1.interlock.high_temperature: one of force, at_most, at_least",
        ),
        (
            'measured = "R1.temperature"\nabove = 40.0',
            "above = 40.0",
            "plant.toml: reactor.R1.interlock.high_temperature: one of measured, any and all is",
        ),
        (
            'measured = "R1.temperature"\nabove = 40.0',
            'any = [{ measured = "R1.temperature", above = 40.0 }]\nabove = 3.0',
            "plant.toml: reactor.R1.interlock.high_temperature: above and below belong into each",
        ),
        (
            'measured = "R1.temperature"\nabove = 40.0',
            'all = [{ measured = "R1.temperature" }]',
            "plant.toml: reactor.R1.interlock.high_temperature: missing; above or below",
        ),
        (
            "below = 6.0\nabove = 8.0",
            "below = 8.0\nabove = 6.0",
            "plant.toml: reactor.R1.interlock.ph_window.below: 8 is not allowed; less than above",
        ),
        (
            "below = 6.0\nabove = 8.0",
            "below = 6.0\nabove = 8.0\nbypass_max_min = 481",
            "plant.toml: reactor.R1.interlock.ph_window.bypass_max_min: 481 is not allowed; 0 to",
        ),
        (
            'holding = 4,  type = "float32", safe = 0',
            'holding = 4,  type = "float32", safe = 1',
            "plant.toml: R1.acid.safe: 1 is not allowed; 0: reactor.R1.loop.ph doses",
        ),
        (
            'holding = 1,  type = "uint16",  scale = 0.01, safe = 0',
            'holding = 1,  type = "uint16",  scale = 0.01, safe = 5',
            "plant.toml: R1.heater.safe: 5 is not allowed; 0: reactor.R1.loop.temperature heats",
        ),
        (
            's=R1.oxygen", safe = 0',
            's=R1.oxygen", safe = 1',
            "plant.toml: R1.oxygen.safe: 1 is not allowed; 0: reactor.R1.loop.oxygen gives oxygen",
        ),
        (
            "scale = 1,    safe = 300",
            "scale = 1,    safe = 0",
            "plant.toml: R1.stirrer.safe: 0 is not allowed; air and agitation hold a minimum",
        ),
        (
            's=R1.air",    safe = 1',
            's=R1.air",    safe = 0',
            "plant.toml: R1.air.safe: 0 is not allowed; air and agitation hold a minimum",
        ),
        (
            'force = { "R1.heater" = 0 }',
            'at_least = { "R1.base" = 1 }',
            "plant.toml: reactor.R1.interlock.high_temperature.at_least.R1.base: 1 is not allowed;",
        ),
        (
            "volume_max_l = 4.5",
            'exclusive = [["R1.heater", "R1.heater"]]\nvolume_max_l = 4.5',
            "plant.toml: reactor.R1.exclusive.0: R1.heater, R1.heater; two or more different",
        ),
        (
            "volume_max_l = 4.5",
            'exclusive = [["R1.stirrer", "R1.air"]]\nvolume_max_l = 4.5',
            "plant.toml: reactor.R1.exclusive.0: R1.stirrer and R1.air are open at their safe",
        ),
        (
            "scale = 1,    safe = 300",
            'scale = 1,    safe = 300, remote = "R1.stirrer_remote"',
            "plant.toml: R1.stirrer.remote: R1.stirrer_remote is not allowed; a measurement of",
        ),
        (
            "scale = 1,    safe = 300",
            'scale = 1,    safe = 300, remote = "R1.do"',
            "plant.toml: R1.stirrer.remote: R1.do from -5 to 200 is not allowed; low = 0 (local)",
        ),
        (
            "volume_share = 0.94",
            "volume_share = nan",
            "plant.toml: reactor.R1.economy.volume_share: nan is not allowed;",
        ),
        *(
            (
                "[reactor.R1.optimiser]",
                f"[reactor.R1.optimiser]\n{key} = 25.0",
                f"plant.toml: reactor.R1.optimiser.{key}: no such key; ",
            )
            for key in ("acetate_max_g_per_l", "do_min", "do_max")
        ),
        (
            "stages = 16",
            "stages = 16\nleads = true",
            "plant.toml: reactor.R1.economy.leads: no such key; ",
        ),
        (
            "feed = { per_h = 80.0 }",
            "",
            "plant.toml: reactor.R1.economy.move: feed is missing; the loop of the main feed",
        ),
        *(
            (
                f'{key} = "{own}"\n{after}',
                f'{key} = "{other}"\n{after}',
                f"plant.toml: reactor.R1.economy.{key}: {other} is not allowed; {own}, "
                "as in reactor.R1.model",
            )
            for key, own, other, after in (
                ("organism", "ecoli", "yeast", 'vessel = "5l"\nvolume_share'),
                ("vessel", "5l", "300l", "volume_share"),
            )
        ),
    ],
)
def test_a_mistake_is_named_with_file_key_value_and_what_was_allowed(
    mutant: Callable[..., list[str]], old: str, new: str, line: str
) -> None:
    assert any(said.startswith(line) for said in mutant(old, new)), mutant(old, new)


def test_an_optimiser_without_an_economy_is_refused(mutant: Callable[..., list[str]]) -> None:
    text = PLANT.read_text(encoding="utf-8")
    start, end = text.index("[reactor.R1.economy]"), text.index("[reactor.R1.report]")
    line = (
        "plant.toml: reactor.R1.economy: missing; an optimiser needs it: organism, vessel, a table"
    )
    lines = mutant(text[start:end], "")
    assert [said.startswith(line) for said in lines] == [True], lines


def test_all_mistakes_are_named_at_once(mutant: Callable[..., list[str]]) -> None:
    lines = mutant("0.5\nwatchdog", '-1\nwatchdogg = 1\nunit = "x"\nwatchdog')
    assert len(lines) == 3


def test_a_file_that_is_not_there_or_no_toml_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_plant(tmp_path / "nowhere.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("site = ")
    with pytest.raises(ConfigError, match=r"broken\.toml: not valid TOML"):
        load_plant(broken)


def test_influx_needs_its_keys_and_a_secret_that_is_not_empty(
    mutant: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = mutant("enabled = false", "enabled = true")
    assert lines == ["plant.toml: influx: url is required when enabled = true"]
    token = tmp_path / "token"
    token.write_text("  \n")
    where = InfluxSettings(
        enabled=True, url="http://h:1", org="o", bucket="b", token_file=str(token)
    )
    with pytest.raises(ConfigError, match="the token is empty; a secret is required"):
        influx_token(where)
    token.write_text("secret\n")
    assert influx_token(where) == "secret"
    monkeypatch.setenv("FERMLOOP_TEST_TOKEN", "")
    other = where.model_copy(update={"token_file": None, "token_env": "FERMLOOP_TEST_TOKEN"})
    with pytest.raises(ConfigError, match="FERMLOOP_TEST_TOKEN"):
        influx_token(other)


def test_a_mistake_found_by_another_process_reads_the_same() -> None:
    error = ConfigError(["plant.toml: scan_s: 0 is not allowed", "plant.toml: no reactor"])
    again = pickle.loads(pickle.dumps(error))
    assert (again.lines, str(again)) == (error.lines, str(error))
