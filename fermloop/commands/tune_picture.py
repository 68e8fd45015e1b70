"""The picture of a tuning: the experiment with its model, and the predicted answers, as SVG."""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from fermloop.campaign.charts import Span, ticks
from fermloop.commands.tune_study import Study

Floats = NDArray[np.float64]
Lines = Sequence[tuple[str, Floats, Floats]]  # class, times, values

WIDTH, HEIGHT = 420, 210  # of one chart
POINTS = 600  # of a line at most
STYLE = (
    "text{font:12px sans-serif;fill:#222}.t{font-weight:bold}.g{stroke:#ddd}"
    "path{fill:none;stroke-width:1.6}.now{stroke:#b3541e;stroke-dasharray:6 3}"
    ".new{stroke:#0b6e8a}.meas{stroke:#888;stroke-width:1}.model{stroke:#0b6e8a}"
    ".ref{stroke:#222;stroke-width:1;stroke-dasharray:2 3}"
)


def svg(s: Study) -> str:
    """Return the whole picture; it needs nothing else to be shown."""
    unit, record = s.report["unit"], s.record
    t = np.asarray(record.times)
    charts: list[tuple[str, Lines]] = [
        (
            f"experiment: measured, model / {unit}",
            [
                ("meas", t, np.asarray(record.measured)),
                ("model", t, s.fit.modelled(record)),
            ],
        ),
        ("experiment: output / %", [("new", t, np.asarray(record.outputs))]),
    ]
    kinds = ("now", "now"), ("new", "proposed")
    for k, what in enumerate((f"setpoint + {s.setpoint:.3g} {unit}", f"load + {s.load:.3g} %")):
        answers = [(css, s.responses[name][k]) for css, name in kinds]
        wanted = np.full(2, s.setpoint if k == 0 else 0.0)
        ends = np.array([0.0, float(answers[0][1].times[-1])])
        reference = ("ref", ends, wanted)
        charts.append(
            (
                f"{what}: measured / {unit}",
                [reference, *((c, r.times, r.measured) for c, r in answers)],
            )
        )
        charts.append((f"{what}: output / %", [(c, r.times, r.output) for c, r in answers]))
    # each pair stands in a column: what is measured above, the output below
    body = "".join(
        f'<g transform="translate({(k // 2) * WIDTH},{30 + (k % 2) * HEIGHT})">'
        f"{_chart(title, drawn)}</g>"
        for k, (title, drawn) in enumerate(charts)
    )
    wide, high = 3 * WIDTH, 2 * HEIGHT + 40
    old, new = s.advice.now.tuning, s.advice.proposed.tuning
    head = (
        f"{s.report['loop']}: now (dashed) kp {old.kp:.4g}, ti {old.ti_s:.4g} s; "
        f"{s.advice.proposed.rule} kp {new.kp:.4g}, ti {new.ti_s:.4g} s"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" '
        f'width="{wide}" height="{high}" role="img"><title>{escape(head)}</title>'
        f'<style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="12" y="20" class="t">{escape(head)}</text>{body}</svg>\n'
    )


def _chart(title: str, drawn: Lines) -> str:
    low = min(float(np.min(v)) for _, _, v in drawn)
    high = max(float(np.max(v)) for _, _, v in drawn)
    room = 0.06 * (high - low) or 1.0
    x = Span(0.0, max(float(t[-1]) for _, t, _ in drawn) or 1.0, 56, WIDTH - 14)
    y = Span(low - room, high + room, HEIGHT - 30, 24)
    out = [f'<text x="56" y="14" class="t">{escape(title)}</text>']
    for value, label in ticks(y.low, y.high, 4):
        at = y.at(value)
        out.append(f'<line class="g" x1="56" x2="{WIDTH - 14}" y1="{at:.1f}" y2="{at:.1f}"/>')
        out.append(f'<text x="50" y="{at + 4:.1f}" text-anchor="end">{label}</text>')
    for value, label in ticks(x.low, x.high, 5):
        out.append(
            f'<text x="{x.at(value):.1f}" y="{HEIGHT - 14}" text-anchor="middle">{label}</text>'
        )
    out.append(f'<text x="{WIDTH - 14}" y="{HEIGHT - 2}" text-anchor="end">s</text>')
    for css, t, v in drawn:
        step = max(1, len(t) // POINTS)
        points = " L".join(
            f"{x.at(a):.1f} {y.at(b):.1f}"
            for a, b in zip(t[::step].tolist(), v[::step].tolist(), strict=True)
        )
        out.append(f'<path class="{css}" d="M{points}"/>')
    return "".join(out)


def terminal(s: Study, width: int = 72, height: int = 11) -> list[str]:
    """Return the predicted measurement after both steps, drawn in characters."""
    out: list[str] = []
    unit = s.report["unit"]
    for k, what in enumerate((f"setpoint + {s.setpoint:.3g} {unit}", f"load + {s.load:.3g} %")):
        now, new = s.responses["now"][k], s.responses["proposed"][k]
        values = (now.measured, new.measured)
        low = min(0.0, *(float(np.min(v)) for v in values))
        high = max(s.setpoint if k == 0 else 0.0, *(float(np.max(v)) for v in values))
        grid = [[" "] * width for _ in range(height)]
        level = Span(low, high if high > low else low + 1.0, height - 1, 0)
        wanted = round(level.at(s.setpoint if k == 0 else 0.0))
        grid[wanted] = ["·"] * width
        for mark, v in zip("o*", values, strict=True):
            at = np.linspace(0, len(v) - 1, width).astype(int)
            for column, value in enumerate(v[at].tolist()):
                grid[min(max(round(level.at(value)), 0), height - 1)][column] = mark
        end = float(now.times[-1])
        out.append(f"{what} for {end:.0f} s: o now, * proposed, {low:.3g} to {high:.3g} {unit}")
        out += ["".join(row).rstrip() for row in grid]
    return out
