"""Grafana's own components from npm, built into what looks at frames and what draws panels."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.dashboards.grafana_asks import Reader
from tests.dashboards.schema.install import NEWEST
from tests.drivers.opcua.node_peer import NODE, NPM
from tests.system.influx_server import InfluxServer

HERE = Path(__file__).parent
MADE = HERE / "node_modules" / ".made"
# the page's clock and modules of CommonJS, as a browser and as Node.js have them
_NODE_NEEDS = (
    "globalThis.window=globalThis;import{createRequire}from'module';"
    "const require=createRequire(import.meta.url);"
)


def install() -> None:
    """Install what the lock file names, if it is not there; the first time takes a minute."""
    lock = (HERE / "package-lock.json").read_bytes()
    done = HERE / "node_modules" / ".installed-lock.json"
    if done.exists() and done.read_bytes() == lock:
        return
    _run(NODE, NPM, "ci", "--ignore-scripts", "--legacy-peer-deps")
    done.write_bytes(lock)


def build(source: str, *options: str) -> Path:
    """Return the bundle of a file of this folder."""
    install()
    made = MADE / Path(source).with_suffix(".mjs").name
    esbuild = HERE / "node_modules/@esbuild/linux-x64/bin/esbuild"
    _run(str(esbuild), source, "--bundle", "--format=esm", f"--outfile={made}", *options)
    return made


def frames(asked: Iterable[Mapping[str, Any]], version: str = NEWEST) -> list[dict[str, Any]]:
    """Return what panels of a Grafana get; ``asked``: panels with the answers of their queries."""
    other = () if version == NEWEST else (f"--alias:@grafana/data=grafana-{version}",)
    bundle = build("look.ts", "--platform=node", f"--banner:js={_NODE_NEEDS}", *other)
    lines = "\n".join(map(json.dumps, asked))
    said = subprocess.run(
        [NODE, str(bundle)], input=lines, capture_output=True, text=True, timeout=300, check=False
    )
    if said.returncode:
        raise RuntimeError(said.stderr[-2000:])
    # a package below that of Grafana 12 advertises itself among the lines
    return [json.loads(line) for line in said.stdout.splitlines() if line.startswith("{")]


def asked(server: InfluxServer, panel: Mapping[str, Any], reader: Reader) -> dict[str, Any]:
    """Return a panel with the answers of its queries, times in ms as Grafana asks for them."""
    answers: list[dict[str, Any]] = []
    reader = reader.of(panel)
    for target in panel["targets"]:
        series = server.query(reader.asks(target["query"], panel.get("interval", "")))
        for one in series:
            if one["columns"][0] == "time":
                one["values"] = [[row[0] // 1000, *row[1:]] for row in one["values"]]
        kept = {key: target[key] for key in ("refId", "alias", "resultFormat")}
        answers.append({**kept, "series": series})
    return {"panel": panel, "answers": answers}


def _run(*argv: str) -> None:
    subprocess.run(argv, cwd=HERE, check=True, capture_output=True, timeout=900)
