"""Night 1, 晃电: at 02:10 the voltage dips, stirrer and air trip, buses and network are away."""

import math
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from controller.plant import load_plant
from drivers.point import Sample
from historian.events import Event, Kind
from historian.sqlite import SqliteReader, SqliteStore
from historian.store import NullHistorian
from sim.head import ROOM_BAR
from sim.vessel import Vessel
from tests.loop.rig import ROOT, Rig
from tests.nights.night import Figures, Night, Promise, Text
from tests.nights.people import Operator
from tests.nights.twin import undisturbed

DIP_S: Final = 2.0  # without voltage
BUS_S: Final = 40.0  # until one bus is back, from the beginning of the dip
NETWORK_S: Final = 90.0  # until the other is
DRIVE_S: Final = 240.0  # the electrician has reset the stirrer's drive
HASTY_S: Final = 270.0  # somebody resets the interlock before there is air
AIR_S: Final = 330.0  # the compressor is back
CONFIRM_S: Final = 360.0  # the operator has looked, resets and resumes
SETTLED_S: Final = 1800.0  # oxygen is watched for so long after the confirmation
ENOUGH: Final = 20.0  # % of DO
BACK_S: Final = 120  # for so long it must be there to be back
AGAIN: Final = 15.0  # %: below it, it is lost again
KEPT_S: Final = 300.0, 3600.0  # the store is open so long before and after the dip
DOSING: Final = ("R1.acid", "R1.base", "R1.antifoam", "R1.inducer")
MPA: Final = 0.1  # of one bar


@dataclass(frozen=True, slots=True)
class Case:
    """A plant on that night.

    Attributes:
        plant: its file under ``sim/plants``.
        recipe: its file under ``sim/recipes``.
        dip_h: age of the batch when the voltage dips.
        hours: age at which the batch is over.
        start: makes the vessel what it is at the start, for a night that begins late.
    """

    plant: Path
    recipe: Path
    dip_h: float
    hours: float
    start: Callable[[Vessel], None] = lambda _: None


CASES: Final = {  # feed and oxygen at their height; in 100 m3 the inducer is being dosed
    "yeast_300l": Case(
        ROOT / "sim/plants/yeast_300l.toml", ROOT / "sim/recipes/yeast.toml", 16.0 + 1 / 6, 20.0
    ),
    "ecoli_100m3": Case(
        ROOT / "sim/plants/ecoli_100m3.toml", ROOT / "sim/recipes/ecoli_100m3.toml", 13.2, 28.0
    ),
}


class Raised(NamedTuple):
    """An alarm that began: which, when (s since 1970 UTC), and whether as the first of a burst."""

    id: str
    time: float
    first_out: bool


class Record(NullHistorian):
    """Keeps all events, and gives the rows of one stretch to a real store.

    Attributes:
        events: of the whole batch.
        store: takes rows while it is there.
        scans: rows that it was given.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.store: SqliteStore | None = None
        self.scans = 0

    def append(self, samples: Iterable[Sample]) -> None:
        if self.store is not None:
            self.store.append(samples)
            self.scans += 1

    def record(self, event: Event) -> None:
        self.events.append(event)
        if self.store is not None:
            self.store.record(event)

    def raised(self) -> set[Raised]:
        """Return every alarm that began."""
        told: list[Mapping[str, Any]] = [e.data for e in self.events if e.kind is Kind.ALARM]
        return {Raised(a["id"], a["time"], a["first_out"]) for a in told if a["active"]}


class Observer:
    """What really happens, second by second; the vessel shows it to nobody else.

    Args:
        rig: the plant under control.
    """

    def __init__(self, rig: Rig) -> None:
        self._vessel = rig.vessel
        self._dip = self._confirmed = math.inf
        locks = rig.plant.settings.reactor["R1"].interlock
        self._least_air = locks["loss_of_air"].below or 0.0
        self._least_rpm = locks["no_agitation"].below or 0.0
        self._stands_s, self._stands_for_s = 0.0, locks["no_agitation"].for_s + 2.0
        self._rpm = 0.0
        self._dosing = [n for n in DOSING if n in rig.plant.tags]
        self.feed_stop_s = self.dosing_stop_s = self.blind_starts_s = 0.0
        self.fed_after_l = 0.0
        self.least_head = math.inf
        self.do: list[float] = []  # %, each second from the confirmation on
        self.inducer = 0.0  # what the pump was told to give, in its unit times h
        rig.vessel.watch(self._look)

    def dips(self) -> None:
        """Take note that the voltage dips now."""
        self._dip, self._rpm = self._vessel.time, self._vessel.flow("stirrer")

    def confirmed(self) -> None:
        """Take note that the operator confirms now."""
        self._confirmed = self._vessel.time

    def _look(self) -> None:
        vessel = self._vessel
        since = vessel.time - self._dip
        powered = since > DIP_S  # before that no pump turns, whatever it is told
        if "R1.inducer" in self._dosing and (since <= 0.0 or powered):
            self.inducer += vessel.actual("R1.inducer") / 3600.0
        if since < 0.0:
            return
        self.least_head = min(self.least_head, vessel.truth["head_bar"] - ROOM_BAR)
        rpm = vessel.flow("stirrer")
        no_air = vessel.flow("air") < self._least_air
        self.blind_starts_s += no_air and rpm > self._rpm + 0.1
        self._rpm = rpm
        self._stands_s = self._stands_s + 1.0 if rpm < self._least_rpm else 0.0
        stands = self._stands_s > self._stands_for_s
        if vessel.time <= self._confirmed:
            if powered and (no_air or stands or since < BUS_S) and vessel.actual("R1.feed") > 0.0:
                self.feed_stop_s = since
            dosed = powered and any(vessel.actual(n) > 0.0 for n in self._dosing)
            if dosed and (stands or since < BUS_S):
                self.dosing_stop_s = since
            self.fed_after_l += vessel.flow("feed") / 3600.0
        elif vessel.time <= self._confirmed + SETTLED_S:
            self.do.append(vessel.truth["do_percent"])


def play(name: str, seed: int) -> Figures:
    """Play the night on a shipped plant, and beside it the same batch undisturbed."""
    case = CASES[name]
    figures = disturbed(case, seed)
    twin = undisturbed(case.plant, case.recipe, case.hours, case.start, seed)
    change = 100.0 * (figures["product_g"] / twin - 1.0)
    return {**figures, "product_percent": change, "product_undisturbed_g": twin}


def disturbed(case: Case, seed: int) -> dict[str, float]:
    """Play the night and return its figures, but for the comparison of the product."""
    record = Record()
    with tempfile.TemporaryDirectory() as folder:
        plant = load_plant(case.plant, data_dir=Path(folder))
        with Rig(plant, seed=seed, store=record) as rig:
            case.start(rig.vessel)
            truth, observer = rig.truth(), Observer(rig)
            rig.begin(case.recipe)
            rig.hours(case.dip_h - KEPT_S[0] / 3600.0)
            record.store = SqliteStore(Path(folder) / "store.sqlite", wait_when_full=True)
            opened = rig.clock.now()
            rig.run(round(KEPT_S[0]))
            dip = rig.clock.now()
            _dip(rig, observer, seed)
            rig.run(round(KEPT_S[1] - CONFIRM_S))
            lost = _lost(rig, record, opened)
            record.store = None
            rig.hours(max(0.0, case.hours - case.dip_h - KEPT_S[1] / 3600.0))
            product = truth.as_report()["product_g"]
            missed = rig.controller.scan.counts.missed
    back = _back(observer.do)
    alarms = [a for a in record.raised() if a.time > opened]
    return {
        "feed_stop_s": observer.feed_stop_s,
        "dosing_stop_s": observer.dosing_stop_s,
        "head_mpa": observer.least_head * MPA,
        "blind_starts_s": observer.blind_starts_s,
        "do_back_s": back,
        "do_again_s": sum(percent < AGAIN for percent in observer.do[back:]),
        "first_out_wrong": _first_out_wrong(rig, alarms, dip),
        "alarms_in_10_min": _most_alarms(alarms),
        "samples_lost": lost,
        "replayed": _replayed(rig, observer),
        "product_g": product,
        "fed_after_l": observer.fed_after_l,
        "scans_missed": missed,
    }


def _dip(rig: Rig, observer: Observer, seed: int) -> None:
    """Let the voltage dip and play what people do, until the operator has confirmed.

    With an even seed the PLC is back first, with an odd one what else there is on the network.
    """
    plc = next(n for n, d in rig.plant.settings.device.items() if d.watchdog is not None)
    others = [n for n in rig.plant.settings.device if n != plc]
    faults, operator = rig.vessel.faults, Operator(rig)
    operator.ask("/alarm/R1/acknowledge", comment="seen")  # what the evening has left
    observer.dips()
    faults.inject("vessel.power", DIP_S, BUS_S - DIP_S)
    for name in others if seed % 2 == 0 else [plc]:
        faults.inject(f"{name}.refused", NETWORK_S)
    faults.inject("stirrer.stopped", DRIVE_S)
    faults.inject("air.zero", AIR_S)
    rig.run(round(HASTY_S))
    operator.ask("/interlock/R1.stirrer_stopped/reset", reason="the drive is ready")
    rig.run(round(CONFIRM_S - HASTY_S))
    operator.ask("/interlock/R1.stirrer_stopped/reset", reason="air is back, the drive is ready")
    observer.confirmed()
    operator.does("/recipe/R1", action="resume", reason="after the power dip")


def _lost(rig: Rig, record: Record, opened: float) -> float:
    """Return how many samples of the stretch around the dip are not in the store."""
    store = record.store
    assert store is not None
    store.flush()
    store.close()
    found = 0
    with SqliteReader(store.path) as reader:
        for tag in rig.plant.tags.values():
            found += len(reader.read(tag, opened, math.inf))
    return store.lost + record.scans * len(rig.plant.tags) - found


def _back(do: Sequence[float]) -> int:
    """Return when true DO is at 20 % for at least two minutes, s after the confirmation."""
    good = 0
    for second, percent in enumerate(do):
        good = good + 1 if percent >= ENOUGH else 0
        if good == BACK_S:
            return second - BACK_S + 1
    return len(do)


def _first_out_wrong(rig: Rig, alarms: Sequence[Raised], dip: float) -> float:
    """Return 0 if the first device that was lost, and nothing else, is the first-out of the dip.

    What is told after the operator has acknowledged all, and all has been normal, is another burst.
    """
    devices = {f"{name}.device" for name in rig.plant.settings.device}
    first = [a for a in alarms if a.first_out and dip <= a.time < dip + KEPT_S[1]]
    in_time = [a.time - dip <= rig.plant.settings.scan_s for a in first]
    return float(not (in_time == [True] and first[0].id in devices))


def _most_alarms(alarms: Sequence[Raised]) -> float:
    """Return the greatest number of alarms that begin within ten minutes."""
    return max((sum(a.time <= b.time < a.time + 600.0 for b in alarms) for a in alarms), default=0)


def _replayed(rig: Rig, observer: Observer) -> float:
    """Return how many doses of the recipe were given more than once, or in part twice."""
    runner = rig.controller.reactors["R1"].runner
    assert runner is not None
    doses = [d for p in runner.recipe.phase for d in p.doses if d.loop == "inducer"]
    wanted = sum(d.volume_l for d in doses)
    return float(bool(doses) and observer.inducer > 1.01 * wanted)


NIGHT: Final = Night(
    "power_dip",
    Text("Night 1: power dip at 02:10", "第一夜：02:10 晃电"),
    Text(
        "The voltage is gone for 2 s. Stirrer and compressor trip; the PLC restarts with its safe "
        "values. One bus is away for 40 s, the other network for 90 s. The drive is reset after "
        "4 min, somebody in a hurry resets the interlock before there is air, air is back after "
        "5.5 min, and after 6 min the operator confirms and resumes.",
        "电压消失 2 秒。搅拌与空压机跳停，PLC 以安全值重启；一条总线中断 40 秒，"
        "另一网络中断 90 秒。4 分钟后电工复位变频器，有人在来气之前就复位联锁；"
        "5.5 分钟后恢复供气，6 分钟后操作工确认并恢复配方。",
    ),
    tuple(CASES),
    (
        Promise("feed_stop_s", Text("feed stopped within", "补料停止时间"), 2.0, "s"),
        Promise("dosing_stop_s", Text("dosing at 0 within", "加药归零时间"), 1.0, "s"),
        Promise(
            "head_mpa",
            Text("head pressure, gauge, never below", "罐压（表压）不低于"),
            0.02,
            "MPa",
            least=True,
        ),
        Promise(
            "blind_starts_s",
            Text("stirrer speeding up without air", "无空气时搅拌升速"),
            0.0,
            "s",
        ),
        Promise(
            "do_back_s",
            Text(
                "true DO back at 20 % after the confirmation",
                "确认后真实溶氧回到 20 % 的时间",
            ),
            300.0,
            "s",
        ),
        Promise(
            "do_again_s",
            Text("true DO below 15 % again after that", "此后真实溶氧再次低于 15 %"),
            0.0,
            "s",
        ),
        Promise("first_out_wrong", Text("wrong first-outs", "首出错误"), 0.0),
        Promise("alarms_in_10_min", Text("alarms in any 10 min", "任意 10 分钟内报警数"), 10.0),
        Promise("samples_lost", Text("samples lost", "丢失采样"), 0.0),
        Promise("replayed", Text("doses replayed", "重复加药"), 0.0),
        Promise(
            "product_percent",
            Text("product against the undisturbed twin", "产物相对无扰动孪生批次"),
            -3.0,
            "%",
            least=True,
        ),
    ),
    play,
)
