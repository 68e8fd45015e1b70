"""What a scan of a batch in virtual time costs, and where: CPU time, the store not written.

    .venv/bin/python tests/bench/bench_closed_loop.py [HOURS] [ROUNDS]

HOURS (0.5 by default) of E. coli in 5 L through the drivers' code at 1 s scans, the best of ROUNDS
(7): first as it is, then with a clock around each part, whose own cost lands in what is around it.
A loop of plain Python that is always the same runs in between: where it is slower than usual, so is
the machine, and by as much.
"""

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.outputs import Outputs
from controller.plant import load_plant
from controller.reactor import Reactor
from controller.recipes.recipe import RecipeRunner, load_recipe
from controller.scan_group import ScanGroup
from controller.sensing.hindsight import Hindsight
from drivers.modbus.driver import ModbusDriver
from drivers.opcua.driver import OpcUaDriver
from fermloop.commands.closed_loop import run_batch
from sim.links import VesselModbusLink, VesselOpcUaLink
from sim.vessel import Vessel

SIM = Path(__file__).resolve().parents[2] / "sim"
PARTS = {  # what is timed, each without the others
    "vessel: drives, equations, instruments": [(Vessel, "advance")],
    "Modbus device: answers": [(VesselModbusLink, "exchange")],
    "Modbus driver: read": [(ModbusDriver, "read")],
    "Modbus driver: write and read back": [(ModbusDriver, "write")],
    "Modbus driver: heartbeat": [(ModbusDriver, "heartbeat")],
    "OPC UA device: answers": [(VesselOpcUaLink, "read"), (VesselOpcUaLink, "write")],
    "OPC UA driver": [(OpcUaDriver, "read"), (OpcUaDriver, "write")],
    "estimator": [(Hindsight, "update")],
    "recipe": [(RecipeRunner, "step")],
    "loops and guard": [(Outputs, "_move")],
    "reactor, the rest": [(Reactor, "step")],
    "samples of the controller's own": [(Reactor, "record")],
    "scan, the rest": [(ScanGroup, "once")],
}


class Split:
    """CPU seconds by part; a part that runs inside another is not counted there."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._inside = [0.0]
        self._put_back: list[tuple[type, str, Any]] = []

    def __enter__(self) -> "Split":
        for part, places in PARTS.items():
            for cls, name in places:
                owner = next(c for c in cls.__mro__ if name in vars(c))
                was = vars(owner)[name]
                self._put_back.append((owner, name, was))
                wrap = self._awaited if was.__code__.co_flags & 0x80 else self._called
                setattr(owner, name, functools.wraps(was)(wrap(part, was)))
        return self

    def __exit__(self, *exc: object) -> None:
        for owner, name, was in self._put_back:
            setattr(owner, name, was)

    def _count(self, part: str, began: float) -> None:
        took = time.process_time() - began
        self.seconds[part] += took - self._inside.pop()
        self._inside[-1] += took

    def _called(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._inside.append(0.0)
            began = time.process_time()
            try:
                return work(*args, **kwargs)
            finally:
                self._count(part, began)

        return timed

    def _awaited(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        async def timed(*args: Any, **kwargs: Any) -> Any:
            self._inside.append(0.0)
            began = time.process_time()
            try:
                return await work(*args, **kwargs)
            finally:
                self._count(part, began)

        return timed


def seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of ``work``."""
    began = time.process_time()
    work()
    return time.process_time() - began


def yardstick() -> None:
    """Run plain Python: a dictionary, tuples, floats."""
    kept: dict[int, tuple[int, float]] = {}
    for i in range(150_000):
        kept[i & 255] = (i, float(i) * 0.5)
        kept.get(i)


def main() -> None:
    """Print microseconds a scan, seconds for 40 h, and the parts."""
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 0.5
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    plant, path = load_plant(SIM / "plants/ecoli_5l.toml"), SIM / "recipes/ecoli.toml"
    recipe, scans = load_recipe(path), hours * 3600.0

    def batch(hours: float = hours) -> None:
        run_batch(plant, recipe, path, hours=hours, seed=1)

    batch(0.01)  # models are loaded
    took = stick = float("inf")
    parts = dict.fromkeys(PARTS, float("inf"))
    for _ in range(rounds):
        stick = min(stick, seconds(yardstick))
        took = min(took, seconds(batch))
        with Split() as split:
            batch()
        parts = {name: min(parts[name], s) for name, s in split.seconds.items()}
    print(f"{took / scans * 1e6:.0f} us a scan, 40 h: {took * 40 / hours:.1f} s (goal 20, then 8)")
    print(f"the yardstick took {stick * 1e3:.1f} ms")
    for name, s in parts.items():
        print(f"  {name:<42} {s / scans * 1e6:>6.1f} us")


if __name__ == "__main__":
    main()
