"""What a late result of the laboratory would have changed: back to the sample, and forward again.

A result comes hours after its sample. The soft sensor is taken back to when the broth was taken,
takes the result in there, and goes through everything that was read since: what it then believes
is what it would believe had the result been there at once. The replay goes on beside the updates,
some rows each time, so that no scan waits for it.

What was believed without the last results is kept beside for some hours, and gone on from where the
readings say so. Cells that have acetate left and cells that have eaten it can breathe alike until
the feed changes; then one of both is seen to be wrong.

Source: of the ideas, D. Simon, Optimal State Estimation (Wiley, 2006), 10.5 and 10.2.
"""

import math
from array import array
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.plant_file.settings import AnalyteSettings
from controller.sensing.estimator import ASSAY_GATE, Estimate, Estimator
from controller.sensing.innovations import Innovations
from controller.sensing.laboratory import Result
from controller.sensing.probe_watch import Step as GasStep
from controller.sensing.readings import PLAUSIBLE, flow, good
from drivers.point import Sample

MEMORY_S = 30 * 3600.0
SNAPSHOT_S = 600.0
DRY = "dry_weight"
STEP_S = 1800.0  # between two gas steps that are told of
OFF = 5.0  # % of air saturation that a DO probe may be off
LOT = 60  # rows that are gone through at each update: 5 ms
BESIDE_S = 6 * 3600.0  # for which another belief is kept
CLEAR = 0.5  # of ``Estimator.misfit``, from which on the other belief is the better one


@dataclass(slots=True)
class Assay:
    """A result on its way into the soft sensor.

    Attributes:
        result: what was entered.
        quantity: what it says something of.
        value: g/L of that.
        sd: its standard deviation.
        taken: whether it was believed when it was last come by; ``None`` before.
    """

    result: Result
    quantity: str
    value: float
    sd: float
    taken: bool | None = None


class Line:
    """A soft sensor, and copies of it from along its way.

    Args:
        estimator: what it believes now.
        times: of the last row that is in each copy, s since 1970 UTC.
        copies: as many.
    """

    def __init__(
        self, estimator: Estimator, times: Sequence[float] = (), copies: Sequence[Estimator] = ()
    ) -> None:
        self.estimator = estimator
        self.times, self.copies = list(times), list(copies)

    def keep(self, now: float) -> None:
        """Keep a copy from time to time, before the row of ``now``."""
        if math.isnan(self.estimator.time):
            return
        if not self.times or now - self.times[-1] >= SNAPSHOT_S:
            self.times.append(self.estimator.time)
            self.copies.append(self.estimator.copy())

    def forget(self, before: float) -> None:
        """Drop the copies that are older."""
        k = bisect_left(self.times, before)
        del self.times[:k], self.copies[:k]

    def back(self, time: float) -> "Line":
        """Return another that knows nothing of ``time`` yet, or as little as is remembered."""
        k = max(bisect_right(self.times, time) - 1, 0)
        return Line(self.copies[k].copy(), self.times[: k + 1], self.copies[: k + 1])


class Hindsight:
    """A soft sensor that takes late results in.

    Args:
        estimator: not yet updated, or resumed.
    """

    def __init__(self, estimator: Estimator) -> None:
        self._present = Line(estimator)
        self._behind: Line | None = None  # replays the past
        self._beside: Line | None = None  # goes on without the last results
        self._until = math.inf  # when that is forgotten
        self._undone = False  # the replay undoes a result, so that what was before is wrong
        self._unseen = math.inf  # when the first sample was taken whose result it has not seen
        self._rows: deque[tuple[float, array[float]]] = deque()
        self._assays: list[Assay] = []
        self._news: list[str] = []
        self._told = -math.inf  # when a gas step was

    @property
    def innovations(self) -> Innovations:
        """Of the soft sensor, see ``Estimator.innovations``."""
        return self._present.estimator.innovations

    def resume(self, state: Mapping[str, object], now: float) -> bool:
        """Continue from a stored estimate, see ``Estimator.resume``; what was before is gone."""
        return self._present.estimator.resume(state, now)

    def update(
        self,
        now: float,
        readings: Mapping[str, Sample],
        flows_ml_per_h: Mapping[str, float],
        induced: bool,
    ) -> Estimate:
        """Update the soft sensor, see ``Estimator.update``, and go on with a replay."""
        seen = [good(name, readings) for name in PLAUSIBLE]
        present = self._present
        flows = [flow(flows_ml_per_h.get(name, 0.0)) for name in present.estimator.pumps]
        row = array("d", [math.nan if v is None else v for v in seen])
        row.extend((*flows, float(induced)))
        self._rows.append((now, row))
        estimate = self._advance(present, now, row)
        if self._beside is not None:
            estimate = self._compare(self._beside, now, row) or estimate
        self._forget(now - MEMORY_S)
        self._tell_step(now)
        return self._replay(now) or estimate

    def take(self, result: Result, analyte: AnalyteSettings) -> str:
        """Take a result in; return why that cannot be, or nothing.

        Args:
            result: of the laboratory.
            analyte: what the plant file says of such results.
        """
        quantity = result.analyte if analyte.g_per_l is None else DRY
        if quantity not in self._present.estimator.layout.assays:
            return f"{result.analyte} is recorded; the soft sensor has no use for it"
        times = self._present.times
        if not times or result.t_sampled < times[0]:
            return "the sample is older than what the soft sensor remembers; it is only recorded"
        value = (0.5 if result.below_limit else 1.0) * result.value * (analyte.g_per_l or 1.0)
        sd = value if result.below_limit else analyte.cv * value + 0.01
        insort(self._assays, Assay(result, quantity, value, sd), key=_sampled)
        self._go_back(result.t_sampled)
        return ""

    def drop(self, number: int) -> None:
        """Undo what a result did: it has been corrected."""
        for assay in self._assays:
            if assay.result.number == number:
                self._assays.remove(assay)
                self._go_back(assay.result.t_sampled)
                self._undone, self._beside = True, None  # who has seen it is no second opinion
                return

    def news(self) -> list[str]:
        """Return what became of results since the last call, a line each."""
        told, self._news = self._news, []
        return told

    @property
    def gas_step(self) -> GasStep | None:
        """What the last gas step told of the DO probe, see ``probe_watch``."""
        return self._present.estimator.gas_step

    def _tell_step(self, now: float) -> None:
        """Say what a gas step told of a probe that is off, once a step."""
        step, by_residual = self.gas_step, self._present.estimator.do_offset_percent
        if step is None or step.time != now or now - self._told < STEP_S:
            return
        if abs(by_residual) < OFF and abs(step.offset) < max(OFF, 2.0 * step.sd):
            return
        self._told = now
        self._news.append(
            f"a gas step (kLa by OUR times {step.size:.2f}) says that the DO probe shows "
            f"{step.offset:+.0f} % too much, give or take {step.sd:.0f}; OUR and kLa say "
            f"{by_residual:+.0f} %. Where they agree it is the probe, else the broth"
        )

    @property
    def replaying(self) -> bool:
        """Whether the past is gone through again."""
        return self._behind is not None

    def _forget(self, before: float) -> None:
        while self._rows and self._rows[0][0] < before:
            self._rows.popleft()
        for line in (self._present, self._behind, self._beside):
            if line is not None:
                line.forget(before)
        while self._assays and self._assays[0].result.t_sampled < before:
            del self._assays[0]

    def _advance(self, line: Line, now: float, row: "array[float]") -> Estimate:
        """Take in the results of before ``now``, then the row of then."""
        line.keep(now)
        estimator = line.estimator
        for assay in self._assays if line is not self._beside else ():
            if estimator.time <= assay.result.t_sampled < now:
                self._believe(estimator, assay)
        seen = {n: None if v != v else v for n, v in zip(PLAUSIBLE, row, strict=False)}
        flows: dict[str, float] = dict(zip(estimator.pumps, row[len(PLAUSIBLE) : -1], strict=True))
        return estimator.advance(now, seen, flows, bool(row[-1]))

    def _believe(self, estimator: Estimator, assay: Assay) -> None:
        r = assay.result
        expected, sigmas = estimator.assay(assay.quantity, assay.value, assay.sd)
        taken = sigmas <= ASSAY_GATE
        if taken is assay.taken:
            return
        assay.taken = taken
        at = datetime.fromtimestamp(r.t_sampled).astimezone().strftime("%H:%M")
        less = "< " if r.below_limit else ""
        what = f"{r.analyte} {less}{r.value:g} {r.unit} of {at} (result {r.number})"
        why = f"{expected:.3g} g/L were expected, {sigmas:.1f} standard deviations away"
        self._news.append(f"{what} is {'taken in' if taken else 'not believed'}: {why}")

    def _compare(self, beside: Line, now: float, row: "array[float]") -> Estimate | None:
        """Go on with what was believed before; return its estimate if it is the better one."""
        estimate = self._advance(beside, now, row)
        present = self._present
        if now > self._until:
            self._beside = None
        elif beside.estimator.misfit < present.estimator.misfit - CLEAR and not self.replaying:
            self._present, self._beside = beside, None
            self._news.append(_instead(beside.estimator, present.estimator))
            if self._unseen < math.inf:
                self._go_back(self._unseen)
            self._unseen = math.inf
            return estimate
        return None

    def _go_back(self, time: float) -> None:
        """Begin again from the last copy that knows nothing of ``time`` yet."""
        self._unseen = min(self._unseen, time)
        line = self._present if self._behind is None else self._behind
        if self._behind is None or line.estimator.time > time:  # else the replay comes by
            self._behind = line.back(time)

    def _replay(self, now: float) -> Estimate | None:
        """Go through some rows; return the new estimate when the present is reached."""
        behind = self._behind
        if behind is None:
            return None
        times = [time for time, _ in self._rows]
        first = bisect_right(times, behind.estimator.time)
        estimate: Estimate | None = None
        for k in range(first, min(first + LOT, len(times))):
            estimate = self._advance(behind, *self._rows[k])
        if behind.estimator.time < now:
            return None
        before, self._behind = self._present, None
        undone, self._undone = self._undone, False
        if not undone and (self._beside is None or before.estimator.overturned(behind.estimator)):
            if before.estimator.misfit < behind.estimator.misfit - CLEAR:
                self._news.append(_instead(before.estimator, behind.estimator))
                return None
            self._beside, self._until, self._unseen = before, now + BESIDE_S, math.inf
        self._present = behind
        return estimate


def _instead(better: Estimator, worse: Estimator) -> str:
    return (
        f"with the last results of the laboratory there are {worse.biomass:.3g} g/L of cells now, "
        f"without them {better.biomass:.3g} g/L, which agrees better with what is read since: it "
        "is gone on from"
    )


def _sampled(assay: Assay) -> float:
    return assay.result.t_sampled
