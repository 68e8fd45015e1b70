"""Whether an address of the plant file can be listened on."""

import os
import socket


class ListenError(RuntimeError):
    """An address of the plant file cannot be served; names device and address."""


def require_free(name: str, host: str, port: int) -> None:
    """Raise ``ListenError`` unless ``host:port`` can be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise ListenError(f"{name}: cannot listen on {host}:{port}: {reason}") from None
