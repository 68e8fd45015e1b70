"""A PID without clock, thread or I/O: simple-pid's arithmetic and what a plant needs beside it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simple_pid import PID

LARGEST = 1e12  # what a setpoint, reading or output may be; beyond it a product could overflow
SHORTEST_S, LONGEST_S = 1e-3, 1e6  # what a step may be


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a loop answers. Units: u is the output's, y the measurement's.

    Attributes:
        kp: gain, u/y; negative where a larger output lowers the measurement.
        ti_s: integral time, s; ``inf`` switches the integral off.
        td_s: derivative time, s; acts on the measurement, so a setpoint step does not kick.
        deadband: error below which nothing moves, y; beyond it the rest of the error counts.
        filter_s: first-order filter of the measurement, s.
        derivative_filter_s: first-order filter of the derivative, s; ``None`` is ``td_s / 8``.
    """

    kp: float
    ti_s: float = math.inf
    td_s: float = 0.0
    deadband: float = 0.0
    filter_s: float = 0.0
    derivative_filter_s: float | None = None

    def __post_init__(self) -> None:
        if self.kp == 0 or not abs(self.kp) <= 1e9:
            raise ValueError(f"kp: {self.kp:g} is not allowed; it must be finite and not 0")
        if not self.ti_s >= SHORTEST_S:
            raise ValueError(f"ti_s: {self.ti_s:g} is not allowed; it (s) must be >= {SHORTEST_S}")
        for name in ("td_s", "deadband", "filter_s", "derivative_filter_s"):
            value: float | None = getattr(self, name)
            if value is not None and not 0 <= value <= LONGEST_S:
                raise ValueError(f"{name}: {value:g} is not allowed; it must be >= 0")

    def as_json(self) -> dict[str, float | None]:
        """Return it as JSON; an integral time without end is ``None``."""
        found: dict[str, float | None] = {name: getattr(self, name) for name in self.__slots__}
        return found | {"ti_s": self.ti_s if math.isfinite(self.ti_s) else None}

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> "Tuning":
        """Return what ``as_json`` made.

        Raises:
            KeyError, TypeError, ValueError: it did not make it.
        """
        lag = found["derivative_filter_s"]
        return cls(
            kp=float(found["kp"]),
            ti_s=math.inf if found["ti_s"] is None else float(found["ti_s"]),
            td_s=float(found["td_s"]),
            deadband=float(found["deadband"]),
            filter_s=float(found["filter_s"]),
            derivative_filter_s=None if lag is None else float(lag),
        )


class _Unlimited(PID):
    """A simple-pid that is always on and has no limits, without the properties that say so."""

    # a plain attribute in place of a property is what it is for: an update looks at it twice
    output_limits = (None, None)  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    auto_mode = True  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]


class Pid:
    """A simple-pid that refuses NaN, takes its step from the scan and never bumps or winds up.

    It knows no limits. Whoever limits its output says what was applied: ``limit`` after a clamp or
    a rate limit, ``track`` when somebody else decided (a hand, an interlock, a gap). Either way
    the output leaves the limit as soon as the error turns. Arguments are those of `Tuning`.
    """

    __slots__ = (
        "_deadband",
        "_dt",
        "_factor",
        "_filter_s",
        "_kd",
        "_pid",
        "_rate",
        "_rate_filter_s",
        "_seen",
        "_tuning",
        "_y",
    )

    def __init__(
        self,
        kp: float,
        ti_s: float = math.inf,
        td_s: float = 0.0,
        deadband: float = 0.0,
        filter_s: float = 0.0,
        derivative_filter_s: float | None = None,
    ) -> None:
        # sample_time=None: never a cached output. time_fn=float: no clock, `float()` is 0.0.
        self._pid = _Unlimited(sample_time=None, time_fn=float)
        self._pid.auto_mode = True  # of its own: found more quickly than the class's
        self._y = math.nan  # the filtered measurement; NaN until the first
        self._rate = 0.0  # its filtered derivative, y/s
        self._dt = 0.0  # the last step, s
        self._seen = False  # the last measurement has been through the filter
        self._factor = 1.0  # what a gain schedule makes of kp
        self._adopt(Tuning(kp, ti_s, td_s, deadband, filter_s, derivative_filter_s))

    @property
    def tuning(self) -> Tuning:
        """What it is tuned to."""
        return self._tuning

    @property
    def factor(self) -> float:
        """What a gain schedule makes of kp now."""
        return self._factor

    @property
    def terms(self) -> tuple[float, float, float]:
        """The proportional, integral and derivative parts of the last output."""
        return self._parts()

    def _parts(self) -> tuple[float, float, float]:
        return self._proportional(), self._pid.components[1], -self._kd * self._rate

    def update(self, setpoint: float, measured: float, dt: float) -> float:
        """Return the wanted output in the actuator's unit, not yet limited.

        Args:
            setpoint: y.
            measured: y.
            dt: s since the last update, 1e-3 to 1e6.

        Raises:
            ValueError: an argument is not finite, absurdly large, or ``dt`` is not positive;
                nothing has changed.
        """
        # One comparison refuses NaN and infinity too: they compare false.
        if not (SHORTEST_S <= dt <= LONGEST_S and abs(setpoint) + abs(measured) <= LARGEST):
            raise ValueError(f"cannot update with {setpoint=}, {measured=}, {dt=}")
        last = self._y
        if last != last:  # the first measurement: nothing to filter or derive from
            y = last = measured
        elif self._filter_s > 0.0:
            y = last + (measured - last) * dt / (self._filter_s + dt)
        else:
            y = measured
        self._y = y
        self._dt = dt
        self._seen = True
        pid = self._pid
        pid.setpoint = setpoint
        # by name: to call an object takes longer; it is None only in manual mode
        output = pid.__call__(y, dt) or 0.0
        if self._kd:  # backward Euler step of a first-order lag behind the difference quotient
            lag = self._rate_filter_s
            self._rate = (self._rate * lag + y - last) / (lag + dt)
            output -= self._kd * self._rate
        return output

    def limit(self, applied: float) -> None:
        """Say that the last output was clamped or rate-limited to ``applied``.

        The integral does not move towards the limit in this scan and does not stay beyond it. It
        keeps what it had otherwise, so that a spike which reaches a limit leaves nothing behind;
        ``track`` would put the whole spike into the integral.

        Raises:
            ValueError: ``applied`` is not finite or absurdly large; nothing has changed.
        """
        if not abs(applied) <= LARGEST:
            raise ValueError(f"cannot limit to {applied=}")
        p, integral, d = self._parts()
        before = integral - p * self._dt / self._tuning.ti_s
        self._dt = 0.0  # said twice, it takes back one step
        if applied < p + integral + d:
            kept = min(integral, before, applied)
        else:
            kept = max(integral, before, applied)
        if kept != integral:
            self._continue_from(p + kept + d)

    def block(self, direction: int) -> None:
        """Say that what it moves can go no further in ``direction``: 1 up, -1 down.

        The integral does not move that way in this scan; the output is what it was.
        """
        p, integral, d = self._parts()
        before = integral - p * self._dt / self._tuning.ti_s
        self._dt = 0.0
        if (before < integral) if direction > 0 else (before > integral):
            self._continue_from(p + before + d)

    def scale(self, factor: float) -> None:
        """Take ``factor`` times kp from now on (a gain schedule); the output stays what it was.

        Changes below 1 % are not taken, so that a noisy schedule does not stir the integral.

        Raises:
            ValueError: ``factor`` is not positive or absurd; nothing has changed.
        """
        if not 1e-6 <= factor <= 1e6:
            raise ValueError(f"cannot scale by {factor=}")
        if abs(factor - self._factor) <= 0.01 * self._factor:
            return
        output = sum(self.terms)
        self._factor = factor
        self._adopt(self._tuning)
        self._continue_from(output)

    def track(self, setpoint: float, measured: float, applied: float) -> None:
        """Continue from ``applied``, whoever decided it: a limit, a hand, an interlock.

        After an ``update`` of the same scan the filters are kept, for the measurement has been
        through them; tracking alone (MANUAL, a gap) starts them at ``measured``.

        Raises:
            ValueError: an argument is not finite or absurdly large; nothing has changed.
        """
        if not abs(setpoint) + abs(measured) + abs(applied) <= LARGEST:
            raise ValueError(f"cannot track with {setpoint=}, {measured=}, {applied=}")
        if not self._seen:
            self._y = measured
            self._rate = 0.0
        self._seen = False
        self._pid.setpoint = setpoint
        self._continue_from(applied)

    def pause(self) -> None:
        """Say that nothing was measured or that nobody asked; ``track`` then starts anew."""
        self._seen = False

    def retune(
        self,
        kp: float,
        ti_s: float = math.inf,
        td_s: float = 0.0,
        deadband: float = 0.0,
        filter_s: float = 0.0,
        derivative_filter_s: float | None = None,
    ) -> None:
        """Change the tuning; at the same setpoint and measurement the output stays what it was.

        Raises:
            ValueError: as `Tuning`; nothing has changed.
        """
        tuning = Tuning(kp, ti_s, td_s, deadband, filter_s, derivative_filter_s)
        if tuning == self._tuning:
            return
        output = sum(self.terms)
        self._adopt(tuning)
        self._continue_from(output)

    def _adopt(self, tuning: Tuning) -> None:
        self._tuning = tuning
        self._deadband = tuning.deadband
        self._filter_s = tuning.filter_s
        kp = tuning.kp * self._factor
        self._kd = kp * tuning.td_s
        lag = tuning.derivative_filter_s
        self._rate_filter_s = tuning.td_s / 8 if lag is None else lag
        # The derivative is ours: simple-pid's has no filter.
        self._pid.tunings = (kp, kp / tuning.ti_s, 0.0)
        self._pid.error_map = self._beyond_deadband if tuning.deadband > 0 else None

    def _continue_from(self, output: float) -> None:
        """Set the integral so that setpoint and measurement of now give ``output``."""
        integral = output - self._proportional() + self._kd * self._rate
        # simple-pid takes an integral only on the way from manual to auto
        self._dt = 0.0
        self._pid.set_auto_mode(False)
        self._pid.set_auto_mode(True, last_output=integral)

    def _proportional(self) -> float:
        if self._y != self._y:
            return 0.0
        error = self._pid.setpoint - self._y
        if self._deadband > 0.0:
            error = self._beyond_deadband(error)
        return self._pid.Kp * error

    def _beyond_deadband(self, error: float) -> float:
        """Return the part of the error outside the deadband: continuous, so it cannot chatter."""
        if error > self._deadband:
            return error - self._deadband
        if error < -self._deadband:
            return error + self._deadband
        return 0.0
