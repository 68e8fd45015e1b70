"""Devices as their manuals print them, on a real socket: example frames, or registers."""

import asyncio
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

EXCEPTION_ADDRESS = 2


def frame(text: str) -> bytes:
    """Return unit and PDU of an RTU frame as printed; its checksum must be right."""
    data = bytes.fromhex(text)
    crc = 0xFFFF
    for byte in data[:-2]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    assert crc.to_bytes(2, "little") == data[-2:], f"{text}: misprinted, or read wrongly"
    return data[:-2]


@dataclass
class PaperDevice:
    """A Modbus TCP device that knows what its manual says and nothing else.

    Attributes:
        unit: it keeps silent to any other.
        words: holding and input registers alike, by 0-based address; it refuses all others.
        whole: first address to number of registers that it gives together or not at all.
        script: frames with unit, request to reply; they go before ``words``.
        heard: PDUs of the requests.
    """

    unit: int
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
                head = await reader.readexactly(6)
                body = await reader.readexactly(int.from_bytes(head[4:6], "big"))
                if body[0] != self.unit:
                    continue
                self.heard.append(body[1:])
                reply = self.script.get(body) or body[:1] + self._answer(body[1:])
                writer.write(head[:4] + len(reply).to_bytes(2, "big") + reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.transport.abort()

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
