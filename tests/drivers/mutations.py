"""What a bad wire makes of a frame: seeded, so that a run can be had again."""

from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from tests.drivers.proxy import CUT, Frame, Piece

Mutation = Callable[[Random, bytes], Sequence[Piece]]


def flipped(random: Random, data: bytes, bits: int) -> bytes:
    """Return ``data`` with that many different bits changed."""
    number = int.from_bytes(data, "big")
    for bit in random.sample(range(8 * len(data)), min(bits, 8 * len(data))):
        number ^= 1 << bit
    return number.to_bytes(len(data), "big")


def replaced(data: bytes, at: int, new: bytes) -> bytes:
    """Return ``data`` with other bytes from ``at`` on; as long as before."""
    return (data[:at] + new + data[at + len(new) :])[: len(data)]


def _flip(random: Random, data: bytes) -> Sequence[Piece]:
    return (flipped(random, data, random.choice((1, 1, 2, 3, 8))),)


def _flip_head(random: Random, data: bytes) -> Sequence[Piece]:
    size = min(random.choice((8, 9, 12)), len(data))
    return (flipped(random, data[:size], random.choice((1, 2))) + data[size:],)


def _byte(random: Random, data: bytes) -> Sequence[Piece]:
    at = random.randrange(min(len(data), 12))
    return (replaced(data, at, random.choice((b"\0", b"\xff", random.randbytes(1)))),)


def _truncate(random: Random, data: bytes) -> Sequence[Piece]:
    return (data[: random.randrange(len(data))], *((CUT,) if random.random() < 0.8 else ()))


def _shorten(random: Random, data: bytes) -> Sequence[Piece]:
    """Take bytes out of the middle."""
    at = random.randrange(len(data))
    return (
        data[:at] + data[at + random.randint(1, 4) :],
        *((CUT,) if random.random() < 0.8 else ()),
    )


def _lengthen(random: Random, data: bytes) -> Sequence[Piece]:
    at = random.randint(0, len(data))
    return (data[:at] + random.randbytes(random.randint(1, 12)) + data[at:],)


def _noise(random: Random, data: bytes) -> Sequence[Piece]:
    return (random.randbytes(random.randint(1, 300)),)


def _duplicate(random: Random, data: bytes) -> Sequence[Piece]:
    return (data, data)


def _split(random: Random, data: bytes) -> Sequence[Piece]:
    """Send it in two pieces, which is no fault."""
    at = random.randrange(len(data))
    return (data[:at], 0.001, data[at:])


def _cut(random: Random, data: bytes) -> Sequence[Piece]:
    return (CUT,)


def _drop(random: Random, data: bytes) -> Sequence[Piece]:
    return ()


def _late(random: Random, data: bytes) -> Sequence[Piece]:
    return (random.choice((0.005, 0.2)), data)


COMMON: dict[Mutation, int] = {
    _flip: 8,
    _flip_head: 8,
    _byte: 6,
    _truncate: 4,
    _shorten: 3,
    _lengthen: 4,
    _noise: 3,
    _duplicate: 4,
    _split: 3,
    _cut: 2,
    _drop: 1,
    _late: 1,
}


def mbap_lies(random: Random, data: bytes) -> Sequence[Piece]:
    """Change one field of a Modbus TCP frame: whatever follows, this is not the answer."""
    at, size = random.choice(((0, 2), (2, 2), (4, 2), (6, 1), (7, 1), (8, 1)))
    old = int.from_bytes(data[at : at + size], "big")
    most = 1 << 8 * size
    new = random.choice((0, 1, old + 1, old - 1, old ^ 0x80, most - 1, random.randrange(most)))
    return (replaced(data, at, (new % most).to_bytes(size, "big")),)


def mbap_exception(random: Random, data: bytes) -> Sequence[Piece]:
    """Answer with a Modbus exception, a known one or not."""
    pdu = bytes((data[7] | 0x80, random.randrange(256)))
    return (data[:4] + b"\0\3" + data[6:7] + pdu,)


def rtu_lies(random: Random, data: bytes) -> Sequence[Piece]:
    """Change one or two bits, or a whole byte, of an RTU frame: the checksum must tell."""
    if random.random() < 0.7:
        return (flipped(random, data, random.choice((1, 2))),)
    at = random.randrange(min(len(data), 3))
    return (replaced(data, at, bytes(((data[at] + random.choice((1, 128, 255))) % 256,))),)


def rtu_exception(random: Random, data: bytes) -> Sequence[Piece]:
    """Answer with a Modbus exception, a known one or not, under a right checksum."""
    answer = bytes((data[0], data[1] | 0x80, random.randrange(256)))
    return (answer + crc(answer),)


def crc(data: bytes) -> bytes:
    """Return the checksum of an RTU frame.

    Source: MODBUS over Serial Line V1.02 (modbus.org), section 6.2.2.
    """
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xA001 if register & 1 else 0)
    return register.to_bytes(2, "little")


class Passed(NamedTuple):
    """A frame that went through a mutator: which, what came, what went on in its place."""

    number: int
    frame: Frame
    sent: bytes


class Mutator:
    """A fault that spoils a share of the frames.

    Args:
        random: where its choices come from.
        mutations: each with its weight.

    Attributes:
        share: of the answers that are spoiled; a tenth of it of the questions.
        count: frames spoiled.
        seen: frames that came.
        passed: the last of them.
    """

    def __init__(self, random: Random, mutations: dict[Mutation, int], share: float = 0.6) -> None:
        self.count = self.seen = 0
        self.passed: deque[Passed] = deque(maxlen=400)
        self.share = share
        self._random = random
        self._mutations, self._weights = list(mutations), list(mutations.values())
        self._earlier: list[bytes] = [b""]

    def since(self, number: int) -> list[Passed]:
        """Return the frames from ``number`` on; ``seen`` is the next one's."""
        return [p for p in self.passed if p.number >= number]

    def __call__(self, frame: Frame) -> Sequence[Piece]:
        pieces: Sequence[Piece] = (frame.data,)
        if self._random.random() < self.share * (0.1 if frame.to_device else 1.0):
            pieces = self._spoil(frame)
            self.count += pieces != (frame.data,)
        if not frame.to_device:
            self._remember(frame.data)
        sent = b"".join(p for p in pieces if isinstance(p, bytes))
        self.passed.append(Passed(self.seen, frame, sent))
        self.seen += 1
        return pieces

    def _spoil(self, frame: Frame) -> Sequence[Piece]:
        if self._random.random() < 0.1:  # out of its order: an answer of earlier, from any wire
            earlier = self._random.choice(self._earlier)
            return self._random.choice(((earlier,), (earlier, frame.data)))
        (mutation,) = self._random.choices(self._mutations, self._weights)
        return mutation(self._random, frame.data)

    def _remember(self, data: bytes) -> None:
        if len(self._earlier) < 64:
            self._earlier.append(data)
        else:
            self._earlier[self._random.randrange(64)] = data
