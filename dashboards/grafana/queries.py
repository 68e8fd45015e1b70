"""The InfluxQL that the boards ask: what the forwarder writes, bounded in time, plain aggregates.

One measurement, ``fermloop``; the tags ``site`` and ``reactor``; one field for each tag of the
plant without its reactor: ``do``, ``do.sp``, ``est.biomass.sd``. A BAD sample has no value; a
sample that is not GOOD has its quality in ``do_q`` (0 BAD, 1 UNCERTAIN). The changes of alarms are
a measurement of their own, ``alarm``, with the tags ``id`` and ``priority``, the field ``state``.
"""

MEASUREMENT = "fermloop"
ALARMS = "alarm"
_SCOPE = "\"site\" = '$site' AND \"reactor\" = '$reactor' AND $timeFilter"

SITES = f'SHOW TAG VALUES FROM "{MEASUREMENT}" WITH KEY = "site"'
REACTORS = f'SHOW TAG VALUES FROM "{MEASUREMENT}" WITH KEY = "reactor" WHERE "site" = \'$site\''


def trend(field: str, aggregate: str = "mean") -> str:
    """Return a field against time; a bucket without a sample is null, so a gap stays a gap."""
    return _over_time(f'{aggregate}("{field}")')


def band_edge(field: str, sign: str) -> str:
    """Return ``field`` plus (``sign`` ``+``) or minus (``-``) one standard deviation."""
    return _over_time(f'mean("{field}") {sign} mean("{field}.sd")')


def latest(field: str) -> str:
    """Return the newest value, stamped with its own time, so that an old one can be seen as old."""
    return f'SELECT last("{field}") FROM "{MEASUREMENT}" WHERE {_SCOPE}'


def alarms() -> str:
    """Return how each alarm stood: 0 normal to 3 active and not acknowledged, until it changed."""
    return (
        f'SELECT last("state") FROM "{ALARMS}" WHERE {_SCOPE} '
        'GROUP BY time($__interval), "id" fill(previous)'
    )


def alarms_begun() -> str:
    """Return each alarm at the moment at which it began, with its id and its priority."""
    return f'SELECT "state", "id", "priority" FROM "{ALARMS}" WHERE {_SCOPE} AND "state" = 3'


def quality(field: str) -> str:
    """Return the worst quality of each bucket: 0 BAD, 1 UNCERTAIN, 2 GOOD, null without contact.

    Only what is not GOOD is written, so GOOD is a bucket with values and without a ``_q``.
    """
    good = _buckets(f'count("{field}") * 0 + 2 AS "q"')
    worse = _buckets(f'min("{field}_q") AS "q"')
    return (
        f'SELECT min("q") FROM ({good}), ({worse}) '
        "WHERE $timeFilter GROUP BY time($__interval) fill(null)"
    )


def _over_time(expression: str) -> str:
    return (
        f'SELECT {expression} FROM "{MEASUREMENT}" WHERE {_SCOPE} '
        "GROUP BY time($__interval) fill(null)"
    )


def _buckets(expression: str) -> str:
    return (
        f'SELECT {expression} FROM "{MEASUREMENT}" WHERE {_SCOPE} '
        "GROUP BY time($__interval) fill(none)"
    )
