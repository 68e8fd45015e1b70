"""Puts boards, rules and contact points into a running Grafana by its HTTP API."""

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

import httpx

from dashboards.grafana import alerting
from dashboards.grafana.build import Wanted
from dashboards.grafana.panels import DATASOURCE
from dashboards.grafana.plain import Json

FOLDER_UID = "fermloop"
TIMEOUT_S = 20.0
# what Grafana adds or moves to its own version of the schema; no difference to a person
OWN = frozenset({"id", "version", "schemaVersion", "provenance", "updated"})
_KEEP_EDITABLE = {"X-Disable-Provenance": "true"}


class PushError(Exception):
    """Grafana did not do as asked; the message says what it was asked and what it said."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that Grafana has, or would be given.

    Attributes:
        what: ``board``, ``rules``, ``contact point``, …
        name: which.
        state: ``new``, ``changed`` or ``same``.
        diff: lines of a unified diff of what is there and what is wanted.
        make: makes it so.
    """

    what: str
    name: str
    state: str
    diff: tuple[str, ...]
    make: Callable[[], None]


class Grafana:
    """A running Grafana.

    Args:
        url: ``http://host:3000``.
        token: of a service account that may edit boards and alerting.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(
            base_url=self.url, headers=headers, timeout=TIMEOUT_S, trust_env=False
        )

    def __enter__(self) -> "Grafana":
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()

    def get(self, path: str) -> Any:
        """Return what is at a path, ``None`` where there is nothing."""
        return self._ask("GET", path)

    def put(self, method: str, path: str, body: object) -> None:
        """Write to a path.

        Raises:
            PushError: it was refused.
        """
        if self._ask(method, path, body) is None:
            raise PushError(f"{self.url}{path}: there is no such thing to write to (404)")

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        headers = _KEEP_EDITABLE if body is not None else {}
        try:
            answer = self._http.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise PushError(f"{self.url} does not answer: {error}") from error
        if answer.status_code == 404:
            return None
        if answer.status_code in (401, 403):
            raise PushError(
                f"{self.url} refuses the token for {method} {path} ({answer.status_code}): a "
                "service account's token with the role Editor, or Admin for the data source, is "
                "required"
            )
        if answer.is_error or answer.is_redirect:
            said = " ".join(answer.text.split())[:300]
            raise PushError(f"{self.url}{path}: {method} {answer.status_code}: {said}")
        try:
            return answer.json() if answer.content else {}
        except ValueError:
            raise PushError(f"{self.url}{path}: what answers there is no Grafana") from None


def changes(grafana: Grafana, wanted: Wanted, influx_token: str = "") -> Iterator[Change]:
    """Yield all that is wanted, in the order in which it must be made.

    Args:
        grafana: where to.
        wanted: what.
        influx_token: may read the bucket; makes or renews the data source.

    Raises:
        PushError: Grafana does not answer, or lacks the data source and no token was given.
    """
    yield from _folder(grafana)
    yield from _datasource(grafana, wanted, influx_token)
    for name, board in wanted.boards().items():
        yield _board(grafana, name, board)
    yield from _rules(grafana, wanted)
    if wanted.contacts:
        yield from _contacts(grafana, wanted)


def _folder(grafana: Grafana) -> Iterator[Change]:
    there = grafana.get(f"/api/folders/{FOLDER_UID}")
    wanted = {"uid": FOLDER_UID, "title": alerting.FOLDER}
    if there is None:
        yield _change("folder", FOLDER_UID, None, wanted, grafana, "POST", "/api/folders", wanted)


def _datasource(grafana: Grafana, wanted: Wanted, influx_token: str) -> Iterator[Change]:
    uid = DATASOURCE["uid"]
    there = grafana.get(f"/api/datasources/uid/{uid}")
    if there is None and not influx_token:
        raise PushError(
            f"{grafana.url} has no data source {uid}: give --influx-token-file, a file with a "
            "token that may read the bucket"
        )
    if not influx_token:
        return
    source = wanted.datasource()
    body = source | {"secureJsonData": {"httpHeaderValue1": f"Token {influx_token}"}}
    method, path = ("POST", "/api/datasources")
    if there is not None:
        method, path = "PUT", f"/api/datasources/uid/{uid}"
    yield _change("data source", uid, there, source, grafana, method, path, body)


def _board(grafana: Grafana, name: str, board: Json) -> Change:
    found = grafana.get(f"/api/dashboards/uid/{board['uid']}")
    there = None if found is None else found.get("dashboard")
    body = {
        "dashboard": board,
        "folderUid": FOLDER_UID,
        "message": "fermloop grafana push",
        "overwrite": True,
    }
    return _change("board", name, there, board, grafana, "POST", "/api/dashboards/db", body)


def _rules(grafana: Grafana, wanted: Wanted) -> Iterator[Change]:
    (group,) = wanted.rules()["groups"]
    name = group["name"]
    path = f"/api/v1/provisioning/folder/{FOLDER_UID}/rule-groups/{quote(name)}"
    own = {"folderUID": FOLDER_UID, "ruleGroup": name, "orgID": 1}
    rules = [rule | own for rule in group["rules"]]
    body = {
        "title": name,
        "folderUid": FOLDER_UID,
        "interval": alerting.EVERY_S,
        "rules": rules,
    }
    there = grafana.get(path)
    yield _change("rules", name, there, body, grafana, "PUT", path, body)


def _contacts(grafana: Grafana, wanted: Wanted) -> Iterator[Change]:
    path = "/api/v1/provisioning/contact-points"
    points = cast(list[Json], grafana.get(path) or [])
    there = {point["uid"]: point for point in points}
    for point in alerting.contact_points(wanted.contacts):
        uid, body = point["uid"], point | {"name": alerting.RECEIVER}
        method, to = ("PUT", f"{path}/{uid}") if uid in there else ("POST", path)
        yield _change("contact point", uid, there.get(uid), body, grafana, method, to, body)
    # only our own branch of the tree: the rest of the policies is somebody else's
    path = "/api/v1/provisioning/policies"
    tree = cast(Json, grafana.get(path))
    if not tree:
        raise PushError(f"{grafana.url}{path}: no tree of policies")
    branch = alerting.branch()
    routes = cast(list[Json], tree.get("routes") or [])
    others = [route for route in routes if route.get("receiver") != alerting.RECEIVER]
    body = tree | {"routes": [branch, *others]}
    yield _change("policy", alerting.RECEIVER, tree, body, grafana, "PUT", path, body)


def _change(
    what: str,
    name: str,
    there: Any,
    wanted: Json,
    grafana: Grafana,
    method: str,
    path: str,
    body: Json,
) -> Change:
    seen = _alike(there, wanted)
    state = "new" if there is None else "same" if seen == wanted else "changed"
    before = [] if there is None else _lines(seen)
    diff = tuple(difflib.unified_diff(before, _lines(wanted), "there", "wanted", n=2, lineterm=""))
    return Change(what, name, state, diff, lambda: grafana.put(method, path, body))


def _alike(there: Any, wanted: Any) -> Any:
    """Return what is there without what Grafana has added to it."""
    if isinstance(wanted, dict) and isinstance(there, dict):
        known, asked = cast(Mapping[str, Any], there), cast(Mapping[str, Any], wanted)
        return {
            key: asked[key] if key in OWN else _alike(known[key], value)
            for key, value in asked.items()
            if key in known or key in OWN
        }
    if isinstance(wanted, list) and isinstance(there, list):
        some, asked_list = cast(list[Any], there), cast(list[Any], wanted)
        pairs = zip(some, asked_list, strict=False)
        return [_alike(a, b) for a, b in pairs] + some[len(asked_list) :]
    return there


def _lines(value: object) -> list[str]:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).split("\n")
