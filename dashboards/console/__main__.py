"""The console's process: ``python -m dashboards.console --socket … --store … --address …``."""

import argparse
import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Generator
from pathlib import Path

import uvicorn
from cryptography import x509

from controller.acting.users import UserError
from dashboards.console.app import create_app
from dashboards.console.live import Live
from dashboards.console.rim import LOOPBACK

_PR_SET_PDEATHSIG = 1


class AddressError(ValueError):
    """The address is none that this console may serve; the message says what is allowed."""


class Server(uvicorn.Server):
    """uvicorn whose signals are handled by this process, which has event streams to end first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield


def split(address: str, *, secure: bool = False) -> tuple[str, int]:
    """Return host and port of ``127.0.0.1:8080``, ``localhost:8080`` or ``[::1]:8080``.

    Args:
        address: where to listen.
        secure: through TLS, so that any address of this machine is allowed.

    Raises:
        AddressError: it is no address, or other machines could reach it without TLS.
    """
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    allowed = "127.0.0.1, [::1] or localhost, with a port from 0 to 65535, as in 127.0.0.1:8080"
    if not (colon and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise AddressError(f"--address {address}: allowed is {allowed}")
    if host not in ("127.0.0.1", "::1", "localhost") and not (secure and host):
        raise AddressError(
            f"--address {address}: without TLS (certificate and key) the console serves this "
            f"machine only; allowed is {allowed}"
        )
    return ("127.0.0.1" if host == "localhost" else host), int(port)


def bind(address: str, *, secure: bool = False) -> socket.socket:
    """Return a listening socket.

    Raises:
        AddressError: not loopback and not through TLS, or the port cannot be had.
    """
    host, port = split(address, secure=secure)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen()  # from now on a browser waits instead of being refused
    except OSError as error:
        bound.close()
        raise AddressError(f"--address {address}: {error.strerror}; choose a free port") from error
    return bound


def die_with_parent() -> None:
    """Ask the kernel to send SIGTERM when the supervisor is gone; Linux only, elsewhere nothing."""
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it went in between
        sys.exit(0)


def certified(certificate: Path, key: Path) -> tuple[str, ...]:
    """Return the names that a certificate is for; browsers may call the console by these.

    Raises:
        AddressError: certificate or key cannot be used, or others can read the key.
    """
    try:
        mode = key.stat().st_mode & 0o777
        if mode & 0o077:
            raise AddressError(f"--key {key}: mode {mode:04o} is not allowed; its owner alone")
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound) as error:
        raise AddressError(f"--certificate {certificate}: cannot be used: {error}") from None
    addresses = names.get_values_for_type(x509.IPAddress)
    shown = [f"[{a}]" if a.version == 6 else str(a) for a in addresses]
    return tuple(name.lower() for name in [*names.get_values_for_type(x509.DNSName), *shown])


async def serve(bound: socket.socket, chosen: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT, then end the event streams and return.

    Raises:
        AddressError: certificate or key cannot be used.
    """
    secure = chosen.certificate is not None
    names = certified(chosen.certificate, chosen.key) if secure else ()
    host, port = bound.getsockname()[:2]
    app = create_app(
        chosen.socket,
        chosen.store,
        chosen.site,
        chosen.period,
        cookie=f"__Host-fermloop-{port}" if secure else f"fermloop-{port}",
        hosts=(*LOOPBACK, *names),
        secure=secure,
    )
    live: Live = app.state.live
    config = uvicorn.Config(
        app,
        ssl_certfile=chosen.certificate,
        ssl_keyfile=chosen.key,
        http="h11",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = Server(config)

    def stop() -> None:
        live.close()
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    shown = f"[{host}]" if ":" in host else host
    print(f"console: http{'s' if secure else ''}://{shown}:{port}/", flush=True)
    if token := app.state.acting.door.setup:
        print(
            f"console: no users yet; set-up token, good once: {token}\n"
            "console: it makes the first engineer on the page; so does "
            "fermloop user add PLANT.toml NAME --role engineer",
            flush=True,
        )
    await server.serve(sockets=[bound])


def main(arguments: list[str] | None = None) -> int:
    """Run the console; return the exit code: 2 for a wrong argument, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m dashboards.console",
        description="The web console of one plant, and the log-in of its people.",
    )
    parser.add_argument("--socket", type=Path, required=True, help="the command socket")
    parser.add_argument("--store", type=Path, required=True, help="the local store, store.sqlite")
    parser.add_argument(
        "--address", default="127.0.0.1:8080", help="loopback, or TLS (%(default)s)"
    )
    parser.add_argument("--site", default="", help="the plant's name until the controller tells it")
    parser.add_argument(
        "--period", type=float, default=1.0, help="s between two looks at the controller"
    )
    parser.add_argument("--certificate", type=Path, help="PEM; TLS, and any address")
    parser.add_argument("--key", type=Path, help="PEM, readable by its owner alone")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    die_with_parent()
    try:
        if not 0.05 <= chosen.period <= 60:
            raise AddressError(f"--period {chosen.period:g}: 0.05 to 60 s is allowed")
        if (chosen.certificate is None) != (chosen.key is None):
            raise AddressError("--certificate and --key: both or none are required")
        with bind(chosen.address, secure=chosen.certificate is not None) as bound:
            asyncio.run(serve(bound, chosen))
    except (AddressError, UserError) as error:
        print(f"console: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
