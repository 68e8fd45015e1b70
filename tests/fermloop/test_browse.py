"""``browse`` against a real OPC UA server: what it lists, and lines that a plant file takes."""

import asyncio
import json
import re
import sys
import tomllib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua

from controller.plant import load_plant
from controller.plant_file.config import ConfigError
from fermloop.commands.browse import Wanted, connection, run
from fermloop.commands.browse_toml import names
from fermloop.failure import FailureError
from tests.drivers.opcua.served import URI, Plant, free_port
from tests.drivers.opcua.test_security import ENCRYPTED, SERVER, Files
from tests.system.plant_processes import plant_text

pytestmark = pytest.mark.asyncio(loop_scope="module")
UNECE = ua.String("http://www.opcfoundation.org/UA/units/un/cefact")
ALL = Wanted("", None, "", 10_000)


def unit(number: int, text: str) -> ua.EUInformation:
    return ua.EUInformation(
        NamespaceUri=UNECE, UnitId=ua.Int32(number), DisplayName=ua.LocalizedText(text)
    )


def span(low: float, high: float) -> ua.Range:
    return ua.Range(Low=ua.Double(low), High=ua.Double(high))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant() -> AsyncGenerator[Plant]:
    """A server with a folder of nodes, of which it tells more or less."""
    served = Plant()
    await served.start()
    server = served.server
    assert server is not None
    index = await server.get_namespace_index(URI)
    vessel = await server.nodes.objects.add_folder(index, "Vessel 1")
    spare = await server.nodes.objects.add_folder(index, "Spare")

    async def add(name: str, value: object, *, where: Any = vessel, **told: object) -> None:
        node = await where.add_variable(ua.NodeId.from_string(f"ns={index};s={name}"), name, value)
        for key, given in told.items():
            await node.add_property(0, key, given)

    celsius = unit(4408652, "°C")
    await add("TemperaturePV", 37.02, EngineeringUnits=celsius, EURange=span(0, 150))
    await add("pH", 7.01)
    await add("Conductivity", 11.5, EngineeringUnits=unit(0, "Brix"), EURange=span(0, 20))
    await add("Running", True)
    await add('Batch "7"\nline', 3)
    await add("2nd level", 4)
    await add("Recipe", "ecoli")
    spare_ph = ua.NodeId.from_string(f"ns={index};s=spare.ph")
    await spare.add_variable(spare_ph, "pH", 7.5)
    yield served
    await served.stop()


async def browse(plant: Plant, *words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fermloop", "browse", plant.url, "--insecure", *words),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_where_piped_each_node_is_a_line(plant: Plant) -> None:
    code, out, err = await browse(plant, "--under", "ns=0;i=85")
    assert (code, err) == (0, "")
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    temperature = (
        f"type=Double value=37.02 unit=Cel range=0..150 access=r node=nsu={URI};s=TemperaturePV"
    )
    assert lines["Vessel 1/TemperaturePV"] == temperature
    assert lines["Vessel 1/Recipe"].startswith("type=String value=ecoli unit=– range=– ")
    assert lines["d"].startswith("type=Double value=1 unit=– range=– access=rw ")


async def test_json_has_everything_that_was_found(plant: Plant) -> None:
    code, out, err = await browse(plant, "--filter", "TEMPERATURE", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "address": plant.url,
        "nodes": [
            {
                "node": f"nsu={URI};s=TemperaturePV", "path": "Vessel 1/TemperaturePV",
                "type": "Double", "value": 37.02, "status": "Good", "unit": "°C", "ucum": "Cel",
                "eu_range": [0.0, 150.0], "instrument_range": None,
                "description": "TemperaturePV", "readable": True, "writable": False,
            }
        ],
    }  # fmt: skip


async def test_what_it_prints_for_a_plant_file_is_one_once_a_person_has_filled_it_in(
    plant: Plant, tmp_path: Path
) -> None:
    code, out, err = await browse(plant, "--toml", "--device", "R1-new")
    assert (code, err) == (0, "")
    device = tomllib.loads(out)["device"]["R1-new"]
    assert {k: device[k] for k in ("driver", "address", "insecure")} == {
        "driver": "opcua", "address": plant.url, "insecure": True,
    }  # fmt: skip
    tags = {tag["name"]: tag for tag in device["tags"]}
    assert tags["R1.temperature_pv"] == {
        "name": "R1.temperature_pv", "unit": "Cel", "low": 0, "high": 150,
        "node": f"nsu={URI};s=TemperaturePV",
    }  # fmt: skip
    assert (tags["R1.running"]["low"], tags["R1.running"]["high"]) == (0, 1)
    assert {"R1.vessel_1_ph", "R1.spare_ph", "R1.tag_2nd_level", "R1.d"} <= tags.keys()
    assert not any("recipe" in name for name in tags)  # a text is no tag
    (asks,) = [line for line in out.splitlines() if "R1.conductivity" in line]
    assert 'unit = "?", low = 0, high = 20,' in asks
    assert "# ? unit (there it is in Brix), low and high are in Brix; Vessel 1/Cond" in asks
    (asks,) = [line for line in out.splitlines() if "R1.spare_ph" in line]
    assert 'unit = "?", low = "?", high = "?",' in asks
    assert "# ? unit, low, high; Spare/pH; Double 7.5" in asks

    file = tmp_path / "plant.toml"
    text = plant_text(tmp_path)
    file.write_text(f"{text}\n{out}")
    with pytest.raises(ConfigError) as refused:
        load_plant(file)
    assert any("low: ? is not allowed" in line for line in refused.value.lines)
    filled = re.sub(r'low = "\?", high = "\?"', "low = 0, high = 100", out)
    file.write_text(f"{text}\n" + filled.replace('unit = "?"', 'unit = "1"'))
    load_plant(file)


async def test_a_server_with_more_than_was_asked_for_is_cut_and_says_so(plant: Plant) -> None:
    code, out, err = await browse(plant, "--limit", "3")
    assert code == 0
    assert out
    assert (
        err == f"{plant.url}: more than 3 nodes are there; "
        "--under NODE or a greater --limit shows others\n"
    )
    code, out, err = await browse(plant, "--filter", "nothing of the kind")
    assert (code, out) == (0, "")
    assert err == f"{plant.url}: no variable is there that was asked for\n"


async def test_depth_and_under_choose_a_part(plant: Plant) -> None:
    _, out, _ = await browse(plant, "--depth", "1", "--json")
    paths = [node["path"] for node in json.loads(out)["nodes"]]
    assert {"d", "f", "i"} <= set(paths)
    assert not any("/" in path for path in paths)


async def test_who_does_not_answer_is_1_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    address = f"opc.tcp://127.0.0.1:{free_port()}"
    _, settings = connection(address, None, {"insecure": True})
    with pytest.raises(FailureError) as failed:
        await asyncio.to_thread(run, settings, ALL, "table", "", "R1")
    assert (failed.value.lines, failed.value.code) == ([f"{address}: connection refused"], 1)


SECURE = {"certificate": "us.der", "key": "us.pem", "trusted": "trusted"}


@pytest.mark.parametrize(
    ("address", "options", "says"),
    [
        ("opc.tcp://10.0.0.1:4840", {}, "either --insecure or --certificate, --key and --trusted"),
        ("10.0.0.1:4840", {"insecure": True}, "10.0.0.1:4840 is not allowed; opc.tcp://HOST:PORT"),
        ("opc.tcp://10.0.0.1:4840", {"certificate": "us.der"}, "security.key: missing"),
        ("opc.tcp://10.0.0.1:4840", SECURE | {"policy": "None"}, "security.policy: None is not"),
        ("opc.tcp://10.0.0.1:4840", SECURE | {"user": "ana"}, "either user with password_file or"),
        ("opc.tcp://10.0.0.1:4840", SECURE | {"insecure": True}, "either --insecure or"),
    ],
)
async def test_what_does_not_fit_is_refused_before_anybody_is_asked(
    address: str, options: dict[str, object], says: str
) -> None:
    with pytest.raises((ConfigError, FailureError)) as failed:
        connection(address, None, options)
    lines = failed.value.lines
    assert any(says in line for line in lines), lines
    assert all(line.startswith("fermloop browse") for line in lines)


async def test_security_and_log_in_are_the_plant_file_s_keys() -> None:
    options = {**SECURE, "policy": "Aes256_Sha256_RsaPss", "user": "ana", "password_env": "PW"}
    _, made = connection("opc.tcp://10.0.0.1:4840", None, options)
    assert made.security is not None
    assert made.login is not None
    assert (made.security.policy, made.security.key) == ("Aes256_Sha256_RsaPss", "us.pem")
    assert (made.login.user, made.login.password_env) == ("ana", "PW")
    by = {**SECURE, "user_certificate": "ana.der", "user_key": "ana.pem"}
    _, made = connection("opc.tcp://10.0.0.1:4840", None, by)
    assert made.login is not None
    assert (made.login.certificate, made.login.key) == ("ana.der", "ana.pem")


async def test_a_plant_file_says_how_its_device_is_spoken_to(tmp_path: Path) -> None:
    file = tmp_path / "plant.toml"
    file.write_text(plant_text(tmp_path))
    address = load_plant(file).settings.device["R1-gas"].address
    for which in ("R1-gas", address):
        name, made = connection(which, file, {"insecure": False})
        assert (name, made.address, made.insecure) == ("R1-gas", address, True)
    with pytest.raises(FailureError, match="did you mean R1-gas"):
        connection("R1-gsa", file, {})
    with pytest.raises(FailureError, match="--password-env: not allowed with --plant"):
        connection("R1-gas", file, {"password_env": "PW"})


@pytest.mark.parametrize(
    ("under", "device", "reactor", "says"),
    [
        ("bla", "", "R1", "--under: bla is not allowed; nsu=URI;s=NAME or ns=0;i=NUMBER"),
        ("", "a b", "R1", "--device: a b is not allowed"),
        ("", "", "1R", "--reactor: 1R is not allowed"),
    ],
)
async def test_a_name_that_no_plant_file_takes_is_refused(
    under: str, device: str, reactor: str, says: str
) -> None:
    _, settings = connection("opc.tcp://127.0.0.1:1", None, {"insecure": True})
    with pytest.raises(FailureError) as failed:
        run(settings, Wanted(under, None, "", 10), "toml", device, reactor)
    assert failed.value.code == 2
    assert says in failed.value.lines[0]


async def test_names_are_unique_and_such_as_a_plant_file_takes(plant: Plant) -> None:
    from drivers.opcua.browse import Found
    from drivers.opcua.units import Description

    def found(path: str) -> Found:
        name = path.rpartition("/")[2]
        return Found("", name, path, "Double", 0.0, "Good", Description(), "", True, False)

    paths = ["a/pH", "b/pH", "b/PH", "R1.feed", "DissolvedOxygen", "温度", "--", "x/--"]
    made = names([found(path) for path in paths], "R1")
    assert made[:5] == ["a_ph", "b_ph", "b_ph_2", "feed", "dissolved_oxygen"]
    assert made[5:] == ["tag_温度", "tag", "x"]
    assert all(re.fullmatch(r"[A-Za-z][\w.]*", name) for name in made)


async def test_a_server_that_wants_security_and_a_log_in_is_browsed_with_the_plant_file_s_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = Files(tmp_path)
    pair = files.pair("server", SERVER)
    files.trust(pair)
    served = Plant(*ENCRYPTED, pair=pair, uri=SERVER, users={"ana": "s3cret"})
    await served.start()
    ours = files.pair("soon", "urn:test:fermloop", days=12.5)
    options: dict[str, object] = {
        "certificate": ours[0], "key": ours[1], "trusted": files.trusted, "user": "ana",
        "password_env": "BROWSE_PASSWORD",
    }  # fmt: skip
    try:
        monkeypatch.setenv("BROWSE_PASSWORD", "s3cret")
        _, settings = connection(served.url, None, options)
        await asyncio.to_thread(run, settings, ALL, "toml", "R1-safe", "R1")
        out, err = capsys.readouterr()
        monkeypatch.setenv("BROWSE_PASSWORD", "wrong")
        with pytest.raises(FailureError) as failed:
            await asyncio.to_thread(run, settings, ALL, "table", "", "R1")
    finally:
        await served.stop()
    device = tomllib.loads(out)["device"]["R1-safe"]
    assert device["login"] == {"user": "ana", "password_env": "BROWSE_PASSWORD"}
    assert device["security"]["key"] == str(ours[1])
    assert "insecure" not in device
    assert {tag["node"] for tag in device["tags"]} == {f"nsu={URI};s={name}" for name in "dfi"}
    assert "s3cret" not in out + err
    assert err.startswith(f"{served.url}: warning: ")
    assert "11 days" in err or "12 days" in err
    assert len(failed.value.lines) == 1
    assert failed.value.code == 1
