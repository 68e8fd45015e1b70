"""Third-party drivers of a plant file: what is refused before anything starts, and how."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.devices.devices import build, wire
from controller.devices.third_party import make, require_third_party, require_virtual
from controller.plant import Plant, load_plant
from controller.plant_file.config import ConfigError
from drivers.clock import SystemClock
from drivers.door import Door
from drivers.driver import Setup

PLANT = """\
site = "bench"

[device.R1-bal]
driver = "DRIVER"
address = "COM3, whatever that is"
timeout_s = 0.25
options = { rate = 2 }
tags = [
  { name = "R1.weight", unit = "kg", low = 0, high = 10, max_age_s = 2.0, options = { ch = 1 } },
  { name = "R1.pump",   unit = "%",  low = 0, high = 100, safe = 0 },
]

[reactor.R1]
volume_max_l = 5.0

[reactor.R1.loop.weight]
measured = "R1.weight"
outputs = [{ actuator = "R1.pump" }]
setpoint = 5.0
setpoint_low = 0.0
setpoint_high = 9.0
kp = 10.0
ti_s = 60.0
"""
GOOD = """
from fermloop import Driver, Setup

class Good(Driver):
    made = []
    def __init__(self, setup):
        self.setup = setup
        self.made.append(setup)
        if setup.options.get("rate") == 3:
            raise ValueError("options.rate: 3 is not allowed; 1 or 2")
        if setup.options.get("rate") == 4:
            raise KeyError("rate")
    async def read(self): return {}
    async def write(self, values): return {}
    async def close(self): pass

class Simulated(Good):
    virtual_time = True
"""


@pytest.fixture(name="module")
def _module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, str], None]]:
    """Give what puts a module where Python finds it."""
    monkeypatch.syspath_prepend(str(tmp_path))  # pyright: ignore[reportUnknownMemberType]

    def put(name: str, text: str) -> None:
        path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    yield put
    for name in [n for n in sys.modules if n.startswith("their_")]:
        del sys.modules[name]


def plant(folder: Path, driver: str, text: str = PLANT) -> Plant:
    file = folder / "plant.toml"
    file.write_text(text.replace("DRIVER", driver))
    return load_plant(file)


def entry_point(folder: Path, distribution: str, *lines: str) -> None:
    """Install a distribution that offers entry points, as pip leaves it behind."""
    info = folder / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[fermloop.drivers]", *lines, ""]))


def refused(check: Callable[[], object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check()
    return caught.value.lines


def test_a_class_is_made_with_what_the_plant_file_says(
    tmp_path: Path, module: Callable[[str, str], None]
) -> None:
    module("their_a", GOOD)
    checked = plant(tmp_path, "their_a:Good")
    require_third_party(checked)
    settings = checked.settings.device["R1-bal"]
    clock = SystemClock()
    assert wire(settings) is None
    driver = build("R1-bal", settings, None, clock)
    assert isinstance(driver, Door)
    setup: Setup = sys.modules["their_a"].Good.made[-1]
    tags = (checked.tags["R1.weight"], checked.tags["R1.pump"])
    assert (setup.name, setup.address, setup.tags) == ("R1-bal", "COM3, whatever that is", tags)
    assert (setup.timeout_s, setup.clock, setup.seed) == (0.25, clock, 0)
    assert setup.options == {"rate": 2}
    assert setup.tag_options == {"R1.weight": {"ch": 1}, "R1.pump": {}}
    assert (driver.name, driver.address, driver.tags) == (setup.name, setup.address, tags)


def test_an_entry_point_names_a_class(tmp_path: Path, module: Callable[[str, str], None]) -> None:
    module("their_b", GOOD)
    entry_point(tmp_path, "acme-fermloop", "acme-balance = their_b:Good")
    checked = plant(tmp_path, "acme-balance")
    require_third_party(checked)
    assert len(sys.modules["their_b"].Good.made) == 1


def test_two_packages_with_one_name_are_refused(tmp_path: Path, module: object) -> None:
    entry_point(tmp_path, "acme", "balance = their_a:Good")
    entry_point(tmp_path, "other", "balance = their_b:Good")
    checked = plant(tmp_path, "balance")
    assert refused(lambda: require_third_party(checked)) == [
        "plant.toml: device.R1-bal.driver: balance is not allowed; their_a:Good and their_b:Good "
        "have that name; name one of them instead"
    ]


def test_an_unknown_name_is_refused_with_what_there_is(tmp_path: Path, module: object) -> None:
    entry_point(tmp_path, "acme-fermloop", "acme-balance = nowhere:Balance")
    (line,) = refused(lambda: plant(tmp_path, "acme-balanse"))
    assert line == (
        "plant.toml: device.R1-bal.driver: acme-balanse is not allowed; one of modbus_tcp, "
        "modbus_tls, modbus_rtu, modbus_rtu_over_tcp, opcua, an entry point of fermloop.drivers "
        "(acme-balance) or package.module:Class; did you mean acme-balance?"
    )
    (line,) = refused(lambda: plant(tmp_path, "modbus_tpc"))
    assert line.endswith("; did you mean modbus_tcp?")


@pytest.mark.parametrize("driver", ["a b:C", ":C", "a:", "a:b:c", "../a:C", "a-b:C", "a:C()"])
def test_what_names_no_class_is_refused(tmp_path: Path, driver: str) -> None:
    assert refused(lambda: plant(tmp_path, driver)) == [
        f"plant.toml: device.R1-bal.driver: {driver} is not allowed; package.module:Class is "
        "required"
    ]


def test_a_plant_file_is_read_without_running_anybodys_code(
    tmp_path: Path, module: Callable[[str, str], None]
) -> None:
    module("their_c", "raise SystemExit('it ran')")
    entry_point(tmp_path, "acme", "theirs = their_c:Good")
    plant(tmp_path, "their_c:Good")
    plant(tmp_path, "theirs")
    assert "their_c" not in sys.modules


METHODS = ("read", "write", "close")


def without(name: str) -> str:
    """Return a module whose class lacks a method."""
    methods = "".join(f"    async def {m}(self, *a): return {{}}\n" for m in METHODS if m != name)
    head = "from fermloop import Driver\nclass Bad(Driver):\n    def __init__(self, s): ...\n"
    return head + methods


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "their_x:Bad is not allowed; their_x has no Bad: it has no class"),
        (
            "class Bat: ...\nclass Cat: ...",
            "their_x has no Bad: it has Bat, Cat; did you mean Bat?",
        ),
        ("Bad = 7", "it is no class but 7"),
        ("def Bad(setup): ...", "it is no class but a function"),
        ("import nowhere_at_all", "it needs nowhere_at_all, which is not installed in "),
        ("1 / 0", "importing it fails: ZeroDivisionError: division by zero"),
        ("def", "importing it fails: SyntaxError: invalid syntax"),
        ("import sys; sys.exit('bye')", "importing it fails: SystemExit: bye"),
        (
            "class Bad:\n    def __init__(self, s): ...",
            "it has no identify, read, write, heartbeat, advance, close, raw, warnings; a driver "
            "needs read, write and close, and takes the rest from fermloop.Driver",
        ),
        (without("read"), "it has no read; a driver needs"),
        (without("write"), "it has no write; a driver needs"),
        (without("close"), "it has no close; a driver needs"),
        (f"{without('read')}    def read(self): return {{}}\n", "read is not async; it must be"),
        (
            f"{without('read')}    async def read(self): yield {{}}\n",
            "read is not async; it must be",
        ),
        (f"{without('read')}    read = 7\n", "it has no read; a driver needs"),
        (
            f"{without('')}    async def warnings(self): return ()\n",
            "warnings is async; it must not be",
        ),
        (f"{without('')}    virtual_time = 'yes'\n", "virtual_time must be True or False"),
        (
            without("").replace("(self, s)", "(self, host, port)"),
            "it must be made with one argument, a fermloop.Setup, but missing a required argument",
        ),
    ],
)
def test_a_class_that_is_no_driver_is_refused(
    tmp_path: Path, module: Callable[[str, str], None], text: str, says: str
) -> None:
    module("their_x", text)
    checked = plant(tmp_path, "their_x:Bad")
    (line,) = refused(lambda: require_third_party(checked))
    assert line.startswith("plant.toml: device.R1-bal.driver: their_x:Bad is not allowed; ")
    assert says in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("driver", "says"),
    [
        ("their_nowhere:X", f"there is no package their_nowhere in {sys.prefix}; install it"),
        ("their_pack.nowhere:X", "their_pack has no module nowhere"),
        ("their_pack.module:Outer.Bad", "their_pack.module has no Outer.Bad"),
    ],
)
def test_a_module_that_is_not_there_is_named(
    tmp_path: Path, module: Callable[[str, str], None], driver: str, says: str
) -> None:
    module("their_pack.__init__", "")
    module("their_pack.module", "class Outer: ...")
    checked = plant(tmp_path, driver)
    (line,) = refused(lambda: require_third_party(checked))
    assert line.startswith(f"plant.toml: device.R1-bal.driver: {driver} is not allowed; ")
    assert says in line


@pytest.mark.parametrize(
    ("rate", "says"),
    [
        (3, "their_d:Good refuses it: options.rate: 3 is not allowed; 1 or 2"),
        (4, "their_d:Good refuses it: KeyError: 'rate'"),
    ],
)
def test_a_constructor_that_raises_is_shown_with_the_device(
    tmp_path: Path, module: Callable[[str, str], None], rate: int, says: str
) -> None:
    module("their_d", GOOD)
    text = PLANT.replace("rate = 2", f"rate = {rate}")
    checked = plant(tmp_path, "their_d:Good", text)
    assert refused(lambda: require_third_party(checked)) == [f"plant.toml: device.R1-bal: {says}"]
    assert refused(lambda: make("R1-bal", checked.settings.device["R1-bal"], SystemClock())) == [
        f"device.R1-bal: {says}"
    ]


def test_every_device_that_is_wrong_is_told_at_once(
    tmp_path: Path, module: Callable[[str, str], None]
) -> None:
    module("their_e", GOOD)
    other = (
        '[device.R1-two]\ndriver = "their_e:God"\naddress = "x"\n'
        'tags = [{ name = "R1.other", unit = "kg", low = 0, high = 1 }]\n'
    )
    text = PLANT.replace("[reactor.R1]\n", f"{other}\n[reactor.R1]\n")
    checked = plant(tmp_path, "their_nowhere:Good", text)
    lines = refused(lambda: require_third_party(checked))
    assert [line.split(": ")[1] for line in lines] == [
        "device.R1-bal.driver",
        "device.R1-two.driver",
    ]
    assert lines[1].endswith("did you mean Good?")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("timeout_s = 0.25", "unit_id = 3", "device.R1-bal.unit_id: is not allowed with a.b:C"),
        ("timeout_s = 0.25", "insecure = true", "device.R1-bal.insecure: is not allowed"),
        (
            "max_age_s = 2.0",
            "holding = 3, type = 'int16'",
            "device.R1-bal.tags.0 (R1.weight): holding, type is not allowed; with a.b:C where a "
            "tag lives is said in its options",
        ),
    ],
)
def test_keys_that_it_would_not_see_are_refused(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    lines = refused(lambda: plant(tmp_path, "a.b:C", PLANT.replace(old, new)))
    assert any(line.startswith(f"plant.toml: {says}") for line in lines), lines


def test_options_are_for_third_party_drivers_only(tmp_path: Path) -> None:
    demo = Path("sim/plants/ecoli_5l.toml").read_text()
    text = demo.replace("input = 0,    type", "input = 0, options = { a = 1 }, type")
    (line,) = refused(lambda: plant(tmp_path, "", text))
    assert line == (
        "plant.toml: device.R1-io.tags.0 (R1.temperature).options: is not allowed with modbus_tcp"
    )


def test_only_a_class_that_says_so_may_be_used_in_virtual_time(
    tmp_path: Path, module: Callable[[str, str], None]
) -> None:
    module("their_f", GOOD)
    require_virtual(plant(tmp_path, "their_f:Simulated"))
    checked = plant(tmp_path, "their_f:Good")
    assert refused(lambda: require_virtual(checked)) == [
        "plant.toml: device.R1-bal.driver: their_f:Good is not allowed in virtual time; its class "
        "does not say virtual_time = True, so it may wait for a wire or for the clock on the "
        "wall. Take the device out of a copy of the plant file, or run the plant with fermloop run"
    ]


def test_a_plant_without_third_party_drivers_needs_nothing() -> None:
    checked = load_plant("sim/plants/ecoli_5l.toml")
    require_third_party(checked)
    require_virtual(checked)
