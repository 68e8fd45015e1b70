"""``fermloop probe``: what the devices of a plant file say now. Reads only; feeds no watchdog."""

import asyncio
import contextlib
import difflib
import json
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from controller.acting.look import look
from controller.devices.devices import Device, build, wire
from controller.devices.lines import Lines
from controller.devices.third_party import require_third_party
from controller.pace import PlantClock
from controller.plant import Plant, load_plant
from controller.plant_file.config import ConfigError
from controller.registry import held, running
from drivers.clock import monotonic, wall
from drivers.driver import DeviceError
from fermloop.commands import probe_view
from fermloop.commands.remote import ask
from fermloop.failure import USAGE, WORLD, FailureError

PATIENCE_S = 2.0  # wall; so long --once goes on asking a device that does not answer
RETRY_S = 0.2  # wall s between two of these attempts

Seen = Mapping[str, Any]


class Source(Protocol):
    """Where readings come from."""

    async def first(self) -> None:
        """Return when every device has answered or has had its chance."""
        ...

    async def follow(self) -> None:
        """Keep reading in the background."""
        ...

    async def look(self) -> Seen:
        """Return what was read last."""
        ...

    async def close(self) -> None:
        """Let go of the devices."""
        ...


def run(plant_file: Path, names: Sequence[str], once: bool, as_json: bool, every_s: float) -> None:
    """Show the devices until Ctrl-C, or once.

    Raises:
        ConfigError: the plant file is wrong.
        FailureError: no such device; with ``once``, a device failed or a tag is BAD.
    """
    plant = load_plant(plant_file)
    chosen = choose(plant, names)
    require_third_party(plant)
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # the device's row says what is wrong
    try:
        seen = asyncio.run(_probe(plant, chosen, once, as_json, every_s))
    except BrokenPipeError:  # head, grep -m: whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if once and not all_read(seen):
        raise FailureError([], WORLD)


def choose(plant: Plant, names: Sequence[str]) -> list[str]:
    """Return the devices that are meant: those named, or all.

    Raises:
        FailureError: there is no such device; near names are suggested.
    """
    known = list(plant.settings.device)
    lines: list[str] = []
    for name in names:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        if owner := plant.device_of.get(name):
            hint = f"it is a tag of {owner}; "
        if name not in known:
            line = f"device.{name}: no such device; {hint}{', '.join(known)} are there"
            lines.append(f"{plant.path.name}: {line}")
    if lines:
        raise FailureError(lines, USAGE)
    return list(dict.fromkeys(names)) or known


def all_read(seen: Seen) -> bool:
    """Return whether every device answers and no tag is BAD; UNCERTAIN is a reading."""
    devices: Mapping[str, Seen] = seen.get("devices", {})
    return bool(devices) and all(
        d["answering"] and all(t["quality"] != "BAD" for t in d["tags"].values())
        for d in devices.values()
    )


async def _probe(
    plant: Plant, chosen: Sequence[str], once: bool, as_json: bool, every_s: float
) -> Seen:
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    socket = _socket(plant)
    source: Source = (
        Direct(plant, chosen, every_s) if socket is None else Through(plant, socket, chosen)
    )
    try:
        if once:
            await _unless(over, source.first())
            seen = await source.look()
            _say(seen, as_json)
            return seen
        await source.follow()
        with probe_view.screen(sys.stdout.isatty() and not as_json) as live:
            while True:
                seen = await source.look()
                if live is None:
                    _say(seen, as_json)
                else:
                    live(seen)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), every_s)
                    return seen
    finally:
        await source.close()


async def _unless(over: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Return when ``work`` is done, or at once when it is over."""
    tasks = asyncio.create_task(work), asyncio.create_task(over.wait())
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    if not tasks[0].cancelled():
        tasks[0].result()


def _say(seen: Seen, as_json: bool) -> None:
    if as_json:
        print(json.dumps(seen, ensure_ascii=False), flush=True)
    elif sys.stdout.isatty():
        probe_view.show(seen)
    else:
        for line in probe_view.lines(seen):
            print(line)
        sys.stdout.flush()


class Direct:
    """The devices themselves, each asked by a task of its own, so that a dead one delays none.

    Args:
        plant: the checked plant file.
        chosen: names of the devices.
        every_s: wall s between two reads.

    Raises:
        FailureError: a device cannot be set up as the plant file says.
    """

    def __init__(self, plant: Plant, chosen: Sequence[str], every_s: float) -> None:
        self._plant = plant
        self._every_s = every_s
        self._clocks = {name: PlantClock() for name in chosen}
        self._devices: dict[str, Device] = {}
        lines = Lines()
        for name, clock in self._clocks.items():
            settings = plant.settings.device[name]
            try:
                driver = build(name, settings, wire(settings, lines), clock)
            except ConfigError:  # it says where
                raise
            except ValueError as error:
                raise FailureError(f"{plant.path.name}: device.{name}: {error}", USAGE) from None
            self._devices[name] = Device(name, settings, driver, max(every_s, 1.0))
        self._reached: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def first(self) -> None:
        await asyncio.gather(*(self._first(d) for d in self._devices.values()))

    async def follow(self) -> None:
        tasks = [asyncio.create_task(self._follow(d)) for d in self._devices.values()]
        self._tasks = tasks
        # what answers at once is in the first picture
        await asyncio.wait([asyncio.create_task(asyncio.sleep(min(0.3, self._every_s)))])

    async def look(self) -> Seen:
        for task in self._tasks:
            if task.done():
                task.result()  # a bug of a driver is not hidden
        devices = {n: look(d, self._clocks[n].now()) for n, d in self._devices.items()}
        return _seen(self._plant, "wire", wall(), devices)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(d.close() for d in self._devices.values()))

    async def _first(self, device: Device) -> None:
        end = monotonic() + PATIENCE_S
        await self._ask(device)
        while not device.answering and monotonic() < end:
            await asyncio.sleep(RETRY_S)
            await self._ask(device)
        device.error = device.error.partition("; next try in")[0]  # there will be none

    async def _follow(self, device: Device) -> None:
        while True:
            await self._ask(device)
            await asyncio.sleep(self._every_s)

    async def _ask(self, device: Device) -> None:
        """Read once; before the first read ask the device what it is."""
        clock = self._clocks[device.name]
        if device.name not in self._reached:
            try:
                await device.connect()
            except DeviceError as error:
                device.error = str(error)
                return
            if device.identity.simulated:  # its stamps are in its own time
                clock.follow([device.driver], [device.identity])
            self._reached.add(device.name)
        await device.read(clock.now(), None)


class Through:
    """The controller that runs this plant: nobody else may touch its devices meanwhile.

    Args:
        plant: the checked plant file.
        socket: the controller's command socket.
        chosen: names of the devices.
    """

    def __init__(self, plant: Plant, socket: Path, chosen: Sequence[str]) -> None:
        self._plant = plant
        self._socket = socket
        self._chosen = chosen

    async def first(self) -> None: ...

    async def follow(self) -> None: ...

    async def look(self) -> Seen:
        said = await asyncio.to_thread(ask, self._socket, "/devices")
        devices = {n: d for n, d in said["devices"].items() if n in self._chosen}
        return _seen(self._plant, f"controller {said['pid']}", said["time"], devices)

    async def close(self) -> None: ...


def _seen(plant: Plant, through: str, time: float, devices: Mapping[str, Seen]) -> Seen:
    return {"plant": str(plant.path), "through": through, "time": time, "devices": devices}


def _socket(plant: Plant) -> Path | None:
    """Return the command socket of the controller that runs this plant; ``None`` if none does."""
    for card in running():
        if card.plant == str(plant.path.absolute()):
            return Path(card.socket)
    return plant.socket if held(plant.socket) else None
