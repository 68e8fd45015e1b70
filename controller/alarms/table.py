"""The alarms of a plant: what every plant has, and what its plant file asks for."""

import math
from collections.abc import Iterable, Iterator, Mapping

from controller.alarms.alarm import Definition, Priority
from controller.alarms.alarms import Alarms
from controller.alarms.delivery import Delivery
from controller.alarms.rules import (
    Answering,
    Deviation,
    Limit,
    Rate,
    Residual,
    Rule,
    Rules,
    TagWatch,
    spread_of,
)
from controller.consistency.alarms import (
    SUFFIX,
    alarmed_interlocks,
    deadband_of,
    judged_tags,
    measured_by,
)
from controller.loops.loop import Loop
from controller.loops.loops import PidLoop
from controller.plant import Plant
from controller.plant_file.alarm_settings import LIMITS, AlarmSettings, LimitSettings
from controller.plant_file.settings import PlantSettings, ReactorSettings
from controller.plant_file.units import KG, ML_PER_H
from controller.protection.conditions import shown
from drivers.point import Tag

QUALITY_S = 10.0  # how long a tag must be BAD, and be good again
DOSE_S = 60.0  # how long a dose limit must not have cut anything
ARM_S = 3.0  # a device that has just come back takes a scan or two to be armed
SCAN_SPAN_S = 60.0  # missed scans are counted over this


def definitions(plant: Plant) -> list[Definition]:
    """Return everything that can be wrong in a plant."""
    found = list(_system(plant.settings))
    for name, reactor in plant.settings.reactor.items():
        found += _always(name, reactor)
        found += _stuck(name, plant.settings)
        for key, alarm in reactor.alarm.items():
            found += _asked(name, key, alarm, reactor, plant.tags)
    return found


def rules(
    plant: Plant,
    alarms: Alarms,
    loops: Mapping[str, Loop],
    devices: Mapping[str, Answering],
) -> dict[str, Rules]:
    """Return what judges a plant's samples, by reactor: none looks at a tag of another.

    Args:
        plant: the checked plant file.
        alarms: of its ``definitions``.
        loops: by full name, ``R1.do``.
        devices: by name.
    """
    found: dict[str, Rules] = {}
    for name, reactor in plant.settings.reactor.items():
        watched: dict[str, _Watched] = {}
        others: list[Rule] = []
        for tag in judged_tags(reactor):
            watched.setdefault(tag, _Watched()).quality = f"{tag}.quality"
        for key, s in reactor.alarm.items():
            _watch(f"{name}.{key}", s, measured_by(s, reactor), plant, watched, alarms)
            others += _others(f"{name}.{key}", s, name, reactor, plant, alarms, loops)
        watches = [
            TagWatch(
                tag,
                alarms,
                w.limits,
                quality=alarms[w.quality] if w.quality else None,
                uncertain=w.uncertain,
                stale=alarms[w.stale] if w.stale else None,
                stale_s=w.stale_s,
                device=devices.get(plant.device_of.get(tag, "")),
            )
            for tag, w in watched.items()
        ]
        found[name] = Rules(watches, others)
    return found


def derived(plant: PlantSettings) -> frozenset[str]:
    """Return the names of the controller's own tags that a rule looks at."""
    seconds = {s.against or "" for r in plant.reactor.values() for s in r.alarm.values()}
    return frozenset(name for s in seconds if (sd := spread_of(s)) for name in (s, sd))


# -- what every plant has --------------------------------------------------------------------------


def _stuck(name: str, plant: PlantSettings) -> Iterator[Definition]:
    """Yield what may stand still in a reactor."""
    for device in plant.device.values():
        for tag in device.tags:
            if tag.noise is not None and tag.name.partition(".")[0] == name:
                params = {"span_s": tag.stuck_s}
                yield Definition(
                    f"{tag.name}.stuck", tag.name, "stuck", Priority.LOW, name, name, params=params
                )


def _system(plant: PlantSettings) -> Iterator[Definition]:
    """Yield what can be wrong with devices, store and scan."""
    high, medium, low = Priority.HIGH, Priority.MEDIUM, Priority.LOW
    for name, device in plant.device.items():
        of = {tag.name.partition(".")[0] for tag in device.tags}
        reactor = of.pop() if len(of) == 1 else ""
        # loops fall back by themselves when a device is lost; outputs that are not known to be safe
        # are what somebody must go and look at now
        codes = {"device": medium if device.required else low}
        if any(tag.safe is not None for tag in device.tags):
            codes |= {"write": low, "safe": high}
        if device.watchdog is not None:
            codes["watchdog"] = medium
        for code, priority in codes.items():
            delay_s = ARM_S if code == "watchdog" else 0.0
            yield Definition(f"{name}.{code}", name, code, priority, reactor, reactor, delay_s)
    yield Definition("store", "store", "store", medium)
    params = {"span_s": f"{SCAN_SPAN_S:g}"}
    yield Definition("scan", "scan", "scan", low, params=params)


def _always(name: str, reactor: ReactorSettings) -> Iterator[Definition]:
    """Yield what can be wrong with a reactor, whatever its plant file says of alarms."""
    medium, low = Priority.MEDIUM, Priority.LOW
    for code, priority in (("restart", medium), ("recipe", low), ("stopped", low)):
        yield Definition(f"{name}.{code}", name, code, priority, name, name)
    for key, lock in alarmed_interlocks(reactor).items():
        full, priority = f"{name}.{key}", Priority[lock.priority.upper()]
        yield Definition(f"{full}.interlock", full, "interlock", priority, name, name)
    for tag in reactor.dose:
        yield Definition(f"{tag}.dose", tag, "dose", low, name, name, off_delay_s=DOSE_S)
    for tag in judged_tags(reactor):
        yield Definition(f"{tag}.quality", tag, "bad", low, name, name, QUALITY_S, QUALITY_S)


# -- what the plant file asks for ------------------------------------------------------------------


def _asked(
    name: str, key: str, s: AlarmSettings, reactor: ReactorSettings, tags: Mapping[str, Tag]
) -> Iterator[Definition]:
    tag = tags[measured_by(s, reactor)]
    source = tag.name if s.loop is None else f"{name}.{s.loop}"
    asked: dict[str, LimitSettings] = s.limits
    if s.quality is not None:
        asked = {**asked, "quality": LimitSettings.model_validate({"limit": 0})}
    for kind, limit in asked.items():
        code = SUFFIX.get(kind, kind)
        if kind == "quality":
            code = "bad" if s.quality == "BAD" else "uncertain"
        own = limit.text or s.text
        on, off = limit.on_delay_s, limit.off_delay_s
        yield Definition(
            f"{name}.{key}.{SUFFIX.get(kind, kind)}",
            source,
            code,
            Priority[(limit.priority or s.priority).upper()],
            name,
            s.group or name,
            s.on_delay_s if on is None else on,
            s.off_delay_s if off is None else off,
            {
                "limit": limit.limit,
                "unit": shown(tag.unit),
                "code_unit": tag.unit,
                **({"against": s.against} if kind == "residual" else {}),
                **({"pumped": s.pumped} if kind == "delivery" else {}),
            },
            None if own is None else {"en": own.en, "zh": own.zh},
            tuple(f"{name}.{lock}.interlock" for lock in s.unless),
        )


class _Watched:
    """What is judged of one tag, gathered from everywhere."""

    def __init__(self) -> None:
        self.limits: list[Limit] = []
        self.quality = self.stale = ""  # ids
        self.uncertain = False
        self.stale_s = math.inf


def _watch(
    full: str,
    s: AlarmSettings,
    tag: str,
    plant: Plant,
    watched: dict[str, _Watched],
    alarms: Alarms,
) -> None:
    """Gather the rules of a table that look at one sample alone."""
    asked = s.limits
    if not any(key in asked for key in (*LIMITS, "stale_s")) and s.quality is None:
        return
    w = watched.setdefault(tag, _Watched())
    for key in LIMITS:
        if (limit := asked.get(key)) is not None:
            span = plant.tags[tag].high - plant.tags[tag].low
            deadband = deadband_of(s, key, span)
            above = key.startswith("high")
            w.limits.append(Limit(alarms[f"{full}.{key}"], limit.limit, deadband, above=above))
    if (stale := asked.get("stale_s")) is not None:
        w.stale, w.stale_s = f"{full}.stale", stale.limit
    if s.quality is not None:
        w.quality, w.uncertain = f"{full}.quality", s.quality == "UNCERTAIN"


def _others(
    full: str,
    s: AlarmSettings,
    name: str,
    reactor: ReactorSettings,
    plant: Plant,
    alarms: Alarms,
    loops: Mapping[str, Loop],
) -> Iterable[Rule]:
    """Yield the rules of a table that need more than one sample."""
    measured = measured_by(s, reactor)
    asked, span = s.limits, plant.tags[measured].high - plant.tags[measured].low
    if (limit := asked.get("deviation")) is not None:
        loop, deadband = loops[f"{name}.{s.loop}"], deadband_of(s, "deviation", span)
        alarm = alarms[f"{full}.deviation"]
        yield Deviation(alarm, alarms, loop, limit.limit, deadband, s.settle_s)
    if (limit := asked.get("residual")) is not None:
        alarm, deadband = alarms[f"{full}.residual"], deadband_of(s, "residual", span)
        against = s.against or ""
        rule = Limit(alarm, limit.limit, deadband, above=True)
        residual = Residual(alarms, rule, measured, against, s.scale, latch=s.latch)
        for loop in loops.values():
            if isinstance(loop, PidLoop) and loop.measured.name == measured:
                loop.seconds.append(residual)
        yield residual
    if (limit := asked.get("delivery")) is not None and s.pumped is not None:
        alarm, deadband = alarms[f"{full}.delivery"], deadband_of(s, "delivery", span)
        rule = Limit(alarm, limit.limit, deadband, above=True)
        kg = KG[plant.tags[measured].unit]
        kg_per_s = ML_PER_H[plant.tags[s.pumped].unit] / 3.6e6 * s.kg_per_l
        pump = (s.pumped, kg_per_s)
        yield Delivery(alarms, rule, (measured, kg), pump, s.delivery_span_s, s.least_kg)
    for word in ("rise", "fall"):
        if (limit := asked.get(f"{word}_per_min")) is not None:
            deadband = deadband_of(s, f"{word}_per_min", span)
            rule = Limit(alarms[f"{full}.{word}"], limit.limit, deadband, above=True)
            yield Rate(measured, alarms, rule, 1.0 if word == "rise" else -1.0, s.span_s)
