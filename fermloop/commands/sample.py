"""Results of the laboratory, entered into the running controller."""

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from fermloop.commands.remote import ask, command, find, name
from fermloop.failure import USAGE, FailureError


def enter(
    plant: Path | None,
    as_json: bool,
    reactor: str,
    body: dict[str, object],
    taken: str,
    result_at: str,
    as_name: str,
) -> None:
    """Enter one result; its times are by the plant's clock, which a simulated plant has its own."""
    now = datetime.fromtimestamp(float(ask(find(plant), "/state")["time"])).astimezone()
    body["t_sampled"] = moment("--taken", taken, now)
    if result_at:
        body["t_available"] = moment("--result-at", result_at, now)
    command(plant, as_json, f"/sample/{name(reactor)}", body, as_name)


def show(plant: Path | None, as_json: bool, reactor: str) -> None:
    """Print the results that nothing has replaced, by when the broth was taken."""
    reactors = ask(find(plant), "/state")["reactors"]
    if reactor not in reactors:
        raise FailureError(f"{reactor}: no such reactor; {', '.join(reactors)}", USAGE)
    results: list[dict[str, Any]] = reactors[reactor]["laboratory"]["results"]
    if as_json:
        print(json.dumps(results, ensure_ascii=False))
        return
    for r in results:
        at = datetime.fromtimestamp(r["t_sampled"]).astimezone().strftime("%m-%d %H:%M")
        less = "< " if r["below_limit"] else ""
        instead = f", corrects {r['corrects']}" if r["corrects"] else ""
        print(
            f"{r['number']:>4}  {at}  {r['analyte']:<12} {less}{r['value']:g} {r['unit']}  "
            f"({r['who']}{instead})"
        )
    if not results:
        print("no results")


def moment(option: str, text: str, now: datetime) -> float:
    """Return a time as s since 1970 UTC: ``02:10`` is the last one before ``now``.

    Raises:
        FailureError: it is none.
    """
    try:
        if found := re.fullmatch(r"(\d{1,2}):(\d{2})", text.strip()):
            at = now.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
            return (at if at <= now else at - timedelta(days=1)).timestamp()
        return datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except (ValueError, OverflowError):
        raise FailureError(
            f"{option}: {text} is not allowed; 02:10, or 2026-01-31T02:10, is", USAGE
        ) from None
