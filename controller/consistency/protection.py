"""What interlocks, exclusions and dose limits of a plant file cannot see alone."""

from collections.abc import Callable, Iterator, Mapping

from controller.plant_file.device_settings import TagSettings
from controller.plant_file.settings import InterlockSettings, ReactorSettings

LIQUID = ("mL/s", "mL/min", "mL/h", "L/h")
# Yields a line for a tag that is no tag (or none of the actuators) of the reactor: where, tag.
Unknown = Callable[..., Iterator[str]]


def wrong_protection(
    key: str,
    reactor: ReactorSettings,
    tags: Mapping[str, TagSettings],
    bypass_max_min: float,
    unknown: Unknown,
) -> Iterator[str]:
    """Yield each mistake with its key, its value and what was allowed.

    Args:
        key: ``reactor.R1``.
        reactor: its table.
        tags: every tag of the plant, by name.
        bypass_max_min: the plant's longest bypass, min.
        unknown: says so of names that are none of this reactor's.
    """
    actuators = {n for n, t in tags.items() if t.safe is not None}
    for name, lock in reactor.interlock.items():
        where = f"{key}.interlock.{name}"
        yield from _interlock(where, lock, tags, actuators, unknown)
        own = lock.bypass_max_min
        if own is not None and own > bypass_max_min:
            yield (
                f"{where}.bypass_max_min: {own:g} is not allowed; 0 to {bypass_max_min:g} min, "
                "the plant's bypass_max_min"
            )
    for i, group in enumerate(reactor.exclusive):
        where = f"{key}.exclusive.{i}"
        for actuator in group:
            yield from unknown(where, actuator, actuators)
        if len(set(group)) < 2 or len(set(group)) < len(group):
            yield f"{where}: {', '.join(group) or 'nothing'}; two or more different actuators"
        open_ = [n for n in group if n in actuators and (tags[n].safe or 0.0) > tags[n].low]
        if len(open_) > 1:
            yield f"{where}: {' and '.join(open_)} are open at their safe values; one at most"
    yield from _unsafe(key, reactor, tags)
    for actuator in reactor.dose:
        wrong = list(unknown(f"{key}.dose", actuator, actuators))
        yield from wrong
        if not wrong and tags[actuator].unit not in LIQUID:
            unit = tags[actuator].unit
            yield f"{key}.dose.{actuator}: {unit} is no liquid flow; {', '.join(LIQUID)}"


def _unsafe(key: str, reactor: ReactorSettings, tags: Mapping[str, TagSettings]) -> Iterator[str]:
    """Yield safe values and interlocks that no process would want (RELIABILITY 1).

    What doses, heats or enriches with oxygen is safe at 0; air and agitation hold a minimum.
    """
    for name, loop in reactor.loop.items():
        measured = tags.get(loop.measured or "")
        for out in loop.outputs:
            tag = tags.get(out.actuator or "")
            if tag is None or tag.safe is None:
                continue
            where = f"{tag.name}.safe: {tag.safe:g} is not allowed"
            heats = measured is not None and measured.unit == "Cel" and out.end > out.start
            still = max(tag.low, 0.0)
            if (loop.dosing or heats or name == "oxygen") and tag.safe > still:
                what = "doses" if loop.dosing else "heats" if heats else "gives oxygen"
                yield f"{where}; {still:g}: {key}.loop.{name} {what}"
            moves = name in ("air", "agitation") or tag.unit == "{r}/min"
            if moves and tag.safe <= still and not tag.safe_zero:
                yield f"{where}; air and agitation hold a minimum (or safe_zero = true)"
    dosing = {o.actuator for s in reactor.loop.values() if s.dosing for o in s.outputs}
    for name, lock in reactor.interlock.items():
        for each, actuator, value in lock.values:
            if actuator in dosing and each != "at_most" and value > 0.0:
                where = f"{key}.interlock.{name}.{each}.{actuator}"
                yield f"{where}: {value:g} is not allowed; 0: no interlock doses"


def _interlock(
    where: str,
    lock: InterlockSettings,
    tags: Mapping[str, TagSettings],
    actuators: set[str],
    unknown: Unknown,
) -> Iterator[str]:
    for window in lock.windows:
        yield from unknown(f"{where}.measured", window.measured)
        low, high = window.below, window.above
        if low is None and high is None:
            yield f"{where}: missing; above or below (in the measured unit) is required"
        elif low is not None and high is not None and low >= high:
            yield f"{where}.below: {low:g} is not allowed; less than above = {high:g}"
    for each, actuator, value in lock.values:
        wrong = list(unknown(f"{where}.{each}", actuator, actuators))
        yield from wrong
        if not wrong and not (tags[actuator].low <= value <= tags[actuator].high):
            t = tags[actuator]
            yield (
                f"{where}.{each}.{actuator}: {value:g} is not allowed; "
                f"{t.low:g} to {t.high:g} {t.unit}"
            )
    for actuator in lock.no_start:
        yield from unknown(f"{where}.no_start", actuator, actuators)
