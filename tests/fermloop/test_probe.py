"""``probe`` against the simulated plant on real sockets: what it shows, and that it only reads."""

import asyncio
import json
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncGenerator, Generator, Sequence
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from controller.plant import load_plant
from fermloop.commands.probe import choose
from fermloop.failure import FailureError
from tests.drivers.proxy import Frame, Piece
from tests.system.plant_processes import PLANT, Site, site
from tests.system.served_plant import Wires, breakable, wire_to, wires

READS = {1, 2, 3, 4, 43}  # Modbus function codes that move nothing
READ_OF_1 = {bytes((1, code)) for code in (1, 2, 3, 4)}  # unit and function code
DEVICE = {
    "driver", "address", "identity", "info", "simulated", "answering", "error", "warnings",
    "latency_ms", "reads", "failures", "tags",
}  # fmt: skip
TAG = {"raw", "value", "unit", "state", "quality", "age_s", "low", "high", "actuator"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_plant(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[tuple[Site, Wires]]:
    folder = tmp_path_factory.mktemp("plant")
    async with site(folder) as plant, wires(plant, 1.0) as real:
        yield plant, real


@pytest.fixture
def served(one_plant: tuple[Site, Wires]) -> Generator[tuple[Site, Wires]]:
    """The plant file and the plant that is served; a test may change the file."""
    path = one_plant[0].plant.path
    text = path.read_text()
    yield one_plant
    path.write_text(text)


async def probe(plant: Site, *words: str | Path) -> tuple[int, dict[str, Any]]:
    """Return the exit code and what ``probe --once --json`` says."""
    code, out, err = await plant.run("probe", plant.plant.path, "--once", "--json", *words)
    assert err == ""
    return code, json.loads(out)


async def test_every_tag_of_every_device_is_read_and_no_byte_is_written(
    served: tuple[Site, Wires],
) -> None:
    plant, _ = served
    asked: list[bytes] = []

    def listen(frame: Frame) -> Sequence[Piece]:
        asked.extend([frame.data] if frame.to_device else [])
        return (frame.data,)

    async with wire_to(plant, "R1-io") as wire:
        wire.fault = listen
        code, seen = await probe(plant)
    assert code == 0
    assert (seen["plant"], seen["through"]) == (str(plant.plant.path), "wire")
    io, gas = seen["devices"]["R1-io"], seen["devices"]["R1-gas"]
    for device in (io, gas):
        assert set(device) == DEVICE
        assert (device["answering"], device["error"], device["failures"]) == (True, "", 0)
        assert 0 < device["latency_ms"]["last"] <= device["latency_ms"]["p99"]
        assert all(set(tag) == TAG for tag in device["tags"].values())
    tags = io["tags"] | gas["tags"]
    assert list(tags) == list(plant.plant.tags)
    assert {tag["quality"] for tag in tags.values()} == {"GOOD"}
    assert tags["R1.temperature"]["value"] == pytest.approx(37.0, abs=1.0)
    assert tags["R1.feed"]["actuator"]
    assert any("insecure = true" in text for text in gas["warnings"])
    sent = frames(b"".join(asked))
    codes = {frame[7] for frame in sent}
    assert codes <= READS
    _, out, _ = await plant.run("check", plant.plant.path, "--plan", "--json")
    planned = json.loads(out)["plan"]["R1-io"]["requests"]
    requests = {struct.unpack(">BHH", frame[7:12]) for frame in sent if frame[6:8] in READ_OF_1}
    assert requests == {(r["code"], r["start"], r["count"]) for r in planned}


def frames(asked: bytes) -> list[bytes]:
    """Return the Modbus TCP frames in what went to a device."""
    found: list[bytes] = []
    while asked:
        size = 6 + int.from_bytes(asked[4:6], "big")
        found.append(asked[:size])
        asked = asked[size:]
    return found


async def test_a_frozen_device_is_named_and_the_others_are_read(
    served: tuple[Site, Wires],
) -> None:
    plant, real = served
    async with breakable(plant, real, "R1-io", "frozen") as (freeze, _):
        await freeze()
        code, seen = await probe(plant)
    assert code == 1
    io, gas = seen["devices"]["R1-io"], seen["devices"]["R1-gas"]
    assert not io["answering"]
    assert io["error"].startswith("R1-io at 127.0.0.1:")
    assert "within 0.5 s" in io["error"]
    assert {(t["value"], t["quality"]) for t in io["tags"].values()} == {(None, "BAD")}
    assert {t["quality"] for t in gas["tags"].values()} == {"GOOD"}


async def test_one_bad_tag_is_1_and_one_device_alone_may_be_asked(
    served: tuple[Site, Wires],
) -> None:
    plant, _ = served
    text = plant.plant.path.read_text()
    narrow = re.sub(r'("R1.jacket_temperature", .*high = )150', r"\g<1>20", text)
    assert narrow != text
    plant.plant.path.write_text(narrow)
    code, seen = await probe(plant, "R1-io")
    assert (code, list(seen["devices"])) == (1, ["R1-io"])
    tags = seen["devices"]["R1-io"]["tags"]
    jacket = tags["R1.jacket_temperature"]
    assert (jacket["value"], jacket["quality"]) == (None, "BAD")
    assert [n for n, t in tags.items() if t["quality"] != "GOOD"] == ["R1.jacket_temperature"]
    assert (await probe(plant, "R1-gas"))[0] == 0


async def test_a_closed_port_is_said_in_plain_lines(tmp_path: Path) -> None:
    async with site(tmp_path) as plant:
        code, out, err = await plant.run("probe", plant.plant.path, "--once")
    lines = out.splitlines()
    assert (code, err) == (1, "")
    address = plant.plant.settings.device["R1-io"].address
    told = f"device R1-io: SILENT R1-io at {address}: connection refused; modbus_tcp at {address}"
    assert lines[0] == told
    assert lines[1] == "tag R1.temperature: value=– unit=Cel quality=BAD latency_ms=– raw=–"
    assert len([line for line in lines if line.startswith("tag ")]) == len(plant.plant.tags)


async def test_where_piped_it_goes_on_in_lines_until_somebody_ends_it(
    served: tuple[Site, Wires],
) -> None:
    plant, real = served
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fermloop", "probe", plant.plant.path, "R1-io", "--every", "0.1"),
        cwd=plant.folder, env=plant.environment, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out = process.stdout
    assert out is not None

    async def until(words: str) -> None:
        async with asyncio.timeout(30):
            while words not in (await out.readline()).decode():
                pass

    await until("device R1-io: answering")
    await real.close("R1-io")
    await until("device R1-io: SILENT R1-io at")
    await real.open("R1-io")
    await until("device R1-io: answering")
    process.send_signal(signal.SIGINT)
    rest, _ = await process.communicate()
    assert b"Traceback" not in rest
    assert process.returncode == 0


async def test_a_reader_that_has_seen_enough_is_no_error(served: tuple[Site, Wires]) -> None:
    plant, _ = served
    words = f"{sys.executable} -m fermloop probe {plant.plant.path} --every 0.1 | head -n 1"
    process = await asyncio.create_subprocess_shell(
        words, cwd=plant.folder, env=plant.environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert (out.decode().count("\n"), err) == (1, b"")


async def test_a_narrow_terminal_gets_a_table_that_is_renewed_and_ctrl_c_ends_it(
    served: tuple[Site, Wires],
) -> None:
    plant, _ = served
    near, far = pty.openpty()
    ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 60, 0, 0))
    environment = {k: v for k, v in plant.environment.items() if k not in ("COLUMNS", "NO_COLOR")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fermloop", "probe", plant.plant.path, "R1-gas", "--every", "0.1"),
        cwd=plant.folder, env=environment | {"TERM": "xterm"}, stdin=far, stdout=far, stderr=far,
        start_new_session=True,
    )  # fmt: skip
    os.close(far)
    shown = ""
    async with asyncio.timeout(30):
        while shown.count("R1.offgas_co2") < 3:
            shown += (await asyncio.to_thread(os.read, near, 65_536)).decode()
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0
    os.close(near)
    assert "raw" in shown
    assert "Traceback" not in shown


async def test_while_a_controller_runs_the_plant_its_readings_are_shown(
    served: tuple[Site, Wires],
) -> None:
    plant, _ = served
    plant.start_controller()
    await plant.until("scanning", lambda s: s.get("scans", 0) > 1)
    code, seen = await probe(plant, "R1-io")
    pid = plant.processes[-1].pid
    assert (code, seen["through"]) == (0, f"controller {pid}")
    assert list(seen["devices"]) == ["R1-io"]
    assert set(seen["devices"]["R1-io"]) == DEVICE
    assert seen["devices"]["R1-io"]["tags"]["R1.ph"]["quality"] == "GOOD"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("R1-oi", "device.R1-oi: no such device; did you mean R1-io"),
        ("R1.ph", "device.R1.ph: no such device; it is a tag of R1-io; R1-io, R1-gas are there"),
        ("valve", "device.valve: no such device; R1-io, R1-gas are there"),
    ],
)
async def test_a_device_that_is_not_there_gets_near_names(name: str, says: str) -> None:
    with pytest.raises(FailureError) as failed:
        choose(load_plant(PLANT), [name])
    assert failed.value.code == 2
    assert says in failed.value.lines[0]
    assert failed.value.lines[0].startswith("ecoli_5l.toml: ")


async def test_what_cannot_be_probed_at_all_is_2(tmp_path: Path) -> None:
    async with site(tmp_path) as plant:
        code, out, err = await plant.run("probe", tmp_path / "no.toml", "--once")
        assert (code, out) == (2, "")
        assert "No such file" in err


async def test_every_key_of_the_answer_is_documented() -> None:
    room = (Path(__file__).parents[2] / "fermloop/README.md").read_text(encoding="utf-8")
    part = room.partition("## Probing devices")[2].partition("\n## ")[0]
    rows = [line for line in part.splitlines() if line.startswith("| `")]
    named = {key.rpartition(".")[2] for row in rows for key in re.findall(r"`([\w.]+)`", row)}
    answer = {"plant", "through", "time", "last", "p50", "p99"}
    assert (DEVICE | TAG | answer) - {"tags", "latency_ms"} <= named
