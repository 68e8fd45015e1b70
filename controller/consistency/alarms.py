"""What no ``[reactor.R1.alarm.NAME]`` sees alone: unknown tags, limits out of order or of range."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from controller.plant_file.alarm_settings import LIMITS, AlarmSettings
from controller.plant_file.device_settings import TagSettings
from controller.plant_file.settings import InterlockSettings, ReactorSettings
from controller.plant_file.units import KG, ML_PER_H
from controller.sensing.estimate import reported

DEADBAND = 0.002  # of a tag's range, for limits of its value where the plant file gives none
OTHERS_DEADBAND = 0.1  # of the limit, for all others
SUFFIX = {  # of an alarm's id and key of its text, where that is not the plant file's key
    "rise_per_min": "rise",
    "fall_per_min": "fall",
    "stale_s": "stale",
}


def measured_by(s: AlarmSettings, reactor: ReactorSettings) -> str:
    """Return the tag that an alarm's table judges; empty if its loop has none."""
    if s.measured is not None:
        return s.measured
    loop = reactor.loop.get(s.loop or "")
    return "" if loop is None or loop.measured is None else loop.measured


def deadband_of(s: AlarmSettings, kind: str, span: float) -> float:
    """Return the dead band of a limit, in the limit's unit.

    Args:
        s: the alarm's table.
        kind: its key there.
        span: of the tag, from low to high.
    """
    limit = s.limits[kind]
    if limit.deadband is not None:
        return limit.deadband
    if kind not in LIMITS:
        return OTHERS_DEADBAND * limit.limit
    return DEADBAND * span if s.deadband is None else s.deadband


def judged_tags(reactor: ReactorSettings) -> list[str]:
    """Return the tags whose quality has an alarm without being asked for.

    They are what loops and interlocks use, but for those whose quality the plant file judges.
    """
    used: list[str] = []
    for loop in reactor.loop.values():
        used += [loop.measured] if loop.measured else []
        used += [*loop.needs, *loop.zero_without]
    used += [w.measured for lock in reactor.interlock.values() for w in lock.windows]
    own = {measured_by(s, reactor) for s in reactor.alarm.values() if s.quality is not None}
    return [tag for tag in dict.fromkeys(used) if tag not in own]


def alarmed_interlocks(reactor: ReactorSettings) -> dict[str, InterlockSettings]:
    """Return the interlocks whose trip is an alarm, by name.

    One that only lets an actuator not start is a condition for it and asks nobody for anything.
    """
    return {
        name: lock
        for name, lock in reactor.interlock.items()
        if lock.force or lock.at_most or lock.at_least or lock.latch
    }


def wrong_alarms(
    name: str, reactor: ReactorSettings, tags: Mapping[str, TagSettings]
) -> Iterator[str]:
    """Yield each mistake of a reactor's alarms: key, value and what was allowed."""
    for key, s in reactor.alarm.items():
        yield from _alarm(f"reactor.{name}.alarm.{key}", name, s, reactor, tags)
    taken: dict[str, str] = {}
    judged: dict[tuple[str, str], str] = {}
    for full, where in _ids(name, reactor):
        if full in taken:
            yield f"{where}: its id {full} is that of {taken[full]}; another name is required"
        taken[full] = where
    for key, s in reactor.alarm.items():
        for kind in {"quality"} & s.model_fields_set | {"stale_s"} & s.model_fields_set:
            where = f"reactor.{name}.alarm.{key}.{kind}"
            first = judged.setdefault((measured_by(s, reactor), kind), where)
            if first != where:
                yield f"{where}: is not allowed; {first} judges the same of this tag"


def _ids(name: str, reactor: ReactorSettings) -> Iterator[tuple[str, str]]:
    """Yield the id of each alarm of a reactor, with the key of the plant file that it is from."""
    key = f"reactor.{name}"
    locks = alarmed_interlocks(reactor)
    yield from ((f"{name}.{n}.interlock", f"{key}.interlock.{n}") for n in locks)
    yield from ((f"{tag}.dose", f"{key}.dose") for tag in reactor.dose)
    yield from ((f"{tag}.quality", f"the quality of {tag}") for tag in judged_tags(reactor))
    for n, s in reactor.alarm.items():
        for kind in (*s.limits, *(("quality",) if s.quality else ())):
            yield f"{name}.{n}.{SUFFIX.get(kind, kind)}", f"{key}.alarm.{n}.{kind}"


def _alarm(
    key: str,
    name: str,
    s: AlarmSettings,
    reactor: ReactorSettings,
    tags: Mapping[str, TagSettings],
) -> Iterator[str]:
    if s.loop is not None and not measured_by(s, reactor):
        loops = ", ".join(n for n, loop in reactor.loop.items() if loop.measured)
        yield f"{key}.loop: {s.loop} is not allowed; a loop with measured: {loops}"
        return
    own = [n for n in tags if n.partition(".")[0] == name]
    measured = measured_by(s, reactor)
    if measured not in own:
        if s.loop is None:  # else the loop says so
            yield f"{key}.measured: {measured} is not allowed; a known tag of {name}: {_list(own)}"
        return
    tag = tags[measured]
    locks = alarmed_interlocks(reactor)
    for lock in s.unless:
        if lock not in locks:
            yield f"{key}.unless: {lock} is not allowed; an interlock: {_list(list(locks))}"
    if s.against is not None:
        yield from _against(key, name, s, reactor, tags, tag)
    if s.pumped is not None:
        yield from _pumped(key, name, s, tags, tag)
    yield from _limits(key, s, tag)


def _pumped(
    key: str, name: str, s: AlarmSettings, tags: Mapping[str, TagSettings], tag: TagSettings
) -> Iterator[str]:
    pumps = [
        n
        for n, t in tags.items()
        if t.safe is not None and t.unit in ML_PER_H and n.partition(".")[0] == name
    ]
    if s.pumped not in pumps:
        yield f"{key}.pumped: {s.pumped} is not allowed; a pump of {name}: {_list(pumps)}"
    if tag.unit not in KG:
        yield f"{key}.measured: {tag.name} in {tag.unit} is not allowed; a mass: {_list(KG)}"


def _against(
    key: str,
    name: str,
    s: AlarmSettings,
    reactor: ReactorSettings,
    tags: Mapping[str, TagSettings],
    tag: TagSettings,
) -> Iterator[str]:
    units = {n: t.unit for n, t in tags.items() if n.partition(".")[0] == name and n != tag.name}
    if reactor.model is not None:
        known = reported(reactor.model.organism).values()
        units |= {f"{name}.est.{suffix}": unit for suffix, unit in known}
    unit = units.get(s.against or "")
    if unit is None:
        yield f"{key}.against: {s.against} is not allowed; another value of {name}: {_list(units)}"
    elif unit != tag.unit and "scale" not in s.model_fields_set:
        yield (
            f"{key}.against: {s.against} in {unit} is not allowed; {tag.unit}, or a scale "
            f"({tag.unit} for one {unit})"
        )


def _limits(key: str, s: AlarmSettings, tag: TagSettings) -> Iterator[str]:
    asked = s.limits
    edges = [(kind, asked[kind]) for kind in reversed(LIMITS) if kind in asked]
    for kind, limit in edges:
        if not tag.low <= limit.limit <= tag.high:
            yield (
                f"{key}.{kind}: {limit.limit:g} is not allowed; "
                f"{tag.low:g} to {tag.high:g} {tag.unit} of {tag.name}"
            )
    for (lower, low), (upper, high) in pairwise(edges):
        if not low.limit < high.limit:
            yield f"{key}.{lower}: {low.limit:g} must be below {upper} ({high.limit:g})"
    span = tag.high - tag.low
    lows = [limit.limit for kind, limit in edges if kind.startswith("low")]
    highs = [limit.limit for kind, limit in edges if kind.startswith("high")]
    room = min(highs) - max(lows) if lows and highs else span
    for kind, limit in asked.items():
        if kind in ("deviation", "residual") and limit.limit > span:
            yield f"{key}.{kind}: {limit.limit:g} is not allowed; at most {span:g} {tag.unit}"
        most, what = (
            (room, "what is between low and high") if kind in LIMITS else (limit.limit, kind)
        )
        deadband = deadband_of(s, kind, span)
        if deadband >= most > 0:
            yield f"{key}.{kind}: a deadband of {deadband:g} is not allowed; below {most:g}, {what}"


def _list(names: Iterator[str] | list[str] | Mapping[str, object]) -> str:
    return ", ".join(sorted(names))
