"""Makes what the compose stack needs before it can start: secrets, accounts, plant file, boards.

``python -m dashboards.grafana.stack secrets DIR`` runs before the servers, ``… accounts DIR`` once
InfluxDB answers. Both may run again at every start: what is there and valid stays. Each file
belongs to the one user that reads it and is readable to nobody else.
"""

import argparse
import contextlib
import os
import secrets
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from controller.plant import load_plant
from dashboards.grafana import build
from dashboards.grafana.alerting import KINDS

ORG = "fermloop"
BUCKET = "fermloop"
INFLUX_URL = "http://influxdb:8086"
DATA_DIR = "/var/lib/fermloop"
PLANT = "sim/plants/ecoli_5l.toml"
CONTACT = "FERMLOOP_CONTACT"  # environment variable: KIND=ADDRESS of who is told of alerts

# The users inside the images that read the files.
INFLUX, GRAFANA, FERMLOOP = 1000, 472, 10001
SECRETS = {"influx_password": INFLUX, "influx_token": INFLUX, "grafana_password": GRAFANA}
ACCOUNTS = {"grafana_token": (GRAFANA, "read"), "fermloop_token": (FERMLOOP, "write")}


class StackError(Exception):
    """The stack cannot be prepared; the message says what was wrong."""


def make_secrets(folder: Path, owners: Mapping[str, int] = SECRETS) -> list[str]:
    """Write a random secret of 256 bits for each name that has none; return the new names.

    Args:
        folder: where; made if missing.
        owners: the user id that each secret's file is to belong to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in owners if not (folder / name).exists()]
    for name in missing:
        _write(folder / name, secrets.token_urlsafe(32), 0o400, owners[name])
    return missing


def told_once(folder: Path, made: Sequence[str]) -> list[str]:
    """Return what a person must know of new secrets; afterwards it is in their files alone."""
    if "grafana_password" not in made:
        return []
    password = _token(folder / "grafana_password")
    return [f"Grafana: http://127.0.0.1:3000, user admin, password {password}"]


def make_plant(folder: Path, source: Path) -> None:
    """Write ``plant.toml``: the demo's plant, whose samples also go to the stack's InfluxDB."""
    _write(folder / "plant.toml", plant_text(source.read_text(encoding="utf-8"), folder), 0o444)


def make_grafana(folder: Path, contact: str = "") -> None:
    """Write boards and provisioning files of the stack's plant.

    Args:
        folder: has ``plant.toml``; Grafana sees it under the same path.
        contact: ``KIND=ADDRESS`` of who is told of alerts; nobody if empty.

    Raises:
        StackError: there is no such kind.
    """
    kind, _, address = contact.partition("=")
    if contact and (kind not in KINDS or not address):
        allowed = ", ".join(f"{known}=ADDRESS" for known in KINDS)
        raise StackError(f"{CONTACT}: {contact!r} is not allowed; {allowed} are")
    wanted = build.Wanted(
        load_plant(folder / "plant.toml"), contacts=[(kind, address)] if contact else []
    )
    build.write(wanted, folder / "grafana", folder / "grafana", folder / "grafana_token")


def plant_text(source: str, folder: Path) -> str:
    """Return a plant file with the stack's data folder and its ``[influx]`` table.

    Args:
        source: text of a plant file.
        folder: where the token lies.

    Raises:
        StackError: the file lacks the lines that are to be replaced.
    """
    influx = (
        "enabled = true\n"
        f'url = "{INFLUX_URL}"\norg = "{ORG}"\nbucket = "{BUCKET}"\n'
        f'token_file = "{folder / "fermloop_token"}"'
    )
    made = _replace_line(source, "data_dir = ", f'data_dir = "{DATA_DIR}"')
    made = _replace_line(made, "enabled = ", influx)
    plant = tomllib.loads(made)
    if plant["data_dir"] != DATA_DIR or plant["influx"]["url"] != INFLUX_URL:
        raise StackError("the plant file's data_dir and influx.enabled are not where expected")
    return made


def make_accounts(
    folder: Path, url: str, accounts: Mapping[str, tuple[int, str]] = ACCOUNTS
) -> list[str]:
    """Create a token that may only read and one that may only write; return the new names.

    A token that InfluxDB no longer knows, because its data was thrown away, is made anew.

    Args:
        folder: has ``influx_token``, which may do everything.
        url: where InfluxDB answers.
        accounts: user id and ``read`` or ``write`` for each file.

    Raises:
        StackError: InfluxDB refused, or has no such bucket.
    """
    with httpx.Client(base_url=url, timeout=10.0, trust_env=False) as api:
        operator = _token(folder / "influx_token")
        missing = [name for name in accounts if not _known(api, folder / name)]
        if not missing:
            return []
        buckets = _ask(api, operator, "GET", "/api/v2/buckets", params={"name": BUCKET})["buckets"]
        if not buckets:
            raise StackError(f"InfluxDB at {url} has no bucket {BUCKET}")
        for name in missing:
            uid, action = accounts[name]
            permission = {"action": action, "resource": _resource(buckets[0])}
            wanted = {
                "orgID": buckets[0]["orgID"],
                "description": name,
                "permissions": [permission],
            }
            made = _ask(api, operator, "POST", "/api/v2/authorizations", json=wanted)
            _write(folder / name, made["token"], 0o400, uid)
    return missing


def main(arguments: list[str] | None = None) -> int:
    """Do one of the steps and say what was made; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m dashboards.grafana.stack",
        description="Prepares the compose stack: secrets, accounts and its plant file.",
    )
    parser.add_argument("step", choices=("secrets", "accounts"))
    parser.add_argument("folder", type=Path, help="a volume that the servers share")
    parser.add_argument("--url", default=INFLUX_URL, help="InfluxDB (%(default)s)")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.step == "secrets":
            made = make_secrets(chosen.folder)
            make_plant(chosen.folder, Path(PLANT))
            make_grafana(chosen.folder, os.environ.get(CONTACT, ""))
            print(*told_once(chosen.folder, made), sep="\n")
        else:
            made = make_accounts(chosen.folder, chosen.url)
    except (StackError, OSError, httpx.HTTPError) as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    print(f"stack: {', '.join(made) if made else 'nothing new'} in {chosen.folder}")
    return 0


def _replace_line(text: str, start: str, line: str) -> str:
    lines = text.split("\n")
    places = [n for n, old in enumerate(lines) if old.startswith(start)]
    if len(places) != 1:
        raise StackError(f"{start}… is in {len(places)} lines of the plant file; 1 was expected")
    lines[places[0]] = line
    return "\n".join(lines)


def _write(path: Path, text: str, mode: int, uid: int | None = None) -> None:
    """Put a file in place whole, and never readable to others, not even for a moment."""
    aside = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        aside.unlink()
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(handle, mode)
        if uid is not None:
            os.fchown(handle, uid, -1)
    aside.rename(path)


def _token(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _known(api: httpx.Client, path: Path) -> bool:
    if not path.exists():
        return False
    headers = {"Authorization": f"Token {_token(path)}"}
    return api.get("/api/v2/buckets", params={"limit": 1}, headers=headers).status_code != 401


def _resource(bucket: Mapping[str, Any]) -> dict[str, str]:
    return {"type": "buckets", "id": bucket["id"], "orgID": bucket["orgID"]}


def _ask(api: httpx.Client, token: str, method: str, path: str, **more: Any) -> Any:
    answer = api.request(method, path, headers={"Authorization": f"Token {token}"}, **more)
    if answer.is_error:
        raise StackError(f"InfluxDB refused {method} {path}: {answer.status_code} {answer.text}")
    return answer.json()


if __name__ == "__main__":
    sys.exit(main())
