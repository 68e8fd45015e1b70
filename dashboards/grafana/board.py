"""A whole board: its panels laid out, its variables, annotations and links."""

import json
from collections.abc import Sequence
from typing import Any

import attr
import grafanalib._gen as _gen  # pyright: ignore[reportMissingTypeStubs]

from controller.texts.said import Language
from dashboards.grafana import queries
from dashboards.grafana.panels import DATASOURCE, Frame, core, link
from dashboards.grafana.plain import Json, plain
from dashboards.grafana.scope import Scope
from dashboards.grafana.style import ABNORMAL, GREYS
from dashboards.grafana.texts import TEXTS

SCHEMA = 41  # of classic JSON that Grafana 10 to 13 take
LANGUAGES: tuple[Language, ...] = ("en", "zh")
WIDTH = 24  # columns of Grafana's grid

Row = str | tuple[int, Sequence[Any]]  # a heading, or a height and panels of the same width


def uid(name: str, language: Language) -> str:
    """Return a board's address part: ``/d/<uid>``."""
    return f"fermloop-{name}-{language}"


def frame(scope: Scope, key: str, *, title: str = "", operate: bool = False) -> Frame:
    """Return what every panel has, from the catalogue.

    Args:
        scope: the language.
        key: of the title; ``<key>.about`` is its description, if there is one.
        title: in place of the catalogue's.
        operate: whether its title leads into the console.
    """
    about = scope.say(f"{key}.about") if f"{key}.about" in TEXTS else ""
    return Frame(
        title or scope.say(key),
        scope.say("empty"),
        about,
        link(scope.say("operate"), "${console}/#${reactor}") if operate else None,
    )


def site(scope: Scope) -> Any:
    """Return the choice of a site."""
    return _choice("site", scope.say("site"), queries.SITES, chosen=scope.site)


def reactor(scope: Scope) -> Any:
    """Return the choice of a vessel of the site."""
    return _choice("reactor", scope.say("reactor"), queries.REACTORS, chosen=scope.reactors[0])


def batches(
    scope: Scope, name: str, within: str, *, many: bool = True, all_at_first: bool = False
) -> Any:
    """Return the choice of a batch, or of any number; at first the newest, or all of them."""
    query = queries.tag_values("batch", within)
    chosen = "$__all" if all_at_first else ""
    return _choice(name, scope.say(name), query, many=many, regex="/^(?!none$).+$/", chosen=chosen)


def constant(name: str, label: str, value: str) -> Any:
    """Return a text that a reader may change, such as an address or a factor."""
    return core.Template(name=name, label=label, query=value, type="textbox", default=value)


def annotation(name: str, query: str, *, text: str, tags: str, on: bool, colour: str) -> Json:
    """Return marks on every trend, where ``query`` has a row.

    Args:
        name: as the board's switch shows it.
        query: what asks for them.
        text: the column that is shown.
        tags: the column of their tags.
        on: whether they are shown at first.
        colour: of the mark.
    """
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": on,
        "hide": False,
        "iconColor": colour,
        "query": query,
        "fromAnnotations": True,
        "textColumn": text,
        "tagsColumn": tags,
    }


def marks(scope: Scope) -> list[Json]:
    """Return what is marked on the trends of a vessel."""
    by_people = '"source" !~ /^optimiser/ AND "source" !~ /^recipe/'

    def mark(key: str, query: str, on: bool, colour: str = GREYS[3]) -> Json:
        name = scope.say(key)
        return annotation(name, query, text=scope.told, tags="subject", on=on, colour=colour)

    return [
        annotation(
            scope.say("alarms.begun"),
            queries.alarms_begun(),
            text="id",
            tags="priority",
            on=True,
            colour=ABNORMAL,
        ),
        mark("phases", queries.events("phase"), True),
        mark(
            "changes",
            queries.events("audit", f'"text" =~ /(setpoint|mode):/ AND {by_people}'),
            True,
        ),
        mark("samples", queries.events("audit", '"text" =~ /result [0-9]/'), True),
        mark("plans", queries.events("audit", '"source" =~ /^optimiser/'), False),
    ]


def board(
    scope: Scope,
    name: str,
    rows: Sequence[Row],
    *,
    variables: Sequence[Any],
    annotations: Sequence[Json] = (),
    start: str = "now-24h",
    refresh: str = "5s",
) -> Json:
    """Return a whole board as plain classic JSON.

    Args:
        scope: language and plant.
        name: of the board; key of its title and part of its uid.
        rows: headings and rows of panels, from the top.
        variables: what the reader can choose.
        annotations: marks on its trends.
        start: how far back it looks at first.
        refresh: how often it asks again.
    """
    other: Language = "zh" if scope.language == "en" else "en"
    links = [
        link(scope.say("operate"), "${console}/"),
        _others(scope),
        link(scope.say("kiosk"), f"/d/{uid(name, scope.language)}?kiosk", keep=True, kiosk=True),
        link(scope.say("other_language"), f"/d/{uid(name, other)}", keep=True),
    ]
    made = core.Dashboard(
        title=f"fermloop · {scope.say(f'board.{name}')}",
        uid=uid(name, scope.language),
        description=scope.say(f"board.{name}.about"),
        tags=["fermloop", f"fermloop-{scope.language}"],
        editable=False,
        graphTooltip=1,  # one crosshair on all panels
        annotations=core.Annotations(list(annotations)),
        links=links,
        panels=_laid(rows),
        refresh=refresh,
        schemaVersion=SCHEMA,
        templating=core.Templating(
            [*variables, constant("console", scope.say("console"), scope.console)]
        ),
        time=core.Time(start, "now"),
        timePicker=core.TimePicker(["1s", "5s", "10s", "30s", "1m", "5m"], []),
        timezone="browser",
    ).auto_panel_ids()
    return plain(json.loads(json.dumps(made.to_json_data(), cls=_gen.DashboardEncoder)))


def _laid(rows: Sequence[Row]) -> list[Any]:
    """Return the panels at their places, rows one below the other."""
    panels: list[Any] = []
    y = 0
    for row in rows:
        if isinstance(row, str):
            grid = core.GridPos(h=1, w=WIDTH, x=0, y=y)
            panels.append(core.RowPanel(title=row, gridPos=grid, maxDataPoints=None))
            y += 1
            continue
        height, beside = row
        width = WIDTH // len(beside)
        for n, panel in enumerate(beside):
            grid = core.GridPos(h=height, w=width, x=n * width, y=y)
            panels.append(attr.evolve(panel, gridPos=grid))
        y += height
    return panels


def _others(scope: Scope) -> Json:
    """Return the list of all boards of this language."""
    return {
        "type": "dashboards",
        "title": scope.say("boards"),
        "tags": [f"fermloop-{scope.language}"],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "dashboard",
        "tooltip": "",
        "url": "",
    }


def _choice(
    name: str,
    label: str,
    query: str,
    *,
    chosen: str = "",
    many: bool = False,
    regex: str = "",
) -> Any:
    return core.Template(
        name=name,
        label=label,
        query=query,
        dataSource=DATASOURCE,
        refresh=2,
        sort=2 if regex else 1,  # numbers of batches end with their time
        default=chosen or None,
        multi=many,
        includeAll=many,
        regex=regex or None,
    )
