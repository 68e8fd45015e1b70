"""Passes TCP connections on: ``python -m dashboards.grafana.relay 8081 127.0.0.1:8080``.

The console serves loopback only, and a container's loopback cannot be published. In the compose
stack this relay stands in the console's network namespace; compose publishes it on the host's
loopback and nowhere else, so the console keeps its rule.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncGenerator

CHUNK = 65536


async def relay(listen: tuple[str, int], to: tuple[str, int]) -> asyncio.Server:
    """Return a server that passes each of its connections on to ``to``, both ways.

    Raises:
        OSError: the address cannot be had.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancelled only at the end of the process: nothing to say about it then.
        with contextlib.suppress(asyncio.CancelledError):
            async with _closing(writer):
                try:
                    there, back = await asyncio.open_connection(*to)
                except OSError:
                    return  # nobody there yet: the caller sees its connection end
                async with _closing(back), asyncio.TaskGroup() as both:
                    both.create_task(_pump(reader, back))
                    both.create_task(_pump(there, writer))

    return await asyncio.start_server(serve, *listen)


async def main(arguments: list[str] | None = None) -> int:
    """Relay until SIGTERM or SIGINT; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.grafana.relay")
    parser.add_argument("port", type=int, help="listened on, on every address")
    parser.add_argument("to", help="HOST:PORT")
    chosen = parser.parse_args(arguments)
    host, _, port = chosen.to.rpartition(":")
    server = await relay(("0.0.0.0", chosen.port), (host, int(port)))
    print(f"relay: port {chosen.port} to {chosen.to}", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    server.close()
    return 0


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(CHUNK):
                writer.write(chunk)
                await writer.drain()
    finally:
        if not writer.is_closing():
            with contextlib.suppress(OSError):  # the other end may be gone already
                writer.write_eof()


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
