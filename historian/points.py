"""What is not a scan, as InfluxDB line protocol: minutes, events, alarms, audit heads, units.

Every measurement has the tags ``site`` and ``reactor`` (``plant`` where it is of no reactor).
Everything here is made of what the store holds and of nothing else, so that a point sent again
after a crash replaces itself.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, cast

from drivers.point import Tag
from historian.event_rows import EventRow
from historian.lines import PLANT, Line, escape, field_key, measurement_of, quote
from historian.minutes import Minute
from historian.schema import MINUTE_S

EVENTS = "event"
ALARMS = "alarm"
HEADS = "audit_head"
TAGS = "tag"
SOFTWARE = "software"
LABORATORY = "laboratory"
FORESEEN = "foreseen"

ALARM_STATES = {"normal": 0, "returned": 1, "acknowledged": 2, "unacknowledged": 3}
ENDED = ("COMPLETE", "ABORTED")  # a batch
_GOOD = 2
_APART = 1000  # events of one moment are this many microseconds apart at most


def minute_lines(site: str, reactor: str, batch: str, found: Sequence[Minute]) -> list[Line]:
    """Return a line for each minute, stamped with its beginning; ``found`` is sorted by minute.

    The mean has the tag's own name, as in the rows; beside it ``_min``, ``_max`` and ``_n``, the
    number of values, and ``_q``, the worst quality, where it is not GOOD.
    """
    where = f"{measurement_of(reactor)}_1m"
    head = f"{where},batch={escape(batch)},reactor={escape(reactor)},site={escape(site)}"
    lines: list[Line] = []
    for minute, tags in groupby(found, lambda m: m.minute):
        fields: list[str] = []
        for _, suffix, n, low, high, mean, worst in tags:
            key = field_key(suffix)
            if n:
                fields.append(f"{key}={mean!r},{key}_min={low!r},{key}_max={high!r},{key}_n={n}i")
            if worst < _GOOD:
                fields.append(f"{key}_q={worst}i")
        text = f"{head} {','.join(fields)} {minute * MINUTE_S * 1_000_000}"
        lines.append(Line(reactor, 0, text, 0))
    return lines


def event_line(site: str, reactor: str, batch: str, event: EventRow) -> Line:
    """Return an event for annotations and lists: who, about what, and the sentence.

    Its stamp is up to a millisecond late: events of one moment would replace each other, so each
    is moved by its id modulo 1000, in microseconds.
    """
    head = f"{EVENTS},batch={escape(batch)},kind={escape(event['kind'])}"
    head += f",reactor={escape(reactor)},site={escape(site)}"
    fields = [f"id={event['id']}i"]
    for key in ("source", "subject", "text"):
        fields.append(f"{key}={quote(str(event[key]))}")
    fields.append(f"text_zh={quote(_in_chinese(event))}")
    if why := event["data"].get("why"):
        fields.append(f"why={quote(str(why))}")
    if phase := _phase(event):
        fields.append(f"phase={quote(phase)}")
    stamp = round(event["time"] * 1e6) + event["id"] % _APART
    return Line(reactor, 0, f"{head} {','.join(fields)} {stamp}", 0)


def _in_chinese(event: EventRow) -> str:
    """Return the sentence in Chinese, or in English where there is none in Chinese."""
    data, text = event["data"], event["text"]
    if data.get("text", text) != text:  # more than the Chinese of an alarm says: that it is over
        return text
    return str(data.get("text_zh", text))


def _phase(event: EventRow) -> str:
    """Return the phase that begins, or how a batch ended; empty where it is neither."""
    data = event["data"]
    if event["kind"] != "phase" or "index" not in data:
        ended = str(data.get("state")) if event["kind"] == "phase" else ""
        return ended if ended in ENDED else ""
    return str(data.get("phase", ""))


def laboratory_line(site: str, event: EventRow) -> Line:
    """Return a result of the laboratory at the time of its sample; empty if it is none.

    One that corrects another replaces it, as far as it is of the same moment.
    """
    told = event["data"].get("result")
    if event["kind"] != "audit" or not isinstance(told, dict):
        return Line(PLANT, 0, "", 0)
    result = cast(dict[str, Any], told)
    reactor = event["subject"].partition(".")[0]
    head = f"{LABORATORY},analyte={escape(str(result['analyte']))},reactor={escape(reactor)}"
    fields = f"below_limit={int(bool(result['below_limit']))}i,number={int(result['number'])}i"
    fields += f",unit={quote(str(result['unit']))},value={float(result['value'])!r}"
    stamp = round(float(result["t_sampled"]) * 1e6)
    return Line(reactor, 0, f"{head},site={escape(site)} {fields} {stamp}", 0)


def foreseen_lines(site: str, event: EventRow) -> list[Line]:
    """Return what a plan foresees, at the times that it foresees; a newer one replaces it.

    The fields have the names of ``fermloop``'s. ``made`` is when the plan was made, in ms since
    1970 UTC. Where a time is ``early_s`` ahead, the field with ``_early`` keeps what was foreseen
    so long before.
    """
    data = event["data"]
    if event["kind"] != "plan" or not isinstance(data.get("foreseen"), dict):
        return []
    columns = cast(dict[str, list[float]], data["foreseen"])
    times, made = cast(list[float], data["times"]), cast(float, data["made"])
    early = event["time"] + float(cast(float, data["early_s"]))
    step = times[1] - times[0] if len(times) > 1 else 0.0
    reactor = event["subject"]
    head = f"{FORESEEN},reactor={escape(reactor)},site={escape(site)}"
    lines: list[Line] = []
    for k, time in enumerate(times):
        fields = [f"made={round(made * 1000)}i"]
        for name, row in columns.items():
            fields.append(f"{field_key(name)}={row[k]!r}")
            if early <= time < early + step:
                fields.append(f"{field_key(name)}_early={row[k]!r}")
        lines.append(Line(reactor, 0, f"{head} {','.join(fields)} {round(time * 1e6)}", 0))
    return lines


def alarm_line(site: str, event: EventRow) -> Line:
    """Return the change of an alarm as a point of its own measurement; empty if it is none.

    Numbers only: ``state`` (0 normal, 1 over and not acknowledged, 2 acknowledged, 3 active and
    not acknowledged), ``severity`` of OPC UA and ``value`` where something was measured. The texts
    are in the measurement of the events.
    """
    data = event["data"]
    state = ALARM_STATES.get(str(data.get("state")))
    name, reactor = str(data.get("id", "")), str(data.get("reactor") or PLANT)
    if event["kind"] != "alarm" or state is None or not name:
        return Line(reactor, 0, "", 0)
    head = f"{ALARMS},id={escape(name)},priority={escape(str(data.get('priority')))}"
    head += f",reactor={escape(reactor)},site={escape(site)}"
    fields = [f"state={state}i", f"severity={data.get('severity', 0)}i"]
    if isinstance(value := data.get("value"), int | float):
        fields.append(f"value={float(value)!r}")
    return Line(reactor, 0, f"{head} {','.join(fields)} {round(event['time'] * 1e6)}", 0)


def head_line(site: str, seq: int, time: float, sha256: str) -> Line:
    """Return a link of the audit trail, by which a store that was tampered with is found."""
    text = f"{HEADS},reactor=plant,site={escape(site)} hash={quote(sha256)},seq={seq}i"
    return Line("plant", 0, f"{text} {round(time * 1e6)}", 0)


def software_line(site: str, event: EventRow) -> Line:
    """Return which software began to run, a text for each program; empty if it tells of none."""
    told = event["data"].get("versions")
    if not isinstance(told, dict) or not told:
        return Line(PLANT, 0, "", 0)
    versions = cast(dict[str, object], told)
    fields = ",".join(f"{field_key(n)}={quote(str(v))}" for n, v in sorted(versions.items()))
    text = f"{SOFTWARE},reactor={PLANT},site={escape(site)} {fields} {round(event['time'] * 1e6)}"
    return Line(PLANT, 0, text, 0)


def tag_lines(site: str, reactor: str, tags: Sequence[tuple[str, Tag]], time: float) -> list[Line]:
    """Return unit (UCUM) and range of each field; ``tags`` are suffix and tag."""
    tail = f"reactor={escape(reactor)},site={escape(site)}"
    stamp = round(time * 1e6)
    return [
        Line(
            reactor,
            0,
            f"{TAGS},field={escape(field_key(suffix, escaped=False))},{tail}"
            f" high={float(tag.high)!r},low={float(tag.low)!r},unit={quote(tag.unit)} {stamp}",
            0,
        )
        for suffix, tag in tags
    ]
