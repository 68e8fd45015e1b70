"""The console's process: ``python -m dashboards.console --socket … --store … --address …``."""

import argparse
import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
from collections.abc import Generator
from pathlib import Path

import uvicorn

from dashboards.console.app import create_app
from dashboards.console.live import Live

_PR_SET_PDEATHSIG = 1


class AddressError(ValueError):
    """The address is none that this console may serve; the message says what is allowed."""


class Server(uvicorn.Server):
    """uvicorn whose signals are handled by this process, which has event streams to end first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield


def loopback(address: str) -> tuple[str, int]:
    """Return host and port of ``127.0.0.1:8080``, ``localhost:8080`` or ``[::1]:8080``.

    Raises:
        AddressError: it is no address, or other machines could reach it: this console has no
            log-in, so it serves this machine only.
    """
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    allowed = "127.0.0.1, [::1] or localhost, with a port from 0 to 65535, as in 127.0.0.1:8080"
    if not (colon and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise AddressError(f"--address {address}: allowed is {allowed}")
    if host not in ("127.0.0.1", "::1", "localhost"):
        raise AddressError(
            f"--address {address}: without log-in the console serves this machine only; "
            f"allowed is {allowed}"
        )
    return ("127.0.0.1" if host == "localhost" else host), int(port)


def bind(address: str) -> socket.socket:
    """Return a listening socket at a loopback address.

    Raises:
        AddressError: not loopback, or the port cannot be had.
    """
    host, port = loopback(address)
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


async def serve(bound: socket.socket, socket_path: Path, store_path: Path, site: str) -> None:
    """Serve until SIGTERM or SIGINT, then end the event streams and return."""
    app = create_app(socket_path, store_path, site)
    live: Live = app.state.live
    config = uvicorn.Config(
        app,
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
    host, port = bound.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"console: http://{shown}:{port}/", flush=True)
    await server.serve(sockets=[bound])


def main(arguments: list[str] | None = None) -> int:
    """Run the console; return the exit code: 2 for a wrong argument, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m dashboards.console",
        description="The web console of one plant: it shows and never commands.",
    )
    parser.add_argument("--socket", type=Path, required=True, help="the command socket")
    parser.add_argument("--store", type=Path, required=True, help="the local store, store.sqlite")
    parser.add_argument("--address", default="127.0.0.1:8080", help="loopback only (%(default)s)")
    parser.add_argument("--site", default="", help="the plant's name until the controller tells it")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    try:
        bound = bind(chosen.address)
    except AddressError as error:
        print(f"console: {error}", file=sys.stderr)
        return 2
    die_with_parent()
    with bound:
        asyncio.run(serve(bound, chosen.socket, chosen.store, chosen.site))
    return 0


if __name__ == "__main__":
    sys.exit(main())
