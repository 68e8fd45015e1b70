"""Devices as their manuals print them, on a real socket: example frames, or registers."""

import asyncio
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

EXCEPTION_ADDRESS = 2


def checked(data: bytes) -> bytes:
    """Return an RTU frame: ``data`` with its checksum behind it."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return data + crc.to_bytes(2, "little")


def frame(text: str) -> bytes:
    """Return an RTU frame as a manual prints it; its checksum must be right."""
    data = bytes.fromhex(text.replace(",", " "))
    assert checked(data[:-2]) == data, f"{text}: misprinted, or read wrongly"
    return data


@dataclass
class PaperDevice:
    """A Modbus device that knows what its manual says and nothing else.

    Attributes:
        unit: it keeps silent to any other.
        tcp: it speaks Modbus TCP, else RTU through a gateway: whole frames as manuals print them.
        words: holding and input registers alike, by 0-based address; it refuses all others.
        whole: first address to number of registers that it gives together or not at all.
        script: RTU frames, request to reply; they go before ``words``.
        heard: every request as a whole RTU frame.
    """

    unit: int
    tcp: bool = False
    words: dict[int, int] = field(default_factory=dict[int, int])
    whole: Mapping[int, int] = field(default_factory=dict[int, int])
    script: Mapping[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    heard: list[bytes] = field(default_factory=list[bytes])
    port: int = 0
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> "PaperDevice":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def put(self, address: int, *words: int) -> None:
        self.words.update(enumerate(words, address))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readexactly(6) if self.tcp else b""
                body = await (self._body(reader) if not self.tcp else reader.readexactly(head[5]))
                if body[0] != self.unit:
                    continue
                heard = checked(body)
                self.heard.append(heard)
                reply = self.script.get(heard) or checked(body[:1] + self._answer(body[1:]))
                if self.tcp:
                    reply = head[:4] + (len(reply) - 2).to_bytes(2, "big") + reply[:-2]
                writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.transport.abort()

    @staticmethod
    async def _body(reader: asyncio.StreamReader) -> bytes:
        """Return unit and PDU of the next RTU frame."""
        data = await reader.readexactly(2)
        if data[1] == 16:
            data += await reader.readexactly(5)
            data += await reader.readexactly(data[6])
        else:
            data += await reader.readexactly({0x2B: 3}.get(data[1], 4))
        assert await reader.readexactly(2) == checked(data)[-2:]
        return data

    def _answer(self, request: bytes) -> bytes:
        code = request[0]
        if code not in (3, 4, 6, 16):
            return bytes((code | 0x80, 1))
        start, count = struct.unpack_from(">HH", request, 1)
        if code == 6:
            self.words[start] = count
            return request
        asked = range(start, start + count)
        if any(a not in self.words for a in asked) or self._torn(asked):
            return bytes((code | 0x80, EXCEPTION_ADDRESS))
        if code == 16:
            self.put(start, *struct.unpack_from(f">{count}H", request, 6))
            return request[:5]
        words: Sequence[int] = [self.words[a] for a in asked]
        return bytes((code, 2 * count)) + struct.pack(f">{count}H", *words)

    def _torn(self, asked: range) -> bool:
        return any(
            first < asked.stop
            and asked.start < first + count
            and (asked.start, len(asked)) != (first, count)
            for first, count in self.whole.items()
        )


def float_words(value: float, *, low_first: bool) -> tuple[int, int]:
    """Return the two registers of a float32."""
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return (low, high) if low_first else (high, low)
