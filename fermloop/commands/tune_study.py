"""What an experiment on a loop says, in words, and the tuning that follows from it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from controller.loops.pid import Tuning
from controller.tuning.experiment import Cycle, Record
from controller.tuning.identify import Fit, UltimatePoint, fit, ultimate_point
from controller.tuning.predict import Response
from controller.tuning.proposal import Advice, Candidate, RuleName, advise, responses
from fermloop.failure import FailureError


@dataclass(frozen=True, slots=True)
class Study:
    """Everything that is shown before a person decides.

    Attributes:
        report: of the controller's experiment.
        record: what was recorded.
        fit: the model.
        point: the relay's ultimate point; ``None`` after a step test.
        advice: on the loop as it is now, gain schedule included.
        tuning: what would be applied: the proposal without the gain schedule.
        setpoint: the setpoint step of the prediction, y.
        load: its load step, % of output.
        responses: to both, of ``now`` and ``proposed``.
    """

    report: Mapping[str, Any]
    record: Record
    fit: Fit
    point: UltimatePoint | None
    advice: Advice
    tuning: Tuning
    setpoint: float
    load: float
    responses: Mapping[str, tuple[Response, Response]]


def study(report: Mapping[str, Any], rule: RuleName, tau_c_s: float | None) -> Study:
    """Return what a finished experiment says.

    Raises:
        FailureError: it was aborted, or its data do not tell; the reason is given.
    """
    loop = report["loop"]
    if report["state"] != "done":
        raise FailureError(
            f"{loop}: the experiment was aborted: {report['reason']}; the loop is as it was"
        )
    record = Record(list(report["times"]), list(report["measured"]), list(report["outputs"]))
    old, gain = Tuning.of_json(report["tuning"]), float(report["gain"])
    now = replace(old, kp=old.kp * gain)
    dt = float(np.median(np.diff(record.times)))
    try:
        point = None
        if report["method"] == "relay":
            cycles = [Cycle(*c) for c in report["cycles"]]
            point = ultimate_point(cycles, report["move"], report["hysteresis"])
        found = fit(record)
        advice = advise(found.process, now, dt, rule, tau_c_s=tau_c_s, point=point)
    except ValueError as error:
        raise FailureError(f"{loop}: {error}; nothing is proposed") from None
    setpoint, load = report["band"] or report["deviation"] / 3, abs(report["move"])
    tunings = {"now": advice.now.tuning, "proposed": advice.proposed.tuning}
    room = (report["output_low"] - report["start"], report["output_high"] - report["start"])
    answers = responses(found.process, tunings, dt, setpoint=setpoint, load=load, room=room)
    wanted = advice.proposed.tuning
    tuning = replace(wanted, kp=_rounded(wanted.kp / gain), ti_s=_rounded(wanted.ti_s))
    return Study(report, record, found, point, advice, tuning, setpoint, load, answers)


def lines(s: Study) -> list[str]:
    """Return the report for a person."""
    r, p, u = s.report, s.fit.process, s.report["unit"]
    if p.integrating:
        kind = f"integrator, {p.slope:.3g} {u}/%/s"
    else:
        kind = f"lag of {p.lag_s:.4g} s, gain {p.gain:.3g} {u}/%"
    out = [
        f"{r['loop']}: {r['asked']}, {r['elapsed_s'] / 60:.0f} min: {r['text']}",
        f"output     began and ended at {r['start']:.4g} %",
        f"process    {kind}, dead time {p.dead_s:.3g} s, second lag {p.lag2_s:.3g} s",
        f"confidence {100 * s.fit.explained:.0f} % of the movement explained, noise "
        f"{s.fit.residual:.2g} {u}; slope ± {100 * s.fit.slope_sd:.0f} %, dead time and second "
        f"lag ± {s.fit.dead_sd:.2g} s",
    ]
    if s.point is not None:
        out.append(f"ultimate   gain {s.point.gain:.4g} %/{u}, period {s.point.period_s:.4g} s")
    if r["gain"] != 1.0:
        out.append(f"schedule   kp is multiplied by {r['gain']:.3g} now; the table has the product")
    out += ["", *_table(s.advice), "", *_predicted(s)]
    notes = [*s.fit.notes, *s.advice.notes]
    if r["stretches"] > 1:
        notes.append("the move went over more than one actuator, whose gains may differ")
    return out + [f"note: {note}" for note in notes]


def plant_lines(s: Study) -> list[str]:
    """Return what the plant file should say."""
    reactor, _, loop = str(s.report["loop"]).partition(".")
    old = Tuning.of_json(s.report["tuning"])
    out = [f"[reactor.{reactor}.loop.{loop}]", f"kp = {s.tuning.kp:g}", f"ti_s = {s.tuning.ti_s:g}"]
    return [*out, "td_s = 0"] if old.td_s else out


def _table(advice: Advice) -> list[str]:
    head = ("", "kp", "ti_s", "Ms", "gain margin", "phase margin", "bears more dead time")
    rows = [head, _row("now", advice.now), _row(f"{advice.proposed.rule} *", advice.proposed)]
    rows += [_row(c.rule, c) for c in advice.others]
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    out = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    tau = "" if advice.tau_c_s != advice.tau_c_s else f", tau_c {advice.tau_c_s:.3g} s"
    return [line.rstrip() for line in out] + [
        f"* proposed{tau}; wanted: Ms <= 1.7, gain margin >= 2; Ziegler-Nichols only to compare"
    ]


def _row(name: str, c: Candidate) -> tuple[str, ...]:
    m = c.margins
    first = (name, f"{c.tuning.kp:.4g}", f"{c.tuning.ti_s:.4g}")
    if not m.stable:
        return (*first, "UNSTABLE", "", "", "")
    return (
        *first,
        f"{m.ms:.2f}",
        _finite(m.gain_margin, "{:.1f}"),
        _finite(m.phase_margin, "{:.0f}°"),
        _finite(m.delay_margin_s, "{:.3g} s"),
    )


def _predicted(s: Study) -> list[str]:
    unit = s.report["unit"]
    (old_sp, old_load), (new_sp, new_load) = s.responses["now"], s.responses["proposed"]
    return [
        f"predicted  setpoint + {s.setpoint:.3g} {unit}: IAE {old_sp.iae:.3g} → {new_sp.iae:.3g} "
        f"{unit}·s, overshoot {100 * old_sp.overshoot:.0f} → {100 * new_sp.overshoot:.0f} %",
        f"           load + {s.load:.3g} %: IAE {old_load.iae:.3g} → {new_load.iae:.3g} {unit}·s, "
        f"peak {_peak(old_load):.2g} → {_peak(new_load):.2g} {unit}",
    ]


def _peak(r: Response) -> float:
    return float(np.max(np.abs(r.measured)))


def _finite(value: float, form: str) -> str:
    return form.format(value) if math.isfinite(value) else "–"


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
