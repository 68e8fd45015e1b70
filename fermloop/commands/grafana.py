"""``fermloop grafana``: boards and rules of a plant file, as files or in a running Grafana."""

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import sim
from controller.plant import load_plant
from controller.texts.said import Language
from dashboards.grafana import build as made
from dashboards.grafana.alerting import KINDS
from dashboards.grafana.board import LANGUAGES
from dashboards.grafana.build import Wanted
from dashboards.grafana.push import Grafana, PushError, changes
from fermloop.failure import USAGE, FailureError
from historian.influx import read_token

DEMO = Path(sim.__file__).parent / "plants/ecoli_5l.toml"


def wanted(
    plant_file: Path | None, language: Language | None, site: str, contacts: Sequence[str] | None
) -> Wanted:
    """Return what is to be made.

    Raises:
        ConfigError: the plant file is wrong.
        FailureError: a contact is.
    """
    pairs: list[tuple[str, str]] = []
    for contact in contacts or ():
        kind, _, address = contact.partition("=")
        if kind not in KINDS or not address:
            allowed = ", ".join(f"{k}=ADDRESS" for k in KINDS)
            raise FailureError(f"--contact: {contact!r} is not allowed; {allowed} are", USAGE)
        pairs.append((kind, address))
    languages = (language,) if language else LANGUAGES
    return Wanted(load_plant(plant_file or DEMO), languages, site, pairs)


def build(what: Wanted, out: Path, token_file: Path) -> None:
    """Write the files and say which."""
    try:
        paths = made.write(what, out, out.resolve(), token_file)
    except OSError as error:
        raise FailureError(f"{error.filename}: cannot be written: {error.strerror}") from None
    for path in paths:
        print(path)


def push(
    what: Wanted,
    url: str,
    token_file: Path,
    influx_token_file: Path | None,
    dry_run: bool,
    diff: bool,
    as_json: bool,
) -> None:
    """Write what differs, and say what was done or would be."""
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise FailureError(f"--url: {url!r} is not allowed; http(s)://host[:port] is", USAGE)
    try:
        token = read_token(token_file, None)
        influx = read_token(influx_token_file, None) if influx_token_file else ""
    except ValueError as error:
        raise FailureError(str(error), USAGE) from None
    done: list[dict[str, str]] = []
    try:
        with Grafana(url, token) as grafana:
            for change in changes(grafana, what, influx):
                if change.state != "same" and not dry_run:
                    change.make()
                done.append({"what": change.what, "name": change.name, "state": change.state})
                if not as_json:
                    print(f"{change.state:8}{change.what} {change.name}")
                    if diff:
                        print("\n".join(change.diff), end="\n" if change.diff else "")
    except PushError as error:
        raise FailureError(str(error)) from None
    if as_json:
        print(json.dumps({"dry_run": dry_run, "changes": done}, ensure_ascii=False))
    elif dry_run:
        print("dry run: nothing was written")
