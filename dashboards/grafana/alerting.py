"""Alert rules, contact points and their policy, as Grafana's files and its API have them.

The controller's own alarms stay what people act on; these rules tell somebody who is not in the
control room. Limits, delays and priorities are those of the plant file; what only somebody else
can notice (nothing arrives any more) is added.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from controller.alarms.alarm import Definition
from controller.alarms.table import definitions
from controller.consistency.alarms import SUFFIX, measured_by
from controller.plant import Plant
from controller.plant_file.alarm_settings import LIMITS, AlarmSettings
from controller.texts.said import Language
from dashboards.grafana import queries
from dashboards.grafana.board import uid
from dashboards.grafana.panels import DATASOURCE
from dashboards.grafana.plain import Json
from dashboards.grafana.texts import TEXTS

FOLDER = "fermloop"
RECEIVER = "fermloop"
EVERY_S = 10  # Grafana's shortest
LOOK_S = 60  # a value older than this is no reason to alert, but one to ask why nothing comes
SILENT_S = 120  # without a row, before somebody is told
UNSEEN_S = 300  # a critical or high alarm that nobody has acknowledged
MISSED = 10  # scans in LONG_S
LONG_S = 600
VALUE = '{{ printf "%.4g" .Values.B.Value }}'  # no $: Grafana's files would take it for a variable
EXPRESSION = {"type": "__expr__", "uid": "__expr__"}
# Grafana's name of each kind of contact point, and where its address goes
KINDS = {
    "email": ("email", "addresses"),
    "webhook": ("webhook", "url"),
    "dingtalk": ("dingding", "url"),
    "wecom": ("wecom", "url"),
}


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule.

    Attributes:
        name: unique in the plant: ``R1.do.low``.
        said: what is wrong, for people.
        reactor: whose it is.
        priority: as in the plant file.
        query: InfluxQL that gives one number.
        evaluator: ``gt``, ``lt`` or ``outside_range``.
        params: its limits.
        for_s: how long it must last, s.
        look_s: how far back the query looks, s.
        silence: what no answer means, ``OK`` or ``Alerting``.
    """

    name: str
    said: str
    reactor: str
    priority: str
    query: str
    evaluator: str
    params: tuple[float, ...]
    for_s: float
    look_s: int = LOOK_S
    silence: str = "OK"


def alerts(plant: Plant, language: Language, site: str = "") -> list[Alert]:
    """Return every rule of a plant.

    Args:
        plant: the checked plant.
        language: of what people read.
        site: its name, if not that of the plant file.
    """
    where = site or plant.settings.site
    known = {d.id: d for d in definitions(plant)}
    found: list[Alert] = []
    for name, reactor in plant.settings.reactor.items():
        found += _system(name, where, language)
        for key, alarm in reactor.alarm.items():
            field = measured_by(alarm, reactor).partition(".")[2]
            found += _limits(name, key, alarm, field, where, language, known)
    return found


def _limits(
    name: str,
    key: str,
    alarm: AlarmSettings,
    field: str,
    site: str,
    language: Language,
    known: dict[str, Definition],
) -> Iterator[Alert]:
    """Yield a rule for each limit that one number can be held to."""
    for kind, limit in alarm.limits.items():
        expression = _expression(kind, alarm, field)
        if not expression:
            continue  # its own filters are in the controller: delivery, stale
        definition = known[f"{name}.{key}.{SUFFIX.get(kind, kind)}"]
        low = kind in ("low", "low_low")
        around = kind in ("deviation", "residual")
        yield Alert(
            definition.id,
            " ".join(definition.text({"value": VALUE, "setpoint": ""}, language).split()),
            name,
            definition.priority.name.lower(),
            _one(expression, name, site),
            "outside_range" if around else "lt" if low else "gt",
            (-limit.limit, limit.limit) if around else (limit.limit,),
            definition.on_delay_s,
            silence="OK",
        )


def _expression(kind: str, alarm: AlarmSettings, field: str) -> str:
    if kind in LIMITS:
        return f'mean("{field}")'
    if kind == "deviation":
        return f'mean("{field}") - mean("{alarm.loop}.sp")'
    if kind == "residual" and alarm.against:
        against = alarm.against.partition(".")[2]
        return f'mean("{field}") - {alarm.scale:g} * mean("{against}")'
    if kind in ("rise_per_min", "fall_per_min"):
        sign = "" if kind == "rise_per_min" else "-1 * "
        return f'{sign}(last("{field}") - first("{field}")) / {LOOK_S / 60:g}'
    return ""


def _one(expression: str, reactor: str, site: str) -> str:
    return (
        f'SELECT {expression} FROM "{queries.SCANS}" '
        f"WHERE \"site\" = '{site}' AND \"reactor\" = '{reactor}' AND $timeFilter"
    )


def _system(name: str, site: str, language: Language) -> Iterator[Alert]:
    """Yield what only somebody outside the control system can notice."""

    def say(key: str) -> str:
        return TEXTS[key][("en", "zh").index(language)]

    where = f"\"site\" = '{site}' AND \"reactor\" = '{name}' AND $timeFilter"
    yield Alert(
        f"{name}.silent",
        say("alert.silent"),
        name,
        "high",
        f'SELECT count("scan.lateness") FROM "{queries.SCANS}" WHERE {where}',
        "lt",
        (1,),
        0,
        look_s=SILENT_S,
        silence="Alerting",
    )
    steps = f'SELECT non_negative_difference("scan.missed") AS "n" FROM "{queries.SCANS}"'
    yield Alert(
        f"{name}.scans",
        say("alert.scans"),
        name,
        "low",
        f'SELECT sum("n") FROM ({steps} WHERE {where}) WHERE $timeFilter',
        "gt",
        (MISSED,),
        0,
        look_s=LONG_S,
    )
    newest = (
        f'SELECT last("state") AS "state" FROM "{queries.ALARMS}" '
        f'WHERE {where} AND "priority" =~ /^(critical|high)$/ GROUP BY "id"'
    )
    yield Alert(
        f"{name}.unseen",
        say("alert.unseen"),
        name,
        "high",
        f'SELECT count("state") FROM ({newest}) WHERE $timeFilter AND "state" = 3',
        "gt",
        (0,),
        UNSEEN_S,
        look_s=queries.LONGEST_ALARM_D * 86400,
    )


def rule(alert: Alert, site: str, language: Language) -> Json:
    """Return a rule as both Grafana's files and its API have it."""
    key = hashlib.sha256(f"{site}/{alert.name}".encode()).hexdigest()[:24]
    return {
        "uid": f"fermloop-{key}",
        "title": f"{site} {alert.name}",
        "condition": "C",
        "data": [
            _data("A", alert.look_s, DATASOURCE["uid"], _asked(alert.query)),
            _data(
                "B",
                0,
                EXPRESSION["uid"],
                {
                    "refId": "B",
                    "type": "reduce",
                    "expression": "A",
                    "reducer": "last",
                    "settings": {"mode": "dropNN"},
                    "datasource": EXPRESSION,
                },
            ),
            _data(
                "C",
                0,
                EXPRESSION["uid"],
                {
                    "refId": "C",
                    "type": "threshold",
                    "expression": "B",
                    "conditions": [
                        {"evaluator": {"type": alert.evaluator, "params": list(alert.params)}}
                    ],
                    "datasource": EXPRESSION,
                },
            ),
        ],
        "noDataState": alert.silence,
        "execErrState": "Error",
        "for": f"{alert.for_s:g}s",
        "annotations": {
            "summary": f"{site} {alert.name}: {alert.said}",
            "board": f"/d/{uid('reactor', language)}?var-site={site}&var-reactor={alert.reactor}",
        },
        "labels": {
            "source": "fermloop",
            "site": site,
            "reactor": alert.reactor,
            "priority": alert.priority,
        },
        "isPaused": False,
    }


def rule_file(found: Sequence[Alert], site: str, language: Language) -> Json:
    """Return the provisioning file of the rules."""
    group = {
        "orgId": 1,
        "name": f"fermloop {site}",
        "folder": FOLDER,
        "interval": f"{EVERY_S}s",
        "rules": [rule(alert, site, language) for alert in found],
    }
    return {"apiVersion": 1, "groups": [group]}


def contact_points(contacts: Sequence[tuple[str, str]]) -> list[Json]:
    """Return the contact points of ``(kind, address)`` pairs; all have the same name."""
    made: list[Json] = []
    for n, (kind, address) in enumerate(contacts, 1):
        grafana, key = KINDS[kind]
        made.append(
            {
                "uid": f"fermloop-{kind}-{n}",
                "type": grafana,
                "settings": {key: address},
                "disableResolveMessage": False,
            }
        )
    return made


def contact_file(contacts: Sequence[tuple[str, str]]) -> Json:
    """Return the provisioning file of the contact points and of who is told how often."""
    return {
        "apiVersion": 1,
        "contactPoints": [{"orgId": 1, "name": RECEIVER, "receivers": contact_points(contacts)}],
        "policies": [{"orgId": 1, **policy()}],
    }


def policy() -> Json:
    """Return a whole tree of policies: everything goes to our contact point."""
    return {**_often("4h"), "routes": [branch()]}


def branch() -> Json:
    """Return our branch of a tree: what is low is repeated once a day, the rest every 4 h."""
    low = {**_often("24h"), "object_matchers": [["priority", "=", "low"]]}
    return {**_often("4h"), "object_matchers": [["source", "=", "fermloop"]], "routes": [low]}


def _often(repeat: str) -> Json:
    return {
        "receiver": RECEIVER,
        "group_by": ["site", "reactor"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": repeat,
    }


def _data(ref: str, look_s: int, datasource: str, model: Json) -> Json:
    return {
        "refId": ref,
        "queryType": "",
        "relativeTimeRange": {"from": look_s, "to": 0},
        "datasourceUid": datasource,
        "model": model,
    }


def _asked(query: str) -> Json:
    return {
        "refId": "A",
        "datasource": DATASOURCE,
        "query": query,
        "rawQuery": True,
        "resultFormat": "time_series",
        "intervalMs": 1000,
        "maxDataPoints": 43200,
    }
