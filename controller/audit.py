"""The words of the audit trail: who or what changed something, from what to what, and why."""

from collections.abc import Mapping

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
    text = f"{subject} {what}: {_shown(old)} → {_shown(new)} {unit}".rstrip()
    data = {"what": what, "old": old, "new": new, "why": why}
    return Event(now, source, Kind.AUDIT, subject, text, data)


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
    shown = ", ".join(f"{key} {_shown(value)}" for key, value in wanted.items())
    text = f"{subject} {what} refused: {shown}".strip().rstrip(":")
    data = {
        "what": what,
        "new": wanted,
        "why": asked.get("reason", ""),
        "role": asked.get("role", ""),
        "refused": error,
    }
    return Event(now, f"operator:{asked.get('who', '')}", Kind.AUDIT, subject, text, data)


def _shown(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
