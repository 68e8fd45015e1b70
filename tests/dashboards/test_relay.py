"""The relay passes bytes on both ways and ends when either side does."""

import asyncio

from dashboards.grafana.relay import relay


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
