"""Grafana's own types and the compiler that checks against them: installed where they are missing.

``make test`` runs this file beside the linters, so that no test waits for it.
"""

import re
import subprocess
from pathlib import Path

from tests.drivers.opcua.node_peer import NODE, NPM

SCHEMA = Path(__file__).parent
TSC = SCHEMA / "node_modules/typescript/bin/tsc"
NEWEST = "13"
VERSIONS = ("10", "11", "12", NEWEST)  # of Grafana whose types and transformations are installed
_PANELS = {  # what the files of Grafana 10 and 11 are called
    "stat": "Stat",
    "statetimeline": "StateTimeline",
    "table": "Table",
    "timeseries": "TimeSeries",
    "trend": "Trend",
}


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


def types(version: str) -> str:
    """Return ``types.ts`` on the types of a version of Grafana: some lie elsewhere."""
    text = (SCHEMA / "types.ts").read_text(encoding="utf-8")
    if version == NEWEST:
        return text
    text = text.replace('"@grafana/schema"', f'"grafana-{version}"')
    text = text.replace("node_modules/@grafana/schema/", f"node_modules/grafana-{version}/")
    if version == "12":
        return text
    text = text.replace(
        "types/raw/dashboard/x/types.gen", "esm/raw/dashboard/x/dashboard_types.gen"
    )
    return re.sub(
        r"types/raw/composable/(\w+)/panelcfg/x/types\.gen",
        lambda m: f"esm/raw/composable/{m[1]}/panelcfg/x/{_PANELS[m[1]]}PanelCfg_types.gen",
        text,
    )


def check(folder: Path, version: str = NEWEST) -> list[str]:
    """Return what the compiler says of the files of a folder, which import ``./types``."""
    install()
    (folder / "types.ts").write_text(types(version), encoding="utf-8")
    (folder / "tsconfig.json").write_text((SCHEMA / "tsconfig.json").read_text(encoding="utf-8"))
    (folder / "node_modules").symlink_to(SCHEMA / "node_modules")
    argv = [NODE, str(TSC), "--pretty", "false", "-p", "."]
    ended = subprocess.run(
        argv, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    return ended.stdout.splitlines() + ended.stderr.splitlines()


if __name__ == "__main__":
    install()
