"""The read plan: the fewest requests for what is read in a scan, computed once. No I/O."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from drivers.modbus.blocks import Block
from drivers.modbus.cells import READ_CODE, Cell, Table
from drivers.modbus.registers import Register
from drivers.point import BAD, Sample

C = TypeVar("C", Register, Cell, Register | Cell)


class Limits(NamedTuple):
    """What one request may move.

    Attributes:
        registers: at most so many.
        bits: coils or discrete inputs, at most so many.
        gap: unused registers, or bits, that may lie between two that are wanted.
        whole: ranges that the device answers only as a whole.
    """

    registers: int = 125
    bits: int = 2000
    gap: int = 16
    whole: tuple[Cell, ...] = ()

    def around(self, cell: Register | Cell) -> Cell | None:
        """Return the whole range that ``cell`` lies in.

        Raises:
            ValueError: it lies in it only in part.
        """
        for whole in self.whole:
            if whole.table == cell.table and whole.meets(cell.address, cell.end):
                if not whole.address <= cell.address < cell.end <= whole.end:
                    raise ValueError(
                        f"{cell.table} {cell.address} to {cell.end - 1} lies only in part in "
                        f"{whole.address} to {whole.end - 1}, which is read as a whole"
                    )
                return whole
        return None

    def most(self, table: Table) -> int:
        """Return how much of a table one request may move."""
        return self.bits if table in ("coil", "discrete") else self.registers


@dataclass(frozen=True, slots=True)
class Read:
    """One request of a read plan, for people.

    Attributes:
        code: Modbus function code.
        start: 0-based first address.
        count: registers or bits.
        tags: what is in it: names of tags, ``NAME quality`` where a status lives.
        unused: registers or bits that are read along because they lie between.
    """

    code: int
    start: int
    count: int
    tags: tuple[str, ...]
    unused: int

    def __str__(self) -> str:
        what = "bits" if self.code < 3 else "registers"
        last = f" to {self.start + self.count - 1}" if self.count > 1 else ""
        unused = f" ({self.unused} unused)" if self.unused else ""
        return (
            f"FC{self.code} {self.start}{last}: {self.count} {what}{unused}: {', '.join(self.tags)}"
        )


class ReadPlan:
    """How registers are read with the fewest requests, and what the replies mean.

    No number is ever split over two requests: its halves would be of two moments.

    Args:
        registers: with their status registers.
        limits: of one request.
        others: what else is read, by name; see ``part``.

    Raises:
        ValueError: registers overlap, or one is longer than a request may be.
    """

    def __init__(
        self,
        registers: Iterable[Register],
        limits: Limits | None = None,
        others: Mapping[str, Cell] | None = None,
    ) -> None:
        registers, others = tuple(registers), dict(others or {})
        require_apart(registers)
        graded = [(r, r.status) for r in registers if r.status is not None]
        labels: dict[Cell, list[str]] = {}
        for r, status in graded:
            labels.setdefault(status.cell, []).append(f"{r.tag.name} quality")
        for name, cell in others.items():
            labels.setdefault(cell, []).append(name)
        limits = limits or Limits()
        found = groups([*registers, *labels], limits)
        self.blocks = [Block(parts, limits.around(parts[0])) for parts in found]
        self.requests = [b.request for b in self.blocks]
        self.asked = [str(b) for b in self.blocks]
        self.reads = tuple(
            _read(b, parts, labels) for b, parts in zip(self.blocks, found, strict=True)
        )
        self._place = {cell: self._of(cell) for cell in labels}
        self._where = {r.tag.name: (self._of(r), r) for r in registers}
        self._graded = [(r.tag, s, self._place[s.cell]) for r, s in graded]

    def samples(self, replies: Sequence[bytes], time: float) -> dict[str, Sample]:
        """Return one sample a register out of checked replies, stamped ``time``."""
        found: dict[str, Sample] = {}
        for block, reply in zip(self.blocks, replies, strict=True):
            block.samples(reply, time, found)
        for tag, status, at in self._graded:
            quality = status.quality(self.blocks[at].part(replies[at], status.cell))
            if quality < found[tag.name].quality:
                value = math.nan if quality is BAD else found[tag.name].value
                found[tag.name] = Sample(tag, time, value, quality)
        return found

    def part(self, replies: Sequence[bytes], cell: Cell) -> bytes:
        """Return the bytes of one of ``others`` or of a status out of checked replies."""
        at = self._place[cell]
        return self.blocks[at].part(replies[at], cell)

    def place(self, cell: Cell) -> int:
        """Return in which of ``blocks`` one of ``others`` or a status is."""
        return self._place[cell]

    def raw(self, replies: Sequence[bytes]) -> dict[str, str]:
        """Return the words of each tag as they came over the wire, for people."""
        found: dict[str, str] = {}
        for name, (at, register) in self._where.items():
            found[name] = _hex(self.blocks[at].part(replies[at], register), register.cell)
            if register.status is not None:
                cell = register.status.cell
                found[name] += f", quality {_hex(self.part(replies, cell), cell)}"
        return found

    def _of(self, cell: Register | Cell) -> int:
        return next(i for i, b in enumerate(self.blocks) if b.holds(cell))


def _read(block: Block, parts: Iterable[Register | Cell], labels: Mapping[Cell, list[str]]) -> Read:
    names = [[p.tag.name] if isinstance(p, Register) else labels[p] for p in parts]
    return Read(
        READ_CODE[block.table],
        block.start,
        block.count,
        tuple(n for some in names for n in some),
        block.unused,
    )


def _hex(data: bytes, cell: Cell) -> str:
    if cell.type == "bit":
        return str(data[0])
    return data.hex(" ", 2).upper()


def require_apart(registers: Iterable[Register]) -> None:
    """Return if no two registers have a bit in common.

    Raises:
        ValueError: two have; tags may share a register by masks that do not.
    """
    last: dict[Table, Register] = {}
    for r in sorted(registers, key=lambda r: (r.address, r.end)):
        before = last.get(r.table)
        if before is not None and r.address < before.end:
            shared = r.mask and before.mask and (r.address, r.end) == (before.address, before.end)
            if not shared:
                raise ValueError(
                    f"{r.tag.name}: {r.table} {r.address} is already taken by {before.tag.name}"
                )
        last[r.table] = r
    taken: dict[tuple[Table, int], list[Register]] = {}
    for r in registers:
        for other in taken.setdefault((r.table, r.address), []):
            if r.mask and other.mask and r.mask & other.mask:
                raise ValueError(
                    f"{r.tag.name}: mask {r.mask:#x} of {r.table} {r.address} has bits of "
                    f"{other.tag.name}"
                )
        taken[r.table, r.address].append(r)


class _Atom(NamedTuple):
    """What must be in one request because it overlaps."""

    start: int
    end: int
    parts: list[Any]


def groups(cells: Iterable[C], limits: Limits) -> list[list[C]]:
    """Return what is moved together: the fewest requests, and of those the fewest registers.

    Args:
        cells: each stays whole; those that overlap, or share a whole range, stay together.
        limits: of one request.

    Raises:
        ValueError: something is longer than a request may be, or in part in a whole range.
    """
    by_table: dict[tuple[Table, int], list[C]] = {}  # and how many whole ranges lie before it
    by_whole: dict[Cell, list[C]] = {}
    for cell in cells:
        whole = limits.around(cell)
        if whole is None:
            passed = sum(w.table == cell.table and w.end <= cell.address for w in limits.whole)
            by_table.setdefault((cell.table, passed), []).append(cell)
        else:
            by_whole.setdefault(whole, []).append(cell)
    for whole in by_whole:
        if whole.count > limits.most(whole.table):
            raise ValueError(
                f"{whole.table} {whole.address}: {whole.count} registers that must be read at "
                f"once; {limits.most(whole.table)} are allowed"
            )
    found = [sorted(part, key=lambda c: (c.address, c.end)) for part in by_whole.values()]
    for table, passed in sorted(by_table, key=lambda key: (READ_CODE[key[0]], key[1])):
        most = limits.most(table)
        atoms = _atoms(by_table[table, passed])
        for atom in atoms:
            if atom.end - atom.start > most:
                raise ValueError(
                    f"{table} {atom.start}: {atom.end - atom.start} registers that must be read at "
                    f"once; {most} are allowed"
                )
        found += [[p for atom in part for p in atom.parts] for part in _split(atoms, most, limits)]
    return found


def _atoms(cells: Iterable[Any]) -> list[_Atom]:
    found: list[_Atom] = []
    for cell in sorted(cells, key=lambda c: (c.address, c.end)):
        if found and cell.address < found[-1].end:
            last = found.pop()
            found.append(_Atom(last.start, max(last.end, cell.end), [*last.parts, cell]))
        else:
            found.append(_Atom(cell.address, cell.end, [cell]))
    return found


def _split(atoms: Sequence[_Atom], most: int, limits: Limits) -> list[Sequence[_Atom]]:
    """Return the runs of ``atoms`` that share a request.

    From the last atom backwards: ``best[i]`` is what the atoms from ``i`` on need. A run ends as
    late as it can, or before a gap; to end it anywhere else would spare nothing.
    """
    count = len(atoms)
    best: list[tuple[int, int, int]] = [(0, 0, 0)] * (count + 1)  # requests, registers, end of run
    reach = count
    for i in range(count - 1, -1, -1):
        if i + 1 < count and atoms[i + 1].start - atoms[i].end > limits.gap:
            reach = i + 1
        while atoms[reach - 1].end - atoms[i].start > most:
            reach -= 1
        for k in range(reach, i, -1):
            if best[k][0] > best[reach][0]:
                break  # one request more, and ever more from here on
            if k < reach and atoms[k].start == atoms[k - 1].end:
                continue
            need = best[k][0] + 1, best[k][1] + atoms[k - 1].end - atoms[i].start
            if k == reach or need < best[i][:2]:
                best[i] = *need, k
    found: list[Sequence[_Atom]] = []
    i = 0
    while i < count:
        found.append(atoms[i : best[i][2]])
        i = best[i][2]
    return found
