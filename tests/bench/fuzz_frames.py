"""Modbus parsers and decoders under bytes that a coverage-guided fuzzer thinks of.

    .venv/bin/python -m pip install --no-deps atheris
    .venv/bin/python tests/bench/fuzz_frames.py FOLDER -runs=1000000

Every input goes to one of the checks of ``tests/drivers/modbus``: frames of Modbus TCP, frames of
RTU, or replies behind the real driver; each must say what an independent reading says. FOLDER keeps
what the fuzzer has learned and a row for each part of 100 000 inputs: interrupted, the same command
runs the parts that are missing. More options are libFuzzer's; a failing input is left in
``crash-*``, and that file in place of the folder repeats it.
"""

import argparse
import asyncio
import importlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.planning.worker import die_with
from fermloop.campaign.results import Results, Row
from tests.bench.long_run import rows

REQUESTS = [bytes.fromhex(r) for r in (
    "03 0000 0003", "01 0000 000A", "02 0000 0008", "04 0000 0003", "05 0001 FF00", "06 0001 1234",
    "0F 0001 0002 01 03", "10 0001 0001 02 0007", "17 0000 0002 0001 0001 02 0007",
)]  # fmt: skip
LATE: Sequence[dict[int, int]] = ({}, {1: 9}, {1: 10}, {1: 9, 0: 9})
PART = 100_000  # inputs
TOLD = 1000  # inputs between two words to who keeps the parts
OWING = ((), (10,), (10, 11), (9,))


def instrumented() -> Any:
    """Return atheris, with what is to be fuzzed imported under its eyes."""
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        sys.exit("atheris is missing; .venv/bin/python -m pip install --no-deps atheris")
    with atheris.instrument_imports(include=["drivers.modbus", "pymodbus.framer", "pymodbus.pdu"]):
        importlib.import_module("drivers.modbus.rtu")
        importlib.import_module("drivers.modbus.tcp")
    return atheris


class Fuzz:
    """One input after another; the first byte says what it is for.

    Args:
        tell: gets what became of the inputs so far, now and then.
    """

    def __init__(self, tell: Callable[[Counter[str]], None] = lambda _: None) -> None:
        from tests.drivers.modbus import decoding, parsing  # after the instrumentation

        self._count: Counter[str] = Counter()
        self._tell = tell
        self._parsing = parsing
        self._make, self._benches = decoding.Bench, dict[int, decoding.Bench]()
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda _, context: self._unhandled.append(context))
        self._unhandled: list[dict[str, Any]] = []

    def __call__(self, data: bytes) -> None:
        head, rest = data[:5].ljust(5, b"\0"), data[5:]
        kind, work = (("tcp", self._tcp), ("rtu", self._rtu), ("decode", self._decode))[head[0] % 3]
        outcome = self._loop.run_until_complete(work(head, rest))
        assert not self._unhandled, self._unhandled
        self._count[f"{kind} {outcome}"] += 1
        if self._count.total() % TOLD == 0:
            self._tell(self._count)

    async def _tcp(self, head: bytes, rest: bytes) -> str:
        if head[1] & 4:  # a right head
            rest = b"\0\2\0\0" + (len(rest) + 1).to_bytes(2, "big") + b"\x09" + rest[:252]
        return await self._parsing.tcp(REQUESTS[0], _cut(rest, head[2], head[3]), LATE[head[1] % 4])

    async def _rtu(self, head: bytes, rest: bytes) -> str:
        request = REQUESTS[head[4] % len(REQUESTS)]
        owing, echo, at = OWING[head[1] % 4], bool(head[1] & 8), head[3]
        if head[1] & 16:  # a neighbour's late reply before, as it should be
            rest = b"".join(self._checked(p) for p in (rest[:at], rest[at:]) if p)
        elif head[1] & 4:
            rest = self._checked(rest)
        if head[1] & 64:  # the right answer, and what is left behind it
            size = _size(request)
            data = rest[:size].ljust(size, b"\0")
            rest = self._checked(b"\x09" + _answer(request, data)) + rest[size:]
        if head[1] & 32:
            rest = self._checked(b"\x09" + request) + rest
        return await self._parsing.rtu(request, _cut(rest, head[2], at), owing, echo=echo)

    async def _decode(self, head: bytes, rest: bytes) -> str:
        seed = head[1]
        bench = self._benches.get(seed) or self._benches.setdefault(seed, self._make(Random(seed)))
        words, bits = bench.sizes
        rest = rest or b"\0"
        bench.device.words = (rest * (words // len(rest) + 1))[:words]
        bench.device.bits = (rest * (bits // len(rest) + 1))[:bits]
        how, at = head[2] % 8, head[3]
        spoils: list[Callable[[bytes], bytes]] = [
            lambda _: rest,
            lambda r: r[:at],
            lambda r: rest[:2] + r[2:],
            lambda r: r + rest,
        ]
        bench.device.spoil = spoils[how] if how < len(spoils) else bytes
        outcome = await bench.check()
        assert outcome == "read" or how < len(spoils)
        return outcome

    def _checked(self, frame: bytes) -> bytes:
        return frame + self._parsing.crc(frame)


def _cut(data: bytes, *at: int) -> list[bytes]:
    cuts = sorted({min(a, len(data)) for a in at})
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if b > a]


def _size(request: bytes) -> int:
    """Return how many bytes of data answer a read; 0 for a write."""
    count = int.from_bytes(request[3:5], "big")
    if request[0] in (5, 6, 15, 16):
        return 0
    return (count + 7) // 8 if request[0] < 3 else 2 * count


def _answer(request: bytes, data: bytes) -> bytes:
    return bytes((request[0], len(data))) + data if data else request[:5]


def examples() -> list[bytes]:
    """Return inputs to begin with: right answers."""
    found = [bytes((2, seed, 7, 0, 0)) + bytes(range(40)) for seed in range(16)]
    found += [bytes((2, seed, seed % 4, 9, 0)) + bytes(30) for seed in range(8)]
    found += [b"\0\4\xff\xff\0" + bytes.fromhex("03 06 0001 0002 0003")]
    found += [b"\0\1\4\xff\0" + bytes.fromhex("0001 0000 0003 09 83 02 0002 0000 0003 09 83 02")]
    for i, request in enumerate(REQUESTS):
        answer = _answer(request, bytes(range(_size(request))))
        found.append(bytes((1, 4, 255, 255, i)) + b"\x09" + answer)
        found.append(bytes((1, 4 | 8 | 32, 5, 255, i)) + b"\x09" + answer)
        found.append(bytes((1, 17, 255, 3, i)) + b"\x0a\x83\x02\x09" + answer)
        found.append(bytes((1, 64, 255, 255, i)))
    return found


class FoundError(Exception):
    """An input fails; libFuzzer has said which."""


def fuzz(arguments: Sequence[str], tell: Callable[[Counter[str]], None]) -> int:
    """Run libFuzzer to its end in a process of its own, which it ends; return the exit code."""
    parent = os.getpid()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    die_with(parent)
    atheris = instrumented()
    atheris.Setup([sys.argv[0], "-max_len=300", *arguments], Fuzz(tell))
    atheris.Fuzz()
    os._exit(0)


def parts(folder: Path, numbers: Sequence[int], options: Sequence[str]) -> Iterator[Row]:
    """Yield what became of the inputs of each part.

    Raises:
        FoundError: an input fails.
    """
    corpus, told = folder / "corpus", folder / "told.json"
    corpus.mkdir(exist_ok=True)
    for number, data in enumerate(examples()):
        (corpus / f"{number}").write_bytes(data)
    for number in numbers:
        how = [f"-runs={PART}", f"-seed={number + 1}", *options, str(corpus)]
        code = fuzz(how, partial(_write, told))
        if code:
            raise FoundError
        count: dict[str, int] = json.loads(told.read_text())
        yield {"part": number, "inputs": sum(count.values()), "became": count}


def _write(path: Path, count: Counter[str]) -> None:
    path.write_text(json.dumps(count))


def main() -> int:
    """Fuzz, or repeat one input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("at", type=Path, metavar="FOLDER", help="or a failing input")
    parser.add_argument("-runs", type=int, default=PART)
    given, options = parser.parse_known_args()
    if given.at.is_file():
        return fuzz([*options, str(given.at)], lambda _: None)
    numbers = range(-(-given.runs // PART))
    with Results(given.at / "parts.jsonl", lambda row: row["part"]) as kept:
        try:
            found = rows(kept, numbers, int, lambda missing: parts(given.at, missing, options))
        except FoundError:
            return 1
    became: Counter[str] = Counter()
    for row in found:
        became.update(row["became"])
    print(f"{became.total()} inputs: {dict(sorted(became.items()))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
