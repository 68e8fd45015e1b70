"""Profiles in plant files: found, merged, overridden; each mistake named where it was made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.plant import load_plant
from controller.plant_file.config import ConfigError
from controller.plant_file.device_settings import DeviceSettings, TagSettings
from controller.profiles.profiles import known, load_profile

OWN = """
[profile]
name = "pump"
maker = "Acme"
model = "P1"
tested = "in tests only"
source = [{ title = "manual", revision = "1", where = "here", says = "registers" }]

[device]
unit_id = 7
timeout_s = 0.25
serial = { baudrate = 9600, parity = "N" }
[device.modbus_tcp]
unit_id = 0

[signal.flow]
about = "flow now"
unit = "mL/min"
low = 0
high = 5
input = 4
type = "float32"
words = "little"
max_age_s = 3

[signal.rate]
about = "wanted flow"
unit = "mL/min"
low = 0
high = 5
holding = 2
type = "uint16"
scale = 0.01
writable = true

[signal.gauge]
about = "pressure of a gauge that somebody chose"
holding = 9
type = "uint16"
needs = { unit = "as on the gauge", low = "in unit", high = "in unit", scale = "its decimals" }
"""
PLANT = """
site = "test"
[reactor.R1]
volume_max_l = 1.0
[reactor.R1.loop.pump]
outputs = [{ actuator = "R1.pump" }]
setpoint = 1
setpoint_low = 0
setpoint_high = 5
[device.R1-pump]
driver = "modbus_tcp"
address = "10.0.0.1:502"
profile = "./pump.toml"
tags = [
  { name = "R1.pump", signal = "rate", safe = 0 },
  { name = "R1.flow", signal = "flow" },
]
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., DeviceSettings]:
    """Return a function that loads the plant with texts replaced and gives its one device."""

    def loaded(old: str = "", new: str = "", *, own: tuple[str, str] = ("", "")) -> DeviceSettings:
        assert old in PLANT
        assert own[0] in OWN
        (tmp_path / "pump.toml").write_text(OWN.replace(*own, 1), encoding="utf-8")
        path = tmp_path / "plant.toml"
        path.write_text(PLANT.replace(old, new, 1), encoding="utf-8")
        return load_plant(path).settings.device["R1-pump"]

    return loaded


def tag(device: DeviceSettings, name: str) -> TagSettings:
    return next(t for t in device.tags if t.name == name)


def test_a_signal_brings_place_coding_unit_and_range(load: Callable[..., DeviceSettings]) -> None:
    flow = tag(load(), "R1.flow")
    assert (flow.places, flow.type, flow.words) == ([("input", 4)], "float32", "little")
    assert (flow.unit, flow.low, flow.high, flow.max_age_s) == ("mL/min", 0, 5, 3)
    assert flow.signal == "flow"


def test_only_the_plant_makes_an_actuator(load: Callable[..., DeviceSettings]) -> None:
    pump = tag(load(), "R1.pump")
    assert (pump.safe, pump.places, pump.scale) == (0, [("holding", 2)], 0.01)


def test_what_the_plant_says_goes_before_the_profile(load: Callable[..., DeviceSettings]) -> None:
    flow = tag(load('signal = "flow"', 'signal = "flow", high = 2, words = "big"'), "R1.flow")
    assert (flow.high, flow.words, flow.type) == (2, "big", "float32")


@pytest.mark.parametrize("place", ["holding = 5", "input_number = 6", "holding_number = 6"])
def test_a_place_of_the_plant_drops_the_profiles(
    load: Callable[..., DeviceSettings], place: str
) -> None:
    flow = tag(load('signal = "flow"', f'signal = "flow", {place}'), "R1.flow")
    assert flow.places == [("input" if "input" in place else "holding", 5)]
    assert flow.type == "float32"


def test_a_tag_without_a_signal_stands_for_itself(load: Callable[..., DeviceSettings]) -> None:
    whole = 'unit = "%", low = 0, high = 100, holding = 90, type = "uint16"'
    assert tag(load('signal = "flow"', whole), "R1.flow").signal is None


def test_the_device_gets_what_goes_with_its_driver(load: Callable[..., DeviceSettings]) -> None:
    tcp = load()
    assert (tcp.unit_id, tcp.timeout_s, tcp.serial) == (0, 0.25, None)
    rtu = load('"modbus_tcp"\naddress = "10.0.0.1:502"', '"modbus_rtu"\naddress = "/dev/ttyS0"')
    assert rtu.serial is not None
    assert (rtu.unit_id, rtu.serial.baudrate, rtu.serial.parity) == (7, 9600, "N")


def test_a_table_of_the_device_is_merged_key_by_key(load: Callable[..., DeviceSettings]) -> None:
    line = '"modbus_rtu"\nunit_id = 3\nserial = { baudrate = 38400 }\naddress = "/dev/ttyS0"'
    rtu = load('"modbus_tcp"\naddress = "10.0.0.1:502"', line)
    assert rtu.serial is not None
    assert (rtu.unit_id, rtu.serial.baudrate, rtu.serial.parity) == (3, 38400, "N")


MISTAKES = [
    (
        '"./pump.toml"',
        '"bronkhorst_flow"',
        "plant.toml: device.R1-pump.profile: bronkhorst_flow is not allowed; bronkhorst_el_flow, ",
    ),
    (
        '"./pump.toml"',
        '"./pumps.toml"',
        "pumps.toml: No such file or directory; a TOML file is required",
    ),
    (
        'signal = "flow"',
        'signal = "flows"',
        "plant.toml: device.R1-pump.tags.1 (R1.flow).signal: flows is not allowed; "
        "flow, rate, gauge of ./pump.toml",
    ),
    (
        'signal = "flow"',
        'signal = "flow", safe = 0',
        "plant.toml: device.R1-pump.tags.1 (R1.flow).safe: is not allowed; "
        "flow of ./pump.toml is only read",
    ),
    (
        'signal = "flow"',
        'signal = "gauge", unit = "bar", low = 0, high = 4',
        "plant.toml: device.R1-pump.tags.1 (R1.flow).scale: missing; scale (its decimals) is "
        "required, ./pump.toml cannot know it",
    ),
    (
        'signal = "flow"',
        'signal = "flow", unit = "furlong"',
        "plant.toml: device.R1-pump.tags.1 (R1.flow).unit: furlong is not allowed; one of Cel,",
    ),
    (
        'signal = "rate", safe = 0',
        'signal = "rate", safe = 6',
        "R1.pump: ",
    ),
    (
        'profile = "./pump.toml"\n',
        "",
        "plant.toml: device.R1-pump.tags.0.signal: is not allowed without device.R1-pump.profile",
    ),
    (
        'driver = "modbus_tcp"\naddress = "10.0.0.1:502"',
        'driver = "opcua"\naddress = "opc.tcp://h:1"\ninsecure = true',
        "plant.toml: device.R1-pump.profile: ./pump.toml is of a modbus device, "
        "not for opcua; modbus_tcp, modbus_tls, modbus_rtu, modbus_rtu_over_tcp",
    ),
    (
        'driver = "modbus_tcp"',
        'driver = "acme.pumps:Pump"',
        "plant.toml: device.R1-pump.profile: ./pump.toml is of a modbus device, "
        "not for acme.pumps:Pump; ",
    ),
    ('driver = "modbus_tcp"\n', "", "plant.toml: device.R1-pump.driver: missing; "),
    ('profile = "./pump.toml"', "profile = 3", "plant.toml: device.R1-pump.profile: 3 is not"),
    (
        'profile = "./pump.toml"',
        'profile = "./pump.toml"\nread = { whole = [{ input = 3, count = 2 }] }',
        "(R1.flow): input 4 to 5 lies only in part in 3 to 4, which is read as a whole",
    ),
]


@pytest.mark.parametrize(("old", "new", "line"), MISTAKES)
def test_a_mistake_in_the_plant_file_is_named(
    load: Callable[..., DeviceSettings], old: str, new: str, line: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(old, new)
    assert line in refused.value.lines[0]


IN_PROFILE = [
    ('name = "pump"\n', "", "profile.name: missing; name is required"),
    ('tested = "in tests only"\n', "", "profile.tested: missing; tested (what was tested and how)"),
    (', where = "here"', "", "profile.source.0.where: missing"),
    ("unit_id = 7", "unit_id = 700", "device.unit_id: 700 is not allowed"),
    ("unit_id = 7", 'address = "10.0.0.1:502"', "device.address: no such key"),
    ("high = 5", "high = 0", "signal.flow.high: 0 is not allowed; above low, 0"),
    ("input = 4\n", "", "signal.flow: exactly one of input, holding, coil"),
    ("input = 4\n", "input = 4\nholding = 4\n", "signal.flow: exactly one of input, holding"),
    ('type = "uint16"\nscale = 0.01', 'type = "uint16"\nscale = 0', "signal.rate.scale: 0 is not"),
    ("scale = 0.01", "safe = 0", "signal.rate.safe: no such key"),
    ("input = 4\n", "input = 4\nwritable = true\n", "signal.flow.writable: an actuator must be"),
    ('type = "float32"', 'type = "float31"', "signal.flow.type: float31 is not allowed"),
    ('needs = { unit = "as', 'needs = { units = "as', "signal.gauge.needs.units: no key of a tag"),
    ("max_age_s = 3", 'quality = { good = [0], type = "uint16" }', "signal.flow.quality: exactly"),
    ("[signal.flow]", "[signal.Flow]", "signal.Flow"),
    (
        "unit_id = 7",
        "read = { whole = [{ count = 4 }] }",
        "device.read.whole.0: exactly one of input, holding, input_number, holding_number is",
    ),
    (
        "unit_id = 7",
        "read = { whole = [{ coil = 0, count = 4 }] }",
        "device.read.whole.0: exactly one of input, holding, input_number, holding_number is",
    ),
    (
        "unit_id = 7",
        "read = { whole = [{ input = 65535, count = 2 }] }",
        "device.read.whole.0: address 65535 is outside 0 to 65535",
    ),
    (
        "unit_id = 7",
        "read = { max_registers = 4, whole = [{ input = 0, count = 8 }] }",
        "device.read.whole.0.count: 8 is not allowed; read.max_registers = 4",
    ),
    (
        "unit_id = 7",
        "read = { whole = [{ input = 0, count = 8 }, { input = 7, count = 2 }] }",
        "device.read.whole.1: 7 to 8 has registers of another range",
    ),
    (
        "unit_id = 7",
        "read = { whole = [{ input = 0, count = 5 }] }",
        "signal.flow: input 4 to 5 lies only in part in 0 to 4, which is read as a whole",
    ),
    (
        "unit_id = 7",
        'info = [{ name = "serial", input = 9, type = "string" }]',
        "device.info.0 (serial).length: missing; registers of the string are required",
    ),
]


@pytest.mark.parametrize(("old", "new", "line"), IN_PROFILE)
def test_a_mistake_in_the_profile_is_named_in_both_files(
    load: Callable[..., DeviceSettings], old: str, new: str, line: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(own=(old, new))
    assert f"plant.toml: device.R1-pump.profile: pump.toml: {line}" in refused.value.lines[0]


def test_mistakes_of_all_devices_are_named_at_once(tmp_path: Path) -> None:
    text = PLANT.replace("./pump.toml", "pumps") + (
        '[device.R1-other]\ndriver = "modbus_tcp"\naddress = "10.0.0.2:502"\n'
        'profile = "omron_e5_c"\ntags = [{ name = "R1.x", signal = "temperatur" }]\n'
    )
    (tmp_path / "plant.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_plant(tmp_path / "plant.toml")
    assert len(refused.value.lines) == 2
    assert "temperatur is not allowed; temperature," in refused.value.lines[1]


def whole(name: str) -> list[dict[str, Any]]:
    """Return tags of every register of a profile; what can be written is an actuator."""
    filled = {"unit": "1", "low": 0, "high": 100, "scale": 0.1}
    tags: dict[object, dict[str, Any]] = {}
    for signal, s in load_profile(name).settings.signal.items():
        t = {"name": f"R1.{signal}", "signal": signal} | {key: filled[key] for key in s.needs}
        if s.writable:
            t["safe"] = s.low or 0
        tags.setdefault(s.places[0], t)
    return list(tags.values())


def written(tags: list[dict[str, Any]], name: str) -> str:
    """Return a plant file with a device of ``tags`` and a station for each actuator."""
    valve: dict[str, Any] = {
        "name": "R1.valve",
        "unit": "1",
        "low": 0,
        "high": 1,
        "coil": 0,
        "safe": 0,
    }
    lines = ['site = "test"', "[reactor.R1]", "volume_max_l = 1.0"]
    for t in [t for t in [valve, *tags] if "safe" in t]:
        lines.append(f"[reactor.R1.loop.{t['name'][3:]}]")
        lines.append(f'outputs = [{{ actuator = "{t["name"]}" }}]')
        lines += [f"setpoint = {t['safe']}", f"setpoint_low = {t['safe']}"]
        lines.append(f"setpoint_high = {t['safe'] + 0.1}")
    for device, profile, own in (("io", None, [valve]), ("X", name, tags)):
        lines += [f"[device.{device}]", 'driver = "modbus_tcp"', f'address = "{device}:502"']
        lines += [f'profile = "{profile}"'] if profile else []
        for t in own:
            lines.append("[[device." + device + ".tags]]")
            lines += [f"{k} = {v!r}" for k, v in t.items()]
    return "\n".join(lines)


@pytest.mark.parametrize("name", known())
def test_a_plant_can_use_the_whole_of_each_profile(name: str, tmp_path: Path) -> None:
    tags = whole(name)
    (tmp_path / "plant.toml").write_text(written(tags, name), encoding="utf-8")
    device = load_plant(tmp_path / "plant.toml").settings.device["X"]
    assert [t.name for t in device.tags] == [t["name"] for t in tags]
    assert device.profile == name


@pytest.mark.parametrize("name", known())
def test_each_profile_says_who_says_so_and_what_was_tested(name: str) -> None:
    head = load_profile(name).settings.profile
    assert "not on a real" in head.tested
    assert all(s.page for s in load_profile(name).settings.signal.values())
    assert head.source
