"""A vessel run ahead under a change that nobody has made yet, beside what is done to it now."""

from dataclasses import dataclass, replace
from typing import Any

from controller.loops.loops import Loop, RefusedError
from controller.planning.outlook import QUANTITIES, TANK, Course, Foreseen, Outlook, Question
from controller.plant_file.units import ML_PER_H
from controller.reactor import Reactor
from controller.texts.said import Said, said, word
from drivers.point import RangeError

HOURS = (0.1, 168.0)
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What would be changed; ``None`` stays as it is.

    Attributes:
        feed: held from now on, in the feed loop's unit.
        feed_percent: of the present course of the feed: 120 is a fifth more all along.
        do: setpoint, %.
        temperature: setpoint, Cel.
        hours: how far to look; to the planned end of the batch if not given.
    """

    feed: float | None = None
    feed_percent: float | None = None
    do: float | None = None
    temperature: float | None = None
    hours: float | None = None


def question(reactor: Reactor, wish: Wish) -> Question:
    """Return what is to be run ahead: the present course, and the same with the wish in it.

    Raises:
        RefusedError: there is nothing to run ahead, or nothing is wished.
        RangeError: a value is outside what the loop may be set to.
    """
    seat, estimate = reactor.seat, reactor.sensing.estimate
    if seat is None:
        raise RefusedError(said("no_optimiser", reactor=reactor.name))
    present = seat.present() if reactor.under_way else None
    if present is None:
        raise _none(reactor, "no_batch")
    if estimate is None:
        raise _none(reactor, "no_estimate")
    _check(reactor, wish)
    end = seat.end if wish.hours is None else estimate.time + wish.hours * HOUR_S
    if end is None:
        raise _none(reactor, "no_end")
    if end - estimate.time < HOURS[0] * HOUR_S:
        raise _none(reactor, "over")
    end = min(end, estimate.time + HOURS[1] * HOUR_S)
    return Question(estimate.time, end, (present, _changed(reactor, present, wish)))


def _check(reactor: Reactor, wish: Wish) -> None:
    seat = reactor.seat
    assert seat is not None  # ``question`` has looked
    if wish.feed is not None and wish.feed_percent is not None:
        raise RefusedError(said("whatif_twice", reactor=reactor.name))
    if (wish.feed, wish.feed_percent, wish.do, wish.temperature) == (None,) * 4:
        raise RefusedError(said("whatif_nothing", reactor=reactor.name))
    temperature = reactor.loops.get("temperature")
    for key, value, loop in (
        ("feed", wish.feed, seat.feed),
        ("do", wish.do, seat.do),
        ("temperature", wish.temperature, temperature),
    ):
        if value is not None and loop is not None:
            _within(key, value, loop)
    for key, value, low, high, unit in (
        ("feed_percent", wish.feed_percent, 0.0, 1000.0, "%"),
        ("hours", wish.hours, *HOURS, "h"),
    ):
        if value is not None and not low <= value <= high:
            raise RangeError(
                said("whatif_range", key=key, value=value, low=low, high=high, unit=unit)
            )


def _within(key: str, value: float, loop: Loop) -> None:
    s = loop.settings
    if not s.setpoint_low <= value <= s.setpoint_high:
        limits = {"low": s.setpoint_low, "high": s.setpoint_high, "unit": loop.unit}
        raise RangeError(said("whatif_range", key=key, value=value, **limits))


def _changed(reactor: Reactor, present: Course, wish: Wish) -> Course:
    seat = reactor.seat
    assert seat is not None
    changed = present
    if wish.feed is not None and seat.feed is not None:
        flow = wish.feed * ML_PER_H[seat.feed.unit]
        changed = replace(changed, feed_ml_per_h=((seat.now, flow),))
    if wish.feed_percent is not None:
        share = wish.feed_percent / 100.0
        feed = tuple((t, share * v) for t, v in present.feed_ml_per_h)
        changed = replace(changed, feed_ml_per_h=feed)
    if wish.do is not None:
        changed = replace(changed, do_percent=((seat.now, wish.do),))
    if wish.temperature is not None:
        changed = replace(changed, temperature=wish.temperature)
    return changed


def _none(reactor: Reactor, why: str) -> RefusedError:
    return RefusedError(said("whatif_none", reactor=reactor.name, why=said(f"whatif.{why}")))


def told(reactor: Reactor, wish: Wish, asked: Question, outlook: Outlook) -> dict[str, Any]:
    """Return the answer as it is shown; hours count from now, units in the keys.

    Raises:
        RefusedError: it could not be run ahead.
    """
    if outlook.status != "good":
        raise RefusedError(said("whatif_failed", reactor=reactor.name, why=outlook.reason))
    present, changed = outlook.courses
    line = _line(present, changed, outlook.made)
    return {
        "reactor": reactor.name,
        "time": outlook.made,
        "hours": [round((t - outlook.made) / HOUR_S, 4) for t in outlook.times],
        "wish": {k: getattr(wish, k) for k in Wish.__slots__ if getattr(wish, k) is not None},
        "units": dict(QUANTITIES),
        "present": _course(present, asked.courses[0], outlook.made),
        "changed": _course(changed, asked.courses[1], outlook.made),
        "gain_g": changed.gain_g,
        "text": line,
        "text_zh": line.told("zh"),
    }


def _course(foreseen: Foreseen, course: Course, zero: float) -> dict[str, Any]:
    product = foreseen.bands["product_g"]
    return {
        "feed_ml_per_h": course.feed_ml_per_h[0][1],
        "bands": {
            name: {"low": b.low, "middle": b.middle, "high": b.high}
            for name, b in foreseen.bands.items()
        },
        "limits": [
            {
                "limit": c.limit,
                "possible_h": (c.possible - zero) / HOUR_S,
                "expected_h": None if c.expected is None else (c.expected - zero) / HOUR_S,
            }
            for c in foreseen.crossings
        ],
        "product_g": (product.low[-1], product.middle[-1], product.high[-1]),
    }


def _line(present: Foreseen, changed: Foreseen, zero: float) -> Said:
    """Return one line: the product at the end, the gain, and the first limit that is crossed."""
    low, middle, high = changed.gain_g
    product = changed.bands["product_g"]
    known = {c.limit for c in present.crossings}
    new = [c for c in changed.crossings if c.limit not in known]
    limit = said("whatif.no_limit")
    if new:
        first = new[0]
        hours = f"{((first.expected or first.possible) - zero) / HOUR_S:.1f}"
        code = "whatif.may_cross" if first.expected is None else "whatif.crosses"
        code = "whatif.empties" if first.limit == TANK else code
        limit = said(code, limit=word(first.limit), hours=hours)
    return said(
        "whatif",
        product=f"{product.middle[-1]:.4g} g ({product.low[-1]:.4g} … {product.high[-1]:.4g})",
        gain=f"{middle:+.3g} g ({low:+.3g} … {high:+.3g})",
        limit=limit,
    )
