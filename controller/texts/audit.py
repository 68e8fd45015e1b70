"""The words of the audit trail: who or what changed something, from what to what, and why."""

from collections.abc import Mapping
from typing import Any

from controller.texts.said import Said, said, word
from controller.texts.said_texts import TEXTS
from historian.events import Event, Kind

SHOWN = 80  # characters of a long value, such as a feed law


def change(
    now: float,
    source: str,
    subject: str,
    what: str,
    old: object,
    new: object,
    why: str = "",
    unit: str = "",
) -> Event:
    """Return the event of a change that was made.

    Args:
        now: s since 1970 UTC.
        source: ``operator:NAME``, ``recipe``, ``optimiser`` or ``system``.
        subject: reactor, loop or user.
        what: ``setpoint``, ``mode``, ...
        old: what was so before; stays in the record for good.
        new: what is so now.
        why: the reason that was given.
        unit: of ``old`` and ``new``.
    """
    text = line(subject, what, old, new, unit)
    data = {"what": what, "old": old, "new": new, "why": why}
    if unit:
        data["unit"] = unit
    return Event(now, source, Kind.AUDIT, subject, text, data)


def line(subject: str, what: object, old: object, new: object, unit: str = "") -> Said:
    """Return a change as a line for a person; arguments as those of ``change``."""
    values = {"old": _shown(old), "new": _shown(new), "unit": f" {unit}" if unit else ""}
    return said("changed", subject=subject, what=_what(what), **values)


def refusal(now: float, subject: str, what: str, asked: Mapping[str, object], error: str) -> Event:
    """Return the event of something that a person asked for and did not get.

    Args:
        now: s since 1970 UTC.
        subject: reactor or loop, as he wrote it.
        what: the action.
        asked: everything he sent, ``who``, ``role`` and ``reason`` among it.
        error: what he was told.
    """
    wanted = {
        k: v for k, v in asked.items() if k not in ("who", "role", "reason") and v is not None
    }
    text = refused_line(subject, what, wanted)
    data = {
        "what": what,
        "new": wanted,
        "why": asked.get("reason", ""),
        "role": asked.get("role", ""),
        "refused": str(error),
        "refused_zh": error.told("zh") if isinstance(error, Said) else str(error),
    }
    return Event(now, f"operator:{asked.get('who', '')}", Kind.AUDIT, subject, text, data)


def refused_line(subject: str, what: object, wanted: Mapping[str, object]) -> Said:
    """Return what was refused as a line for a person; ``wanted`` is what was asked, by key."""
    asked = [
        f"{key} {f'{value:g}' if isinstance(value, float) else _shown(value)}"
        for key, value in wanted.items()
    ]
    told = said("asked", asked=asked) if asked else ""
    return said("refused", subject=subject, what=_what(what), asked=told)


def in_both(subject: str, text: str, data: Mapping[str, Any]) -> dict[str, str]:
    """Return the line of an audited event as ``text`` and ``text_zh``, its refusal as well.

    An event of before the record kept both is told anew from its data.
    """
    if "text_zh" in data:
        return {"text": text, "text_zh": str(data["text_zh"])}
    if "refused" in data:
        wanted: Mapping[str, object] = data.get("new") or {}
        line_zh = refused_line(subject, data.get("what"), wanted).told("zh")
        return {"text": text, "text_zh": line_zh}
    if "what" in data and "old" in data:
        made = line(subject, data["what"], data["old"], data["new"], data.get("unit", ""))
        return {"text": text, "text_zh": made.told("zh")}
    return {"text": text, "text_zh": text}


def _what(what: object) -> object:
    code = f"what.{what}"
    return said(code) if code in TEXTS else what


def _shown(value: object) -> object:
    if isinstance(value, float):
        return value
    text = str(value) or "–"
    return word(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")
