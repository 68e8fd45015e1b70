"""What a late result of the laboratory would have changed: back to the sample, and forward again.

A result comes hours after its sample. The soft sensor is taken back to when the broth was taken,
takes the result in there, and goes through everything that was read since: what it then believes
is what it would believe had the result been there at once. The replay goes on beside the updates,
some rows each time, so that no scan waits for it.

Source: of the idea, D. Simon, Optimal State Estimation (Wiley, 2006), 10.5.
"""

import math
from array import array
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Mapping
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


class Hindsight:
    """A soft sensor that takes late results in.

    Args:
        estimator: not yet updated, or resumed.
    """

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator
        self._behind: Estimator | None = None  # replays the past
        self._rows: deque[tuple[float, array[float]]] = deque()
        self._times: list[float] = []  # of the snapshots: of the last row that is in each
        self._snapshots: list[Estimator] = []
        self._assays: list[Assay] = []
        self._news: list[str] = []
        self._told = -math.inf  # when a gas step was

    @property
    def innovations(self) -> Innovations:
        """Of the soft sensor, see ``Estimator.innovations``."""
        return self._estimator.innovations

    def resume(self, state: Mapping[str, object], now: float) -> bool:
        """Continue from a stored estimate, see ``Estimator.resume``; what was before is gone."""
        return self._estimator.resume(state, now)

    def update(
        self,
        now: float,
        readings: Mapping[str, Sample],
        flows_ml_per_h: Mapping[str, float],
        induced: bool,
    ) -> Estimate:
        """Update the soft sensor, see ``Estimator.update``, and go on with a replay."""
        seen = [good(name, readings) for name in PLAUSIBLE]
        flows = [flow(flows_ml_per_h.get(name, 0.0)) for name in self._estimator.pumps]
        row = array("d", [math.nan if v is None else v for v in seen])
        row.extend((*flows, float(induced)))
        if self._behind is None:
            self._keep(self._estimator, now)
        self._rows.append((now, row))
        estimate = self._advance(self._estimator, now, row)
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
        if quantity not in self._estimator.layout.assays:
            return f"{result.analyte} is recorded; the soft sensor has no use for it"
        if not self._times or result.t_sampled < self._times[0]:
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
                return

    def news(self) -> list[str]:
        """Return what became of results since the last call, a line each."""
        told, self._news = self._news, []
        return told

    @property
    def gas_step(self) -> GasStep | None:
        """What the last gas step told of the DO probe, see ``probe_watch``."""
        return self._estimator.gas_step

    def _tell_step(self, now: float) -> None:
        """Say what a gas step told of a probe that is off, once a step."""
        step, by_residual = self.gas_step, self._estimator.do_offset_percent
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
        while self._times and self._times[0] < before:
            del self._times[0], self._snapshots[0]
        while self._assays and self._assays[0].result.t_sampled < before:
            del self._assays[0]

    def _keep(self, estimator: Estimator, now: float) -> None:
        """Keep a copy from time to time, before the row of ``now``."""
        if math.isnan(estimator.time):
            return
        if not self._times or now - self._times[-1] >= SNAPSHOT_S:
            self._times.append(estimator.time)
            self._snapshots.append(estimator.copy())

    def _advance(self, estimator: Estimator, now: float, row: "array[float]") -> Estimate:
        """Take in the results of before ``now``, then the row of then."""
        for assay in self._assays:
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

    def _go_back(self, time: float) -> None:
        """Begin again from the last copy that knows nothing of ``time`` yet."""
        k = max(bisect_right(self._times, time) - 1, 0)
        if self._behind is not None and self._behind.time <= time:
            return  # the replay comes by
        del self._times[k + 1 :], self._snapshots[k + 1 :]
        self._behind = self._snapshots[k].copy()

    def _replay(self, now: float) -> Estimate | None:
        """Go through some rows; return the new estimate when the present is reached."""
        behind = self._behind
        if behind is None:
            return None
        times = [time for time, _ in self._rows]
        first = bisect_right(times, behind.time)
        estimate: Estimate | None = None
        for k in range(first, min(first + LOT, len(times))):
            time, row = self._rows[k]
            self._keep(behind, time)
            estimate = self._advance(behind, time, row)
        if behind.time < now:
            return None
        self._estimator, self._behind = behind, None
        return estimate


def _sampled(assay: Assay) -> float:
    return assay.result.t_sampled
