"""From a model to a proposal that keeps its margins, beside what is there and what others say."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from controller.loops.pid import Tuning
from controller.tuning.identify import UltimatePoint
from controller.tuning.margins import MS_WANTED, Margins, margins
from controller.tuning.predict import Response, predict
from controller.tuning.process import Process
from controller.tuning.rules import Proposal, first_order, simc, tyreus_luyben, ziegler_nichols

RuleName = Literal["simc", "tl"]
SMOOTH = 3.0  # times the fastest closed loop


@dataclass(frozen=True, slots=True)
class Candidate:
    """One tuning and what the model says of it."""

    rule: str
    tuning: Tuning
    margins: Margins


@dataclass(frozen=True, slots=True)
class Advice:
    """What is proposed, what is there now, and others to compare with.

    Attributes:
        proposed: what would be applied.
        now: the loop's tuning of today.
        others: other rules on the same model, by name.
        tau_c_s: time constant of the closed loop, s; NaN where the rule has none.
        notes: what a person should know before saying yes.
    """

    proposed: Candidate
    now: Candidate
    others: tuple[Candidate, ...]
    tau_c_s: float
    notes: tuple[str, ...]


def advise(
    process: Process,
    now: Tuning,
    dt: float,
    rule: RuleName = "simc",
    *,
    tau_c_s: float | None = None,
    point: UltimatePoint | None = None,
) -> Advice:
    """Return a PI for ``process`` that keeps filter and deadband of ``now``.

    Without ``tau_c_s``, SIMC is the fastest whose Ms on the model is at most 1.7.

    Args:
        process: the fitted model.
        now: the loop's tuning of today.
        dt: scan, s.
        rule: ``simc`` or ``tl``.
        tau_c_s: time constant wanted of the closed loop, s; only for ``simc``.
        point: the relay's ultimate point; ``None``: that of the model.

    Raises:
        ValueError: the output moves the measurement the other way than the loop's gain says, or
            the rule does not apply.
    """
    if process.slope * now.kp < 0:
        raise ValueError(
            "a larger output moves the measurement the other way than the loop believes; "
            "swap from and to of its outputs in the plant file first"
        )
    if point is None:
        point = _of_model(process, now, dt)
    tight, raised = _robust_simc(process, now, dt)
    fast = simc(process, dt, tau_c_s=tau_c_s, filter_s=now.filter_s) if tau_c_s else tight
    rules = {
        "simc": fast,
        "tl": tyreus_luyben(point),
        "smooth": replace(
            simc(process, dt, tau_c_s=SMOOTH * tight.tau_c_s, filter_s=now.filter_s),
            rule="SIMC, smooth",
        ),
        "zn": ziegler_nichols(point),
    }
    if not math.isfinite(rules[rule].kp):
        raise ValueError(f"{rules[rule].rule} needs a dead time, and the model has none; use simc")
    candidates = {
        name: _candidate(process, p.rule, _adopted(p, now), dt)
        for name, p in rules.items()
        if math.isfinite(p.kp)
    }
    proposed = candidates.pop(rule)
    today = _candidate(process, "now", now, dt)
    notes = _notes(proposed, today, now, raised=raised and rule == "simc" and tau_c_s is None)
    return Advice(proposed, today, tuple(candidates.values()), rules[rule].tau_c_s, notes)


def responses(
    process: Process,
    tunings: Mapping[str, Tuning],
    dt: float,
    *,
    setpoint: float,
    load: float,
    room: tuple[float, float] = (-math.inf, math.inf),
) -> dict[str, tuple[Response, Response]]:
    """Return the answers of each tuning to a setpoint and to a load step, on one time axis."""
    model = first_order(process, max((t.filter_s for t in tunings.values()), default=0.0))
    slowest = max(
        [8.0 * (model.dead_s + dt)]
        + [5.0 * min(t.ti_s, 20 * (model.dead_s + model.lag_s)) for t in tunings.values()]
    )
    return {
        name: (
            predict(process, t, dt, slowest, setpoint=setpoint, room=room),
            predict(process, t, dt, slowest, load=load, room=room),
        )
        for name, t in tunings.items()
    }


def _of_model(process: Process, now: Tuning, dt: float) -> UltimatePoint:
    """Return the ultimate point with every small lag as dead time, so that it means something."""
    model = first_order(process, now.filter_s)
    return UltimatePoint(*replace(model, dead_s=model.dead_s + dt / 2).ultimate())


def _robust_simc(process: Process, now: Tuning, dt: float) -> tuple[Proposal, bool]:
    """Return the fastest SIMC that is robust on the model, and whether it had to be slowed."""
    tight = simc(process, dt, filter_s=now.filter_s)
    found, raised = tight, False
    for _ in range(40):
        kept = margins(process, _adopted(found, now), dt)
        if kept.stable and kept.ms <= MS_WANTED:
            break
        raised = True
        found = simc(process, dt, tau_c_s=1.1 * found.tau_c_s, filter_s=now.filter_s)
    return found, raised


def _adopted(p: Proposal, now: Tuning) -> Tuning:
    return replace(now, kp=p.kp, ti_s=p.ti_s, td_s=0.0)


def _candidate(process: Process, rule: str, tuning: Tuning, dt: float) -> Candidate:
    return Candidate(rule, tuning, margins(process, tuning, dt))


def _notes(proposed: Candidate, today: Candidate, now: Tuning, *, raised: bool) -> tuple[str, ...]:
    notes: list[str] = []
    if raised:
        notes.append("slower than SIMC's fastest, so that Ms stays within 1.7")
    if not proposed.margins.stable:
        notes.append("UNSTABLE on the model: do not apply it")
    elif not proposed.margins.robust:
        notes.append(
            f"not robust: Ms {proposed.margins.ms:.2f} (at most 1.7), gain margin "
            f"{proposed.margins.gain_margin:.1f} (at least 2)"
        )
    if not today.margins.stable:
        notes.append("on this model today's tuning is unstable: look at the loop, or at the model")
    if now.td_s:
        notes.append(f"a PI is proposed: today's derivative of {now.td_s:g} s goes")
    if now.deadband:
        notes.append(f"the deadband of {now.deadband:g} stays; margins are those beyond it")
    ratio = proposed.tuning.kp / now.kp
    if not 0.1 <= ratio <= 10.0:
        notes.append(f"the gain changes {ratio:.3g}-fold: watch the loop when it is applied")
    return tuple(notes)
