"""The controller's own tags: setpoints, outputs and modes, estimates, batch age, scan timing."""

import math
from collections.abc import Collection, Mapping

from controller.loops.loops import Loop, Mode, PidLoop
from controller.sensing.estimate import Believed
from drivers.point import BAD, GOOD, Sample, Tag, quick

PARTS = ("", ".sd", ".low", ".high", ".shown")  # of ``estimate.Believed``
_WIDE = 1e6
_UNKNOWN = Believed(math.nan, math.nan, math.nan, math.nan, math.nan)


class Derived:
    """Turns a reactor's own state into samples, one list a scan.

    Args:
        reactor: ``R1``.
        loops: its loops by name.
        estimates: suffix and unit of what is estimated, by its name; none without an estimator.
        judged: names of those that an alarm looks at: of estimates only.
    """

    def __init__(
        self,
        reactor: str,
        loops: Mapping[str, Loop],
        estimates: Mapping[str, tuple[str, str]],
        judged: Collection[str] = (),
    ) -> None:
        self._loops: list[tuple[Loop, Tag, Tag, Tag]] = []
        for name, loop in loops.items():
            full, s = f"{reactor}.{name}", loop.settings
            out_unit = "%" if isinstance(loop, PidLoop) else loop.unit
            self._loops.append(
                (
                    loop,
                    Tag(f"{full}.sp", loop.unit, s.setpoint_low, s.setpoint_high),
                    Tag(f"{full}.op", out_unit, loop.output_low, loop.output_high),
                    Tag(f"{full}.mode", "1", 0, max(Mode)),
                )
            )
        self._age = Tag(f"{reactor}.age", "h", 0, _WIDE)
        self._phase = Tag(f"{reactor}.phase", "1", 0, _WIDE)
        self._simulated = Tag(f"{reactor}.simulated", "1", 0, 1)
        self.simulated = False  # whether its devices are our simulator: shown wherever values are
        self._lateness = Tag(f"{reactor}.scan.lateness", "ms", 0, _WIDE)
        self._missed = Tag(f"{reactor}.scan.missed", "1", 0, _WIDE)
        self.late_s = 0.0  # how long after its moment this scan began
        self.missed = 0  # scans left out since the controller started
        self._estimates: list[tuple[str, list[Tag]]] = []
        for key, (suffix, unit) in estimates.items():
            name = f"{reactor}.est.{suffix}"
            units = [unit] * (len(PARTS) - 1) + ["1"]
            parts = zip(PARTS, units, strict=True)
            self._estimates.append((key, [Tag(name + p, u, -_WIDE, _WIDE) for p, u in parts]))
        self._stored: object = None  # the estimate that was made samples of last
        self._looked_at: object = None  # the estimate that was looked at for an alarm last
        self._last_judged: dict[str, Sample] = {}
        self._judged = [
            (tag, key, k)
            for key, parts in self._estimates
            for k, tag in enumerate(parts)
            if tag.name in judged
        ]

    @property
    def tags(self) -> list[Tag]:
        """Every tag that ``samples`` may hold."""
        loops = [t for row in self._loops for t in row[1:]]
        return [
            *loops,
            self._age,
            self._phase,
            self._simulated,
            self._lateness,
            self._missed,
            *(t for _, parts in self._estimates for t in parts),
        ]

    def samples(
        self,
        now: float,
        age_h: float,
        phase: int,
        estimate: Mapping[str, Believed],
    ) -> list[Sample]:
        """Return this scan's samples.

        Args:
            now: s.
            age_h: batch age; NaN where there is no batch.
            phase: index of the recipe's phase; -1 where there is none.
            estimate: what is believed by key; empty where there is nothing. What is the same
                object as in the last call has been made samples of: it comes once.
        """
        good, bad = GOOD, BAD
        out: list[Sample] = []
        for loop, sp, op, mode in self._loops:
            out += (
                quick(Sample, (sp, now, loop.setpoint, good)),
                quick(Sample, (op, now, loop.output, good)),
                quick(Sample, (mode, now, float(loop.actual), good)),
            )
        running = phase >= 0 and age_h == age_h
        quality = good if running else bad
        out += (
            Sample(self._simulated, now, float(self.simulated), good),
            Sample(self._lateness, now, 1e3 * self.late_s, good),
            Sample(self._missed, now, float(self.missed), good),
            Sample(self._age, now, age_h, quality),
            Sample(self._phase, now, float(phase) if running else math.nan, quality),
        )
        if estimate is self._stored:
            return out
        self._stored = estimate
        for key, parts in self._estimates:
            quality = good if key in estimate else bad
            values = estimate.get(key, _UNKNOWN)
            out += [quick(Sample, (t, now, v, quality)) for t, v in zip(parts, values, strict=True)]
        return out

    def judged(self, now: float, estimate: Mapping[str, Believed]) -> dict[str, Sample]:
        """Return those of ``samples`` that an alarm looks at, by name.

        While ``estimate`` is the same object they are those of the call that saw it first.
        """
        if estimate is not self._looked_at:
            self._looked_at, self._last_judged = estimate, dict[str, Sample]()
            for tag, key, k in self._judged:
                known = key in estimate
                value, quality = (estimate[key][k], GOOD) if known else (math.nan, BAD)
                self._last_judged[tag.name] = Sample(tag, now, value, quality)
        return self._last_judged
