"""A process that starts the optimiser's workers, so that the one that scans never has to.

Who starts a process stands still until that one has had its turn and has begun (``vfork``), and
the scan's process has the priority that its workers must not have: on two cores at a load of 8 that
is 4 ms in the median and 28 at worst, of a busier machine's mood without bound. The nursery is
started once, before the first scan; from then on a worker costs the controller one message.

A line asks for a worker and carries its channel, a socket: ``{"command": [...]}``. The worker gets
it as standard input and output; the nursery says first, on the same channel, ``{"pid": 7}``. It
keeps the channel open until the worker is gone and buried, so the other end's EOF means just that.
``{"kill": 7}`` ends one. When its own channel ends, so does everything.
"""

import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from types import FrameType
from typing import Any, Final

PARENT: Final = "{parent}"  # in a command: the process id of who starts it
LINE_MAX: Final = 1 << 16
CHANNELS: Final = 16  # that come with one read
THREADS: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel kill this process when ``parent`` ends; end now if it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent and os.getppid() != parent:
        raise SystemExit(1)


class Nursery:
    """Starts, kills and buries workers.

    Args:
        channel: to the pool.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._workers: dict[int, tuple[subprocess.Popen[bytes], int]] = {}  # and their channels
        self._said = b""
        self._came: list[int] = []  # channels that no line has asked for yet

    def hear(self) -> bool:
        """Do what has been asked; return whether there is still somebody who asks."""
        data, channels, _, _ = socket.recv_fds(self._channel, LINE_MAX, CHANNELS)
        self._came += channels
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            asked: dict[str, Any] = json.loads(line)
            if "command" in asked:
                self._start(asked["command"], self._came.pop(0))
            else:
                self._kill(asked["kill"])
        return bool(data)

    def bury(self) -> None:
        """Wait for those that are gone, and let their channels end."""
        for pid, (worker, channel) in list(self._workers.items()):
            if worker.poll() is not None:
                del self._workers[pid]
                os.close(channel)

    def close(self) -> None:
        """Kill and bury all of them."""
        for pid in list(self._workers):
            self._kill(pid)
        for worker, _ in self._workers.values():
            worker.wait()

    def _start(self, command: list[str], channel: int) -> None:
        mine = str(os.getpid())
        try:
            worker = subprocess.Popen(
                [part.replace(PARENT, mine) for part in command],
                stdin=channel,
                stdout=channel,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **THREADS},
                start_new_session=True,  # a Ctrl-C of the terminal is the controller's to handle
            )
            os.write(channel, json.dumps({"pid": worker.pid}).encode() + b"\n")
        except OSError:
            os.close(channel)  # which says that there is none
            return
        self._workers[worker.pid] = worker, channel

    def _kill(self, pid: int) -> None:
        if pid in self._workers:  # else it is buried already, and the number may be another's
            self._workers[pid][0].kill()  # also ends a stopped one


def _woken(number: int, frame: FrameType | None) -> None:
    """Do nothing: that there is a handler is what lets a worker's end wake the loop."""


def main() -> None:
    """Serve until the pool is gone."""
    die_with(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, _woken)
    signal.set_wakeup_fd(wake)
    channel = socket.socket(fileno=os.dup(0))
    nursery, watched = Nursery(channel), selectors.DefaultSelector()
    watched.register(channel, selectors.EVENT_READ)
    watched.register(woken, selectors.EVENT_READ)
    while True:
        ready = {key.fileobj for key, _ in watched.select()}
        if woken in ready:
            os.read(woken, LINE_MAX)
        if channel in ready and not nursery.hear():
            break
        nursery.bury()
    nursery.close()


if __name__ == "__main__":
    main()
