"""The demo's plant file: ports that are free, data of its own."""

import re
import socket
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fermloop.commands.demo import derived
from fermloop.commands.run import busy

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "sim/plants/ecoli_5l.toml"


@pytest.fixture
def taken() -> Generator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_busy_ports_are_replaced_and_the_data_are_the_demos_own(tmp_path: Path, taken: str) -> None:
    source = tmp_path / "source.toml"
    text = PLANT.read_text()
    for address in ("127.0.0.1:5020", "127.0.0.1:4840"):
        text = text.replace(address, taken)
    source.write_text(text)
    with ExitStack() as claims:
        plant = derived(source, tmp_path, claims)
    devices = plant.settings.device
    modbus, opcua = devices["R1-io"].address, devices["R1-gas"].address
    assert taken not in (modbus, opcua)
    assert not busy(modbus)
    found = re.fullmatch(r"opc\.tcp://(127\.0\.0\.1:\d+)/fermloop", opcua)
    assert found
    assert not busy(found[1])
    assert found[1] != modbus
    assert plant.data_dir == tmp_path
    assert plant.path == tmp_path / "plant.toml"


def test_two_demos_that_start_at_once_take_different_ports(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    with ExitStack() as claims:
        addresses: list[str] = []
        for folder in folders:
            folder.mkdir()
            settings = derived(PLANT, folder, claims).settings
            addresses += [d.address for d in settings.device.values()]
            addresses.append(settings.console.address)
    assert len(set(addresses)) == 6
