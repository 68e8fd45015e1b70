"""``fermloop cert``: makes, shows and trusts OPC UA application certificates."""

import asyncio
import json
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from drivers.opcua.certificates import (
    WARN_DAYS,
    Facts,
    SecurityError,
    der,
    facts,
    make,
    parse,
    read,
    write_key,
)
from fermloop.failure import USAGE, FailureError

TRUSTED = "trusted"  # folder beside our own certificate


def new(
    folder: Path, name: str, uri: str | None, hosts: Sequence[str], days: int, as_json: bool
) -> None:
    """Make a key and a self-signed certificate in ``folder``; nothing there is overwritten.

    Raises:
        FailureError: one is there already, or the folder cannot be written.
    """
    here = socket.gethostname()
    certificate_file, key_file = folder / f"{name}.der", folder / f"{name}.pem"
    for file in (certificate_file, key_file):
        if file.exists():
            raise FailureError(f"{file}: is there already; another --name or folder is required")
    key, certificate = make(
        uri or f"urn:{here}:{name}", hosts or [here], common_name=f"{name}@{here}", days=days
    )
    try:
        (folder / TRUSTED).mkdir(parents=True, exist_ok=True, mode=0o700)
        write_key(key_file, key)
        certificate_file.write_bytes(der(certificate))
    except OSError as error:
        raise FailureError(
            f"{folder}: {error.strerror}; a folder to write to is required"
        ) from None
    found = facts(certificate)
    if as_json:
        print(
            json.dumps({"certificate": str(certificate_file), "key": str(key_file), **told(found)})
        )
        return
    _print(str(certificate_file), found)
    print(f"\nLet the server trust {certificate_file}, and say in the plant file:\n")
    print("[device.NAME.security]")
    print('policy = "Basic256Sha256"')
    print(f"certificate = {json.dumps(str(certificate_file.absolute()))}")
    print(f"key = {json.dumps(str(key_file.absolute()))}")
    print(f"trusted = {json.dumps(str((folder / TRUSTED).absolute()))}")


def show(paths: Sequence[Path], as_json: bool) -> None:
    """Show certificates, or all of a folder.

    Raises:
        FailureError: one cannot be read.
    """
    try:
        files = [f for p in paths for f in (sorted(_files(p)) if p.is_dir() else [p])]
        found = [(f, facts(read(f))) for f in files]
    except SecurityError as error:
        raise FailureError(str(error), USAGE) from None
    if as_json:
        print(json.dumps([{"file": str(f), **told(one)} for f, one in found]))
        return
    for file, one in found:
        _print(str(file), one)


def trust(source: str, folder: Path, yes: bool, thumbprint: str | None, as_json: bool) -> None:
    """Copy a server's certificate, from its address or a file, into the trusted folder.

    Raises:
        FailureError: there is none, it is not the one that was meant, or nobody agreed.
        DeviceError: the server does not answer.
    """
    certificate = _fetch(source) if source.startswith("opc.tcp://") else _read(Path(source))
    found = facts(certificate)
    if not as_json:
        _print(source, found)
    if thumbprint is not None:
        if _bare(thumbprint) not in (found.sha256, found.sha1):
            raise FailureError(f"{source}: its SHA-256 is {found.sha256}, not {thumbprint}")
    elif not yes:
        _ask(source)
    target = folder / f"{found.sha1}.der"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.write_bytes(der(certificate))
    except OSError as error:
        raise FailureError(
            f"{folder}: {error.strerror}; a folder to write to is required"
        ) from None
    print(json.dumps({"trusted": str(target), **told(found)}) if as_json else f"trusted: {target}")


def told(found: Facts) -> dict[str, object]:
    """Return the facts of a certificate for JSON; times are ISO 8601 in UTC."""
    return {**asdict(found), "begins": _day(found.begins), "ends": _day(found.ends)}


def _files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for path in folder.iterdir():
        try:
            if path.is_file() and parse(path.read_bytes()):
                found.append(path)
        except ValueError:
            continue  # a key, a note
    return found


def _read(path: Path) -> x509.Certificate:
    try:
        return read(path)
    except SecurityError as error:
        raise FailureError(str(error), USAGE) from None


def _fetch(url: str) -> x509.Certificate:
    from drivers.opcua.offers import offers

    found = asyncio.run(offers(url))
    certificates = {der(o.certificate): o.certificate for o in found if o.certificate is not None}
    if not certificates:
        raise FailureError(f"{url}: shows no certificate; it offers no security")
    if len(certificates) > 1:
        raise FailureError(f"{url}: shows several certificates; copy the right one as a file")
    return next(iter(certificates.values()))


def _ask(source: str) -> None:
    if not sys.stdin.isatty():
        raise FailureError(
            f"{source}: nothing is trusted unseen; --thumbprint SHA256 or --yes is required", USAGE
        )
    print("Compare the thumbprint with what the server itself shows.")
    if input("Trust this certificate? [y/N] ").strip().lower() not in ("y", "yes"):
        raise FailureError(f"{source}: not trusted")


def _bare(thumbprint: str) -> str:
    return "".join(c for c in thumbprint.lower() if c in "0123456789abcdef")


def _day(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")


def _left(found: Facts) -> str:
    if found.days_left < 0:
        return f"ended {-found.days_left} days ago"
    return f"{found.days_left} days left"


def _lines(found: Facts) -> dict[str, str]:
    return {
        "subject": found.subject,
        "issuer": "itself" if found.self_signed else found.issuer,
        "application URI": ", ".join(found.uris) or "none",
        "hosts": ", ".join(found.hosts) or "none",
        "valid": f"{_day(found.begins)} to {_day(found.ends)}, {_left(found)}",
        "key": found.algorithm,
        "SHA-1": found.sha1,
        "SHA-256": found.sha256,
    }


def _print(title: str, found: Facts) -> None:
    if not sys.stdout.isatty():
        print(title)
        for key, value in _lines(found).items():
            print(f"  {key}: {value}")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, show_header=False, box=None, title_justify="left")
    soon = found.days_left < WARN_DAYS
    for key, value in _lines(found).items():
        table.add_row(key, value, style="bold red" if soon and key == "valid" else None)
    Console(highlight=False).print(table)
