"""The lists of a batch's page: loops, deviations, alarms, changes, laboratory, the optimiser's."""

from collections.abc import Sequence
from html import escape

from fermloop.batch_report.alarm_health import health
from fermloop.batch_report.golden import Distance
from fermloop.batch_report.loops import Deviation, LoopFigures
from fermloop.batch_report.parts import (
    both,
    listed,
    named,
    section,
    table,
    two,
    unit_of,
    value,
    when,
)
from fermloop.campaign.charts import number
from historian.batch import BatchRecord, Change


def loops(found: Sequence[LoopFigures]) -> str:
    """Return how each loop held its setpoint."""
    rows = [
        (
            named("tag", loop.name),
            "–" if loop.in_band is None else f"{100.0 * loop.in_band:.1f} %",
            f"{number(loop.iae)} {unit_of(loop.unit, '·h') or 'h'}",
            f"{number(loop.itae)} {unit_of(loop.unit, '·h²') or 'h²'}",
            f"{number(loop.largest)} {unit_of(loop.unit)}",
            number(loop.travel),
            str(loop.not_good_min),
        )
        for loop in found
    ]
    heads = ("loop", "in_band", "iae", "itae", "largest", "travel", "not_good")
    told = table(heads, rows, {1, 2, 3, 4, 5, 6})
    return section("loops", told, both("loops.lead")) if rows else ""


def golden(found: Distance | None) -> str:
    """Return how far the batch was from good ones before it."""
    if found is None:
        return section("golden", f"<p>{both('golden.none')}</p>")
    rows = [(both("golden.whole"), f"<b>{number(found.whole)}</b>", "")]
    for name, (distance, outside) in sorted(found.tags.items(), key=lambda x: -x[1][0]):
        rows.append((named("tag", name), number(distance), f"{100.0 * outside:.0f} %"))
    names = ", ".join(found.references)
    lead = both("golden.lead", n=len(found.references), references=escape(names))
    return section("golden", table(("what", "distance", "outside"), rows, {1, 2}), lead)


def deviations(record: BatchRecord, found: Sequence[Deviation]) -> str:
    """Return where the batch left its path."""

    def row(d: Deviation) -> Sequence[str]:
        lasted = "" if d.ended is None else f"{(d.ended - d.began) / 60.0:.1f}"
        text = two(d.text, d.text_zh) if d.text_zh else escape(d.text)
        told = f"{both(f'deviation.{d.kind}')} {text} {unit_of(d.unit)}"
        of = named("tag", d.subject) if d.kind == "band" else escape(d.subject)
        return when(record, d.began), of, told, lasted

    rows = [row(d) for d in found]
    return listed("deviations", ("when", "subject", "what", "minutes"), rows, {3})


def alarm_health(record: BatchRecord, end: float) -> str:
    """Return whether an operator could live with the alarms until ``end``, s since 1970 UTC."""
    rows: list[Sequence[str]] = []
    for figure in health(record, end):
        found = f"{figure.value if isinstance(figure.value, int) else number(figure.value)}"
        found += f" {figure.unit}" if figure.unit else ""
        found = found if figure.ok else f'<span class="bad">{found}</span>'
        rows.append((both(f"health.{figure.key}"), found, escape(figure.good)))
    return section("health", table(("figure", "value", "good"), rows, {1}), both("health.lead"))


def alarms(record: BatchRecord) -> str:
    """Return every alarm."""
    rows: list[Sequence[str]] = []
    for alarm in record.alarms:
        lasted = "" if alarm.ended is None else f"{(alarm.ended - alarm.began) / 60.0:.1f}"
        seen = "" if alarm.acknowledged is None else when(record, alarm.acknowledged)
        told = [escape(x) for x in (alarm.who, alarm.comment) if x]
        priority = named("alarm_priority", alarm.priority)
        if alarm.priority in ("critical", "high"):
            priority = f'<span class="bad">{priority}</span>'
        text = two(alarm.text, alarm.text_zh)
        who = " · ".join([seen, *told]) if seen else " · ".join(told)
        rows.append((when(record, alarm.began), priority, text, lasted, who))
    return listed("alarms", ("when", "priority", "what", "minutes", "seen"), rows, {3})


def changes(record: BatchRecord) -> str:
    """Return what people, the recipe and others changed, with who and why."""
    by_people = [c for c in record.changes if c.source.startswith("operator")]
    setpoints = [c for c in record.changes if c.source == "recipe"]
    rest = [
        c
        for c in record.changes
        if not c.source.startswith("operator") and c.source not in ("recipe", "optimiser")
    ]
    heads = ("when", "who", "subject", "change", "why")
    return "".join(
        listed(key, heads, [_change(record, c) for c in found])
        for key, found in (("changes", by_people), ("by_recipe", setpoints), ("by_others", rest))
    )


def _change(record: BatchRecord, c: Change) -> Sequence[str]:
    unit = f" {named('unit', c.unit)}" if c.unit else ""
    told = f"{escape(c.what)} {value(c.old)} → <b>{value(c.new)}</b>{unit}"
    why = escape(c.why)
    if c.refused:
        why = f'<span class="bad">{both("refused")}</span> {escape(c.refused)} {why}'
    return (
        when(record, c.time),
        escape(c.source.partition(":")[2] or c.source),
        escape(c.subject),
        told,
        why,
    )


def laboratory(record: BatchRecord) -> str:
    """Return the laboratory's results."""
    rows: list[Sequence[str]] = []
    for r in record.samples:
        below = "&lt; " if r.get("below_limit") else ""
        result = f"{below}{number(float(r['value']), 4)} {named('unit', str(r['unit']))}"
        if r.get("corrected_by"):
            result = f'<span class="old">{result}</span> {both("corrected", n=r["corrected_by"])}'
        entered = r.get("t_entered")
        late = "" if entered is None else f"{(float(entered) - float(r['t_sampled'])) / 60:.0f}"
        rows.append(
            (
                str(r["number"]),
                when(record, float(r["t_sampled"])),
                escape(str(r["analyte"])),
                result,
                late,
                escape(str(r.get("who", ""))),
            )
        )
    heads = ("number", "taken", "analyte", "result", "entered_min", "who")
    return listed("laboratory", heads, rows, {3, 4})


def optimiser(record: BatchRecord) -> str:
    """Return what was decided on the optimiser and by it, and what it advised."""
    seen: set[tuple[int, str]] = set()
    plans, rows = 0, list[Sequence[str]]()
    for c in record.decisions:
        if c.source == "optimiser" and c.why.startswith("plan "):
            plans += 1
            hour = int(record.batch.age_h(c.time)), c.subject
            if hour in seen:
                continue
            seen.add(hour)
        rows.append(_change(record, c))
    advice = [
        (when(record, e["time"]), escape(e["source"]), escape(e["subject"]), escape(e["text"]))
        for e in record.advice
    ]
    lead = both("decisions.lead", n=plans) if plans else ""
    told = listed("decisions", ("when", "who", "subject", "change", "why"), rows, lead=lead)
    if advice:
        told += listed("advice", ("when", "who", "subject", "what"), advice)
    return told
