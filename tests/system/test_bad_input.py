"""Wrong files and busy ports end with exit code 2 before any device is touched, one line each."""

import re
import socket
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.system.plant_processes import RECIPE, Site, site

# What is replaced in the plant file, by what, and the line for it: key: value, what is allowed.
# The second group is looked at when the first finds nothing: it needs tables that can be read.
READ = {
    r"^ti_s = 400.0": ("tau_s = 400.0", r"reactor\.R1\.loop\.temperature\.tau_s: no such key.*"),
    r"^scan_s = 1.0": ("scan_s = 60", r"scan_s: 60 is not allowed; scan_s \(s, >= 0\.1, <= 10\).*"),
}
UNDERSTOOD = {
    r'"R1.jacket_temperature", +unit = "Cel"': (
        '"R1.jacket_temperature", unit = "degC"',
        r"device\.R1-io\.tags\.1 \(R1\.jacket_temperature\)\.unit: degC is not allowed; one of.*",
    ),
    r"holding = 10,": (
        "holding = 8,",
        r"device\.R1-io\.tags\.\d+ \(R1\.antifoam\)\.holding: 8 is not allowed; R1\.feed lives.*",
    ),
    r'^measured = "R1.do"(?=\noutputs)': (
        'measured = "R1.dox"',
        r"reactor\.R1\.loop\.do\.measured: R1\.dox is not allowed; .*R1\.do.*",
    ),
}


@pytest.fixture
def listeners() -> Generator[dict[str, socket.socket]]:
    """Sockets that stand where the devices should be: nobody may knock."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            for name in ("R1-io", "R1-gas")
        }


def untouched(listeners: Mapping[str, socket.socket]) -> bool:
    for listener in listeners.values():
        listener.setblocking(False)
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            continue
        return False
    return True


def stand_in(plant: Site, listeners: Mapping[str, socket.socket]) -> None:
    """Give the plant file the addresses of ``listeners``."""
    text = plant.plant.path.read_text()
    for name, listener in listeners.items():
        address = plant.plant.settings.device[name].address
        port = str(listener.getsockname()[1])
        text = text.replace(address, re.sub(r"(?<=\d:)\d+", port, address))
    plant.plant.path.write_text(text)


@pytest.mark.parametrize("mistakes", [READ, UNDERSTOOD])
async def test_each_mistake_in_a_plant_file_is_a_line(
    tmp_path: Path, mistakes: Mapping[str, tuple[str, str]], listeners: dict[str, socket.socket]
) -> None:
    async with site(tmp_path) as plant:
        stand_in(plant, listeners)
        text = plant.plant.path.read_text()
        for pattern, (wrong, _) in mistakes.items():
            text, count = re.subn(f"(?m){pattern}", wrong, text)
            assert count == 1
        plant.plant.path.write_text(text)
        for command in ("run", "simulate"):
            code, out, err = await plant.run(command, plant.plant.path)
            assert (code, out) == (2, "")
            assert len(err.splitlines()) == len(mistakes), err
            for _, line in mistakes.values():
                assert re.search(rf"(?m)^plant\.toml: {line}$", err), err
        assert untouched(listeners)


async def test_an_unknown_or_wrong_recipe_is_a_line(
    tmp_path: Path, listeners: dict[str, socket.socket]
) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(RECIPE.read_text().replace("feed = 0.0 }\n\n[[", "feet = 0.0 }\n\n[[", 1))
    async with site(tmp_path) as plant:
        stand_in(plant, listeners)
        for recipe, line in (
            (tmp_path / "none.toml", r".*none\.toml: No such file or directory; a TOML file .*\n"),
            (wrong, r"wrong\.toml: start\.setpoints\.feet: .*feed.*\n"),
        ):
            code, out, err = await plant.run("run", plant.plant.path, "--recipe", recipe)
            assert (code, out) == (2, "")
            assert re.fullmatch(line, err), err
        assert untouched(listeners)


async def test_a_busy_port_is_a_line(tmp_path: Path, listeners: dict[str, socket.socket]) -> None:
    async with site(tmp_path) as plant:
        stand_in(plant, listeners)
        code, _, err = await plant.run("simulate", plant.plant.path)
        lines = err.splitlines()
        assert (code, len(lines)) == (2, 2)
        for line, (name, listener) in zip(lines, listeners.items(), strict=True):
            where = rf"plant\.toml: device\.{name}\.address: .*:{listener.getsockname()[1]}.*"
            assert re.fullmatch(where + " is not allowed; address already in use; .*", line, re.I)
        console = plant.plant.settings.console.address
        with socket.create_server(("127.0.0.1", int(console.rpartition(":")[2]))):
            code, _, err = await plant.run("run", plant.plant.path)
        assert code == 2
        line = rf"plant\.toml: console\.address: {console} is not allowed; address already .*\n"
        assert re.fullmatch(line, err, re.I)
        assert untouched(listeners)
