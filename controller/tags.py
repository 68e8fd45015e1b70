"""The controller's own tags: setpoints, outputs and modes, estimates, batch age, scan timing."""

import math
from collections.abc import Collection, Mapping

from controller.loops import Loop, Mode, PidLoop
from drivers.point import BAD, GOOD, Sample, Tag, quick

ESTIMATES = {  # key of the estimate: (tag suffix, unit)
    "biomass_g_per_l": ("biomass", "g/L"),
    "substrate_g_per_l": ("substrate", "g/L"),
    "acetate_g_per_l": ("acetate", "g/L"),
    "product_g_per_l": ("product", "g/L"),
    "volume_l": ("volume", "L"),
    "qomax_factor": ("qomax_factor", "1"),
    "kla_factor": ("kla_factor", "1"),
}
_WIDE = 1e6


class Derived:
    """Turns a reactor's own state into samples, one list a scan.

    Args:
        reactor: ``R1``.
        loops: its loops by name.
        estimates: whether it has an estimator.
        judged: names of those that an alarm looks at: of estimates only.
    """

    def __init__(
        self,
        reactor: str,
        loops: Mapping[str, Loop],
        estimates: bool,
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
        self._estimates: list[tuple[str, Tag, Tag]] = []
        for key, (suffix, unit) in ESTIMATES.items() if estimates else ():
            name = f"{reactor}.est.{suffix}"
            self._estimates.append(
                (key, Tag(name, unit, 0, _WIDE), Tag(f"{name}.sd", unit, 0, _WIDE))
            )
        self._judged = [
            (tag, key, k)
            for key, *both in self._estimates
            for k, tag in enumerate(both)
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
            *(t for row in self._estimates for t in row[1:]),
        ]

    def samples(
        self,
        now: float,
        age_h: float,
        phase: int,
        estimate: Mapping[str, tuple[float, float]],
    ) -> list[Sample]:
        """Return this scan's samples.

        Args:
            now: s.
            age_h: batch age; NaN where there is no batch.
            phase: index of the recipe's phase; -1 where there is none.
            estimate: value and standard deviation by key; empty where there is none.
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
        unknown = (math.nan, math.nan)
        for key, tag, sd in self._estimates:
            value, spread = estimate.get(key, unknown)
            quality = good if key in estimate else bad
            out += (
                quick(Sample, (tag, now, value, quality)),
                quick(Sample, (sd, now, spread, quality)),
            )
        return out

    def judged(self, now: float, estimate: Mapping[str, tuple[float, float]]) -> dict[str, Sample]:
        """Return those of ``samples`` that an alarm looks at, by name."""
        found: dict[str, Sample] = {}
        for tag, key, k in self._judged:
            known = key in estimate
            value, quality = (estimate[key][k], GOOD) if known else (math.nan, BAD)
            found[tag.name] = Sample(tag, now, value, quality)
        return found
