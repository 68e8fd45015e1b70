"""Everything that Grafana is given, made from a plant file: boards, data source, rules."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from controller.plant import Plant
from controller.texts.said import Language
from dashboards.grafana import alerting
from dashboards.grafana.alarms import alarms
from dashboards.grafana.batch import batch
from dashboards.grafana.board import LANGUAGES
from dashboards.grafana.energy import energy
from dashboards.grafana.loops import loops
from dashboards.grafana.optimiser import optimiser
from dashboards.grafana.panels import DATASOURCE
from dashboards.grafana.plain import Json
from dashboards.grafana.plant import plant
from dashboards.grafana.reactor import reactor
from dashboards.grafana.scope import Scope, scope_of
from dashboards.grafana.system import system

BOARDS: Mapping[str, Callable[[Scope], Json]] = {
    "plant": plant,
    "reactor": reactor,
    "batch": batch,
    "optimiser": optimiser,
    "loops": loops,
    "alarms": alarms,
    "energy": energy,
    "system": system,
}
URL, BUCKET = "http://127.0.0.1:8086", "fermloop"  # where the plant file says nothing


class _Plain(yaml.SafeDumper):
    """Writes everything where it stands, without YAML's anchors."""

    def ignore_aliases(self, data: object) -> bool:
        """Return that nothing is referred to."""
        return True


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made.

    Attributes:
        plant: the checked plant.
        languages: of the boards; the first is that of rules.
        site: its name, if not that of the plant file.
        contacts: ``(kind, address)`` of who is told; without, Grafana's own contact point.
    """

    plant: Plant
    languages: Sequence[Language] = LANGUAGES
    site: str = ""
    contacts: Sequence[tuple[str, str]] = field(default_factory=tuple[tuple[str, str], ...])

    @property
    def where(self) -> str:
        """The site."""
        return self.site or self.plant.settings.site

    def boards(self) -> dict[str, Json]:
        """Return each board by name and language: ``plant.en``."""
        scopes = [scope_of(self.plant, language, self.site) for language in self.languages]
        return {f"{name}.{s.language}": make(s) for name, make in BOARDS.items() for s in scopes}

    def rules(self) -> Json:
        """Return the provisioning file of the alert rules."""
        language = self.languages[0]
        found = alerting.alerts(self.plant, language, self.site)
        return alerting.rule_file(found, self.where, language)

    def datasource(self) -> Json:
        """Return the data source without its secret.

        InfluxQL on InfluxDB 1, 2 and 3: the database is the bucket.
        """
        influx = self.plant.settings.influx
        return {
            "name": "fermloop",
            "uid": DATASOURCE["uid"],
            "type": DATASOURCE["type"],
            "access": "proxy",
            "url": influx.url or URL,
            "isDefault": True,
            "jsonData": {
                "version": "InfluxQL",
                "dbName": influx.bucket or BUCKET,
                "httpMode": "POST",
                "timeInterval": "1s",
                "httpHeaderName1": "Authorization",
            },
        }


def files(wanted: Wanted, boards_at: Path, token_file: Path) -> dict[str, str]:
    """Return the text of every file by its path below the folder that Grafana is shown.

    Args:
        wanted: what to make.
        boards_at: where Grafana finds the folder ``boards``.
        token_file: where Grafana finds the token that may read the bucket.
    """
    made = {f"boards/{name}.json": _json(board) for name, board in wanted.boards().items()}
    secret = {"httpHeaderValue1": f"Token $__file{{{token_file}}}"}
    source = wanted.datasource() | {"editable": False, "secureJsonData": secret}
    provider = {
        "name": "fermloop",
        "type": "file",
        "folder": alerting.FOLDER,
        "disableDeletion": True,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 30,
        "options": {"path": str(boards_at / "boards")},
    }
    provisioned = {
        "datasources/fermloop": {"apiVersion": 1, "datasources": [source]},
        "dashboards/fermloop": {"apiVersion": 1, "providers": [provider]},
        "alerting/rules": wanted.rules(),
    }
    if wanted.contacts:
        provisioned["alerting/contacts"] = alerting.contact_file(wanted.contacts)
    for name, table in provisioned.items():
        made[f"provisioning/{name}.yaml"] = yaml.dump(
            table, Dumper=_Plain, allow_unicode=True, sort_keys=False, width=100
        )
    return made


def write(wanted: Wanted, out: Path, boards_at: Path, token_file: Path) -> list[Path]:
    """Write every file below ``out``; return what was written.

    Raises:
        OSError: the folder cannot be written.
    """
    paths: list[Path] = []
    for name, text in files(wanted, boards_at, token_file).items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def _json(board: Json) -> str:
    return json.dumps(board, ensure_ascii=False, indent=1) + "\n"
