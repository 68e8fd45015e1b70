"""What must be as before once a driver is closed: tasks, sockets, memory."""

import asyncio
import gc
import os
import resource
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from drivers.clock import monotonic

PAGE = resource.getpagesize()


def open_files() -> int:
    """Return how many file descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def resident_bytes() -> int:
    """Return how much memory this process has in RAM, after a collection."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@asynccontextmanager
async def nothing_left(within_s: float = 5.0) -> AsyncGenerator[None]:
    """Fail if the body leaves a task or a file descriptor behind.

    Closing a socket takes asyncio a few turns of its loop, so they are waited for, but not long.
    """
    tasks, files = asyncio.all_tasks(), open_files()
    yield
    end = monotonic() + within_s
    while True:
        left = [t for t in asyncio.all_tasks() - tasks if not t.done()]
        sockets = open_files() - files
        if not left and sockets <= 0:
            return
        assert monotonic() < end, f"left behind: {sockets} files, {left}"
        await asyncio.sleep(0.01)
