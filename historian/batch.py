"""The record of a batch, rebuilt from the events of the store alone.

The event that starts a batch carries all that was so then: recipe, plant file, parameters and
software. Every later one says what was changed, by whom and why. So the record of a batch needs no
table of its own that could come to say something else.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, cast

from historian.batches import Batch
from historian.event_rows import EventRow, events
from historian.events import Kind

_NAMED = 10  # batches that the message about an unknown one names


@dataclass(frozen=True, slots=True)
class Document:
    """A file as it was: the plant file of a batch.

    Attributes:
        name: of the file.
        version: the first 12 hex digits of the SHA-256 of its text; empty where it was not kept.
        text: all of it.
    """

    name: str
    version: str
    text: str


@dataclass(frozen=True, slots=True)
class RecipeVersion:
    """The recipe as it was from ``time`` on.

    Attributes:
        number: in this batch, from 1.
        time: s since 1970 UTC.
        hash: the first 12 hex digits of the SHA-256 of its table, so that two batches can be told
            to have had the same one.
        table: all of it, with its parameters as they were chosen.
    """

    number: int
    time: float
    hash: str
    table: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """One phase as it was; ``ended`` is ``None`` while it lasts. Times in s since 1970 UTC."""

    name: str
    index: int
    began: float
    ended: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody changed: audited, with the old value, the new one and the reason.

    ``source`` is ``operator:NAME``, ``recipe``, ``optimiser``, ``interlock``, ``system`` or a file.
    ``refused`` says why it was not done, and is empty where it was.
    """

    time: float
    source: str
    subject: str
    what: str
    old: object
    new: object
    unit: str
    why: str
    refused: str
    text: str


@dataclass(frozen=True, slots=True)
class AlarmSpan:
    """One alarm from its beginning on; times in s since 1970 UTC, ``None``: not yet."""

    id: str
    subject: str
    priority: str
    text: str
    text_zh: str
    began: float
    ended: float | None
    acknowledged: float | None
    who: str
    comment: str


@dataclass(frozen=True)
class BatchRecord:
    """All that the store knows of one batch but its samples.

    Attributes:
        batch: which.
        events: everything told of its reactor and of the whole plant while it lasted, oldest
            first, and the laboratory's results of its broth that came later.
    """

    batch: Batch
    events: tuple[EventRow, ...]

    @property
    def _start(self) -> dict[str, Any]:
        return self.events[0]["data"]

    @property
    def software(self) -> str:
        """Name and version of the program that began it."""
        return str(self._start.get("software", ""))

    @property
    def plant_file(self) -> Document:
        """The plant file that it began with."""
        file = self._start.get("plant_file", {})
        text = str(file.get("text", ""))
        return Document(str(file.get("name", "")), _hash(text) if text else "", text)

    @cached_property
    def recipes(self) -> tuple[RecipeVersion, ...]:
        """Every version of its recipe, the one it began with first."""
        found: list[RecipeVersion] = []
        for event in self._of(Kind.PHASE):
            table = cast("dict[str, Any] | None", event["data"].get("recipe"))
            if table is not None:
                number = int(str(event["data"].get("version", 1)))
                found.append(RecipeVersion(number, event["time"], _hash(_canonical(table)), table))
        return tuple(found)

    @property
    def parameters(self) -> dict[str, float]:
        """What was chosen for the recipe's parameters, in their own units, by name."""
        if not self.recipes:
            return {}
        chosen: dict[str, dict[str, Any]] = self.recipes[-1].table.get("parameters", {})
        return {name: float(p["value"]) for name, p in chosen.items()}

    @cached_property
    def phases(self) -> tuple[PhaseSpan, ...]:
        """Its phases in the order in which they came."""
        began = [e for e in self._of(Kind.PHASE) if "phase" in e["data"]]
        ends = [*(e["time"] for e in began[1:]), self.batch.ended]
        return tuple(
            PhaseSpan(str(e["data"]["phase"]), int(str(e["data"]["index"])), e["time"], end)
            for e, end in zip(began, ends, strict=False)
        )

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """What people, recipe, optimiser and interlocks changed, and what people were refused."""
        return tuple(
            _change(e)
            for e in self._of(Kind.AUDIT)
            if e["data"].get("what") not in ("sample", "alarm")
        )

    @cached_property
    def alarms(self) -> tuple[AlarmSpan, ...]:
        """Its alarms by when they began; one that comes again is another one."""
        found: dict[tuple[str, float], AlarmSpan] = {}
        for event in self._of(Kind.ALARM):
            data = event["data"]
            if "id" in data:
                span = _alarm(event)
                found[span.id, span.began] = span  # the newest says it all
        return tuple(sorted(found.values(), key=lambda span: span.began))

    @cached_property
    def samples(self) -> tuple[dict[str, Any], ...]:
        """The laboratory's results of its broth, by when it was taken, with what replaced them.

        ``analyte``, ``value``, ``unit``, ``t_sampled``, ``t_available`` and ``t_entered`` (s since
        1970 UTC), ``who``, ``number`` and ``corrects`` (0: none). ``corrected_by`` is not 0
        where a later result counts in place of this one.
        """
        found: dict[int, dict[str, Any]] = {}
        for event in self._of(Kind.AUDIT):
            result = cast("dict[str, Any] | None", event["data"].get("result"))
            if result is None or float(result["t_sampled"]) < self.batch.began:
                continue  # broth of the batch before, entered late
            found[int(result["number"])] = dict(result)
            if (old := found.get(int(result.get("corrects") or 0))) is not None:
                old["corrected_by"] = result["number"]
        return tuple(sorted(found.values(), key=lambda r: float(r["t_sampled"])))

    @property
    def advice(self) -> tuple[EventRow, ...]:
        """What the optimiser advised and how it stood."""
        return self._of(Kind.ADVICE)

    @property
    def decisions(self) -> tuple[Change, ...]:
        """What came of it: plans that were followed, and what people decided of the optimiser."""
        return tuple(
            c
            for c in self.changes
            if c.source == "optimiser" or c.what.startswith(("optimiser", "advice"))
        )

    @property
    def gaps(self) -> tuple[EventRow, ...]:
        """Where samples are missing, and why."""
        return self._of(Kind.GAP)

    @property
    def notes(self) -> tuple[EventRow, ...]:
        """What else was told."""
        return self._of(Kind.NOTE)

    def as_json(self) -> dict[str, Any]:
        """Return all of it for a program; times in s since 1970 UTC."""
        return {
            **asdict(self.batch),
            "software": self.software,
            "plant_file": asdict(self.plant_file),
            "parameters": self.parameters,
            "recipes": [asdict(r) for r in self.recipes],
            "phases": [asdict(p) for p in self.phases],
            "changes": [asdict(c) for c in self.changes],
            "alarms": [asdict(a) for a in self.alarms],
            "samples": list(self.samples),
            "advice": list(self.advice),
            "decisions": [asdict(c) for c in self.decisions],
            "gaps": list(self.gaps),
            "notes": list(self.notes),
        }

    def _of(self, kind: Kind) -> tuple[EventRow, ...]:
        return tuple(e for e in self.events if e["kind"] == kind)


def rebuild(db: sqlite3.Connection, known: Sequence[Batch], id_: str) -> BatchRecord:
    """Return the record of one of the batches ``known``, all that there are.

    Raises:
        LookupError: there is no such batch.
    """
    same = [batch for batch in known if batch.id == id_]
    if not same:
        names = ", ".join(batch.id for batch in known[-_NAMED:]) or "none"
        raise LookupError(f"{id_}: no such batch; the newest in the store: {names}")
    batch = same[-1]
    last = batch.last if batch.ended is not None else 1 << 62
    others = {b.reactor for b in known} - {batch.reactor}
    others |= {row[0] for row in db.execute("SELECT name FROM reactor")} - {batch.reactor}
    while_it_lasted = events(db, "WHERE id BETWEEN ? AND ? ORDER BY id", (batch.first, last))
    later = events(
        db,
        "WHERE kind = 'audit' AND id > ? AND json_extract(data, '$.what') = 'sample'"
        " AND json_extract(data, '$.result.t_sampled') BETWEEN ? AND ? ORDER BY id",
        (last, batch.began, batch.ended or batch.began),
    )
    own = (e for e in (*while_it_lasted, *later) if _belongs(e, batch.reactor, others))
    return BatchRecord(batch, tuple(own))


def _belongs(event: EventRow, reactor: str, others: Iterable[str]) -> bool:
    """Whether an event is of this reactor or of the whole plant."""
    of = event["data"].get("reactor")
    if isinstance(of, str) and of:
        return of == reactor
    what = event["data"].get("what")
    if isinstance(what, str) and what.startswith("user "):
        return False  # who logged in is no matter of a batch
    return event["subject"].partition(".")[0] not in others


def _change(event: EventRow) -> Change:
    data = event["data"]
    return Change(
        time=event["time"],
        source=event["source"],
        subject=event["subject"],
        what=str(data.get("what", "")),
        old=data.get("old"),
        new=data.get("new"),
        unit=str(data.get("unit", "")),
        why=str(data.get("why", "")),
        refused=str(data.get("refused", "")),
        text=event["text"],
    )


def _alarm(event: EventRow) -> AlarmSpan:
    data = cast("dict[str, Any]", event["data"])
    return AlarmSpan(
        id=str(data["id"]),
        subject=event["subject"],
        priority=str(data.get("priority", "")),
        text=str(data.get("text", event["text"])),
        text_zh=str(data.get("text_zh", event["text"])),
        began=float(data["time"]) if data.get("time") is not None else event["time"],
        ended=data.get("ended"),
        acknowledged=data.get("seen"),
        who=str(data.get("who", "")),
        comment=str(data.get("comment", "")),
    )


def _canonical(table: Mapping[str, Any]) -> str:
    return json.dumps(table, sort_keys=True)


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]
