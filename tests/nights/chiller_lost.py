"""Night 3, August: the chiller of 100 m3 of E. coli is lost at its hottest, for 45 minutes."""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.plant import load_plant
from historian.events import Event, Kind
from sim.vessel import Vessel
from tests.loop.rig import ROOT, Rig
from tests.nights.night import Figures, Night, Promise, Record, Text
from tests.nights.twin import planner_of, undisturbed

WARM: Final = 32.0  # Cel of coolant while the chiller is lost
LOST_S: Final = 45 * 60.0
AFTER_S: Final = 3600.0  # watched after the coolant is back
BACK: Final = 0.95  # share of the feed of before at which it has resumed
FULL_L_PER_H: Final = 2000.0  # range of the feed pump
SETPOINT: Final = 37.0


@dataclass(frozen=True, slots=True)
class Case:
    """The plant on that night.

    Attributes:
        plant: its file.
        recipe: its file.
        lost_h: age of the batch when the chiller is lost.
        hours: age at which the batch is over.
        start: makes the vessel what it is at the start, for a night that begins late.
        led: whether the optimiser leads; twice as much is breathed then.
    """

    plant: Path
    recipe: Path
    lost_h: float
    hours: float
    start: Callable[[Vessel], None] = lambda _: None
    led: bool = False


CASES: Final = {
    "ecoli_100m3": Case(
        ROOT / "sim/plants/ecoli_100m3.toml", ROOT / "sim/recipes/ecoli_100m3.toml", 16.0, 28.0
    ),
    "ecoli_100m3 led": Case(
        ROOT / "sim/plants/ecoli_100m3.toml",
        ROOT / "sim/recipes/ecoli_100m3.toml",
        9.0,
        28.0,
        led=True,
    ),
}


class Observer:
    """Temperature and feed as they really are, second by second.

    Args:
        vessel: the vessel.
    """

    def __init__(self, vessel: Vessel) -> None:
        self._vessel = vessel
        self._lost = self._back = math.inf
        self._fed = 0.0  # L/h when the chiller is lost
        self._last = math.nan
        self.hottest = -math.inf
        self.cut_s = math.nan
        self.resumed_s = math.nan
        self.step = 0.0  # greatest in a second, of the pump's range, while it resumes
        vessel.watch(self._look)

    def lost(self, fed: float) -> None:
        """Take note that the chiller is lost now, at a feed of ``fed`` L/h."""
        self._lost, self._fed = self._vessel.time, fed

    def back(self) -> None:
        """Take note that the coolant is cold again."""
        self._back, self._last = self._vessel.time, self._vessel.actual("R1.feed")

    def _look(self) -> None:
        vessel, feed = self._vessel, self._vessel.actual("R1.feed")
        if vessel.time < self._lost:
            return
        self.hottest = max(self.hottest, vessel.truth["temperature_cel"])
        if math.isnan(self.cut_s) and feed < 0.5 * self._fed:
            self.cut_s = vessel.time - self._lost
        if vessel.time <= self._back:
            return
        self.step = max(self.step, (feed - self._last) / FULL_L_PER_H)
        self._last = feed
        if math.isnan(self.resumed_s) and feed >= BACK * self._fed:
            self.resumed_s = vessel.time - self._back


def play(name: str, seed: int) -> Figures:
    """Play the night, and beside it the same batch with a chiller that runs.

    The undisturbed twin makes at least what anybody could make under the fault, who knew of it.
    """
    case = CASES[name]
    figures = disturbed(case, seed)
    twin = undisturbed(case.plant, case.recipe, case.hours, case.start, seed, led=case.led)
    return {**figures, "product_percent": 100.0 * (figures["product_g"] or 0.0) / twin}


def disturbed(case: Case, seed: int) -> dict[str, float]:
    """Play the night and return its figures, but for the comparison of the product."""
    record = Record()
    with tempfile.TemporaryDirectory() as folder:
        plant = load_plant(case.plant, data_dir=Path(folder))
        planner = planner_of(plant) if case.led else None
        with Rig(plant, seed=seed, store=record, planner=planner) as rig:
            case.start(rig.vessel)
            truth, observer = rig.truth(), Observer(rig.vessel)
            rig.begin(case.recipe, "on" if case.led else "off")
            rig.hours(case.lost_h)
            began, our = rig.clock.now(), rig.samples["R1.our"].value
            observer.lost(rig.vessel.actual("R1.feed"))
            rig.vessel.faults.inject("vessel.coolant", LOST_S, WARM)
            rig.run(round(LOST_S))
            observer.back()
            rig.run(round(AFTER_S))
            rest = case.hours - case.lost_h - (LOST_S + AFTER_S) / 3600.0
            if rest > 0.0:
                rig.hours(rest)
            product = truth.as_report()["product_g"]
    told = [e for e in record.events if e.time >= began]
    return {
        "our": our,
        "cut_s": observer.cut_s,
        "hottest_k": observer.hottest - SETPOINT,
        "trips": float(sum(_trip(e) for e in told)),
        "named_s": next((e.time - began for e in told if _names_cooling(e)), math.nan),
        "resumed_min": observer.resumed_s / 60.0,
        "step_percent": 100.0 * observer.step,
        "product_g": product,
    }


def _trip(event: Event) -> bool:
    """Whether an interlock for too much heat, or one that waits for a person, has tripped."""
    return "high_temperature" in f"{event.data.get('id', '')}" and bool(event.data.get("active"))


def _names_cooling(event: Event) -> bool:
    """Whether a person is told that it is the cooling, and what was done."""
    if event.kind is Kind.ADVICE:
        return "cooling" in event.text
    return event.kind is Kind.ALARM and "cooling_lost" in f"{event.data.get('id', '')}"


NIGHT: Final = Night(
    "chiller_lost",
    Text("Night 3: August, chiller lost", "第三夜：八月，冷水机组停机"),
    Text(
        "100 m3 of E. coli at full feed. The chiller is lost: the coolant is at 32 Cel for 45 "
        "min. Then it is cold again, and nobody touches anything.",
        "100 m³ 大肠杆菌满负荷补料。冷水机组停机，冷却水 32 °C，持续 45 分钟；"
        "之后恢复低温，期间无人操作。",
    ),
    tuple(CASES),
    (
        Promise("cut_s", Text("feed cut within", "减料时间"), 60.0, "s"),
        Promise("hottest_k", Text("temperature above its setpoint", "温度超过设定值"), 1.0, "K"),
        Promise("trips", Text("trips of high temperature", "高温联锁动作"), 0.0),
        Promise(
            "named_s",
            Text("people are told that it is the cooling within", "指出冷却原因的时间"),
            60.0,
            "s",
        ),
        Promise(
            "resumed_min",
            Text("feed back after the coolant is", "冷却恢复后补料恢复时间"),
            10.0,
            "min",
        ),
        Promise(
            "step_percent",
            Text("greatest step of the feed in a second", "补料每秒最大变化"),
            1.0,
            "%",
        ),
        Promise(
            "product_percent",
            Text("product against the undisturbed twin", "产物相对无扰动孪生批次"),
            95.0,
            "%",
            least=True,
        ),
    ),
    play,
)
