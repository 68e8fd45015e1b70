"""Builds a reactor's loops and guard from the plant file."""

import math
from collections.abc import Mapping
from typing import Any

from controller.loops.cut import Cut
from controller.loops.loops import Loop, Output, PidLoop, Station
from controller.loops.on_off import OnOffLoop
from controller.planning.economic.formulation import economic_settings
from controller.planning.economic.settings import EconomicSettings
from controller.plant import Plant
from controller.plant_file.config import ConfigError
from controller.plant_file.loop_settings import OutputSettings
from controller.protection.conditions import Condition, Window
from controller.protection.guard import ActuatorRule, Guard
from controller.protection.interlock import Interlock
from controller.protection.interlocks import Interlocks
from controller.protection.local import Switches


def build_loops(name: str, plant: Plant) -> dict[str, Loop]:
    """Return the loops of reactor ``name`` in the order of the plant file."""
    reactor = plant.settings.reactor[name]
    optimiser = reactor.optimiser
    feed = optimiser.feed_loop if optimiser else "feed"
    planned = reactor.planned
    led = {o.loop for s in reactor.loop.values() for o in s.outputs if o.loop is not None}
    built: dict[str, Loop] = {}

    def loop(key: str) -> Loop:
        """Build a loop, those that it leads first."""
        if key in built:
            return built[key]
        s, full = reactor.loop[key], f"{name}.{key}"
        if s.measured is None:
            tag = plant.tags[s.outputs[0].actuator or ""]
            master = key in led or key == feed or s.dosing
            built[key] = Station(full, s, tag, master=master, planned=key in planned)
        elif s.pulse is not None:
            tag = plant.tags[s.outputs[0].actuator or ""]
            built[key] = OnOffLoop(full, s, plant.quantity(s.measured), tag)
        else:
            built[key] = PidLoop(
                full,
                s,
                plant.quantity(s.measured),
                [
                    (_stretch(o, tag.low, tag.high), tag)
                    for o in s.outputs
                    if (tag := plant.tags.get(o.actuator or "")) is not None
                ],
                [_slave(o, loop(o.loop)) for o in s.outputs if o.loop is not None],
                led=key in led,
                planned=key in planned,
            )
        return built[key]

    loops = {key: loop(key) for key in reactor.loop}
    for key, s in reactor.loop.items():
        station = loops[key]
        if s.cut is not None and isinstance(station, Station):
            station.cut = Cut(s.cut, loops[s.cut.loop])
    return loops


def _slave(settings: OutputSettings, slave: Loop) -> tuple[Output, Loop]:
    s = slave.settings
    return _stretch(settings, s.setpoint_low, s.setpoint_high), slave


def _stretch(settings: OutputSettings, low: float, high: float) -> Output:
    """Return a stretch over the range that it is given, or the whole one."""
    low = low if settings.low is None else settings.low
    return Output(settings, low, high if settings.high is None else settings.high)


def build_guard(
    name: str, plant: Plant, state: Mapping[str, Any] | None = None, now: float = 0.0
) -> Guard:
    """Return the last check before a write, with the interlocks and dose limits of ``name``.

    Args:
        name: the reactor.
        plant: the checked plant file.
        state: doses and latches of an earlier controller, as ``Guard.as_state``.
        now: s since 1970 UTC, for ``state``.
    """
    rules, locks = build_rules(name, plant), build_interlocks(name, plant)
    scan_s = plant.settings.scan_s
    if state is None:
        return Guard(rules, Interlocks(locks), scan_s=scan_s)
    dogs = [d.watchdog.within_s if d.watchdog else math.inf for d in plant.settings.device.values()]
    return Guard.from_state(
        rules, Interlocks(locks), state, now, scan_s=scan_s, ran_on_s=max(dogs) + scan_s
    )


def build_rules(name: str, plant: Plant) -> list[ActuatorRule]:
    """Return what the actuators of reactor ``name`` may be told, in the order of the plant file."""
    reactor = plant.settings.reactor[name]
    rates = {
        out.actuator: s.rate_per_s
        for s in reactor.loop.values()
        for out in s.outputs
        if out.actuator is not None and not s.dosing
    }
    return [
        ActuatorRule(
            tag,
            rate_per_s=rates.get(tag.name),
            max_ml_per_h=1e3 * reactor.dose[tag.name].max_l_per_h
            if tag.name in reactor.dose
            else None,
            excludes=tuple(
                other
                for group in reactor.exclusive
                if tag.name in group
                for other in group
                if other != tag.name
            ),
        )
        for tag in plant.tags.values()
        if tag.reactor == name and tag.safe is not None
    ]


def build_switches(name: str, plant: Plant) -> Switches:
    """Return the local/remote switches of the actuators of reactor ``name``."""
    tags = [t for device in plant.settings.device.values() for t in device.tags]
    own = [t for t in tags if plant.tags[t.name].reactor == name]
    return Switches({t.name: t.remote for t in own if t.remote is not None})


def build_interlocks(name: str, plant: Plant) -> list[Interlock]:
    """Return the interlocks of reactor ``name`` in the order of the plant file."""
    longest_min = plant.settings.bypass_max_min
    return [
        Interlock(
            f"{name}.{key}",
            Condition(
                tuple(Window(plant.tags[w.measured], w.above, w.below) for w in s.windows),
                every=bool(s.all),
            ),
            for_s=s.for_s,
            clear_s=s.clear_s,
            force=s.force,
            at_most=s.at_most,
            at_least=s.at_least,
            no_start=s.no_start,
            on_bad=s.on_bad,
            bad_s=s.bad_s,
            latch=s.latch,
            bypass_max_s=60.0 * (longest_min if s.bypass_max_min is None else s.bypass_max_min),
        )
        for key, s in plant.settings.reactor[name].interlock.items()
    ]


def optimiser_settings(plant: Plant) -> dict[str, EconomicSettings]:
    """Return what the optimiser may do in every reactor that has one.

    Raises:
        ConfigError: one line for each reactor whose optimiser is asked for what there is not.
    """
    found: dict[str, EconomicSettings] = {}
    wrong: list[str] = []
    for name, reactor in plant.settings.reactor.items():
        if reactor.optimiser is None:
            continue
        try:
            found[name] = economic_settings(name, plant)
        except ValueError as error:
            wrong.append(f"{plant.path.name}: {error}")
    if wrong:
        raise ConfigError(wrong)
    return found
