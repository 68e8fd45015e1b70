"""A fit as one HTML page that needs nothing else: no network, no library, two languages."""

import json
import os
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np

from fermloop.campaign.charts import Span, number, ticks
from fermloop.commissioning.record import Floats
from fermloop.commissioning.study import Study
from fermloop.words import LANGUAGES, Words

_WORDS: Final = Words("fermloop.commissioning")
WIDTH, HEIGHT = 380, 170  # of a chart
SCRIPT: Final = """
const root = document.documentElement;
const speak = (language) => { root.lang = language; document.title = TITLES[language]; };
document.getElementById("language").onclick = () => speak(root.lang === "en" ? "zh" : "en");
const asked = location.hash.slice(1);
speak(asked in TITLES ? asked : navigator.language.startsWith("zh") ? "zh" : "en");
"""
Curves = tuple[Floats, Floats, Floats]  # hours, measured, modelled


def write(study: Study, held_out: int, path: Path) -> None:
    """Write the page whole or not at all; one that is there is replaced."""
    aside = path.with_name(f".{path.name}")
    aside.write_text(page(study, held_out), encoding="utf-8")
    os.replace(aside, path)


def page(study: Study, held_out: int) -> str:
    """Return the whole page."""
    style = (files("fermloop.campaign") / "page.css").read_text(encoding="utf-8")
    name = study.organism.name
    titles = {x: f"{_WORDS.catalogue(x)['title']}: {name}" for x in LANGUAGES}
    lead = _WORDS.both(
        "lead",
        organism=name,
        batches=len(study.fitted.residuals),
        held=held_out,
        error=percent(study.error),
    )
    sections = (
        _estimates(study),
        _alike(study),
        _foretold(study),
        _outliers(study),
        _residuals(study),
        _notes(study),
    )
    return "".join(
        (
            '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; ',
            "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">",
            f'<link rel="icon" href="data:,"><title>{escape(titles["en"])}</title>',
            f"<style>{style}</style></head>\n<body>\n<header>",
            f"<h1>{_WORDS.both('title')}<small>{escape(name)}</small></h1><p>{lead}</p>",
            f'<button id="language">{_WORDS.both("language")}</button></header>\n<main>\n',
            "\n".join(section for section in sections if section),
            f"\n</main>\n<script>const TITLES = {json.dumps(titles)};{SCRIPT}</script>\n",
            "</body>\n</html>\n",
        )
    )


def percent(share: float) -> str:
    """Return a share as per cent; – where there is none."""
    return "–" if share != share else f"{100.0 * share:.1f} %"


def _section(key: str, body: str, lead: bool = True) -> str:
    told = f"<p>{_WORDS.both(f'{key}.lead')}</p>" if lead else ""
    return f'<section id="{key}"><h2>{_WORDS.both(f"{key}.title")}</h2>{told}{body}</section>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{_WORDS.both(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{top}</tr>{body}</table></div>'


def _estimates(study: Study) -> str:
    head = ("parameter", "meaning", "unit", "value", "interval", "prior", "learned", "verdict")
    rows = (
        (
            escape(e.variable.name),
            escape(e.variable.doc),
            escape(e.variable.unit),
            number(e.value),
            f"{number(e.low)} … {number(e.high)}" if e.kept else "–",
            number(e.found.prior),
            f"{100.0 * e.found.learned:.0f} %",
            _WORDS.both(f"verdict.{e.verdict}"),
        )
        for e in study.estimated
    )
    return _section("estimates", _table(head, rows))


def _alike(study: Study) -> str:
    if not study.alike:
        return ""
    rows = ((escape(a), escape(b), f"{r:+.2f}") for a, b, r in study.alike)
    return _section("alike", _table(("parameter", "parameter", "correlation"), rows))


def _foretold(study: Study) -> str:
    if not study.foretold:
        return ""
    rows = (
        (
            escape(f.batch),
            f"{f.hours:.1f}",
            number(f.measured),
            number(f.median),
            f"{number(f.low)} … {number(f.high)}",
            f"{100.0 * f.error:+.1f} %",
        )
        for f in study.foretold
    )
    head = ("batch", "hours", "measured", "foretold", "interval", "error")
    charts = "".join(_chart(f.batch, f.series) for f in study.foretold)
    return _section("foretold", f'{_table(head, rows)}<div class="grid-of-charts">{charts}</div>')


def _outliers(study: Study) -> str:
    if not study.outliers:
        return ""
    rows = (
        (
            escape(o.batch),
            escape(o.series),
            f"{o.hours:.1f}",
            number(o.measured),
            number(o.modelled),
        )
        for o in study.outliers
    )
    head = ("batch", "series", "hours", "measured", "modelled")
    return _section("outliers", _table(head, rows))


def _residuals(study: Study) -> str:
    charts = "".join(
        _chart(f"{batch}: {name}", (hours, measured, modelled))
        for batch, series in study.fitted.residuals.items()
        for name, (hours, measured, modelled, _) in series.items()
    )
    return _section("residuals", f'<div class="grid-of-charts">{charts}</div>')


def _notes(study: Study) -> str:
    if not study.notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in study.notes)
    return _section("notes", f"<ul>{items}</ul>", lead=False)


def _chart(title: str, curves: Curves) -> str:
    """Return measured dots and the model's line over age."""
    hours, measured, modelled = curves
    order = np.argsort(hours)
    low = min(0.0, float(measured.min()), float(modelled.min()))
    high = max(float(measured.max()), float(modelled.max()))
    room = 0.06 * (high - low) or 1.0
    x = Span(0.0, float(hours.max()) or 1.0, 46, WIDTH - 8)
    y = Span(low, high + room, HEIGHT - 22, 8)
    out = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">']
    for value, label in ticks(y.low, y.high, 4):
        at = y.at(value)
        out.append(
            f'<line class="grid" x1="46" y1="{at:.1f}" x2="{WIDTH - 8}" y2="{at:.1f}"/>'
            f'<text x="41" y="{at + 4:.1f}" text-anchor="end">{label}</text>'
        )
    out += [
        f'<text x="{x.at(v):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{label}</text>'
        for v, label in ticks(x.low, x.high, 6)
    ]
    line = " ".join(
        f"{x.at(float(h)):.1f},{y.at(float(v)):.1f}"
        for h, v in zip(hours[order], modelled[order], strict=True)
    )
    out.append(f'<polyline class="line r0" points="{line}"/>')
    out += [
        f'<circle class="mark" cx="{x.at(float(h)):.1f}" cy="{y.at(float(v)):.1f}" r="2.2"/>'
        for h, v in zip(hours, measured, strict=True)
    ]
    return f"<div><h3>{escape(title)}</h3>{''.join(out)}</svg></div>"
