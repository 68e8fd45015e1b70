"""What the recipe alone would do from here: feeds, doses and setpoints until the planned end."""

import math
from collections.abc import Iterator, Mapping

from controller.plant_file.units import ML_PER_H
from controller.recipes.feed_laws import law_of
from controller.recipes.file import Dose, Phase
from controller.recipes.progress import HELD, HOUR_S, Progress

PROFILE_H = 1 / 12  # how finely a feed profile is told to the optimiser
AHEAD_H = 24.0  # how far, where nobody knows when the batch ends
STEP_H = 1e-4  # in which a line goes up a step

Line = tuple[tuple[float, float], ...]  # s since 1970 UTC, rising, and a value


class Prospect(Progress):
    """Foresees a recipe; what nobody knows yet, as when a phase begins, is not foreseen."""

    def feed_profile(self, now: float, loop: str = "") -> Line:
        """Return what the recipe alone would give of a feed until the planned end, mL/h.

        Phases whose beginning nobody knows yet are not foreseen: the present feed goes on until
        then.

        Args:
            now: s since 1970 UTC.
            loop: that feeds; the main feed's if not given.
        """
        ahead = 0.0 if self.state is HELD else max(0.0, now - self._now)
        fed = loop or self._facts.feed_loop
        law, law_s = self._feeds.laws[fed], self._feeds.since_s[fed] + ahead
        age = t = self.age_h(now)
        end = self._last(now)
        pairs: list[tuple[float, float]] = []
        for i, phase in enumerate(self.recipe.phase[self._index :], self._index):
            if i > self._index:
                following = law_of(fed, phase, law.flow(law_s), self._facts, self._estimates)
                law, law_s = (law, law_s) if following is None else (following, 0.0)
            stop = self._planned_end(i)
            stop = end if stop is None else min(max(stop, t), end)
            steps = math.ceil((stop - t) / PROFILE_H - 1e-6)
            for k in range(steps):
                h = (stop - t) * k / steps
                pairs.append((now + (t - age + h) * HOUR_S, law.flow(law_s + h * HOUR_S)))
            law_s += (stop - t) * HOUR_S
            t = stop
            if t >= end:
                break
        pairs.append((now + (t - age) * HOUR_S, law.flow(law_s)))
        return tuple(pairs)

    def fed_until(self, now: float) -> float:
        """Return when the recipe will have given the last of the main feed, s since 1970 UTC."""
        profile = self.feed_profile(now)
        fed = [k for k, (_, flow) in enumerate(profile) if flow > 0.0]
        return profile[min(fed[-1] + 1, len(profile) - 1)][0] if fed else now

    def profiles(self, now: float) -> Mapping[str, Line]:
        """Return what the recipe alone would set, by loop and in the loop's unit."""
        found: dict[str, Line] = {}
        for loop in {d.loop for p in self.recipe.phase for d in p.doses} - set(self._feeds.laws):
            found[loop] = self._dosed(loop, now)
        for loop in self._feeds.laws:
            unit = ML_PER_H.get(self._facts.loops[loop].unit, 1.0)
            found[loop] = tuple((t, flow / unit) for t, flow in self.feed_profile(now, loop))
        for loop in self._setpoints:
            if loop not in found:
                found[loop] = self._set(loop, now)
        return found

    def _last(self, now: float) -> float:
        """Return the batch age up to which a profile is told, h."""
        age, end = self.age_h(now), self.planned_end_h
        return age + AHEAD_H if end is None else max(end, age)

    def _starts(self, now: float) -> Iterator[tuple[float, Phase]]:
        """Yield the phases to come whose beginning is known, and when, s since 1970 UTC."""
        age = self.age_h(now)
        for i in range(self._index + 1, len(self.recipe.phase)):
            begin = self._planned_start(i)
            if begin is None:
                return
            yield now + (max(begin, age) - age) * HOUR_S, self.recipe.phase[i]

    def _dosed(self, loop: str, now: float) -> Line:
        """Return the doses through a loop: those under way, those due, those of later phases."""
        per_ml = HOUR_S / ML_PER_H[self._facts.loops[loop].unit]  # s and the loop's unit
        ends = now + (self._last(now) - self.age_h(now)) * HOUR_S
        spans: list[tuple[float, float, float]] = []

        def given(start: float, flow: float, ml: float) -> None:
            spans.append((start, start + ml / flow * per_ml, flow))

        def again(dose: Dose, first: float, until: float) -> None:
            while first < until - 1.0:
                given(first, dose.flow, 1e3 * dose.volume_l)
                if dose.every_h is None:
                    return
                first += dose.every_h * HOUR_S

        later = list(self._starts(now))
        bounds = [*(start for start, _ in later), ends]
        for run in self._doses:
            if run.loop == loop:
                given(now, run.dose.flow, max(run.ml - run.given, 0.0))
        present = self.recipe.phase[self._index].doses
        for dose, due in zip(present, self._due, strict=False):
            if dose.loop == loop and due is not None:
                again(dose, now + max(due * HOUR_S - self._phase_s, 0.0), bounds[0])
        for (start, phase), until in zip(later, bounds[1:], strict=True):
            for dose in phase.doses:
                if dose.loop == loop:
                    again(dose, start + dose.at_h * HOUR_S, until)
        pairs = [(now - 1.0, 0.0)]
        step = STEP_H * HOUR_S
        for start, stop, flow in sorted(spans):
            begin = max(start, pairs[-1][0])
            pairs += [(begin + step, 0.0), (begin + 2 * step, flow)]
            pairs += [(max(stop, begin) + 3 * step, flow), (max(stop, begin) + 4 * step, 0.0)]
        return tuple(pairs)

    def _set(self, loop: str, now: float) -> Line:
        """Return a setpoint with its ramps, from now on."""
        value = self._setpoints[loop]
        pairs = [(now, value)]
        if loop in self._ramps:
            to, rate = self._ramps[loop]
            value = to
            pairs.append((now + abs(to - pairs[0][1]) / rate, to))
        for start, phase in self._starts(now):
            if start <= pairs[-1][0]:
                continue  # the ramp before is not at its end
            if loop in phase.setpoints:
                pairs += [(start, value), (start + 1.0, phase.setpoints[loop])]
            elif loop in phase.ramps:
                ramp = phase.ramps[loop]
                lasts = abs(ramp.to - value) / ramp.ramp_per_h * HOUR_S
                pairs += [(start, value), (start + max(lasts, 1.0), ramp.to)]
            value = pairs[-1][1]
        return tuple(pairs)
