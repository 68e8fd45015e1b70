"""The code in this room's README runs as it stands."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "drivers" / "README.md"


def test_code_blocks_run(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(README), "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert said == re.findall(r"print\(error\)  # (.*)", "".join(blocks))
