"""What no table of a loop can see alone: unknown tags and loops, ranges that do not fit."""

from collections.abc import Callable, Iterator, Mapping

from controller.plant_file.device_settings import TagSettings
from controller.plant_file.loop_settings import LoopSettings, OutputSettings
from controller.plant_file.settings import ReactorSettings

Unknown = Callable[..., Iterator[str]]  # (where, tag, among): a line if it is none of ``among``
ONLY_PID = ("gain", "feedforward", "changeover_s", "setpoint_tracks", "disputed_margin")
ONLY_STATION = ("high", "cut")


def wrong_loop(
    key: str,
    loop: LoopSettings,
    reactor: ReactorSettings,
    tags: Mapping[str, TagSettings],
    driven: dict[str, str],
    unknown: Unknown,
) -> Iterator[str]:
    """Yield what is wrong with a loop, a line each.

    Args:
        key: ``reactor.R1.loop.do``.
        loop: its table.
        reactor: the reactor's.
        tags: every tag of the plant by name.
        driven: which loop drives each actuator; this one's are added.
        unknown: yields a line for a tag that the reactor does not have.
    """
    yield from _kind(key, loop, unknown)
    if not loop.setpoint_low < loop.setpoint_high:
        yield f"{key}.setpoint_low: {loop.setpoint_low:g} must be below {loop.setpoint_high:g}"
    elif not loop.setpoint_low <= loop.setpoint <= loop.setpoint_high:
        yield (
            f"{key}.setpoint: {loop.setpoint:g} is not allowed; "
            f"{loop.setpoint_low:g} to {loop.setpoint_high:g}"
        )
    for tag in (*loop.needs, *loop.zero_without):
        yield from unknown(f"{key}.needs", tag)
    for i, term in enumerate(loop.feedforward):
        yield from unknown(f"{key}.feedforward.{i}.tag", term.tag)
    for i, factor in enumerate(loop.gain):
        yield from unknown(f"{key}.gain.{i}.tag", factor.tag)
    second = any(s.residual and s.measured == loop.measured for s in reactor.alarm.values())
    known = _has_pid(loop) and loop.measured in tags  # one that is not is a line already
    if loop.disputed_margin is not None and known and not second:
        yield f"{key}.disputed_margin: needs an alarm with residual on {loop.measured}"
    if loop.high is not None:
        yield from unknown(f"{key}.high.tag", loop.high.tag)
    if loop.cut is not None and not _has_pid(reactor.loop.get(loop.cut.loop)):
        pids = ", ".join(n for n, s in reactor.loop.items() if _has_pid(s))
        yield f"{key}.cut.loop: {loop.cut.loop} is not allowed; one of {pids}"
    for i, out in enumerate(loop.outputs):
        where = f"{key}.outputs.{i}"
        if out.loop is not None:
            yield from _leads(where, key, out, reactor)
        else:
            yield from _moves(where, key, loop, out, tags, driven, unknown)


def _has_pid(loop: LoopSettings | None) -> bool:
    return loop is not None and loop.measured is not None and loop.pulse is None


def _kind(key: str, loop: LoopSettings, unknown: Unknown) -> Iterator[str]:
    """Yield what does not go with the kind of loop that it is."""
    pid = _has_pid(loop)
    if loop.measured is not None:
        yield from unknown(f"{key}.measured", loop.measured)
    if pid:
        for needed, words in (("kp", "% per measured unit, > 0"), ("ti_s", "s, > 0")):
            if getattr(loop, needed) is None:
                yield f"{key}.{needed}: missing; {needed} ({words}) is required with measured"
    elif len(loop.outputs) != 1 or loop.outputs[0].actuator is None:
        what = "without measured" if loop.measured is None else "with pulse"
        yield f"{key}.outputs: a loop {what} needs exactly one actuator"
    if loop.pulse is not None:
        for word in ("kp", "ti_s"):
            if getattr(loop, word) is not None:
                yield f"{key}.{word}: does not go with pulse, which is on-off"
        if loop.measured is None:
            yield f"{key}.measured: missing; pulse needs what to look at"
    given = loop.model_fields_set
    wrong = [w for w in ONLY_PID if w in given and not pid]
    wrong += [w for w in ONLY_STATION if w in given and loop.measured is not None]
    for word in wrong:
        kind = "PID" if word in ONLY_PID else "station (no measured)"
        yield f"{key}.{word}: goes only with a {kind}"


def _leads(where: str, key: str, out: OutputSettings, reactor: ReactorSettings) -> Iterator[str]:
    """Yield what is wrong with an output that leads another loop."""
    name = out.loop or ""
    target = reactor.loop.get(name)
    own = key.rpartition(".")[2]
    if target is None or target.pulse is not None or _reaches(name, own, reactor):
        others = [
            n
            for n, s in reactor.loop.items()
            if s.pulse is None and n != own and not _reaches(n, own, reactor)
        ]
        yield f"{where}.loop: {name} is not allowed; one of {', '.join(others)}"
        return
    masters = [n for n, s in reactor.loop.items() for o in s.outputs if o.loop == name]
    if len(masters) > 1 and own != masters[0]:
        yield f"{where}.loop: {name} is not allowed; {masters[0]} leads it"
    yield from _range(where, out, target.setpoint_low, target.setpoint_high, f"{name}'s setpoint")


def _range(where: str, out: OutputSettings, low: float, high: float, what: str) -> Iterator[str]:
    """Yield what is wrong with the range of a stretch, which ``what`` has from low to high."""
    for word in ("low", "high"):
        value: float | None = getattr(out, word)
        if value is not None and not low <= value <= high:
            yield f"{where}.{word}: {value:g} is not allowed; {what} is {low:g} to {high:g}"
    low = low if out.low is None else out.low
    high = high if out.high is None else out.high
    if not low < high:
        yield f"{where}.low: {low:g} is not allowed; below high, {high:g}"
    if out.characteristic == "equal_percentage" and low <= 0:
        yield f"{where}.low: {low:g} is not allowed; equal_percentage needs more than 0"


def _reaches(start: str, wanted: str, reactor: ReactorSettings) -> bool:
    """Whether ``start`` is ``wanted`` or leads it, directly or through others."""
    seen: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name == wanted:
            return True
        if name in seen or name not in reactor.loop:
            continue
        seen.add(name)
        todo += [o.loop for o in reactor.loop[name].outputs if o.loop is not None]
    return False


def _moves(
    where: str,
    key: str,
    loop: LoopSettings,
    out: OutputSettings,
    tags: Mapping[str, TagSettings],
    driven: dict[str, str],
    unknown: Unknown,
) -> Iterator[str]:
    """Yield what is wrong with an output that moves an actuator."""
    actuator = out.actuator or ""
    known = {n for n, t in tags.items() if t.safe is not None}
    wrong = list(unknown(f"{where}.actuator", actuator, known))
    yield from wrong
    if wrong:
        return
    if actuator in driven:
        yield f"{where}.actuator: {actuator} is not allowed; {driven[actuator]} drives it"
    driven[actuator] = key
    t = tags[actuator]
    yield from _range(where, out, t.low, t.high, actuator)
    if out.least is not None and not out.least < t.high:
        yield f"{where}.least: {out.least:g} is not allowed; below {t.high:g} {t.unit}"
    if loop.pulse is not None and not t.low <= loop.pulse.flow <= t.high:
        yield f"{key}.pulse.flow: {loop.pulse.flow:g} is not allowed; {t.low:g} to {t.high:g}"
    if loop.measured is not None:
        return
    for edge in ("setpoint_low", "setpoint_high"):
        if not t.low <= getattr(loop, edge) <= t.high:
            yield (
                f"{key}.{edge}: {getattr(loop, edge):g} is not allowed; "
                f"{t.low:g} to {t.high:g} {t.unit} of {actuator}"
            )
    if loop.fallback is not None and not t.low <= loop.fallback <= t.high:
        yield f"{key}.fallback: {loop.fallback:g} is outside {t.low:g} to {t.high:g}"
