"""The InfluxQL that the boards ask: what the forwarder writes, bounded in time, plain aggregates.

``fermloop`` has a row a scan, ``fermloop_1m`` the minutes made of them, ``plant`` and ``plant_1m``
the same of no vessel; tags ``site``, ``reactor`` and ``batch``, one field for each tag of the plant
without its reactor: ``do``, ``do.sp``, ``est.biomass.sd``. A BAD sample has no value; where a
sample is not GOOD, its quality is in ``do_q`` (0 BAD, 1 UNCERTAIN). The changes of alarms are
``alarm`` (tags ``id`` and ``priority``, field ``state``), everything else that happened is
``event`` (tag ``kind``; ``subject``, ``text``, ``text_zh``, ``source``, ``why``, ``phase``).
``laboratory`` has its results, ``foreseen`` what the newest plan says of times to come,
``software`` what runs.

Which of the two a trend reads is decided by the width of its buckets, which Grafana puts in as a
number: a condition between two numbers is settled before anything is read.
"""

SCANS, MINUTES, ALARMS, EVENTS = "fermloop", "fermloop_1m", "alarm", "event"
FORESEEN, LABORATORY, SOFTWARE = "foreseen", "laboratory", "software"
MINUTE_MS = 60_000
FRESH_S = 60  # a value older than this is not of now
LONGEST_ALARM_D = 30  # an alarm that stands longer is no longer found by its beginning
LONGEST_PHASE_D = 30  # nor is a phase
PLAN_OLD_MS = 900_000  # a plan that is older when somebody looks is no longer anybody's

SITE = "\"site\" = '$site'"
REACTOR = f"{SITE} AND \"reactor\" = '$reactor'"
BATCHES = f'{SITE} AND "batch" =~ /^$batch$/'
OTHERS = f'{BATCHES} AND "batch" !~ /^$focus$/'
FOCUS = f'{SITE} AND "batch" =~ /^$focus$/'
REFERENCES = f'{SITE} AND "batch" =~ /^$reference$/ AND "batch" !~ /^$focus$/'
NOW = f"time > ${{__to}}ms - {FRESH_S}s AND time <= ${{__to}}ms"
SO_FAR = f"time > ${{__to}}ms - {LONGEST_ALARM_D}d AND time <= ${{__to}}ms"


def tag_values(key: str, scope: str = SITE) -> str:
    """Return what a tag of the scans has been, of the rows within ``scope``."""
    where = f" WHERE {scope}" if scope else ""
    return f'SHOW TAG VALUES FROM "{MINUTES}", "{SCANS}" WITH KEY = "{key}"{where}'


SITES = tag_values("site", "")
REACTORS = tag_values("reactor", f"{SITE} AND \"reactor\" != 'plant'")


def trend(
    expression: str,
    aggregate: str = "mean",
    *,
    scope: str = REACTOR,
    by: str = "",
    rows: str = SCANS,
) -> str:
    """Return an expression of fields against time; an empty bucket is null, so a gap stays a gap.

    Args:
        expression: of fields in quotes, ``"do" - "do.sp"``; or the name of one.
        aggregate: of a bucket.
        scope: which rows.
        by: a tag that gives each of its values a line.
        rows: the measurement: ``fermloop``, or ``plant`` for tags of no vessel.
    """
    each = "time($__interval)" + (f', "{by}"' if by else "")
    if '"' in expression:
        sources = _both(expression, scope, by, rows)
    else:  # a field alone is aggregated where it is read, in a fifth of the time
        sources = _both(f'{aggregate}("{expression}")', scope, rows=rows, each=each)
    return f'SELECT {aggregate}("v") FROM {sources} WHERE $timeFilter GROUP BY {each} fill(null)'


def foreseen(field: str) -> str:
    """Return what the plans said of a field, each until the next; with ``_early``: an hour ago."""
    return (
        f'SELECT last("{field}") FROM "{FORESEEN}" WHERE {REACTOR} AND $timeFilter '
        "GROUP BY time($__interval) fill(none)"
    )


def ahead(field: str) -> str:
    """Return what the newest plan says of the time to come; nothing if it is old."""
    return (
        f'SELECT last("{field}") FROM "{FORESEEN}" WHERE {REACTOR} AND $timeFilter '
        f'AND "made" > ${{__from}} - {PLAN_OLD_MS} GROUP BY time($__interval) fill(none)'
    )


def assayed(analyte: str) -> str:
    """Return the laboratory's results, at the times of their samples."""
    return (
        f'SELECT last("value") FROM "{LABORATORY}" WHERE {REACTOR} AND $timeFilter '
        f"AND \"analyte\" = '{analyte}' GROUP BY time($__interval) fill(none)"
    )


def phases() -> str:
    """Return each phase by its name when it began, from the one before the left edge on."""
    return (
        f'SELECT "phase" FROM "{EVENTS}" WHERE {REACTOR} AND "kind" = \'phase\' '
        f"AND time > ${{__from}}ms - {LONGEST_PHASE_D}d AND time <= ${{__to}}ms"
    )


def phase_now(scope: str) -> str:
    """Return the newest phase of each vessel, or how its batch ended."""
    return (
        f'SELECT last("phase") AS "phase" FROM "{EVENTS}" WHERE {scope} AND "kind" = \'phase\' '
        f"AND time > ${{__to}}ms - {LONGEST_PHASE_D}d AND time <= ${{__to}}ms "
        'GROUP BY "reactor"'
    )


def software() -> str:
    """Return which software runs, a column for each program."""
    return f'SELECT * FROM "{SOFTWARE}" WHERE {SITE} AND {SO_FAR} ORDER BY time DESC LIMIT 1'


def latest(field: str, scope: str = REACTOR) -> str:
    """Return the newest value, stamped with its own time, so that an old one can be seen as old."""
    return f'SELECT last("{field}") FROM "{SCANS}" WHERE {scope} AND $timeFilter'


def now(fields: list[str], scope: str = REACTOR, by: str = "") -> str:
    """Return a row of values at the right edge of the chosen time; null where BAD or too old."""
    columns = ", ".join(f'last("{field}") AS "{field}"' for field in fields)
    return f'SELECT {columns} FROM "{SCANS}" WHERE {scope} AND {NOW}{_group(by)}'


def whole(columns: dict[str, tuple[str, str]], scope: str = REACTOR) -> str:
    """Return one row about all of the chosen time.

    Args:
        columns: expression of fields and aggregate, by the column's name. Each column costs as
            much as all that stand before it: two or three to a query, of the same fields.
        scope: which rows.
    """
    asked = ", ".join(
        f'{aggregate}("{name}") AS "{name}"' for name, (_, aggregate) in columns.items()
    )
    made = ", ".join(f'{expression} AS "{name}"' for name, (expression, _) in columns.items())
    return (
        f'SELECT {asked} FROM (SELECT {made} FROM "{MINUTES}" WHERE {scope} AND $timeFilter) '
        "WHERE $timeFilter"
    )


def extremes(columns: dict[str, tuple[str, str]], scope: str, by: str) -> str:
    """Return a row about all of the chosen time for each value of a tag.

    Args:
        columns: field and aggregate, by the column's name.
        scope: which rows.
        by: the tag.
    """
    asked = ", ".join(f'{how}("{field}") AS "{name}"' for name, (field, how) in columns.items())
    return f'SELECT {asked} FROM "{MINUTES}" WHERE {scope} AND $timeFilter GROUP BY "{by}"'


def amount(expression: str) -> str:
    """Return the integral of a rate per hour over all of the chosen time.

    Each minute counts as what it was; one that is missing counts as nothing, and is not guessed.
    """
    made = f'SELECT {_quoted(expression)} AS "v" FROM "{MINUTES}" WHERE {REACTOR} AND $timeFilter'
    return f'SELECT sum("v") / 60 AS "v" FROM ({made}) WHERE $timeFilter'


def by_age(field: str, scope: str = OTHERS, name: str = "value", nought: str = "") -> str:
    """Return a table of age (h, in steps of 10 min), batch and value, which is called ``name``.

    Buckets are 10 min wide, so their ages differ by 10 min too, and each is put down to the same
    side: no step has two values, none is left out. ``nought`` is the name of a column of noughts.
    """
    more = f', mean("age") * 0 AS "{nought}"' if nought else ""
    return (
        f'SELECT floor(mean("age") * 6 + 0.25) / 6 AS "age", mean("{field}") AS "{name}"{more} '
        f'FROM "{MINUTES}" WHERE {scope} AND $timeFilter GROUP BY time(10m), "batch" fill(none)'
    )


def inside(expression: str, half: str) -> str:
    """Return an expression that is 1 where ``expression`` is within ± ``half`` and 0 elsewhere."""
    return f"floor(1 / (1 + floor(abs({expression}) / {half})))"


def quality(field: str) -> str:
    """Return the worst quality of each bucket: 0 BAD, 1 UNCERTAIN, 2 GOOD, null without contact.

    Only what is not GOOD is written, so GOOD is a bucket with values and without a ``_q``.
    """
    good = _both(f'"{field}" * 0 + 2', REACTOR)
    worse = _both(f'"{field}_q"', REACTOR)
    return (
        f'SELECT min("v") FROM {good}, {worse} '
        "WHERE $timeFilter GROUP BY time($__interval) fill(null)"
    )


def alarms(scope: str = REACTOR) -> str:
    """Return how each alarm stood: 0 normal to 3 active and not acknowledged, until it changed."""
    return (
        f'SELECT last("state") FROM "{ALARMS}" WHERE {scope} AND $timeFilter '
        'GROUP BY time($__interval), "id" fill(previous)'
    )


def alarms_begun(scope: str = REACTOR) -> str:
    """Return each alarm at the moment at which it began, with its id and its priority."""
    return (
        f'SELECT "state", "id", "priority" FROM "{ALARMS}" WHERE {scope} AND $timeFilter '
        'AND "state" = 3'
    )


def alarms_standing(scope: str = SITE) -> str:
    """Return each alarm that stands at the right edge, with when it last changed."""
    newest = (
        f'SELECT last("state") AS "state" FROM "{ALARMS}" WHERE {scope} AND {SO_FAR} '
        'GROUP BY "reactor", "id", "priority"'
    )
    return f'SELECT "state" FROM ({newest}) WHERE {SO_FAR} AND "state" > 0 ' + (
        'GROUP BY "reactor", "id", "priority"'
    )


def alarms_counted(by: str, scope: str = SITE) -> str:
    """Return how often alarms began in the chosen time, by a tag."""
    return (
        f'SELECT count("state") AS "n" FROM "{ALARMS}" WHERE {scope} AND $timeFilter '
        f'AND "state" = 3 GROUP BY "{by}"'
    )


def alarms_together(scope: str = SITE) -> str:
    """Return how many alarms are active at the right edge, of all vessels."""
    return f'SELECT sum("alarms") AS "alarms" FROM ({alarms_active(scope)}) WHERE {SO_FAR}'


def alarms_active(scope: str = SITE) -> str:
    """Return how many alarms of each reactor are active at the right edge."""
    newest = (
        f'SELECT last("state") AS "state" FROM "{ALARMS}" WHERE {scope} AND {SO_FAR} '
        'GROUP BY "reactor", "id"'
    )
    return (
        f'SELECT count("state") AS "alarms" FROM ({newest}) WHERE {SO_FAR} AND "state" > 1 '
        'GROUP BY "reactor"'
    )


def alarm_rate(every: str) -> str:
    """Return how many alarms began in each stretch of ``every``."""
    return (
        f'SELECT count("state") FROM "{ALARMS}" WHERE {SITE} AND $timeFilter AND "state" = 3 '
        f"GROUP BY time({every}) fill(0)"
    )


def events(kinds: str, which: str = "", scope: str = REACTOR, newest: int = 500) -> str:
    """Return what happened, the newest first.

    Args:
        kinds: regular expression of the kinds.
        which: a further condition of fields.
        scope: which vessel.
        newest: how many at most, so that no board drowns.
    """
    more = f" AND {which}" if which else ""
    return (
        f'SELECT "subject", "text", "text_zh", "source", "kind" FROM "{EVENTS}" WHERE {scope} '
        f'AND $timeFilter AND "kind" =~ /^({kinds})$/{more} ORDER BY time DESC LIMIT {newest}'
    )


def _both(expression: str, scope: str, by: str = "", rows: str = SCANS, each: str = "") -> str:
    """Return the scans where buckets are narrow and the minutes where they are wide.

    Args:
        expression: of fields, or an aggregate of one.
        scope: which rows.
        by: tags that each have rows of their own.
        rows: the measurement.
        each: the buckets of an aggregate.
    """
    where = f"WHERE {scope} AND $timeFilter AND $__interval_ms"
    group = f" GROUP BY {each} fill(none)" if each else _group(by)
    return (
        f'(SELECT {expression} AS "v" FROM "{rows}" {where} < {MINUTE_MS}{group}), '
        f'(SELECT {expression} AS "v" FROM "{rows}_1m" {where} >= {MINUTE_MS}{group})'
    )


def _quoted(expression: str) -> str:
    return expression if '"' in expression else f'"{expression}"'


def _group(by: str) -> str:
    return " GROUP BY " + ", ".join(f'"{tag}"' for tag in by.split()) if by else ""
