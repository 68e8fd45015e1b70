"""OPC UA values a second: our driver beside bare asyncua on the same server, turn by turn.

    .venv/bin/python tests/bench/bench_opcua.py [NODES] [ROUNDS]

The rival is asyncua's own batched read (``Client.read_values``): it returns bare values, without
status, unit, range or time. Each round is 40 reads of one and 40 of the other, so both see the same
machine. A subscribed driver asks for nothing; its figure is what a scan costs.
"""

import asyncio
import logging
import statistics
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from asyncua.client.client import Client

from drivers.clock import SystemClock, monotonic
from drivers.opcua import OpcUaDriver
from drivers.opcua.link import OpcUaLink
from drivers.point import Quality
from tests.drivers.opcua.served import URI, free_port, node
from tests.drivers.opcua.test_survival import served

READS = 40
TIMEOUT_S = 20.0


async def values_per_s(read: Callable[[], Awaitable[object]], nodes: int) -> float:
    began = monotonic()
    for _ in range(READS):
        await read()
    return READS * nodes / (monotonic() - began)


async def measure(nodes: int, rounds: int) -> dict[str, list[float]]:
    """Return the values a second of each round: ours, bare asyncua's and subscribed."""
    port = free_port()
    url = f"opc.tcp://127.0.0.1:{port}/plant"
    tags = [node(f"v{k}") for k in range(nodes)]
    links = [OpcUaLink(url, TIMEOUT_S, insecure=True) for _ in range(2)]
    ours = OpcUaDriver("ours", tags, links[0], SystemClock())
    sent = OpcUaDriver("sent", tags, links[1], SystemClock(), subscribe_s=0.1)
    found: dict[str, list[float]] = {"ours": [], "asyncua": [], "subscribed": []}
    async with served(port, 1.0), Client(url, timeout=TIMEOUT_S) as bare:
        index = await bare.get_namespace_index(URI)
        asked = [bare.get_node(f"ns={index};s=v{k}") for k in range(nodes)]
        contenders: dict[str, Callable[[], Awaitable[object]]] = {
            "ours": ours.read,
            "asyncua": lambda: bare.read_values(asked),
            "subscribed": sent.read,
        }
        samples = await ours.read()
        assert all(s.quality is Quality.GOOD for s in samples.values())
        for read in contenders.values():
            await values_per_s(read, nodes)  # warm
        for _ in range(rounds):
            for name, read in contenders.items():
                found[name].append(await values_per_s(read, nodes))
        for link in links:
            await link.close()
    return found


def ratio(found: dict[str, list[float]]) -> float:
    """Return ours as part of asyncua's, the median of all rounds."""
    return statistics.median(a / b for a, b in zip(found["ours"], found["asyncua"], strict=True))


def main() -> None:
    """Print the figures."""
    logging.disable(logging.WARNING)
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 25
    found = asyncio.run(measure(nodes, rounds))
    for name, figures in found.items():
        print(f"{name:>10}: {statistics.median(figures):10.0f} values/s")
    print(f"ours / asyncua, {nodes} nodes, {rounds} rounds: {ratio(found):.2f}")


if __name__ == "__main__":
    main()
