"""A batch as one HTML page that needs nothing else: no network, no library; two languages."""

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from importlib.resources import files
from typing import Final

from fermloop.batch_report import lists
from fermloop.batch_report.alarm_health import priorities
from fermloop.batch_report.figures import Reckoning, settings_of
from fermloop.batch_report.golden import distance, references_of
from fermloop.batch_report.loops import deviations, loops
from fermloop.batch_report.minutes import Minutes, minutes
from fermloop.batch_report.parts import PLANT, WORDS, both, clock, named, section, table
from fermloop.batch_report.trends import Line, Mark, chart
from fermloop.campaign.charts import number
from fermloop.words import LANGUAGES
from historian.audit import Verdict
from historian.batch import BatchRecord
from historian.history import History
from historian.reader import SqliteReader

SHOW: Final = ("both", "zh", "en")
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


def page(
    reader: SqliteReader,
    batch_id: str,
    show: str,
    now: float,
    author: str,
    references: Sequence[str] = (),
) -> str:
    """Return the whole page.

    Args:
        reader: the store.
        batch_id: which batch.
        show: ``both``, ``zh`` or ``en``; the page has both in any case.
        now: s since 1970 UTC.
        author: who asked for it.
        references: good batches to be compared with; the newest complete ones of the same recipe
            if none is given.

    Raises:
        LookupError: there is no such batch.
    """
    record = reader.batch(batch_id)
    data = minutes(reader, record.batch)
    settings = settings_of(record)
    reckoning = Reckoning(record, data, settings)
    references = references or references_of(reader, record.batch)
    with History(reader.path) as history:
        far = distance(history, record.batch, references)
    style = (files("fermloop.batch_report") / "page.css").read_text(encoding="utf-8")
    title = f"{record.batch.id} · " + " · ".join(WORDS.catalogue(x)["title"] for x in LANGUAGES)
    parts = (
        _head(record, data, reckoning),
        _figures(reckoning),
        _phases(record),
        _trends(record, data),
        lists.loops([*loops(data, settings)]),
        lists.golden(far),
        lists.deviations(record, deviations(record, data, settings)),
        lists.alarm_health(record, data.end),
        lists.alarms(record),
        lists.changes(record),
        lists.laboratory(record),
        lists.optimiser(record),
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
        ("began", escape(clock(batch.began))),
        ("inoculated", escape(clock(batch.inoculated))),
        ("ended", escape(clock(batch.ended)) if batch.ended else both("under_way")),
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
    for priority, n in priorities(reckoning.record).items():
        rows.append((both("figure.alarms") + " " + named("alarm_priority", priority), str(n), ""))
    told = table(("figure", "value", "note"), rows, numbers={1})
    factors = reckoning.settings.report if reckoning.settings else None
    lead = ""
    if factors is not None:
        heat = factors.heating_co2e_kg_per_kwh
        lead = both(
            "figures.lead",
            grid=f"{factors.grid_co2e_kg_per_kwh:g}",
            substrate=f"{factors.substrate_co2e_kg_per_kg:g}",
            heat=f"{factors.grid_co2e_kg_per_kwh if heat is None else heat:g}",
            ammonia=f"{factors.ammonia_co2e_kg_per_kg:g}",
            turnaround=f"{factors.turnaround_h:g}",
        )
    return section("figures", told, lead)


def _phases(record: BatchRecord) -> str:
    age = record.batch.age_h
    rows = [
        (
            f"{p.index + 1}",
            named("phase", p.name),
            clock(p.began),
            f"{age(p.began):.2f}",
            "" if p.ended is None else f"{(p.ended - p.began) / 3600.0:.2f}",
        )
        for p in record.phases
    ]
    return section("phases", table(("number", "phase", "began", "age", "hours"), rows, {3, 4}))


def _trends(record: BatchRecord, data: Minutes) -> str:
    batch = record.batch
    ages = [batch.age_h(t) for t in data.times]
    phases = [(batch.age_h(p.began), _in_svg(p.name)) for p in record.phases]
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
    return section("trends", body, both("trends.lead")) if figures else ""


def _in_svg(phase: str) -> str:
    """Return the name of a phase in both languages, as a drawing's text has it."""
    texts = {x: PLANT.catalogue(x).get(f"phase.{phase}", phase) for x in LANGUAGES}
    return "".join(f'<tspan class="{x}">{escape(text)} </tspan>' for x, text in texts.items())


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


def _signatures() -> str:
    cells = "".join(
        f"<tr><th>{both(f'sign.{role}')}</th><td></td><td></td><td></td></tr>"
        for role in ("prepared", "reviewed", "approved")
    )
    heads = "".join(f"<th>{both(f'sign.{key}')}</th>" for key in ("role", "name", "signed", "date"))
    told = f'<table class="sign"><thead><tr>{heads}</tr></thead>{cells}</table>'
    return section("signatures", told)


def _foot(verdict: Verdict, now: float, author: str) -> str:
    trail = (
        both("trail.good", count=verdict.count, head=verdict.head)
        if verdict.ok
        else f'<span class="bad">{both("trail.bad")}</span> {escape(str(verdict.fault))}'
    )
    return f"<footer>{trail}<br>{both('made', time=clock(now), who=author)}</footer>"


def _simulated(data: Minutes) -> bool:
    return any(v for v in data.mean("simulated"))
