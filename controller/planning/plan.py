"""What the optimiser is asked (Situation) and what it answers (Plan), as plain JSON both ways."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast, get_args

Status = Literal["good", "infeasible", "failed", "bad_input", "late", "dead"]
STATUSES: tuple[str, ...] = get_args(Status)
SETPOINTS = ("feed_ml_per_h", "do_percent")
UNITS = {"do": "percent", "temperature": "cel", "pressure": "bar"}  # the rest flows
FLOWS = "_ml_per_h"


def column(loop: str) -> str:
    """Return the name of a loop's setpoint in a plan, the unit in it."""
    return f"{loop}_{UNITS[loop]}" if loop in UNITS else f"{loop}{FLOWS}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Setpoint trajectories with what the model foretells under them.

    Attributes:
        status: ``good`` is the only one that may be followed. ``infeasible``: solved, but the
            rollout breaks a limit. ``failed``: no start of the solver gave a usable answer.
            ``bad_input``: a number of the request was missing or impossible. ``late`` and
            ``dead``: the planner's word for a worker that missed its deadline or died.
        made: s since 1970 UTC, time of the estimate the plan starts from.
        times: s since 1970 UTC, shape (k,), increasing.
        setpoints: shape (k, m), columns as ``names``.
        predicted: trajectories at ``times``, each of shape (k,), unit in the name.
        reason: one line for an operator; what went wrong unless ``good``.
        active: names of the limits that bind somewhere along the plan.
        objective: what it is worth, in the plant file's money.
        solve_s: wall seconds of all attempts together.
        names: of the setpoints' columns, the unit in the name: feed in mL/h, dissolved oxygen
            in %, or whatever a plant file lets the optimiser move.
        spread: half the width of the 90 % interval of what is predicted, for the trajectories
            that the estimate's covariance was carried through; the model's own error is not in it.
        binding: the limit that holds the plan for the longest time; empty where none does.
        slack: by how much each soft limit is exceeded at worst, as a share of it; only those
            that are.
    """

    status: Status
    made: float
    times: tuple[float, ...] = ()
    setpoints: tuple[tuple[float, ...], ...] = ()
    predicted: Mapping[str, tuple[float, ...]] = field(default_factory=dict[str, tuple[float, ...]])
    reason: str = ""
    active: tuple[str, ...] = ()
    objective: float = math.nan
    solve_s: float = math.nan
    names: tuple[str, ...] = SETPOINTS
    spread: Mapping[str, tuple[float, ...]] = field(default_factory=dict[str, tuple[float, ...]])
    binding: str = ""
    slack: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def good(self) -> bool:
        """Whether it may be followed: its status says so and every number in it is finite."""
        return self.status == "good" and self.finite

    @property
    def finite(self) -> bool:
        """Whether there is a trajectory, with increasing times and only finite setpoints."""
        return (
            len(self.times) > 0
            and len(self.times) == len(self.setpoints)
            and all(map(math.isfinite, self.times))
            and all(a < b for a, b in zip(self.times, self.times[1:], strict=False))
            and all(len(row) == len(self.names) for row in self.setpoints)
            and all(math.isfinite(value) for row in self.setpoints for value in row)
        )

    def at(self, time: float, name: str = "feed_ml_per_h") -> float:
        """Return setpoint ``name`` at ``time`` (s since 1970 UTC), linear between the plan's times.

        Before the first and after the last time the nearest value holds.

        Raises:
            ValueError: the plan has no trajectory or no such setpoint.
        """
        column = self.names.index(name)
        if not self.times:
            raise ValueError(f"{name}: this plan has no trajectory (status {self.status})")
        right = bisect_right(self.times, time)
        if right == 0:
            return self.setpoints[0][column]
        if right == len(self.times):
            return self.setpoints[-1][column]
        t0, t1 = self.times[right - 1], self.times[right]
        v0, v1 = self.setpoints[right - 1][column], self.setpoints[right][column]
        return v0 + (v1 - v0) * (time - t0) / (t1 - t0)

    def line(self, name: str) -> tuple[tuple[float, float], ...]:
        """Return setpoint ``name`` as pairs of s since 1970 UTC and value."""
        place = self.names.index(name)
        return tuple((t, row[place]) for t, row in zip(self.times, self.setpoints, strict=True))

    def interval(self, name: str) -> tuple[tuple[float, float], ...]:
        """Return the 90 % interval of what is predicted of ``name``, at ``times``.

        Raises:
            ValueError: nothing is predicted of it, or its spread is not known.
        """
        if name not in self.spread:
            known = ", ".join(self.spread) or "nothing"
            raise ValueError(f"{name}: this plan has no interval of it, only of {known}")
        pairs = zip(self.predicted[name], self.spread[name], strict=True)
        return tuple((value - half, value + half) for value, half in pairs)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can carry it; a number that is not finite becomes ``None``."""
        plain = asdict(self)
        for key in ("made", "objective", "solve_s"):
            plain[key] = plain[key] if math.isfinite(plain[key]) else None
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Plan":
        """Return the plan that ``as_json`` wrote.

        Raises:
            ValueError: a key is missing or holds something else than a plan does.
        """
        try:
            status = plain["status"]
            if status not in STATUSES:
                raise ValueError(f"status: {status!r} is not one of {', '.join(STATUSES)}")
            predicted, spread = (_rows(plain.get(key)) for key in ("predicted", "spread"))
            slack = cast(Mapping[str, Any], plain.get("slack") or {})
            rows = cast(Sequence[Sequence[Any]], plain.get("setpoints") or ())
            return cls(
                status=status,
                made=number(plain.get("made")),
                times=tuple(number(t) for t in plain.get("times") or ()),
                setpoints=tuple(tuple(number(v) for v in row) for row in rows),
                predicted=predicted,
                reason=str(plain.get("reason", "")),
                active=tuple(str(name) for name in plain.get("active") or ()),
                objective=number(plain.get("objective")),
                solve_s=number(plain.get("solve_s")),
                names=tuple(str(name) for name in plain.get("names") or SETPOINTS),
                spread=spread,
                binding=str(plain.get("binding", "")),
                slack={str(k): number(v) for k, v in slack.items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a plan: {type(error).__name__} {error}") from error


@dataclass(frozen=True, slots=True)
class Situation:
    """What the optimiser must know beside the estimate.

    Attributes:
        now: s since 1970 UTC.
        batch_h: h since inoculation.
        end_h: batch age at which the horizon ends at the latest, h.
        induced: whether the product's expression is switched on.
        previous: the last plan, which the next goes on from.
        applied: what every input of the control model is set to now, in the model's unit.
        profiles: what the recipe alone would set it to, pairs of (s since 1970 UTC, value),
            increasing; what is missing stays as it is applied.
        stock_l: of the main feed that can be fed yet; ``None``: as much as is asked for.
        carried: means of broth and jacket, Cel, and of how far the cooling is open, %, over some
            minutes; ``None``: nobody sees them.
    """

    now: float
    batch_h: float
    end_h: float
    induced: bool = False
    previous: Plan | None = None
    applied: Mapping[str, float] = field(default_factory=dict[str, float])
    profiles: Mapping[str, tuple[tuple[float, float], ...]] = field(
        default_factory=dict[str, tuple[tuple[float, float], ...]]
    )
    stock_l: float | None = None
    carried: tuple[float, float, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can carry it."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        plain["previous"] = None if self.previous is None else self.previous.as_json()
        for key, value in plain.items():
            if isinstance(value, float) and not math.isfinite(value):
                plain[key] = None
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Situation":
        """Return the situation that ``as_json`` wrote.

        Raises:
            ValueError: a key is missing or holds something else than a situation does.
        """
        try:
            previous = plain.get("previous")
            applied = cast(Mapping[str, Any], plain.get("applied") or {})
            profiles = cast(Mapping[str, Sequence[Any]], plain.get("profiles") or {})
            carried = cast(Sequence[Any], plain.get("carried") or ())
            return cls(
                now=number(plain["now"]),
                batch_h=number(plain["batch_h"]),
                end_h=number(plain["end_h"]),
                induced=bool(plain.get("induced", False)),
                previous=None if previous is None else Plan.from_json(previous),
                applied={str(name): number(value) for name, value in applied.items()},
                profiles={str(name): _pairs(rows) for name, rows in profiles.items()},
                stock_l=None if plain.get("stock_l") is None else number(plain["stock_l"]),
                carried=(number(carried[0]), number(carried[1]), number(carried[2]))
                if carried
                else None,
            )
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"not a situation: {type(error).__name__} {error}") from error


def _pairs(rows: Sequence[Sequence[Any]]) -> tuple[tuple[float, float], ...]:
    return tuple((number(row[0]), number(row[1])) for row in rows)


def _rows(plain: Any) -> dict[str, tuple[float, ...]]:
    rows = cast(Mapping[str, Sequence[Any]], plain or {})
    return {str(name): tuple(number(v) for v in row) for name, row in rows.items()}


def number(value: Any) -> float:
    """Return ``value`` as a float; ``None`` is NaN, as JSON has no other word for it."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)
