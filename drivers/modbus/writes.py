"""How actuators are written and read back: which requests, and what must come in reply. No I/O."""

from collections.abc import Mapping, Sequence
from typing import Literal

from drivers.modbus.blocks import READ_WRITE, Block
from drivers.modbus.plan import Limits, ReadPlan, groups
from drivers.modbus.registers import Register

How = Literal["multiple", "single", "read_write"]

_CODES: dict[How, tuple[int, int]] = {  # of coils, of registers; 23 knows no coils
    "multiple": (15, 16),
    "single": (5, 6),
    "read_write": (15, READ_WRITE),
}
_LIMITS: dict[How, Limits] = {
    "multiple": Limits(123, 1968, 0),
    "single": Limits(1, 1, 0),
    "read_write": Limits(121, 1968, 0),
}


class WritePlan:
    """The requests that write a set of actuators and read them back, all in one exchange.

    Args:
        registers: of the actuators.
        how: by which function codes.
        limits: of a request that reads them back.

    Attributes:
        tags: of the actuators.
        writes: what each write request moves.
        readbacks: what is read back; a request of function 23 counts as one.
        asked: what each request is, for messages.

    Raises:
        ValueError: a number is too long for one request.
    """

    def __init__(self, registers: Sequence[Register], how: How, limits: Limits) -> None:
        self.tags = tuple(r.tag for r in registers)
        try:
            self.writes = [Block(part) for part in groups(registers, _LIMITS[how])]
        except ValueError as error:
            raise ValueError(f"writes = {how}: {error}") from None
        self._moved = [(b, _CODES[how][not b.bits]) for b in self.writes]
        both = [b for b, code in self._moved if code == READ_WRITE]
        rest = [r for r in registers if not any(b.holds(r) for b in both)]
        reads = ReadPlan(rest, limits).blocks
        self._reads = [b.request for b in reads]
        self._any_both = bool(both)
        self.readbacks = [*both, *reads]
        self.asked = [f"a write of {b}" for b in self.writes] + [str(b) for b in reads]

    def requests(self, wanted: Mapping[str, bytes]) -> list[bytes]:
        """Return the requests that write ``wanted``: each actuator's bytes, by tag name."""
        return self.moves(wanted) + self._reads

    def moves(self, wanted: Mapping[str, bytes]) -> list[bytes]:
        """Return those of ``requests`` that write."""
        found: list[bytes] = []
        for block, code in self._moved:  # mostly one: to begin a comprehension would cost more
            found.append(block.write_request([wanted[name] for name in block.names], code))
        return found

    def echoes(
        self, requests: Sequence[bytes], replies: Sequence[bytes]
    ) -> list[tuple[bytes, bytes, bytes, int, str]]:
        """Return what is left to check: request, reply, its head and length, what was asked."""
        found: list[tuple[bytes, bytes, bytes, int, str]] = []
        for k, (block, code) in enumerate(self._moved):
            head, length = requests[k][:5], 5
            if code == READ_WRITE:
                head, length = bytes((READ_WRITE, block.head[1])), block.length
            elif replies[k] == head:
                continue
            found.append((requests[k], replies[k], head, length, self.asked[k]))
        return found

    def held(self, replies: Sequence[bytes]) -> list[bytes]:
        """Return the replies that say what each of ``readbacks`` now holds."""
        held = list(replies[len(self.writes) :])
        if not self._any_both:
            return held
        both = [
            block.head[:1] + reply[1:]  # as if it had been read by itself
            for (block, code), reply in zip(self._moved, replies, strict=False)
            if code == READ_WRITE
        ]
        return both + held
