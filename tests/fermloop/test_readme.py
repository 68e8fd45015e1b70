"""The code in this room's README runs as it stands."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "fermloop" / "README.md"


def test_code_blocks_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(README), "exec"), {})
