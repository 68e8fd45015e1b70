"""What the optimiser has shown of itself: hours, forecasts against what came, advice taken.

Every hour what was believed an hour before is run ahead under what was really done to the vessel
since, and its interval compared with what the vessel then shows: oxygen uptake and biomass as the
soft sensor has them with an hour of off-gas more, and results of the laboratory. That is a test of
model and interval in every mode, whoever fed. (Oxygen uptake straight from the gases is no better
a judge: where the DO cascade moves the air, it is 10 % off for minutes.)
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from controller.planning.outlook import Band, Course, Outlook, Question, at
from controller.plant_file.promotion_settings import PromotionSettings
from controller.texts.said import Said, said

if TYPE_CHECKING:
    from controller.sensing.estimate import Estimate

AdvisorMode = Literal["off", "shadow", "advisory", "on"]
LEVELS: Final[tuple[AdvisorMode, ...]] = ("off", "shadow", "advisory", "on")

FORECAST_S = 3600.0
NOTE_S = 60.0  # what is done to the vessel is noted so often
MEASURED_SD = 0.03  # of oxygen uptake, as a share: calibration of the gas flow
KEPT = 12  # forecasts that a late result of the laboratory may still be compared with
NINETY = 1.645
OUR, BIOMASS = "our_mmol_per_l_h", "biomass_g_per_l"
ASSAYS: Final[Mapping[str, str]] = {  # analyte: what is foreseen of it
    "dry_weight": BIOMASS,
    "glucose": "substrate_g_per_l",
    "acetate": "acetate_g_per_l",
    "ethanol": "ethanol_g_per_l",
    "paa": "precursor_g_per_l",
}


@dataclass(slots=True)
class Score:
    """How often what came was inside its interval, and how far off it was."""

    count: int = 0
    inside: int = 0
    off: float = 0.0  # sum of shares of what came, signed

    def take(self, low: float, middle: float, high: float, came: float) -> None:
        """Compare what came with a forecast of it."""
        self.count += 1
        self.inside += low <= came <= high
        self.off += (middle - came) / max(abs(came), 1e-9)


@dataclass(slots=True)
class Now:
    """What is so in this scan, as the evidence needs it.

    Attributes:
        time: s since 1970 UTC.
        dt: s since the last scan.
        estimate: the latest.
        feed_ml_per_h: applied, by the pump's own figure.
        do_percent: as it is.
        induced_at: when expression was switched on, s since 1970 UTC.
        good: nothing required is BAD and the estimate is fresh.
        do_setpoint: %.
        present: what is done to the vessel from now on if nobody changes anything.
        inputs: what else is applied, by the control model's input and in its unit.
    """

    time: float
    dt: float
    estimate: "Estimate | None"
    feed_ml_per_h: float
    do_percent: float
    induced_at: float | None
    good: bool
    do_setpoint: float
    present: Callable[[], Course | None]
    inputs: Callable[[], Mapping[str, float]] = dict[str, float]


@dataclass(slots=True)
class _Forecast:
    """One that runs: from what was believed, what was done since."""

    estimate: "Estimate"
    start: float
    feed: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    do: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    inputs: dict[str, list[tuple[float, float]]] = field(
        default_factory=dict[str, list[tuple[float, float]]]
    )


class Evidence:
    """Of one reactor, over batches and restarts, as long as model and optimiser are the same.

    Args:
        limits: of the plant file.
        stamp: names model and settings; what was shown by others counts nothing.

    Attributes:
        hours: with good plans, by mode.
        plans: that were judged.
        refused: of them.
        fed_more_ml: what the plans of shadow and advisory would have fed more than was fed.
        scores: by what was foreseen.
        decided: advice, by what became of it.
    """

    def __init__(self, limits: PromotionSettings, stamp: str) -> None:
        self.limits, self.stamp = limits, stamp
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.hours: dict[str, float] = dict.fromkeys(LEVELS[1:], 0.0)
        self.plans = self.refused = 0
        self.fed_more_ml = 0.0
        self.scores: dict[str, Score] = {}
        self.decided: dict[str, int] = {}
        self._running: _Forecast | None = None
        self._past: list[tuple[float, float, dict[str, list[list[float]]]]] = []
        self._noted = 0.0

    # -- as time goes by -----------------------------------------------------------------------

    def lived(self, mode: AdvisorMode, dt: float, fed_more_ml_per_h: float | None) -> None:
        """Count ``dt`` s of a mode with a plan that is good.

        Args:
            mode: it is in.
            dt: s.
            fed_more_ml_per_h: feed of the plan less what was fed, where the plan is not followed.
        """
        self.hours[mode] += dt / 3600.0
        if fed_more_ml_per_h is not None:
            self.fed_more_ml += fed_more_ml_per_h * dt / 3600.0

    def judged(self, *, good: bool) -> None:
        """Count a plan."""
        self.plans += 1
        self.refused += not good

    def note(self, now: Now) -> None:
        """Note what is done to the vessel; begin a forecast where none runs."""
        if not now.good or now.estimate is None:
            self._running = None  # a gap is no test of the model
            return
        if now.time - self._noted < NOTE_S:
            return
        self._noted = now.time
        if self._running is None:
            self._running = _Forecast(now.estimate, now.estimate.time)
        self._running.feed.append((now.time, now.feed_ml_per_h))
        self._running.do.append((now.time, now.do_percent))
        for name, value in now.inputs().items():
            self._running.inputs.setdefault(name, []).append((now.time, value))

    def due(self, now: Now) -> "tuple[Estimate, Question] | None":
        """Return what is to be run ahead, from what was believed an hour ago."""
        running = self._running
        if running is None or now.time - running.start < FORECAST_S:
            return None
        self._running = None
        inputs = {name: tuple(line) for name, line in running.inputs.items()}
        course = Course(tuple(running.feed), tuple(running.do), None, now.induced_at, inputs)
        return running.estimate, Question(running.start, now.time, (course,))

    def came(self, outlook: Outlook, now: Now) -> None:
        """Compare a forecast with what the vessel shows."""
        if outlook.status != "good" or now.estimate is None:
            return
        bands = outlook.courses[0].bands
        self._past = [
            *self._past[1 - KEPT :],
            (
                outlook.times[0],
                outlook.times[-1],
                {name: _ends(bands[name]) for name in ASSAYS.values() if name in bands},
            ),
        ]
        ends = {n: (b.low[-1], b.middle[-1], b.high[-1]) for n, b in bands.items()}
        low, middle, _ = ends[OUR]
        came = now.estimate.our_mmol_per_l_h
        half = math.hypot(middle - low, NINETY * MEASURED_SD * came)
        self._score(OUR, middle - half, middle, middle + half, came)
        self._score(BIOMASS, *ends[BIOMASS], now.estimate.value(BIOMASS))

    def assayed(self, analyte: str, taken: float, value: float, cv: float) -> None:
        """Compare a result of the laboratory with the forecast of when its broth was taken."""
        name = ASSAYS.get(analyte)
        for start, end, bands in self._past:
            if name not in bands or not start < taken <= end:
                continue
            ends = zip(*bands[name], strict=True)
            low, middle, high = (at(((start, a), (end, b)), taken) for a, b in ends)
            half = math.hypot((high - low) / 2.0, NINETY * cv * value)
            self._score(f"lab {analyte}", middle - half, middle, middle + half, value)
            return

    def decide(self, what: str) -> None:
        """Count what became of a piece of advice."""
        self.decided[what] = self.decided.get(what, 0) + 1

    def _score(self, name: str, low: float, middle: float, high: float, came: float) -> None:
        self.scores.setdefault(name, Score()).take(low, middle, high, came)

    # -- what it amounts to --------------------------------------------------------------------

    @property
    def forecasts(self) -> int:
        """Forecasts that were compared with what came."""
        return sum(s.count for s in self.scores.values())

    @property
    def coverage(self) -> float | None:
        """Share of what came inside the interval foreseen; ``None`` before the first."""
        count = self.forecasts
        return sum(s.inside for s in self.scores.values()) / count if count else None

    @property
    def accepted(self) -> float | None:
        """Share of the decided advice that was accepted, edited or not."""
        taken = self.decided.get("accepted", 0) + self.decided.get("edited", 0)
        decided = taken + self.decided.get("rejected", 0)
        return taken / decided if decided else None

    def lacking(self, mode: AdvisorMode) -> list[Said]:
        """Return what is missing for a promotion to ``mode``, a line each."""
        if LEVELS.index(mode) <= LEVELS.index("shadow"):
            return []
        m = self.limits
        least: list[tuple[str, float | None, float]] = [
            ("shadow_h", self.hours["shadow"], m.shadow_h),
            ("forecasts", float(self.forecasts), float(m.forecasts)),
            ("coverage", self.coverage, m.coverage if m.forecasts else 0.0),
        ]
        if mode == "on":
            least[0] = ("advisory_h", self.hours["advisory"], m.advisory_h)
            least.append(("accepted", self.accepted, m.accepted))
        lacking = [(name, have, need) for name, have, need in least if (have or 0.0) < need]
        refused = self.refused / self.plans if self.plans else 0.0
        if refused > m.refused:
            lacking.append(("refused", refused, m.refused))
        return [
            said(f"evidence.{name}", have=_told(name, have), need=_told(name, need))
            for name, have, need in lacking
        ]

    def as_json(self) -> dict[str, Any]:
        """Return what is shown of it; units in the keys."""
        return {
            "hours": {k: round(v, 3) for k, v in self.hours.items()},
            "plans": self.plans,
            "refused": self.refused,
            "fed_more_ml": round(self.fed_more_ml, 2),
            "forecasts": self.forecasts,
            "coverage": self.coverage,
            "scores": {
                name: {
                    "count": s.count,
                    "inside": s.inside,
                    "bias_percent": 100.0 * s.off / s.count,
                }
                for name, s in self.scores.items()
            },
            "decided": dict(self.decided),
            "lacking": {
                mode: [{"text": line, "text_zh": line.told("zh")} for line in self.lacking(mode)]
                for mode in LEVELS[2:]
            },
        }

    # -- restart -------------------------------------------------------------------------------

    def as_state(self) -> dict[str, Any]:
        """Return what a restart needs, as JSON; a forecast that runs is not in it."""
        return {
            "stamp": self.stamp,
            "hours": self.hours,
            "plans": self.plans,
            "refused": self.refused,
            "fed_more_ml": self.fed_more_ml,
            "scores": {n: [s.count, s.inside, s.off] for n, s in self.scores.items()},
            "decided": self.decided,
            "past": self._past,
        }

    def restore(self, state: Mapping[str, Any]) -> Callable[[], bool]:
        """Read what ``as_state`` wrote; what is returned takes it if it is of this model.

        Raises:
            KeyError, TypeError, ValueError: it is damaged; nothing has changed.
        """
        stamp, plans, refused = str(state["stamp"]), int(state["plans"]), int(state["refused"])
        hours = {str(k): float(v) for k, v in state["hours"].items()}
        more = float(state["fed_more_ml"])
        scores = {
            str(n): Score(int(c), int(i), float(o)) for n, (c, i, o) in state["scores"].items()
        }
        decided = {str(k): int(v) for k, v in state["decided"].items()}
        past = [(float(a), float(b), dict(bands)) for a, b, bands in state["past"]]

        def take() -> bool:
            self.forget()
            if stamp != self.stamp:
                return False
            self.hours |= hours
            self.plans, self.refused, self.fed_more_ml = plans, refused, more
            self.scores, self.decided, self._past = scores, decided, past
            return True

        return take


def _ends(band: Band) -> list[list[float]]:
    """Return low, middle and high of a band at its beginning and at its end."""
    rows = (band.low, band.middle, band.high)
    return [[row[k] for row in rows] for k in (0, -1)]


def _told(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if name in ("coverage", "refused", "accepted"):
        return f"{100.0 * value:.0f} %"
    return f"{value:.0f}" if name == "forecasts" else f"{value:.1f} h"
