"""A batch as one HTML page that needs nothing else: no network, no library; two languages."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from html import escape
from importlib.resources import files
from typing import Any, Final

from fermloop.batch_report.figures import Deviation, Reckoning, counts, settings_of
from fermloop.batch_report.minutes import Minutes, minutes
from fermloop.batch_report.trends import Line, Mark, chart
from fermloop.campaign.charts import number
from fermloop.words import LANGUAGES, Words
from historian.audit import Verdict
from historian.batch import BatchRecord, Change
from historian.reader import SqliteReader

WORDS: Final = Words("fermloop.batch_report")
PLANT: Final = Words("dashboards")  # the console's: tags, phases, states, units
SHOW: Final = ("both", "zh", "en")
ROWS: Final = 200  # of a table at most; the record itself has all
SCRIPT: Final = """
const root = document.documentElement;
const keys = [...document.querySelectorAll("nav button[data-show]")];
const show = (what) => {
  root.dataset.show = what; root.lang = what === "zh" ? "zh" : "en";
  keys.forEach((key) => key.setAttribute("aria-pressed", key.dataset.show === what));
};
keys.forEach((key) => { key.onclick = () => show(key.dataset.show); });
document.getElementById("print").onclick = () => window.print();
show(root.dataset.show);
"""
# what is drawn: key of the catalogue, first line (a tag) with its setpoint, second line, laboratory
TRENDS: Final = (
    ("temperature", "temperature", ""),
    ("ph", "ph", ""),
    ("do", "do", ""),
    ("agitation", "agitation", ""),
    ("air_flow", "air_flow", "oxygen_flow"),
    ("pressure", "pressure", ""),
    ("feed", "feed", ""),
    ("weight", "weight", "feed_weight"),
    ("gas", "our", "cer"),
    ("rq", "rq", ""),
    ("biomass", "est.biomass", ""),
    ("substrate", "est.substrate", ""),
    ("acetate", "est.acetate", ""),
    ("ethanol", "ethanol", ""),
    ("product", "est.product", ""),
)
LABORATORY: Final = {
    "biomass": "dry_weight",
    "substrate": "glucose",
    "acetate": "acetate",
    "ethanol": "ethanol",
    "product": "product",
}
INTERVAL: Final = 1.96  # standard deviations: 95 %

both, named = WORDS.both, PLANT.named


def page(reader: SqliteReader, batch_id: str, show: str, now: float, author: str) -> str:
    """Return the whole page.

    Args:
        reader: the store.
        batch_id: which batch.
        show: ``both``, ``zh`` or ``en``; the page has both in any case.
        now: s since 1970 UTC.
        author: who asked for it.

    Raises:
        LookupError: there is no such batch.
    """
    record = reader.batch(batch_id)
    data = minutes(reader, record.batch)
    reckoning = Reckoning(record, data, settings_of(record))
    style = (files("fermloop.batch_report") / "page.css").read_text(encoding="utf-8")
    title = f"{record.batch.id} · " + " · ".join(WORDS.catalogue(x)["title"] for x in LANGUAGES)
    parts = (
        _head(record, data, reckoning),
        _figures(reckoning),
        _phases(record),
        _trends(record, data),
        _loops(reckoning),
        _deviations(record, reckoning),
        _alarms(record),
        _changes(record),
        _laboratory(record),
        _optimiser(record),
        _signatures(),
    )
    return "".join(
        (
            f'<!doctype html>\n<html lang="{"zh" if show == "zh" else "en"}" data-show="{show}">\n',
            '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, ',
            'initial-scale=1"><meta http-equiv="Content-Security-Policy" content="default-src ',
            "'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">",
            f'<link rel="icon" href="data:,"><title>{escape(title)}</title>',
            f"<style>{style}</style></head>\n<body>\n{_buttons()}\n<main>\n",
            "\n".join(part for part in parts if part),
            f"\n</main>\n{_foot(reader.verify(), now, author)}\n<script>{SCRIPT}</script>\n",
            "</body>\n</html>\n",
        )
    )


def _buttons() -> str:
    keys = {"both": "English + 中文", "zh": "中文", "en": "English"}
    buttons = "".join(f'<button data-show="{k}">{text}</button>' for k, text in keys.items())
    return f'<nav>{buttons}<button id="print">{both("print")}</button></nav>'


def _head(record: BatchRecord, data: Minutes, reckoning: Reckoning) -> str:
    batch, file = record.batch, record.plant_file
    simulated = f'<div class="simulated">{both("simulated")}</div>' if _simulated(data) else ""
    recipe = record.recipes[-1] if record.recipes else None
    version = both("version", n=recipe.number, hash=recipe.hash) if recipe else ""
    state = named("batch_state", batch.state)
    if batch.state == "ABORTED":
        state = f'<span class="bad">{state}</span>'
    rows = [
        ("batch", f"<b>{escape(batch.id)}</b>"),
        ("reactor", escape(batch.reactor)),
        ("recipe", f"{escape(batch.recipe)} {version}"),
        ("state", state),
        ("began", escape(_clock(batch.began))),
        ("inoculated", escape(_clock(batch.inoculated))),
        ("ended", escape(_clock(batch.ended)) if batch.ended else both("under_way")),
        ("duration", f"{number(reckoning.hours, 4)} h"),
        ("plant_file", f"{escape(file.name)} {escape(file.version)}" if file.text else "–"),
        ("software", escape(record.software) or "–"),
        ("optimiser", named("optimiser_mode", str(record.events[0]["data"].get("optimiser", "–")))),
    ]
    parameters = "; ".join(f"{escape(k)} = {v:g}" for k, v in record.parameters.items())
    rows.append(("parameters", parameters or "–"))
    cells = "".join(f"<tr><th>{both(f'head.{key}')}</th><td>{v}</td></tr>" for key, v in rows)
    return f'<h1>{both("title")}</h1>{simulated}<table class="head">{cells}</table>'


def _figures(reckoning: Reckoning) -> str:
    rows: list[Sequence[str]] = []
    for figure in reckoning.figures():
        if figure.value is not None:
            note = both(f"note.{figure.note}") if figure.note else ""
            value = f"{number(figure.value)} {escape(figure.unit)}"
            rows.append((both(f"figure.{figure.key}"), value, note))
    for consumer, kwh in reckoning.energy_kwh.items():
        rows.append((both(f"energy.{consumer}"), f"{number(kwh)} kWh", both("note.reckoned")))
    for priority, n in counts(reckoning.record).items():
        rows.append((both("figure.alarms") + " " + named("alarm_priority", priority), str(n), ""))
    table = _table(("figure", "value", "note"), rows, numbers={1})
    factors = reckoning.settings.report if reckoning.settings else None
    lead = ""
    if factors is not None:
        lead = both(
            "figures.lead",
            grid=f"{factors.grid_co2e_kg_per_kwh:g}",
            substrate=f"{factors.substrate_co2e_kg_per_kg:g}",
            ammonia=f"{factors.ammonia_co2e_kg_per_kg:g}",
            turnaround=f"{factors.turnaround_h:g}",
        )
    return _section("figures", table, lead)


def _phases(record: BatchRecord) -> str:
    age = record.batch.age_h
    rows = [
        (
            f"{p.index + 1}",
            named("phase", p.name),
            _clock(p.began),
            f"{age(p.began):.2f}",
            "" if p.ended is None else f"{(p.ended - p.began) / 3600.0:.2f}",
        )
        for p in record.phases
    ]
    return _section("phases", _table(("number", "phase", "began", "age", "hours"), rows, {3, 4}))


def _trends(record: BatchRecord, data: Minutes) -> str:
    batch = record.batch
    ages = [batch.age_h(t) for t in data.times]
    phases = [(batch.age_h(p.began), escape(p.name)) for p in record.phases]
    figures: list[str] = []
    for key, first, second in TRENDS:
        marks = _marks(record, LABORATORY.get(key, ""))
        lines: list[Line] = []
        if data.has(first):
            line = _line(data, ages, first)  # what is a quotient of small differences has no band
            lines.append(replace(line, low=(), high=()) if key in ("gas", "rq") else line)
            setpoint = f"{key}.sp"
            if data.has(setpoint):
                lines.append(Line("sp", ages, data.mean(setpoint)))
        if second and data.has(second):
            lines.append(Line("second", ages, data.mean(second)))
        drawn = chart(lines, marks, phases) if lines else ""
        if drawn:
            unit = data.tags[first].unit if first in data.tags else data.tags[second].unit
            head = f"{both(f'trend.{key}')}<small>{named('unit', unit)}</small>"
            figures.append(f"<figure><h3>{head}</h3>{drawn}</figure>")
    legend = "".join(
        f"<li><svg viewBox='0 0 34 12'>{shape}</svg>{both(f'legend.{key}')}</li>"
        for key, shape in {
            "pv": '<line class="pv" x1="0" y1="6" x2="34" y2="6" stroke-width="1.6"/>',
            "sp": '<line class="sp" x1="0" y1="6" x2="34" y2="6"/>',
            "second": '<line class="second" x1="0" y1="6" x2="34" y2="6" stroke-width="1.6"/>',
            "lab": '<path class="lab" d="M17 1l5 5l-5 5l-5-5z"/>',
        }.items()
    )
    body = f'<ul class="legend">{legend}</ul>{"".join(figures)}'
    return _section("trends", body, both("trends.lead")) if figures else ""


def _line(data: Minutes, ages: Sequence[float], name: str) -> Line:
    """Return a tag with its least and greatest, an estimate with its interval."""
    mean = data.mean(name)
    if data.has(f"{name}.sd"):
        spread = data.mean(f"{name}.sd")
        pairs = list(zip(mean, spread, strict=True))
        low = [None if m is None or s is None else max(0.0, m - INTERVAL * s) for m, s in pairs]
        high = [None if m is None or s is None else m + INTERVAL * s for m, s in pairs]
        return Line("pv", ages, mean, low, high)
    trend = data.trends[name]
    return Line("pv", ages, mean, trend.low, trend.high)


def _marks(record: BatchRecord, analyte: str) -> list[Mark]:
    return [
        Mark(record.batch.age_h(float(r["t_sampled"])), float(r["value"]))
        for r in record.samples
        if r["analyte"] == analyte and not r.get("corrected_by") and not r.get("below_limit")
    ]


def _loops(reckoning: Reckoning) -> str:
    rows = [
        (
            named("tag", loop.name),
            "–" if loop.in_band is None else f"{100.0 * loop.in_band:.1f} %",
            f"{number(loop.iae)} {_of(loop.unit, '·h') or 'h'}",
            f"{number(loop.largest)} {_of(loop.unit)}",
            number(loop.travel),
            str(loop.not_good_min),
        )
        for loop in reckoning.loops()
    ]
    heads = ("loop", "in_band", "iae", "largest", "travel", "not_good")
    table = _table(heads, rows, {1, 2, 3, 4, 5})
    return _section("loops", table, both("loops.lead")) if rows else ""


def _deviations(record: BatchRecord, reckoning: Reckoning) -> str:
    def row(d: Deviation) -> Sequence[str]:
        lasted = "" if d.ended is None else f"{(d.ended - d.began) / 60.0:.1f}"
        text = _two(d.text, d.text_zh) if d.text_zh else escape(d.text)
        told = f"{both(f'deviation.{d.kind}')} {text}"
        return _when(record, d.began), _subject(d.subject), told, lasted

    rows = [row(d) for d in reckoning.deviations()]
    return _listed("deviations", ("when", "subject", "what", "minutes"), rows, {3})


def _alarms(record: BatchRecord) -> str:
    rows: list[Sequence[str]] = []
    for alarm in record.alarms:
        lasted = "" if alarm.ended is None else f"{(alarm.ended - alarm.began) / 60.0:.1f}"
        seen = "" if alarm.acknowledged is None else _when(record, alarm.acknowledged)
        told = [escape(x) for x in (alarm.who, alarm.comment) if x]
        priority = named("alarm_priority", alarm.priority)
        if alarm.priority in ("critical", "high"):
            priority = f'<span class="bad">{priority}</span>'
        text = _two(alarm.text, alarm.text_zh)
        who = " · ".join([seen, *told]) if seen else " · ".join(told)
        rows.append((_when(record, alarm.began), priority, text, lasted, who))
    return _listed("alarms", ("when", "priority", "what", "minutes", "seen"), rows, {3})


def _changes(record: BatchRecord) -> str:
    by_people = [c for c in record.changes if c.source.startswith("operator")]
    setpoints = [c for c in record.changes if c.source == "recipe"]
    rest = [
        c
        for c in record.changes
        if not c.source.startswith("operator") and c.source not in ("recipe", "optimiser")
    ]
    heads = ("when", "who", "subject", "change", "why")
    return "".join(
        _listed(key, heads, [_change(record, c) for c in found])
        for key, found in (("changes", by_people), ("by_recipe", setpoints), ("by_others", rest))
    )


def _change(record: BatchRecord, c: Change) -> Sequence[str]:
    unit = f" {named('unit', c.unit)}" if c.unit else ""
    told = f"{escape(c.what)} {_value(c.old)} → <b>{_value(c.new)}</b>{unit}"
    why = escape(c.why)
    if c.refused:
        why = f'<span class="bad">{both("refused")}</span> {escape(c.refused)} {why}'
    return (
        _when(record, c.time),
        escape(c.source.partition(":")[2] or c.source),
        _subject(c.subject),
        told,
        why,
    )


def _laboratory(record: BatchRecord) -> str:
    rows: list[Sequence[str]] = []
    for r in record.samples:
        below = "&lt; " if r.get("below_limit") else ""
        value = f"{below}{number(float(r['value']), 4)} {named('unit', str(r['unit']))}"
        if r.get("corrected_by"):
            value = f'<span class="old">{value}</span> {both("corrected", n=r["corrected_by"])}'
        entered = r.get("t_entered")
        late = "" if entered is None else f"{(float(entered) - float(r['t_sampled'])) / 60:.0f}"
        rows.append(
            (
                str(r["number"]),
                _when(record, float(r["t_sampled"])),
                escape(str(r["analyte"])),
                value,
                late,
                escape(str(r.get("who", ""))),
            )
        )
    heads = ("number", "taken", "analyte", "result", "entered_min", "who")
    return _listed("laboratory", heads, rows, {3, 4})


def _optimiser(record: BatchRecord) -> str:
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
        (_when(record, e["time"]), escape(e["source"]), _subject(e["subject"]), escape(e["text"]))
        for e in record.advice
    ]
    lead = both("decisions.lead", n=plans) if plans else ""
    told = _listed("decisions", ("when", "who", "subject", "change", "why"), rows, lead=lead)
    if advice:
        told += _listed("advice", ("when", "who", "subject", "what"), advice)
    return told


def _signatures() -> str:
    cells = "".join(
        f"<tr><th>{both(f'sign.{role}')}</th><td></td><td></td><td></td></tr>"
        for role in ("prepared", "reviewed", "approved")
    )
    heads = "".join(f"<th>{both(f'sign.{key}')}</th>" for key in ("role", "name", "signed", "date"))
    table = f'<table class="sign"><thead><tr>{heads}</tr></thead>{cells}</table>'
    return _section("signatures", table)


def _foot(verdict: Verdict, now: float, author: str) -> str:
    trail = (
        both("trail.good", count=verdict.count, head=verdict.head)
        if verdict.ok
        else f'<span class="bad">{both("trail.bad")}</span> {escape(str(verdict.fault))}'
    )
    return f"<footer>{trail}<br>{both('made', time=_clock(now), who=author)}</footer>"


# ---- small parts


def _section(key: str, body: str, lead: str = "") -> str:
    told = f"<p>{lead}</p>" if lead else ""
    return f'<section id="{key}"><h2>{both(f"{key}.title")}</h2>{told}{body}</section>'


def _listed(
    key: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Iterable[int] = (),
    lead: str = "",
) -> str:
    """Return a section with a table, or one that says that there is nothing."""
    if not rows:
        return _section(key, f"<p>{both('nothing')}</p>")
    more = len(rows) - ROWS
    lead += both("more", n=ROWS, all=len(rows)) if more > 0 else ""
    return _section(key, _table(heads, rows[:ROWS], numbers), lead)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> str:
    right = set(numbers)

    def line(cells: Sequence[str], cell: str) -> Iterator[str]:
        for i, text in enumerate(cells):
            kind = ' class="number"' if i in right else ""
            yield f"<{cell}{kind}>{text}</{cell}>"

    head = "".join(line([both(f"column.{h}") for h in heads], "th"))
    body = "".join(f"<tr>{''.join(line(row, 'td'))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _two(en: str, zh: str) -> str:
    if en == zh:
        return escape(en)
    texts = {"en": en, "zh": zh}.items()
    return "".join(f'<span class="{x}" lang="{x}">{escape(text)}</span>' for x, text in texts)


def _when(record: BatchRecord, time: float) -> str:
    clock = datetime.fromtimestamp(time).astimezone().strftime("%m-%d %H:%M:%S")
    return f'<span class="when">{record.batch.age_h(time):.2f} h<br>{clock}</span>'


def _of(unit: str, more: str = "") -> str:
    """Return a unit as people read it, with ``more`` after it; empty for pH."""
    text = named("unit", unit)
    return f"{text}{more}" if text else ""


def _subject(name: str) -> str:
    return escape(name)


def _value(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "–" if value is None else str(value).lower()
    if isinstance(value, int | float):
        return number(float(value), 4)
    if isinstance(value, dict):
        return escape(_flat(value))  # pyright: ignore[reportUnknownArgumentType] (JSON)
    text = str(value)
    return named("mode", text) if text.isupper() else escape(text[:200])


def _flat(table: dict[str, Any]) -> str:
    return ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in table.items())


def _simulated(data: Minutes) -> bool:
    return any(v for v in data.mean("simulated"))


def _clock(time: float | None) -> str:
    if time is None:
        return "–"
    return datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
