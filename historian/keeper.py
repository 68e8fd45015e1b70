"""Seals batches some time after they ended: ``python -m historian.keeper --store … --after-h …``.

A process of its own at the lowest priority, for packing a fortnight takes the processor for a
while; what it has sealed the store's writer lets go of by itself.
"""

import argparse
import ctypes
import logging
import os
import signal
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from historian.schema import StoreError
from historian.seal import SealError, due, seal

_LOG = logging.getLogger(__name__)
_EVERY_S = 600.0  # wall
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: Sequence[str] | None = None) -> int:
    """Seal what is due, now and every ten minutes, until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="historian.keeper")
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--after-h", type=float, required=True, help="plant time since its end")
    asked = parser.parse_args(arguments)
    logging.basicConfig(format="keeper: %(levelname)s %(message)s", level=logging.INFO)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # die with the supervisor
    os.nice(19)
    told = ""
    while not stop.is_set():
        told = _look(asked.store, asked.after_h, told)
        stop.wait(_EVERY_S)
    return 0


def _look(store: Path, after_h: float, told: str) -> str:
    """Seal what is due; return what went wrong, which is told once."""
    try:
        for id_ in due(store, after_h):
            manifest = seal(store, id_)
            _LOG.info("%s: sealed, %d rows in %.1f MB", id_, manifest.rows, manifest.size / 1e6)
    except (SealError, StoreError, LookupError, sqlite3.Error, OSError) as error:
        text = str(error)
        if text != told and store.exists():
            _LOG.warning("%s", text)
        return text
    return ""


if __name__ == "__main__":
    raise SystemExit(main())
