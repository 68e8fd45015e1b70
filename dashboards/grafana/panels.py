"""What every panel has. Here, and in ``lines.py``, ``cells.py`` and ``board.py``, is grafanalib."""

from dataclasses import dataclass
from typing import Any, cast

import grafanalib.core as _core  # pyright: ignore[reportMissingTypeStubs]
import grafanalib.influxdb as _influxdb  # pyright: ignore[reportMissingTypeStubs]

from dashboards.grafana.plain import Json

# It has no types; what leaves this package is plain JSON.
core, influxdb = cast(Any, _core), cast(Any, _influxdb)

DATASOURCE = {"type": "influxdb", "uid": "fermloop-influxdb"}


@dataclass(frozen=True, slots=True)
class Frame:
    """What every panel has.

    Attributes:
        title: heading.
        empty: what stands there while there is nothing to show.
        about: what the reader cannot see.
        link: from the panel's title.
    """

    title: str
    empty: str
    about: str = ""
    link: Json | None = None

    def common(self) -> dict[str, Any]:
        """Return grafanalib's arguments."""
        return {
            "title": self.title,
            "description": self.about or None,
            "dataSource": DATASOURCE,
            "maxDataPoints": None,
            "links": [self.link] if self.link else [],
        }


def link(title: str, url: str, *, keep: bool = False, kiosk: bool = False) -> Json:
    """Return a link of a board or a panel; ``keep`` passes on time and variables."""
    made = cast(Json, core.ExternalLink(uri=url, title=title, keepTime=keep).to_json_data())
    return made | {
        "includeVars": keep,
        "targetBlank": not keep,
        "asDropdown": False,
        "icon": "eye" if kiosk else "dashboard" if keep else "external link",
        "tags": [],
        "tooltip": "",
    }


def letter(n: int) -> str:
    """Return the letter of a panel's query by its place: A, B, C …."""
    return chr(ord("A") + n) if n < 26 else f"Z{n}"


def target(n: int, query: str, name: str, *, rows: bool = False) -> Any:
    """Return a panel's query; ``rows``: as a table in place of one frame a series."""
    return influxdb.InfluxDBTarget(
        query=query,
        alias=name,
        datasource=DATASOURCE,
        refId=letter(n),
        format="table" if rows else "time_series",
    )
