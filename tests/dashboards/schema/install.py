"""Grafana's own types and the compiler that checks against them: installed where they are missing.

``make test`` runs this file beside the linters, so that no test waits for it.
"""

import subprocess
from pathlib import Path

from tests.drivers.opcua.node_peer import NODE, NPM

SCHEMA = Path(__file__).parent
TSC = SCHEMA / "node_modules/typescript/bin/tsc"


def install() -> None:
    """Install what the lock file names, if it is not there."""
    done = SCHEMA / "node_modules" / ".package-lock.json"
    if done.exists() and done.stat().st_mtime > (SCHEMA / "package-lock.json").stat().st_mtime:
        return
    subprocess.run(
        [NODE, NPM, "ci", "--ignore-scripts"],
        cwd=SCHEMA,
        check=True,
        capture_output=True,
        timeout=300,
    )


def check(folder: Path) -> list[str]:
    """Return what the compiler says of the files of a folder, which import ``./types``."""
    install()
    (folder / "types.ts").write_text((SCHEMA / "types.ts").read_text(encoding="utf-8"))
    (folder / "tsconfig.json").write_text((SCHEMA / "tsconfig.json").read_text(encoding="utf-8"))
    (folder / "node_modules").symlink_to(SCHEMA / "node_modules")
    argv = [NODE, str(TSC), "--pretty", "false", "-p", "."]
    ended = subprocess.run(
        argv, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    return ended.stdout.splitlines() + ended.stderr.splitlines()


if __name__ == "__main__":
    install()
