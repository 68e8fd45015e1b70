"""A campaign as one HTML page that needs nothing else: no network, no library, two languages."""

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np

from fermloop.campaign import charts
from fermloop.campaign.charts import Band, number
from fermloop.campaign.finished import Finished, ranges
from fermloop.campaign.results import Row
from fermloop.campaign.statistics import (
    ENOUGH,
    FIGURES,
    LIMITS,
    RESAMPLES,
    Comparison,
    Figure,
    compare,
    failed,
    finished,
    spread,
    values,
    violation,
)
from fermloop.campaign.words import LANGUAGES, both, catalogue, named

PAGE: Final = "report.html"
MANY: Final = 100  # plants, below which a comparison is a first impression
CONSUMERS: Final = ("stirring", "aeration", "heating", "chilling")
SOURCES: Final = ("electricity", "substrate", "ammonia")
UNTOLD: Final = {"age_h", "product_g", "cer_mmol_per_l_h"}  # of a trajectory: others say it
HEAVY_G: Final = 1e4  # from here on a mass is told in kg
SCRIPT: Final = """
const root = document.documentElement;
const speak = (language) => { root.lang = language; document.title = TITLES[language]; };
document.getElementById("language").onclick = () => speak(root.lang === "en" ? "zh" : "en");
const asked = location.hash.slice(1);
speak(asked in TITLES ? asked : navigator.language.startsWith("zh") ? "zh" : "en");
"""


def write(campaign: Finished) -> Path:
    """Write the page beside the results and return where it is."""
    path = campaign.folder / PAGE
    aside = path.with_name(f".{PAGE}")
    aside.write_text(page(campaign), encoding="utf-8")
    aside.replace(path)
    return path


def page(campaign: Finished) -> str:
    """Return the whole page."""
    style = (files("fermloop.campaign") / "page.css").read_text(encoding="utf-8")
    plant = Path(campaign.manifest["plant"]["file"]).stem
    titles = {x: f"{catalogue(x)['title']}: {plant}" for x in LANGUAGES}
    done, lost = finished(campaign.rows), failed(campaign.rows)
    lead = both("lead", done=len(done), all=len(campaign.rows), failed=len(lost))
    sections = (
        _figures(campaign),
        _distribution(campaign),
        *_comparisons(campaign),
        _violations(campaign),
        _energy(campaign),
        _trajectories(campaign),
        _failed(campaign),
        _made(campaign),
    )
    return "".join(
        (
            '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; ',
            "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">",
            f'<link rel="icon" href="data:,"><title>{escape(titles["en"])}</title>',
            f"<style>{style}</style></head>\n<body>\n<header>",
            f"<h1>{both('title')}<small>{escape(plant)}</small></h1><p>{lead}</p>",
            f'<button id="language">{both("language")}</button></header>\n<main>\n',
            "\n".join(section for section in sections if section),
            f"\n</main>\n<script>const TITLES = {_script_text(titles)};{SCRIPT}</script>\n",
            "</body>\n</html>\n",
        )
    )


def _script_text(titles: dict[str, str]) -> str:
    import json

    return json.dumps(titles, ensure_ascii=True).replace("<", "\\u003c")


def _section(key: str, body: str, lead: str = "") -> str:
    told = f"<p>{lead}</p>" if lead else ""
    return f'<section id="{key}"><h2>{both(f"{key}.title")}</h2>{told}{body}</section>'


def _table(head: Sequence[str], rows: Iterator[str], numbers: int = 99) -> str:
    """Return a table whose columns from ``numbers`` on are numbers."""
    cells = "".join(
        f'<th class="number">{cell}</th>' if k >= numbers else f"<th>{cell}</th>"
        for k, cell in enumerate(head)
    )
    return f'<div class="scroll"><table><tr>{cells}</tr>{"".join(rows)}</table></div>'


def _legend(names: Sequence[str]) -> str:
    entries = "".join(
        '<li><svg viewBox="0 0 34 12"><line class="line r'
        f'{k % charts.KINDS}" x1="0" y1="6" x2="34" y2="6"/></svg>{escape(name)}</li>'
        for k, name in enumerate(names)
    )
    return f'<ul class="legend">{entries}</ul>'


def scale(figure: Figure, rows: Sequence[Row]) -> tuple[float, str]:
    """Return what to multiply a figure by, and the unit that it then has: masses in g or kg."""
    known = values(rows, figure.key).values()
    if figure.unit == "g" and max(known, default=0.0) >= HEAVY_G:
        return 1e-3, "kg"
    return 1.0, figure.unit


def _figures(campaign: Finished) -> str:
    def rows() -> Iterator[str]:
        for figure in FIGURES:
            factor, unit = scale(figure, campaign.rows)
            for place, (recipe, batches) in enumerate(campaign.recipes.items()):
                s = spread(batches, figure.key)
                told = [s.mean, s.median, s.sd, s.p5, s.p95]
                cells = [number(None if v is None else v * factor) for v in told]
                cells.insert(3, "–" if s.cv is None else f"{100 * s.cv:.1f} %")
                numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
                name = f"{named('key', figure.key)} <small>{unit}</small>" if not place else ""
                first = ' class="first"' if not place else ""
                yield (
                    f"<tr{first}><td>{name}</td><td>{escape(recipe)}</td>"
                    f'<td class="number">{s.n}</td>{numbers}</tr>'
                )

    head = [both("figure"), both("recipe"), "n", both("mean"), both("median"), both("sd")]
    body = _table([*head, "CV", "P5", "P95"], rows(), 2)
    few = ""
    if len(campaign.recipes) > 1 and len(campaign.manifest["seeds"]) < MANY:
        few = " " + both("few", n=MANY)
    return _section("figures", body, both("figures.lead", n=ENOUGH) + few)


def _distribution(campaign: Finished) -> str:
    figure = FIGURES[0]
    factor, unit = scale(figure, campaign.rows)
    several = [
        (recipe, factor * np.array(list(values(rows, figure.key).values())))
        for recipe, rows in campaign.recipes.items()
    ]
    chart = charts.histograms(several)
    return _section("distribution", chart, both("distribution.lead", unit=unit)) if chart else ""


def comparisons(campaign: Finished) -> list[list[Comparison]]:
    """Return every recipe but the first against the first, figure by figure."""
    (first, baseline), *others = campaign.recipes.items()
    return [
        [compare((first, baseline), (name, rows), figure) for figure in FIGURES]
        for name, rows in others
    ]


def _comparisons(campaign: Finished) -> Iterator[str]:
    for several in comparisons(campaign):
        a, b = several[0].baseline, several[0].candidate
        reach = max(
            (abs(end) for c in several for end in c.relative_interval or (c.relative or 0.0,)),
            default=0.0,
        )
        reach = 1.15 * min(max(reach, 0.01), 10.0)
        lead = both("comparison.lead", baseline=a, candidate=b, resamples=number(RESAMPLES, 5))
        if any(c.interval is None for c in several):
            lead += " " + both("comparison.no_interval", n=ENOUGH)
        head = [both("figure"), both("difference"), both("interval"), both("relative")]
        head += [f"±{100 * reach:.0f} %", both("verdict"), both("pairs")]
        rows = (_compared(c, campaign.rows, reach) for c in several)
        yield (
            f"<section><h2>{both('comparison.title')}: {escape(b)} − {escape(a)}</h2>"
            f"<p>{lead}</p>{_table(head, rows)}</section>"
        )


def _compared(c: Comparison, rows: Sequence[Row], reach: float) -> str:
    factor, unit = scale(c.figure, rows)
    difference = number(None if c.difference is None else c.difference * factor)
    ends = "–" if c.interval is None else " … ".join(number(end * factor) for end in c.interval)
    relative = "–" if c.relative is None else f"{100 * c.relative:+.1f} %".replace("-", "−")
    if c.relative_interval is not None:
        shares = " … ".join(f"{100 * e:+.1f}".replace("-", "−") for e in c.relative_interval)
        relative += f'<br><span class="note">{shares} %</span>'
    word = both("open" if c.better is None else "better" if c.better else "worse")
    if c.better is False:
        word = f'<span class="bad">{word}</span>'
    left = f'<br><span class="note">{both("left_out", n=c.left_out)}</span>' if c.left_out else ""
    chart = charts.interval(c.relative, c.relative_interval, reach)
    return (
        f"<tr><td>{named('key', c.figure.key)} <small>{unit}</small></td><td>{difference}</td>"
        f"<td>{ends}</td><td>{relative}</td><td>{chart}</td><td>{word}</td><td>{c.n}{left}</td></tr>"
    )


def _violations(campaign: Finished) -> str:
    def rows() -> Iterator[str]:
        for recipe, batches in campaign.recipes.items():
            cells = (_violation(batches, limit.key) for limit in LIMITS)
            yield f"<tr><td>{escape(recipe)}</td>{''.join(cells)}</tr>"

    head = [both("recipe"), *(named("key", limit.key) for limit in LIMITS)]
    return _section("violations", _table(head, rows()), both("violations.lead"))


def _violation(rows: Sequence[Row], key: str) -> str:
    v = violation(rows, key)
    if v.rate is None:
        return f'<td class="note">{both("violations.no_limit")}</td>'
    if not v.batches:
        return f"<td>{both('violations.none')}</td>"
    told = both("violations.batches", batches=v.batches, n=v.n, rate=f"{100 * v.rate:.1f} %")
    worst = both("violations.worst", mean=number(v.mean), worst=number(v.worst), seed=v.worst_seed)
    return f'<td><span class="bad">{told}</span><br><span class="note">{worst}</span></td>'


def _energy(campaign: Finished) -> str:
    by_consumer: list[tuple[str, list[float]]] = []
    by_source: list[tuple[str, list[float]]] = []
    biogenic: list[str] = []
    made = [  # a model of somebody's own may make product and know no energy
        row
        for row in finished(campaign.rows)
        if (row.get("product_g") or 0.0) > 0.0 and row.get("energy_kwh") is not None
    ]
    if not made:
        return ""
    for recipe, batches in campaign.recipes.items():
        rows = [row for row in batches if row in made]
        if not rows:
            continue
        kg = np.array([row["product_g"] for row in rows]) * 1e-3
        kwh = [np.array([row[f"energy_{name}_kwh"] for row in rows]) / kg for name in CONSUMERS]
        by_consumer.append((recipe, [float(part.mean()) for part in kwh]))
        grid = np.array([row["energy_kwh"] * row["grid_co2e_kg_per_kwh"] for row in rows])
        eaten = np.array([row["substrate_kg"] * row["substrate_co2e_kg_per_kg"] for row in rows])
        ammonia = np.array([row["ammonia_kg"] * row["ammonia_co2e_kg_per_kg"] for row in rows])
        by_source.append((recipe, [float((p / kg).mean()) for p in (grid, eaten, ammonia)]))
        own = spread(rows, "biogenic_co2_per_product_kg_per_kg").mean
        biogenic.append(f"{escape(recipe)} {number(own)}")
    first = made[0]
    lead = both(
        "energy.lead",
        grid=f"{first['grid_co2e_kg_per_kwh']:g}",
        substrate=f"{first['substrate_co2e_kg_per_kg']:g}",
        ammonia=f"{first['ammonia_co2e_kg_per_kg']:g}",
    )
    body = (
        f"<h3>{both('energy.by_consumer')}</h3>{_parts(CONSUMERS)}{charts.stacks(by_consumer)}"
        f"<h3>{both('energy.by_source')}</h3>{_parts(SOURCES)}{charts.stacks(by_source)}"
        f'<p class="note">{both("energy.biogenic")}: {"; ".join(biogenic)}</p>'
    )
    return _section("energy", body, lead)


def _parts(names: Sequence[str]) -> str:
    entries = "".join(
        f'<li><svg viewBox="0 0 34 12"><rect class="part p{k}" width="34" height="12"/></svg>'
        f"{named('part', name)}</li>"
        for k, name in enumerate(names)
    )
    return f'<ul class="legend">{entries}</ul>'


def _trajectories(campaign: Finished) -> str:
    known = [campaign.trajectories(recipe) for recipe in campaign.recipes]
    names = dict.fromkeys(name for columns in known for name in columns if name not in UNTOLD)
    drawn: list[str] = []
    for name in names:
        several = [_band(columns, name) for columns in known]
        moved = any(band is not None and float(np.max(np.abs(band.high))) > 0 for band in several)
        if chart := charts.bands(several) if moved else "":
            drawn.append(
                f"<figure style='margin:0'><h3>{named('trajectory', name)}</h3>{chart}</figure>"
            )
    if not drawn:
        return ""
    legend = _legend(list(campaign.recipes))
    body = f'{legend}<div class="grid-of-charts">{"".join(drawn)}</div>'
    return _section("trajectories", body, both("trajectories.lead"))


def _band(columns: dict[str, charts.Floats], name: str) -> Band | None:
    table = columns.get(name)
    if table is None:
        return None
    there = np.isfinite(table).any(axis=0)
    if not there.any():
        return None
    low, middle, high = np.nanpercentile(table[:, there], (5, 50, 95), axis=0)
    return Band(columns["age_h"][there], low, middle, high)


def _failed(campaign: Finished) -> str:
    lost = [(name, row) for name, rows in campaign.recipes.items() for row in failed(rows)]
    rows = (
        f"<tr><td>{escape(name)}</td><td>{row['seed']}</td>"
        f"<td><code>{escape(str(row.get('error')))}</code></td></tr>"
        for name, row in lost
    )
    head = [both("recipe"), both("seed"), both("failed.error")]
    body = _table(head, rows) if lost else f"<p>{both('failed.none')}</p>"
    return _section("failed", body)


def _made(campaign: Finished) -> str:
    m = campaign.manifest
    done = finished(campaign.rows)
    recipes = (
        f"{escape(str(m['recipes'][name]['file']))} <code>{m['recipes'][name]['hash']}</code>"
        for name in campaign.recipes
    )
    told = [
        ("made.plant", f"{escape(str(m['plant']['file']))} <code>{m['plant']['hash']}</code>"),
        ("made.recipes", "<br>".join(recipes)),
        ("made.seeds", f"{ranges(m['seeds'])} ({len(m['seeds'])})"),
        ("made.hours", f"{m['hours']:g} h"),
        ("made.optimiser", named("optimiser", str(m["optimiser"]))),
        ("made.version", escape(str(m["fermloop"]))),
    ]
    if done and done[0].get("turnaround_h") is not None:
        told.append(("made.turnaround", f"{done[0]['turnaround_h']:g} h"))
    told.append(("made.command", f"<pre>{escape(campaign.command())}</pre>"))
    first, rows = next(iter(campaign.recipes.items()))
    told.append(("made.one", f"<pre>{escape(campaign.one(first, rows[0]['seed']))}</pre>"))
    rows_of = "".join(f"<tr><th>{both(key)}</th><td>{value}</td></tr>" for key, value in told)
    return _section("made", f'<div class="scroll"><table>{rows_of}</table></div>')
