"""InfluxDB beside the writing: which it is, its bucket, and questions in InfluxQL."""

from collections.abc import Mapping
from typing import Any, cast

import httpx

from historian.delivery import UnavailableError
from historian.influx import InfluxSettings, message

_TIMEOUT_S = 60.0  # of one question
_NAME = "fermloop"  # of the retention policy that we make in 1.x
_DAY_S = 86_400


class Bucket:
    """The bucket of InfluxDB 2, which is the database of 1.x and 3.

    Every method raises ``UnavailableError`` with a sentence that says what is wrong.
    """

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        user, _, word = settings.token.partition(":")
        auth = httpx.BasicAuth(user, word) if word else None  # 1.x; a token has no colon
        headers = {} if auth else {"Authorization": f"Token {settings.token}"}
        self._http = httpx.Client(
            base_url=settings.url, auth=auth, headers=headers, timeout=_TIMEOUT_S
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> "Bucket":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def version(self) -> str:
        """Return what the server calls its version, ``1.6.7``; empty if it does not say."""
        answer = self._ask("GET", "/ping")
        return answer.headers.get("X-Influxdb-Version", "").removeprefix("v")

    def query(self, text: str, **other: str) -> list[dict[str, Any]]:
        """Run one InfluxQL statement; return its series, with times in microseconds."""
        asked = {"db": self._settings.bucket, "q": text, "epoch": "u", **other}
        answer = self._ask("POST", "/query", data=asked).json()
        result = cast("dict[str, Any]", (answer.get("results") or [{}])[0])
        if why := result.get("error") or answer.get("error"):
            raise UnavailableError(f"{self._settings.url} refuses {text!r}: {why}")
        return result.get("series") or []

    def make(self, retention_s: float) -> str:
        """Make it if it is not there and let it keep ``retention_s`` (0: for ever); say so."""
        version = self.version()
        if version.startswith("2"):
            return self._make_2(int(retention_s))
        if version.startswith("3"):
            return self._make_3(int(retention_s))
        if version.startswith("1"):
            return self._make_1(int(retention_s))
        url = self._settings.url
        raise UnavailableError(f"{url} does not say that it is an InfluxDB: nothing to make there")

    def retention_s(self) -> float:
        """Return how long it keeps what it gets, in s; 0: for ever, or it does not say."""
        try:
            series = self.query(f"SHOW RETENTION POLICIES ON {_quoted(self._settings.bucket)}")
        except UnavailableError:
            return 0.0
        for row in (dict(zip(s["columns"], v, strict=True)) for s in series for v in s["values"]):
            if row.get("default"):
                return _seconds(str(row.get("duration", "0s")))
        return 0.0

    # ---- each version in its own way

    def _make_1(self, retention_s: int) -> str:
        name, duration = _quoted(self._settings.bucket), f"{retention_s}s" if retention_s else "INF"
        known = [value[0] for s in self.query("SHOW DATABASES") for value in s.get("values", [])]
        if self._settings.bucket not in known:
            self.query(f"CREATE DATABASE {name} WITH DURATION {duration} NAME {_NAME}")
            return self._said("made", retention_s)
        if self.retention_s() == retention_s:
            return self._said("was there", retention_s)
        (series,) = self.query(f"SHOW RETENTION POLICIES ON {name}")
        rows = (dict(zip(series["columns"], v, strict=True)) for v in series["values"])
        policy = next(str(row["name"]) for row in rows if row["default"])
        shard = max(3600, min(7 * _DAY_S, retention_s or 7 * _DAY_S))
        self.query(
            f"ALTER RETENTION POLICY {_quoted(policy)} ON {name} DURATION {duration}"
            f" SHARD DURATION {shard}s"
        )
        return self._said("was there and is changed", retention_s)

    def _make_2(self, retention_s: int) -> str:
        s = self._settings
        rules = [{"type": "expire", "everySeconds": retention_s}] if retention_s else []
        found = self._ask("GET", "/api/v2/buckets", params={"org": s.org, "name": s.bucket}).json()
        same = [b for b in found.get("buckets", []) if b["name"] == s.bucket]
        if same:
            if [r["everySeconds"] for r in same[0].get("retentionRules", [])] == [
                r["everySeconds"] for r in rules
            ]:
                return self._said("was there", retention_s)
            body = {"retentionRules": rules}
            self._ask("PATCH", f"/api/v2/buckets/{same[0]['id']}", json=body)
            return self._said("was there and is changed", retention_s)
        orgs = self._ask("GET", "/api/v2/orgs", params={"org": s.org}).json().get("orgs", [])
        if not orgs:
            raise UnavailableError(f"{s.url} has no organisation {s.org!r}")
        body = {"orgID": orgs[0]["id"], "name": s.bucket, "retentionRules": rules}
        self._ask("POST", "/api/v2/buckets", json=body)
        return self._said("made", retention_s)

    def _make_3(self, retention_s: int) -> str:
        body: dict[str, str] = {"db": self._settings.bucket}
        if retention_s:
            body["retention_period"] = f"{retention_s}s"
        answer = self._ask("POST", "/api/v3/configure/database", json=body, passed=(409,))
        if answer.status_code == 409:
            return f"bucket {self._settings.bucket!r} was there; InfluxDB 3 keeps its retention"
        return self._said("made", retention_s)

    def _said(self, what: str, retention_s: int) -> str:
        kept = f"{retention_s / _DAY_S:g} d" if retention_s else "for ever"
        return f"bucket {self._settings.bucket!r} {what}; it keeps everything {kept}"

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        json: object = None,
        passed: tuple[int, ...] = (),
    ) -> httpx.Response:
        s = self._settings
        try:
            answer = self._http.request(method, path, params=params, data=data, json=json)
        except httpx.HTTPError as error:
            raise UnavailableError(f"{s.url} does not answer: {error}") from error
        code = answer.status_code
        if answer.is_success or code in passed:
            return answer
        text = message(answer.content)
        if code in (401, 403):
            raise UnavailableError(f"{s.url} refuses the token ({code}): {text}")
        raise UnavailableError(f"{s.url} answers {code} to {method} {path}: {text}")


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _seconds(text: str) -> float:
    """Return a duration of InfluxDB, ``168h0m0s``, in s."""
    total, number = 0.0, ""
    for sign in text:
        if sign.isdigit() or sign == ".":
            number += sign
        else:
            total += float(number or 0) * {"h": 3600.0, "m": 60.0, "s": 1.0}.get(sign, 0.0)
            number = ""
    return total
