"""Real batches of the demo's plant in an InfluxDB, a day after each other, for panels to show."""

import re
from collections.abc import Sequence
from pathlib import Path

from controller.plant import Plant
from fermloop.commands.check import recipe_for
from fermloop.commands.closed_loop import run_batch
from historian.events import Event
from historian.forwarder import Forwarder
from historian.influx import InfluxSettings, InfluxWriter
from historian.reader import SqliteReader
from historian.sqlite import SqliteStore
from tests.system.influx_server import InfluxServer

DAY_US = 86_400_000_000
FIRST = b"20260101"  # in the names of batches: every virtual batch begins then


def simulate(
    store: Path, plant: Plant, recipe: Path, hours: float, seed: int, events: Sequence[Event] = ()
) -> None:
    """Run a batch with the optimiser on into a new store; ``events`` happen beside it."""
    with SqliteStore(store, wait_when_full=True) as kept:
        run_batch(
            plant,
            recipe_for(plant, recipe),
            recipe,
            hours=hours,
            seed=seed,
            optimiser="on",
            store=kept,
        )
        for event in events:
            kept.record(event)


def forward(store: Path, server: InfluxServer, day: int, folder: Path) -> None:
    """Send a store to the server as the forwarder does, as if it had been ``day`` days later.

    Args:
        store: of one batch.
        server: takes it.
        day: 0 leaves it as it was.
        folder: of the forwarder's cursor.
    """
    writer = InfluxWriter(InfluxSettings(server.url, "plant", server.bucket, server.token))
    later = FIRST[:-2] + b"%02d" % (1 + day)

    def post(body: bytes) -> None:
        writer.post(moved(body, day * DAY_US).replace(FIRST, later))

    with SqliteReader(store) as reader:
        forwarder = Forwarder(reader, post, folder / f"cursor{day}.json", site="demo")
        while forwarder.step() == 0.0:
            pass
    writer.close()
    if forwarder.status.error or forwarder.status.quarantined:
        raise RuntimeError(f"{store}: {forwarder.status}")


def moved(body: bytes, by_us: int) -> bytes:
    """Return lines of line protocol as if all of them had been ``by_us`` µs later."""

    def made(found: re.Match[bytes]) -> bytes:
        return b"%d" % (int(found[0]) + by_us // 1000)  # when a plan was, ms

    lines = (line.rpartition(b" ") for line in body.split(b"\n"))
    text = b"\n".join([b"%s %d" % (head, int(time) + by_us) for head, _, time in lines])
    return re.sub(rb"(?<= made=)\d+", made, text)
