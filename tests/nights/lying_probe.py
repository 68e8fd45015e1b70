"""Night 2, the lying probe: DO reads too much in 5 L of E. coli, and antifoam takes of kLa."""

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.loops.loop import OPTIMISER
from controller.plant import load_plant
from historian.events import Kind
from sim.vessel import Vessel
from tests.loop.rig import ROOT, Rig
from tests.nights.night import Figures, Night, Promise, Record, Text
from tests.nights.people import Operator
from tests.nights.twin import planner_of

HOUR_S: Final = 3600.0
GROWS_H, BIAS = 2.0, 20.0  # h until the probe reads so many points too much
TOLD_H: Final = (
    1.0  # h of drift after which it has passed 10 points, and the laboratory rings: 02:00
)
ANTIFOAM_H, TAKEN = 2.0, 40.0  # h that antifoam takes so many % of kLa
TYPED, EARLY_S = 10.0, 1800.0  # the laboratory value: so many times too much, so much too early
LOW: Final = 15.0  # % of true DO
ALARM: Final = "R1.do_probe.residual"


@dataclass(frozen=True, slots=True)
class Case:
    """The plant on that night.

    Attributes:
        plant: its file.
        recipe: its file.
        drift_h: age of the batch when the probe begins to drift, at 01:00.
        hours: age at which the day shift comes.
    """

    plant: Path
    recipe: Path
    drift_h: float
    hours: float


CASES: Final = {
    "ecoli_5l": Case(
        ROOT / "sim/plants/ecoli_5l.toml", ROOT / "sim/recipes/ecoli.toml", 14.0, 20.0
    ),
}


def named(record: Record) -> list[float]:
    """Return when the probe was named, s since 1970 UTC."""
    told = [e for e in record.events if e.kind is Kind.ALARM and e.data["id"] == ALARM]
    return [e.time for e in told if e.data["active"] and not e.data["seen"]]


class Observer:
    """Oxygen and acetate as they really are, second by second.

    Args:
        vessel: the vessel.
        leads: whether the optimiser does now.

    Attributes:
        low_s: with true DO below ``LOW``.
        least: true DO, %.
        acetate: the most, g/L.
        led: minutes in which the optimiser led, s since 1970 UTC.
    """

    def __init__(self, vessel: Vessel, leads: Callable[[], bool]) -> None:
        self._vessel, self._leads, self._time = vessel, leads, vessel.time
        self.low_s, self.least, self.acetate = 0.0, math.inf, 0.0
        self.led: list[float] = []
        vessel.watch(self._look)

    def _look(self) -> None:
        truth, now = self._vessel.truth, self._vessel.time
        self.low_s += (now - self._time) * (truth["do_percent"] < LOW)
        self.least = min(self.least, truth["do_percent"])
        self.acetate = max(self.acetate, truth["acetate_g_per_l"])
        self._time = now
        if self._leads() and (not self.led or now - self.led[-1] >= 60.0):
            self.led.append(now)


def play(name: str, seed: int) -> Figures:
    """Play the night; the antifoam comes 30, 60, 90 or 120 min after the drift has begun."""
    case, record = CASES[name], Record()
    with tempfile.TemporaryDirectory() as folder:
        plant = load_plant(case.plant, data_dir=Path(folder))
        with Rig(plant, seed=seed, store=record, planner=planner_of(plant)) as rig:
            feed, operator = rig.loop("feed"), Operator(rig, "laboratory")
            rig.begin(case.recipe, "on")
            rig.hours(case.drift_h)
            began, faults = rig.clock.now(), rig.vessel.faults
            seen = Observer(rig.vessel, lambda: feed.actual is OPTIMISER)
            optimiser = plant.settings.reactor["R1"].optimiser
            period_s = math.nan if optimiser is None else optimiser.period_s
            refused = False
            faults.inject("do.drift", GROWS_H * HOUR_S, BIAS / GROWS_H)
            for minute in range(round((case.hours - case.drift_h) * 60.0)):
                if minute == 30 * (1 + seed % 4):
                    faults.inject("vessel.kla", ANTIFOAM_H * HOUR_S, TAKEN)
                if minute == TOLD_H * 60.0:
                    refused = _typed(rig, operator)
                if minute == GROWS_H * 60.0:
                    faults.inject("do.offset", math.inf, BIAS)
                rig.run(60)
    told = named(record)
    late = [t for t in told if t >= began]
    return {
        "named_min": (late[0] - began) / 60.0 - 60.0 * TOLD_H if late else math.nan,
        "shed_periods": _shed(late, seen.led, period_s),
        "do_low_min": seen.low_s / 60.0,
        "do_least": seen.least,
        "acetate": seen.acetate,
        "believed": float(not refused),
        "accused": float(len(told) - len(late)),
        "led_before_min": float(sum(t < (late or [math.inf])[0] for t in seen.led)),
    }


def _typed(rig: Rig, operator: Operator) -> bool:
    """Type a dry weight; return whether it is refused, with a reason."""
    status, answer = operator.ask(
        "/sample/R1",
        analyte="dry_weight",
        value=TYPED * rig.vessel.truth["biomass_g_per_l"],
        unit="g/L",
        t_sampled=rig.clock.now() - EARLY_S,
        reason="",
    )
    return 400 <= status < 500 and bool(answer["error"])


def _shed(named: Sequence[float], led: Sequence[float], period_s: float) -> float:
    """Return for how many periods the optimiser has led after the probe was named."""
    if not named:
        return math.nan
    return max((t - named[0] for t in led if t >= named[0]), default=0.0) / period_s


NIGHT: Final = Night(
    "lying_probe",
    Text("Night 2: the lying probe", "第二夜：说谎的溶氧电极"),
    Text(
        "E. coli in 5 L, the optimiser leads. From 01:00 the DO probe drifts, to 20 points too much"
        " at 03:00, where it stays. Antifoam takes 40 % of kLa for 2 h. At 02:00 a dry weight is "
        "typed times ten, with a time 30 min early. Nobody touches anything until 07:00.",
        "5 L 大肠杆菌，由优化器主导。01:00 起溶氧电极漂移，03:00 偏高 20 个百分点并保持；"
        "消泡剂使 kLa 降低 40 %，持续 2 小时；02:00 干重误录为十倍，时间早 30 分钟。"
        "至 07:00 无人操作。",
    ),
    tuple(CASES),
    (
        Promise("named_min", Text("probe named after 10 points", "偏差过10点后报警"), 60.0, "min"),
        Promise("shed_periods", Text("optimiser led after that", "其后优化器主导"), 2.0, "periods"),
        Promise("do_low_min", Text("true DO below 15 %", "真实溶氧低于15 %"), 10.0, "min"),
        Promise("acetate", Text("acetate", "乙酸"), 2.0, "g/L"),
        Promise("believed", Text("the laboratory value is believed", "误录化验值被采信"), 0.0),
        Promise("accused", Text("false accusations before", "此前误报"), 0.0),
    ),
    play,
)
