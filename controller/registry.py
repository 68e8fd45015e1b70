"""Which controllers and simulators run here, and the lock that keeps two off one data directory.

The lock is the kernel's (``flock``): it ends with the process however that dies, so a socket file
found while the lock is ours is a dead one's and may be replaced.
"""

import fcntl
import json
import os
import socket
import stat
import tempfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["controller", "simulator"]
LONGEST_PATH = 107  # bytes; sun_path of a Unix socket is 108 with its closing NUL


class SocketError(ValueError):
    """The command socket cannot be made where it was asked for: the caller is wrong."""


class AlreadyRunningError(SocketError):
    """Another live controller holds this data directory."""

    def __init__(self, path: Path, pid: str) -> None:
        super().__init__(
            f"{path}: a controller already runs here (pid {pid}); stop it or use another data_dir"
        )
        self.pid = pid


class Claim:
    """The right to one command socket, held until ``release`` or until the process dies.

    Args:
        path: the socket's path; its folder is made with mode 0700 if missing.

    Raises:
        AlreadyRunningError: another process holds it.
        SocketError: the path is too long or something that is no socket is there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        if len(os.fsencode(self.path)) > LONGEST_PATH:
            raise SocketError(
                f"{self.path}: {len(os.fsencode(self.path))} bytes is too long for a socket; "
                f"at most {LONGEST_PATH} are allowed; choose a shorter data_dir"
            )
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self.path.with_suffix(".lock")
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise AlreadyRunningError(self.path, holder(self.path)) from None
        os.ftruncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode())
        self._drop_stale()

    def _drop_stale(self) -> None:
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            os.close(self._lock)
            raise SocketError(f"{self.path}: something that is no socket is there; remove it")
        self.path.unlink()

    def bind(self) -> socket.socket:
        """Return a Unix socket bound to the path, readable by its owner only from its birth."""
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            bound.bind(str(self.path))
        finally:
            os.umask(before)
        bound.setblocking(False)
        return bound

    def release(self) -> None:
        """Remove the socket and let go; the lock file stays, so that nobody locks a removed one."""
        self.path.unlink(missing_ok=True)
        os.close(self._lock)


@dataclass(frozen=True, slots=True)
class Running:
    """A controller or a simulator that runs now.

    Attributes:
        plant: the plant file's absolute path.
        socket: the command socket's absolute path.
        pid: its process.
        kind: which of the two.
    """

    plant: str
    socket: str
    pid: int
    kind: Kind = "controller"


def folder() -> Path:
    """Return where this user's controllers and simulators leave their card, mode 0700."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and Path(base).is_dir():
        path = Path(base) / "fermloop"
    else:
        path = Path(tempfile.gettempdir()) / f"fermloop-{os.getuid()}"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise SocketError(
            f"{path}: belongs to another user; set XDG_RUNTIME_DIR to a folder of ours"
        )
    return path


def announce(plant: Path, socket_path: Path, kind: Kind = "controller") -> Path:
    """Leave this process's card and return its path; remove it when the process ends."""
    card = Running(str(plant.absolute()), str(socket_path.absolute()), os.getpid(), kind)
    path = folder() / f"{os.getpid()}-{zlib.crc32(os.fsencode(card.socket)):08x}.json"
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps(asdict(card)), encoding="utf-8")
    aside.replace(path)  # a reader sees all of it or nothing
    return path


def running(kind: Kind = "controller") -> list[Running]:
    """Return those of a kind that are alive, oldest card first; a dead one's card is ignored."""
    found: list[tuple[float, Running]] = []
    for path in folder().glob("*.json"):
        try:
            card = Running(**json.loads(path.read_text(encoding="utf-8")))
            made = path.stat().st_mtime
        except (OSError, ValueError, TypeError):
            continue  # half gone or not ours: nothing that could be spoken to
        if card.kind == kind and held(Path(card.socket)):
            found.append((made, card))
    return [card for _, card in sorted(found, key=lambda pair: pair[0])]


def holder(socket_path: Path) -> str:
    """Return the process id of the socket's last holder, ``unknown`` if it left none."""
    try:
        return socket_path.with_suffix(".lock").read_text(encoding="ascii").strip() or "unknown"
    except (OSError, ValueError):
        return "unknown"


def held(socket_path: Path) -> bool:
    """Return whether a live process holds the socket; a pid alone may be another process by now."""
    try:
        lock = os.open(socket_path.with_suffix(".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
