"""A reactor's state as JSON for the console and the command line."""

from collections.abc import Mapping
from typing import Any

from controller.loops.loops import Loop, PidLoop
from controller.protection.interlock import Status
from controller.reactor import Reactor
from controller.sensing.estimate import Believed
from controller.sensing.sensing import estimated
from controller.texts.said import in_chinese
from drivers.point import Quality, Sample

RESULTS = 50  # of the laboratory, the latest


def reactor_json(reactor: Reactor, now: float, samples: Mapping[str, Sample]) -> dict[str, Any]:
    """Return everything about ``reactor``; missing numbers are ``None``."""
    return {
        "stopped": reactor.stopped,
        "batch": _batch(reactor, now),
        "loops": {n: _loop(loop, samples) for n, loop in reactor.loops.items()},
        "tags": {n: _tag(s, now) for n, s in samples.items()},
        "interlocks": {
            name.partition(".")[2]: _interlock(status, now)
            for name, status in reactor.guard.interlocks.status().items()
        },
        "local": list(reactor.switches.local),
        "estimate": _estimate(reactor),
        "optimiser": _optimiser(reactor, now),
        "laboratory": {
            "analytes": {n: a.unit for n, a in reactor.sensing.laboratory.analytes.items()},
            "results": [r.as_state() for r in reactor.sensing.laboratory.valid()[-RESULTS:]],
        },
    }


def _interlock(status: Status, now: float) -> dict[str, Any]:
    bypass = status.bypass
    return {
        "tripped": status.tripped,
        "order": status.order,
        "text": status.text,
        **in_chinese(status.text),
        "latched": status.latched,
        "bypass_max_min": status.bypass_max_s / 60.0,
        "bypass": None
        if bypass is None
        else {
            "since": bypass.since,
            "until": bypass.until,
            "left_min": max(0.0, bypass.until - now) / 60.0,
            "who": bypass.who,
            "reason": bypass.reason,
        },
    }


def _batch(reactor: Reactor, now: float) -> dict[str, Any]:
    runner = reactor.runner
    if runner is None:
        return {
            "id": "",
            "recipe": "",
            "state": "IDLE",
            "phase": "",
            "age_h": None,
            "phase_age_h": None,
            "phases": [],
            "message": "",
            "question": "",
            "version": 0,
            "parameters": {},
        }
    return {
        "id": reactor.batch_id,
        "recipe": runner.recipe.name,
        "state": runner.state,
        "phase": runner.phase,
        "age_h": runner.age_h(now),
        "phase_age_h": runner.phase_age_h(now),
        "phases": [p.name for p in runner.recipe.phase],
        "message": runner.message,
        "question": runner.question,  # what a person is asked to confirm
        "version": runner.version,
        "parameters": {n: p.model_dump() for n, p in runner.recipe.parameters.items()},
    }


def _loop(loop: Loop, samples: Mapping[str, Sample]) -> dict[str, Any]:
    sample = samples.get(loop.settings.measured or "")
    is_pid = isinstance(loop, PidLoop)
    if not is_pid:  # a station shows what its actuator holds
        sample = samples.get(loop.settings.outputs[0].actuator or "")
    good = sample is not None and sample.quality is not Quality.BAD
    return {
        "pv": sample.value if good and sample is not None else None,
        "pv_unit": loop.unit,
        "quality": "BAD" if sample is None else sample.quality.name,
        "sp": loop.setpoint,
        "op": loop.output,
        "op_unit": "%" if is_pid else loop.unit,
        "op_low": loop.output_low,
        "op_high": loop.output_high,
        "sp_low": loop.settings.setpoint_low,
        "sp_high": loop.settings.setpoint_high,
        "target": loop.target.name,
        "actual": loop.actual.name,
        "modes": [m.name for m in loop.modes],
        "reason": loop.reason,
        **in_chinese(loop.reason, "reason"),
        "measured": loop.settings.measured,
        "local": loop.local,
        "hand": loop.hand,
        "critical": loop.settings.critical,
        "sp_rate_per_s": loop.settings.setpoint_rate_per_s,
        "tuning": loop.pid.tuning.as_json() if isinstance(loop, PidLoop) else None,
        "scheduled": ", ".join(factor.tag for factor in loop.settings.gain) or None,
    }


def _tag(sample: Sample, now: float) -> dict[str, Any]:
    bad = sample.quality is Quality.BAD
    return {
        "value": None if bad else sample.value,
        "unit": sample.tag.unit,
        "quality": sample.quality.name,
        "age_s": max(0.0, now - sample.time),
    }


def _estimate(reactor: Reactor) -> dict[str, Any]:
    names = estimated(reactor.settings)
    unknown = dict.fromkeys(Believed._fields)
    known = {name: about._asdict() for name, about in reactor.sensing.intervals.items()}
    return {name: known.get(name, unknown) for name in names}


def _optimiser(reactor: Reactor, now: float) -> Mapping[str, Any]:
    if reactor.advisor is not None:
        return reactor.advisor.as_json(now)
    return {
        "mode": "off",
        "state": "off",
        "reason": "",
        "plans": 0,
        "sheds": 0,
        "late": 0,
        "next_in_s": None,
        "good_in_a_row": 0,
        "plan": None,
    }
