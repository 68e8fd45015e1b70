"""What every part of a batch's page is made of: sections, tables, times, units, two languages."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape
from typing import Any, Final

from fermloop.campaign.charts import number
from fermloop.words import Words
from historian.batch import BatchRecord

WORDS: Final = Words("fermloop.batch_report")
PLANT: Final = Words("dashboards")  # the console's: tags, phases, states, units
ROWS: Final = 200  # of a table at most; the record itself has all

both, named = WORDS.both, PLANT.named


def section(key: str, body: str, lead: str = "") -> str:
    """Return a section with its title, and a line before its body."""
    told = f"<p>{lead}</p>" if lead else ""
    return f'<section id="{key}"><h2>{both(f"{key}.title")}</h2>{told}{body}</section>'


def listed(
    key: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Iterable[int] = (),
    lead: str = "",
) -> str:
    """Return a section with a table, or one that says that there is nothing."""
    if not rows:
        return section(key, f"<p>{both('nothing')}</p>")
    more = len(rows) - ROWS
    lead += both("more", n=ROWS, all=len(rows)) if more > 0 else ""
    return section(key, table(heads, rows[:ROWS], numbers), lead)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> str:
    """Return a table; ``heads`` are keys of the catalogue, ``numbers`` are set to the right."""
    right = set(numbers)

    def line(cells: Sequence[str], cell: str) -> Iterator[str]:
        for i, text in enumerate(cells):
            kind = ' class="number"' if i in right else ""
            yield f"<{cell}{kind}>{text}</{cell}>"

    head = "".join(line([both(f"column.{h}") for h in heads], "th"))
    body = "".join(f"<tr>{''.join(line(row, 'td'))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def two(en: str, zh: str) -> str:
    """Return a text in both languages."""
    if en == zh:
        return escape(en)
    texts = {"en": en, "zh": zh}.items()
    return "".join(f'<span class="{x}" lang="{x}">{escape(text)}</span>' for x, text in texts)


def when(record: BatchRecord, time: float) -> str:
    """Return the age, and the local time of a moment (s since 1970 UTC)."""
    local = datetime.fromtimestamp(time).astimezone().strftime("%m-%d %H:%M:%S")
    return f'<span class="when">{record.batch.age_h(time):.2f} h<br>{local}</span>'


def unit_of(unit: str, more: str = "") -> str:
    """Return a unit as people read it, with ``more`` after it; empty for pH."""
    text = named("unit", unit)
    return f"{text}{more}" if text else ""


def value(of: object) -> str:
    """Return what a setting was or became."""
    if isinstance(of, bool) or of is None:
        return "–" if of is None else str(of).lower()
    if isinstance(of, int | float):
        return number(float(of), 4)
    if isinstance(of, dict):
        return escape(_flat(of))  # pyright: ignore[reportUnknownArgumentType] (JSON)
    text = str(of)
    return named("mode", text) if text.isupper() else escape(text[:200])


def _flat(table: dict[str, Any]) -> str:
    return ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in table.items())


def clock(time: float | None) -> str:
    """Return the local time of a moment, s since 1970 UTC."""
    if time is None:
        return "–"
    return datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
