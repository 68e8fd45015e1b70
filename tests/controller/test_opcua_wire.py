"""From the plant file's tables ``security`` and ``login`` to a link, or to one clear sentence."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from controller.consistency.devices import wrong_keys
from controller.devices.devices import wire
from controller.plant_file.config import ConfigError
from controller.plant_file.device_settings import DeviceSettings
from drivers.opcua.certificates import der, make, write_key
from drivers.opcua.link import OpcUaLink


@pytest.fixture
def table(tmp_path: Path) -> dict[str, Any]:
    key, certificate = make("urn:test:fermloop", ["localhost"])
    write_key(tmp_path / "own.pem", key)
    (tmp_path / "own.der").write_bytes(der(certificate))
    (tmp_path / "trusted").mkdir()
    (tmp_path / "password").write_text("s3cret\n")
    (tmp_path / "password").chmod(0o600)
    return {
        "driver": "opcua",
        "address": "opc.tcp://10.0.0.13:4840",
        "security": {
            "policy": "Aes256_Sha256_RsaPss",
            "certificate": str(tmp_path / "own.der"),
            "key": str(tmp_path / "own.pem"),
            "trusted": str(tmp_path / "trusted"),
        },
        "login": {"user": "fermloop", "password_file": str(tmp_path / "password")},
        "tags": [{"name": "R1.o2", "unit": "%", "low": 0, "high": 100, "node": "nsu=urn:gas;s=o2"}],
    }


def test_the_tables_become_a_link(table: dict[str, Any]) -> None:
    assert isinstance(wire(DeviceSettings.model_validate(table)), OpcUaLink)
    table["login"] = {k: table["security"][k] for k in ("certificate", "key")}
    assert isinstance(wire(DeviceSettings.model_validate(table)), OpcUaLink)


def test_what_cannot_be_used_is_one_sentence_with_the_address(
    table: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "password").chmod(0o644)
    with pytest.raises(ConfigError) as caught:
        wire(DeviceSettings.model_validate(table))
    assert caught.value.lines == [
        f"opc.tcp://10.0.0.13:4840: password_file {tmp_path / 'password'}: mode 0644 is not "
        "allowed; 0600 is (chmod 600)"
    ]
    table["security"]["key"] = str(tmp_path / "none.pem")
    with pytest.raises(ConfigError, match=r"key .*none\.pem: No such file"):
        wire(DeviceSettings.model_validate(table))


def test_a_login_needs_security(table: dict[str, Any]) -> None:
    del table["security"]
    device = DeviceSettings.model_validate({**table, "insecure": True})
    (line,) = wrong_keys("device.R1-gas", device)
    assert line.startswith("device.R1-gas.login: is not allowed with insecure = true")


def test_an_info_of_an_opcua_device_is_a_node(table: dict[str, Any]) -> None:
    table["info"] = [{"name": "serial number", "holding": 5, "type": "uint16"}]
    (line,) = wrong_keys("device.R1-gas", DeviceSettings.model_validate(table))
    assert line == "device.R1-gas.info 1: node (nsu=URI;s=NAME) alone is required with opcua"


def test_the_readmes_device_can_be_used() -> None:
    readme = (Path(__file__).parents[2] / "drivers/README.md").read_text("utf-8")
    (block,) = [b for b in re.findall(r"```toml\n(.*?)```", readme, re.DOTALL) if '"opcua"' in b]
    device = DeviceSettings.model_validate(tomllib.loads(block)["device"]["R1-gas"])
    assert not list(wrong_keys("device.R1-gas", device))
    assert device.tags[0].max_age_s == 30
