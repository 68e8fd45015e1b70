"""The relay passes bytes on both ways and ends when either side does."""

import asyncio
import signal
import socket
import subprocess
import sys

import pytest

from dashboards.grafana.relay import relay

pytestmark = pytest.mark.real_time


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()


def port(server: asyncio.Server) -> int:
    return server.sockets[0].getsockname()[1]


async def test_bytes_go_both_ways_and_the_end_is_passed_on() -> None:
    async with (
        await asyncio.start_server(shout, "127.0.0.1", 0, limit=1 << 20) as far,
        await relay(("127.0.0.1", 0), ("127.0.0.1", port(far))) as near,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port(near))
        writer.write(b"one\n")
        assert await reader.readline() == b"ONE\n"
        big = b"x" * 300_000 + b"\n"
        writer.write(big)
        assert await reader.readexactly(len(big)) == big.upper()
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_nobody_behind_it_is_an_ended_connection() -> None:
    async with await asyncio.start_server(shout, "127.0.0.1", 0) as far:
        nobody = port(far)
    async with await relay(("127.0.0.1", 0), ("127.0.0.1", nobody)) as near:
        reader, writer = await asyncio.open_connection("127.0.0.1", port(near))
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_caller_that_breaks_off_is_told_to_the_other_side() -> None:
    ended = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()
        writer.close()

    async with (
        await asyncio.start_server(listen, "127.0.0.1", 0) as far,
        await relay(("127.0.0.1", 0), ("127.0.0.1", port(far))) as near,
    ):
        with socket.create_connection(("127.0.0.1", port(near))) as caller:
            linger = (1).to_bytes(4, sys.byteorder) + bytes(4)  # closing sends a reset
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        async with asyncio.timeout(10):
            await ended.wait()


def test_the_process_ends_quietly_with_a_connection_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as far, socket.create_server(("", 0)) as trial:
        listened = trial.getsockname()[1]
        trial.close()
        to = f"127.0.0.1:{far.getsockname()[1]}"
        argv = [sys.executable, "-m", "dashboards.grafana.relay", str(listened), to]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"relay: ")
            with socket.create_connection(("127.0.0.1", listened)):
                arrived, _ = far.accept()
                with arrived:
                    process.send_signal(signal.SIGTERM)
                    assert process.stdout.read() == b""
                    assert process.wait() == 0
