"""The report of the nights: one page in two languages that needs nothing else, and JSON beside."""

import json
import math
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Final

from fermloop.campaign.results import Row
from tests.nights.night import Night, Promise, Text

TITLE: Final = Text("Nights at the plant", "工厂之夜")
KEPT: Final = Text("kept in all", "全部满足")
HEAD: Final = (
    Text("promise", "承诺"),
    Text("allowed", "允许"),
    Text("plant", "装置"),
    Text("worst", "最差"),
    Text("median", "中位数"),
    Text("verdict", "结论"),
)
SCRIPT: Final = """
const root = document.documentElement;
const other = () => { root.lang = root.lang === "en" ? "zh" : "en"; };
document.getElementById("language").onclick = other;
root.lang = location.hash.slice(1) || (navigator.language.startsWith("zh") ? "zh" : "en");
"""


def write(folder: Path, nights: Sequence[Night], rows: Sequence[Row]) -> Path:
    """Write ``nights.json`` and the page into a folder; return where the page is."""
    folder.mkdir(parents=True, exist_ok=True)
    summary = {
        night.name: {p.key: _judged(p, night, rows) for p in night.promises} for night in nights
    }
    data = {"summary": summary, "rows": list(rows)}
    text = json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False)
    (folder / "nights.json").write_text(text + "\n", encoding="utf-8")
    path = folder / "nights.html"
    path.write_text(page(nights, rows), encoding="utf-8")
    return path


def page(nights: Sequence[Night], rows: Sequence[Row]) -> str:
    """Return the whole page."""
    style = (files("fermloop.campaign") / "page.css").read_text(encoding="utf-8")
    software = ", ".join(sorted({row["software"] for row in rows}))
    sections = "\n".join(_section(night, rows) for night in nights)
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">"
        f'<link rel="icon" href="data:,"><title>{TITLE.en} · {TITLE.zh}</title>'
        f"<style>{style}</style></head>\n<body>\n<header><h1>{_both(TITLE)}</h1>"
        f"<p>fermloop {escape(software)}</p>"
        f'<button id="language">{_both(Text("中文", "English"))}</button></header>\n<main>\n'
        f"{sections}\n</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _section(night: Night, rows: Sequence[Row]) -> str:
    mine = [row for row in rows if row["night"] == night.name]
    lost = [row for row in mine if row["error"]]
    body = "".join(_promises(night, mine))
    head = "".join(f"<th>{_both(text)}</th>" for text in HEAD)
    told = "".join(
        f'<p class="bad">{escape(row["plant"])}, seed {row["seed"]}: {escape(row["error"])}</p>'
        for row in lost
    )
    return (
        f'<section id="{night.name}"><h2>{_both(night.title)}</h2><p>{_both(night.story)}</p>'
        f'{told}<div class="scroll"><table><tr>{head}</tr>{body}</table></div></section>'
    )


def _promises(night: Night, rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line for each promise and plant."""
    for promise in night.promises:
        limit = f"{'≥' if promise.least else '≤'} {promise.limit:g} {promise.unit}"
        for k, plant in enumerate(night.cases):
            found = [row["figures"].get(promise.key) for row in rows if row["plant"] == plant]
            known = sorted(x for x in found if x is not None)
            kept = sum(promise.kept(x) for x in found)
            worst = f"{promise.worst(known):.4g}" if len(known) == len(found) and known else "–"
            middle = f"{known[len(known) // 2]:.4g}" if known else "–"
            all_kept = bool(found) and kept == len(found)
            verdict = f"{kept} / {len(found)}"
            yield (
                f"<tr{'' if k else ' class=first'}><td>{_both(promise.text) if not k else ''}</td>"
                f"<td>{escape(limit) if not k else ''}</td><td>{escape(plant)}</td>"
                f'<td class="number">{worst}</td><td class="number">{middle}</td>'
                f"<td>{verdict if all_kept else f'<span class=bad>{verdict}</span>'}</td></tr>"
            )


def _judged(promise: Promise, night: Night, rows: Sequence[Row]) -> dict[str, object]:
    """Return how often a promise was kept, and the worst figure, by plant."""
    found: dict[str, object] = {"limit": promise.limit, "unit": promise.unit}
    for plant in night.cases:
        mine = [r for r in rows if (r["night"], r["plant"]) == (night.name, plant)]
        figures = [r["figures"].get(promise.key) for r in mine]
        known = [x for x in figures if x is not None and not math.isnan(x)]
        found[plant] = {
            "kept": sum(promise.kept(x) for x in figures),
            "of": len(figures),
            "worst": promise.worst(known) if known else None,
        }
    return found


def _both(text: Text) -> str:
    return "".join(
        f'<span class="{language}" lang="{language}">{escape(said)}</span>'
        for language, said in text._asdict().items()
    )
