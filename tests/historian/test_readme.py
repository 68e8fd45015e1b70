import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "historian" / "README.md"


def test_the_readmes_example_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        env = {"PYTHONPATH": str(README.parents[1])}
        subprocess.run([sys.executable, "-c", block], cwd=tmp_path, env=env, check=True)


def test_the_readme_names_every_module() -> None:
    text = README.read_text(encoding="utf-8")
    names = {path.name for path in README.parent.glob("*.py")} - {"__init__.py"}
    assert {name for name in names if f"`{name}`" not in text} == set()
