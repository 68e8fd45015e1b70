"""Mistakes in types, masks, states, quality, info and reads are named when the file is checked."""

from pathlib import Path
from typing import Any

import pytest

from controller.plant import load_plant
from controller.plant_file.config import ConfigError
from controller.plant_file.device_settings import DeviceSettings
from controller.plant_file.registers import read_plan

PLANT = Path("sim/plants/ecoli_5l.toml")
ROW = '  { name = "R1.agitation",'


def refused(tmp_path: Path, row: str = "", device: str = "") -> list[str]:
    """Return the lines with which the demo's plant with one more row or key is refused."""
    text = PLANT.read_text(encoding="utf-8")
    path = tmp_path / "plant.toml"
    if row:
        assert ROW in text
        text = text.replace(ROW, f"  {{ {row} }},\n{ROW}", 1)
    text = text.replace("unit_id = 1\n", f"unit_id = 1\n{device}\n", 1)
    path.write_text(text, encoding="utf-8")
    try:
        load_plant(path)
    except ConfigError as error:
        return error.lines
    return []


X = 'name = "R1.x", unit = "1", low = 0, high = 1, '
Q = X + 'input = 20, type = "uint16", quality = '


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (X + 'input = 20, type = "string", length = 4', ".type: string is not allowed for a tag"),
        (X + 'input = 20, type = "uint16", length = 4', ".length: 4 is not allowed with uint16"),
        (X + 'input = 20, type = "float32", mask = 1', ".mask: 0x1 is not allowed with float32"),
        (X + "discrete = 1, mask = 1", ".mask: 0x1 is not allowed with bit"),
        (X + 'input = 20, type = "uint16", mask = 65536', "mask 0x10000 is not allowed; uint16"),
        (X + 'input = 20, type = "uint16", mask = 0', ".mask: 0 is not allowed; mask (the bits"),
        (
            'name = "R1.x", unit = "1", low = 0, high = 9, input = 20, type = "uint16", mask = 1',
            "0 to 9 1 does not fit uint16 with scale 1 and mask 0x1; 0 to 1 counts are allowed",
        ),
        (
            X + 'holding = 20, type = "uint16", mask = 1, safe = 0',
            ".mask: is not allowed for an actuator; a register is never written in part",
        ),
        (X + 'input = 0, type = "int16", mask = 1', ".input: 0 is not allowed; R1.temperature"),
        (X + 'input_number = 1, type = "int16"', ".input: 0 is not allowed; R1.temperature"),
        (X + "input = 20", ".type: missing; one of int16, uint16,"),
        (X + 'input = 20, input_number = 21, type = "int16"', "exactly one of input, holding"),
        (X + 'input = 65533, type = "float64"', "address 65533 is outside 0 to 65535"),
        (X + 'input = 20, type = "int16", states = { 3 = "c" }', ".states: 3 is not allowed; 0 to"),
        (
            X + 'input = 20, type = "float32", states = { 1 = "on" }',
            ".states: is not allowed with float32; it goes with integers and bits",
        ),
        (
            X + 'input = 20, type = "int16", scale = 2, states = { 1 = "on" }',
            ".states: is not allowed with scale or offset",
        ),
        (
            X + 'holding = 20, type = "int16", safe = 0, states = { 0 = "off" }',
            ".states: every whole number from 0 to 1 of an actuator needs a name",
        ),
        (
            'name = "R1.x", unit = "1", low = 0, high = 1e17, safe = 0, holding = 20, '
            'type = "int64"',
            "1e+17 counts is not allowed for an actuator; 2^53",
        ),
        (
            'name = "R1.x", unit = "1", low = 0, high = 2, coil = 1',
            "0 to 2 is not allowed; the range of a bit is 0 to 1",
        ),
        (Q + "{ good = [0] }", ".quality: exactly one of input, holding"),
        (Q + "{ input = 21, holding = 1, good = [0] }", ".quality: exactly one of input, holding"),
        (Q + "{ input = 21, good = [] }", ".quality.good: list is not allowed"),
        (
            Q + '{ input = 21, type = "float32", good = [0] }',
            ".quality.type: float32 is not allowed; an integer or a bit",
        ),
        (Q + "{ input = 21, mask = 3, good = [4] }", ".quality.good: 4 is not allowed; 0 to 3"),
        (
            Q + "{ discrete = 21, good = [1], uncertain = [2] }",
            ".quality.uncertain: 2 is not allowed; 0 to 1 can be there",
        ),
        (
            Q + "{ input = 21, good = [0, 1], uncertain = [1] }",
            ".quality.uncertain: 1 is not allowed; it is good already",
        ),
        (Q + "{ input = 21, scale = 2, good = [0] }", ".quality.scale: no such key"),
    ],
)
def test_a_mistake_in_a_tag_is_named(tmp_path: Path, row: str, says: str) -> None:
    lines = refused(tmp_path, row)
    assert any(
        line.startswith("plant.toml: device.R1-io.tags.4") and says in line for line in lines
    ), lines


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ('info = [{ name = "s", input = 1 }]', "info.0 (s).type: missing; one of int16,"),
        ('info = [{ name = "s", type = "int16" }]', "info.0 (s): exactly one of input, holding"),
        (
            'info = [{ name = "s", input = 1, type = "string" }]',
            "info.0 (s).length: missing; registers of the string are required",
        ),
        (
            'info = [{ name = "s", input = 1, type = "string", length = 2, equals = 5 }]',
            "info.0 (s).equals: 5 is not allowed; a text goes with string",
        ),
        (
            'info = [{ name = "s", input = 1, type = "string", length = 2, equals = "ABCDE" }]',
            "info.0 (s).equals: 'ABCDE' is not allowed; at most 4 printable",
        ),
        (
            'info = [{ name = "s", input = 1, type = "uint16", equals = "A" }]',
            "info.0 (s).equals: 'A' is not allowed; a number goes with uint16",
        ),
        (
            'info = [{ name = "s", input = 1, type = "uint16", equals = 65536 }]',
            "info.0 (s).equals: 65536 is not allowed; 0 to 65535",
        ),
        (
            'info = [{ name = "s", input = 1, type = "uint16", equals = 1.5 }]',
            "info.0 (s).equals: 1.5 is not allowed; uint16 holds whole numbers",
        ),
        (
            'info = [{ name = "s", input = 1, type = "int16" }, '
            '{ name = "s", input = 2, type = "int16" }]',
            "info.1 (s): duplicate name; s is defined already",
        ),
        ("read = { max_registers = 1 }", "tags.2 (R1.ph): 2 registers at once are needed; read"),
        ("read = { max_registers = 126 }", "read.max_registers: 126 is not allowed"),
        (
            'writes = "single"',
            "tags.8 (R1.acid).type: float32 is not allowed for an actuator with writes = single",
        ),
        ('writes = "both"', "writes: both is not allowed"),
    ],
)
def test_a_mistake_in_a_device_is_named(tmp_path: Path, keys: str, says: str) -> None:
    lines = refused(tmp_path, device=keys)
    assert any(line.startswith(f"plant.toml: device.R1-io.{says}") for line in lines), lines


def test_what_only_registers_have_is_refused_for_opcua(tmp_path: Path) -> None:
    text = PLANT.read_text(encoding="utf-8")
    path = tmp_path / "plant.toml"
    path.write_text(text.replace("s=R1.weight", 's=R1.weight", scale = 2, type = "int16', 1))
    with pytest.raises(ConfigError) as wrong:
        load_plant(path)
    assert [line.partition("(R1.weight)")[2] for line in wrong.value.lines] == [
        ".scale: is not allowed with opcua; it goes with Modbus registers",
        ".type: is not allowed with opcua; it goes with Modbus registers",
    ]


@pytest.mark.parametrize(
    "row",
    [
        X + 'input = 20, type = "uint16", mask = 0x0010',
        X + 'input = 20, type = "uint64", words = "little", bytes = "little"',
        X + 'input = 20, type = "uint16", states = { 0 = "off", 1 = "on" }',
        X + "discrete_number = 1",
        Q + "{ input = 5, mask = 0x8000, good = [0], uncertain = [1] }",
        Q + "{ discrete = 3, good = [1] }",
        'name = "R1.x", unit = "1", low = 0, high = 655.35, input = 20, type = "uint16", '
        "scale = 0.01",
    ],
)
def test_what_a_device_can_have_is_accepted(tmp_path: Path, row: str) -> None:
    assert refused(tmp_path, row) == []


def test_two_tags_share_a_register_by_masks_that_do_not_meet(tmp_path: Path) -> None:
    row = X + 'input = 20, type = "uint16", mask = '
    other = row.replace("R1.x", "R1.y")
    assert refused(tmp_path, f"{row}1 }}, {{ {other}2") == []
    lines = refused(tmp_path, f"{row}3 }}, {{ {other}2")
    assert "(R1.y).mask: 0x2 is not allowed; R1.x has bits of it" in lines[0]


def test_info_may_lie_where_tags_are(tmp_path: Path) -> None:
    keys = 'info = [{ name = "s", input = 2, type = "float32", equals = 7.0 }]'
    assert refused(tmp_path, device=keys) == []


def test_a_plant_files_read_plan_is_known_without_a_device() -> None:
    io = load_plant(PLANT).settings.device["R1-io"]
    assert [(r.code, r.start, r.count, r.unused) for r in read_plan(io)] == [
        (3, 0, 14, 1),
        (4, 0, 8, 0),
    ]
    given: dict[str, Any] = io.model_dump(exclude_unset=True)
    close = DeviceSettings.model_validate({**given, "read": {"max_gap": 0, "max_registers": 4}})
    assert [(r.start, r.count) for r in read_plan(close) if r.code == 4] == [(0, 4), (4, 4)]
    assert [(r.start, r.count) for r in read_plan(close) if r.code == 3] == [
        (0, 3),
        (4, 4),
        (8, 4),
        (12, 2),
    ]
