"""The optimiser in a terminal: evidence, advice, and the picture of a what-if."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from controller.planning.outlook import TANK
from fermloop.commands.live import number, printable
from fermloop.commands.remote import ask, command, find, name
from fermloop.failure import FailureError
from fermloop.identity import acting

WIDTH, HEIGHT = 64, 9  # of a picture, in characters
PICTURES = ("product_g", "biomass_g_per_l", "do_percent", "acetate_g_per_l")


def show(plant: Path | None, as_json: bool, reactor: str) -> None:
    """Print mode, evidence and advice."""
    reactors = ask(find(plant), "/state")["reactors"]
    if reactor not in reactors:
        raise FailureError(f"{reactor}: no such reactor; {', '.join(reactors)}")
    optimiser = reactors[reactor]["optimiser"]
    if as_json:
        print(json.dumps(optimiser, ensure_ascii=False))
        return
    for line in lines(optimiser):
        print(printable(line))


def lines(o: Mapping[str, Any]) -> Iterator[str]:
    """Yield what there is to say of an optimiser, as the state has it."""
    granted = f" (promoted up to {o['granted']})" if "granted" in o else ""
    yield f"mode {o['mode']}{granted}, {o['state']}" + (f": {o['reason']}" if o["reason"] else "")
    evidence, advice = o.get("evidence"), o.get("advice")
    if not evidence or not advice:
        return
    hours = ", ".join(f"{k} {v:.1f} h" for k, v in evidence["hours"].items())
    yield f"evidence: {hours}; {evidence['plans']} plans, {evidence['refused']} refused"
    yield (
        f"forecasts: {evidence['forecasts']}, inside the 90 % interval "
        f"{_percent(evidence['coverage'])}; its plans would have fed "
        f"{evidence['fed_more_ml']:+.0f} mL"
    )
    for what, score in evidence["scores"].items():
        yield (
            f"  {what}: {score['inside']} of {score['count']} inside, "
            f"bias {score['bias_percent']:+.1f} %"
        )
    for mode, lacking in evidence["lacking"].items():
        why = "; ".join(line["text"] for line in lacking) or "nothing"
        yield f"lacking for {mode}: {why}"
    guard = o["guardrail"]
    if o["mode"] == "on":
        yield f"guardrail: {100 * guard['share']:.0f} % of its width {guard['reason']}".rstrip()
        if region := guard["region"]:
            held = ", ".join(region["at_edge"]) or "none"
            yield f"within {100 * region['width']:.0f} % of what batches tried; held there: {held}"
    if advice["accepted"]:
        yield f"followed: {advice['accepted']['text']}"
    if advice["open"]:
        yield f"waits: {advice['open']['text']}"
    for d in advice["decisions"][-5:]:
        why = f" ({d['reason']})" if d["reason"] else ""
        yield f"  {d['number']}: {d['decision']} by {d['who']}{why}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def promote(
    plant: Path | None,
    as_json: bool,
    reactor: str,
    mode: str,
    override: bool,
    reason: str,
    as_name: str,
) -> None:
    """Let the optimiser be switched up to a mode."""
    body = {"mode": mode, "override": override, "reason": reason}
    command(plant, as_json, f"/optimiser/{name(reactor)}/promote", body, as_name)


def decide(
    plant: Path | None, as_json: bool, reactor: str, body: Mapping[str, object], as_name: str
) -> None:
    """Accept, edit or reject a suggestion."""
    command(plant, as_json, f"/advice/{name(reactor)}", body, as_name)


def what_if(plant: Path | None, as_json: bool, reactor: str, wish: Mapping[str, object]) -> None:
    """Run a vessel ahead and print what comes of it."""
    socket = find(plant)
    by = acting(socket.parent, "")
    answer = ask(socket, f"/what-if/{name(reactor)}", {**wish, **by}, timeout_s=90.0)
    if as_json:
        print(json.dumps(answer, ensure_ascii=False))
        return
    for line in picture(answer):
        print(line)


def picture(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield a what-if in characters: a table, pictures, limits, and what it comes to."""
    hours, present, changed = answer["hours"], answer["present"], answer["changed"]
    wish = ", ".join(f"{k} {v:g}" for k, v in answer["wish"].items())
    yield f"{answer['reactor']}: {wish}; the next {hours[-1]:.1f} h"
    for key in PICTURES:
        yield ""
        yield from _drawn(key, answer["units"][key], hours, present, changed)
    yield ""
    yield f"{'at the end':>18}  {'present':>24}  {'changed':>24}"
    for key, unit in answer["units"].items():
        cells = (_cell(course["bands"][key]) for course in (present, changed))
        yield f"{key.split('_')[0]:>18}  " + "  ".join(f"{c:>24}" for c in cells) + f"  {unit}"
    for label, course in (("present", present), ("changed", changed)):
        for row in course["limits"]:
            yield f"{label}: {row['limit']} {_when(row)}"
    yield answer["text"]


def _when(row: Mapping[str, Any]) -> str:
    if row["limit"] == TANK:
        return f"empty from {row['possible_h']:.1f} h on"
    if row["expected_h"] is None:
        return f"may be exceeded from {row['possible_h']:.1f} h on"
    return f"exceeded from {row['expected_h']:.1f} h on (may be from {row['possible_h']:.1f} h)"


def _cell(band: Mapping[str, Sequence[float]]) -> str:
    return f"{band['middle'][-1]:.4g} ({band['low'][-1]:.4g} … {band['high'][-1]:.4g})"


def _drawn(
    key: str,
    unit: str,
    hours: Sequence[float],
    present: Mapping[str, Any],
    changed: Mapping[str, Any],
) -> Iterator[str]:
    """Yield one picture: ``o`` as it goes now, ``*`` changed, ``:`` the changed one's interval."""
    now, new = present["bands"][key]["middle"], changed["bands"][key]
    rows = (now, new["low"], new["high"])
    low, high = min(map(min, rows)), max(map(max, rows))
    span = high - low or 1.0
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]

    def level(value: float) -> int:
        return HEIGHT - 1 - round((value - low) / span * (HEIGHT - 1))

    for column in range(WIDTH):
        i = round(column * (len(hours) - 1) / (WIDTH - 1))
        for k in range(level(new["high"][i]), level(new["low"][i]) + 1):
            grid[k][column] = ":"
        grid[level(now[i])][column] = "o"
        grid[level(new["middle"][i])][column] = "*"
    yield f"{key.split('_')[0]} / {unit}, 0 to {hours[-1]:.1f} h: o present, * changed, : 90 %"
    for k, row in enumerate(grid):
        label = number(high) if k == 0 else number(low) if k == HEIGHT - 1 else ""
        yield f"{label:>8} |{''.join(row).rstrip()}"
