"""The controller as the console sees it: a real HTTP server on a Unix socket, and a real store.

It is the far end of a wire. Its curves are those of a fed-batch, smooth functions of plant time.
"""

import functools
import json
import math
import socketserver
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from controller.acting.authority import Role
from controller.acting.users import Users
from controller.alarms.alarm import Alarm, Definition, Priority
from controller.texts.audit import change, refusal
from controller.texts.said import Said, answer, said, word
from drivers.point import Quality, Sample, Tag
from historian.events import Event
from historian.sqlite import SqliteStore

START = 1_790_000_000.0  # inoculation, s since 1970 UTC
NOW = START + 8 * 3600  # where the console's tests stand
UNITS = {
    "temperature": "Cel",
    "jacket_temperature": "Cel",
    "ph": "[pH]",
    "do": "%",
    "agitation": "{r}/min",
    "stirrer": "{r}/min",
    "air": "L/min",
    "air_flow": "L/min",
    "feed": "mL/h",
    "offgas_o2": "%",
    "offgas_co2": "%",
    "weight": "kg",
}
STATIONS = ("agitation", "air", "feed", "inducer", "antifoam", "oxygen")
LIMITS = {
    "temperature": (20.0, 42.0),
    "ph": (5.0, 8.5),
    "do": (10.0, 80.0),
    "agitation": (300.0, 1000.0),
    "air": (1.0, 6.0),
    "feed": (0.0, 150.0),
    "inducer": (0.0, 5.0),
    "antifoam": (0.0, 5.0),
    "oxygen": (0.0, 5.0),
}


TUNING = {
    "kp": 20.0, "ti_s": 600.0, "td_s": 0.0, "deadband": 0.0, "filter_s": 5.0,
    "derivative_filter_s": None,
}  # fmt: skip
MU = {"value": 0.16, "unit": "1/h", "low": 0.05, "high": 0.25}
RECIPES: list[dict[str, Any]] = [
    {
        "path": "/plant/recipes/ecoli.toml", "file": "ecoli.toml", "name": "ecoli",
        "organism": "ecoli", "phases": ["batch", "feed", "induce", "harvest"],
        "parameters": {"mu": MU}, "errors": [],
    },
    {
        "path": "/plant/recipes/yeast.toml", "file": "yeast.toml", "name": "yeast",
        "organism": "yeast", "phases": ["batch", "feed"], "parameters": {}, "errors": [],
    },
    {
        "path": "/plant/recipes/penicillin.toml", "file": "penicillin.toml", "name": "penicillin",
        "organism": "penicillin", "phases": ["growth"], "parameters": {},
        "errors": ["penicillin.toml: phase.0: loop oil: no such loop"],
    },
]  # fmt: skip


def curves(time: float) -> dict[str, float]:
    """Return every value of the plant at plant time ``time``, by tag without reactor."""
    h = (time - START) / 3600
    x = 0.3 * math.exp(0.45 * min(h, 7.5)) + max(0.0, h - 7.5) * 1.9
    feed = min(45.0, 6.0 * math.exp(0.18 * (h - 7.5))) if h > 7.5 else 0.0
    wave = math.sin(h * 37) + 0.5 * math.sin(h * 151)
    do = max(30.0, 98 - 12 * x) + 0.9 * wave if h < 8 else 30 + 1.4 * wave
    volume = 3.0 + max(0.0, h - 7.5) * 0.02
    return {
        "phase": float(h >= 7.5),
        "temperature": 37 + 0.05 * wave,
        "temperature.sp": 37.0,
        "temperature.op": 18 - 2.2 * x + 3 * wave,
        "jacket_temperature": 38.1 - 0.3 * x + 0.2 * wave,
        "ph": 7 + 0.012 * wave,
        "ph.sp": 7.0,
        "ph.op": min(90.0, 4 * x) + 2 * wave,
        "do": do,
        "do.sp": 30.0,
        "do.op": min(95.0, 3.4 * x),
        "agitation": min(1000.0, 300 + 22 * x) + 2 * wave,
        "agitation.sp": min(1000.0, 300 + 22 * x),
        "stirrer": min(1000.0, 300 + 22 * x),
        "air": 2 + max(0.0, x - 18) * 0.15,
        "air_flow": 2 + max(0.0, x - 18) * 0.15 + 0.01 * wave,
        "air.sp": 2 + max(0.0, x - 18) * 0.15,
        "feed": feed,
        "feed.sp": feed,
        "offgas_o2": 20.95 - 0.12 * x,
        "offgas_co2": 0.04 + 0.118 * x,
        "weight": volume * 1.03,
        "est.biomass": x,
        "est.biomass.sd": 0.03 * x,
        "est.acetate": max(0.02, 0.8 * math.sin(h / 2.4)),
        "est.acetate.sd": 0.09,
        "est.substrate": max(0.05, 10 - x * 2),
        "est.substrate.sd": 0.1,
        "est.product": max(0.0, h - 9.5) * 0.42,
        "est.product.sd": max(0.0, h - 9.5) * 0.05,
        "est.volume": volume,
        "est.volume.sd": 0.01,
    }


def _loop(name: str, now: dict[str, float]) -> dict[str, Any]:
    low, high = LIMITS[name]
    station = name in STATIONS
    unit = UNITS.get(name, "mL/min" if name != "oxygen" else "L/min")
    sp = now.get(f"{name}.sp", 0.0)
    cascade = name in ("agitation", "air")
    return {
        "pv": now.get(name, 0.0),
        "pv_unit": unit,
        "quality": "GOOD",
        "sp": sp,
        "op": sp if station else now[f"{name}.op"],
        "op_unit": unit if station else "%",
        "op_low": low if station else (0.0 if name == "do" else -100.0),
        "op_high": high if station else 100.0,
        "sp_low": low,
        "sp_high": high,
        "target": "CASCADE" if cascade else "OPTIMISER" if name == "feed" else "AUTO",
        "actual": "CASCADE" if cascade else "OPTIMISER" if name == "feed" else "AUTO",
        "modes": ["OFF", "MANUAL", "AUTO"],
        "local": sp,
        "hand": None,
        "critical": name == "ph",
        "sp_rate_per_s": 0.01 if name == "temperature" else None,
        "reason": "",
        "measured": None if station else f"R1.{name}",
        "tuning": None if station else dict(TUNING),
        "scheduled": "R1.driving_force" if name == "do" else None,
    }


def _lock(text: str, most_min: float = 480.0) -> dict[str, Any]:
    """Return an interlock that is quiet; ``most_min`` is the longest bypass."""
    quiet = {"tripped": False, "order": 0, "latched": False, "bypass": None}
    return {**quiet, "text": text, "bypass_max_min": most_min}


def _plan(time: float) -> dict[str, Any]:
    at = [time - 120 + 900 * i for i in range(21)]
    then = [curves(t) for t in at]
    return {
        "made": time - 120,
        "time": at,
        "feed_ml_per_h": [v["feed"] * 1.1 for v in then],
        "do_percent": [32.0 + 0.2 * i for i in range(21)],
        "biomass_g_per_l": [v["est.biomass"] * 1.02 for v in then],
        "acetate_g_per_l": [v["est.acetate"] for v in then],
        "product_g": [v["est.product"] * v["est.volume"] for v in then],
    }


def alarm(name: str, **more: Any) -> dict[str, Any]:
    """Return an alarm of the state, active and not yet acknowledged unless ``more`` says so."""
    kind = Definition(name, name, "bad", Priority.LOW, "R1", "R1")
    made = Alarm(kind, active=True, acknowledged=False, count=1, began=START + 10.4 * 3600)
    return {**made.as_json(), **more}


def state(time: float = START + 10.4 * 3600) -> dict[str, Any]:
    """Return what ``GET /state`` answers when all is well."""
    now = curves(time)
    names = {
        "biomass_g_per_l": "biomass",
        "substrate_g_per_l": "substrate",
        "acetate_g_per_l": "acetate",
        "product_g_per_l": "product",
        "volume_l": "volume",
    }
    estimate = {k: {"value": now[f"est.{n}"], "sd": now[f"est.{n}.sd"]} for k, n in names.items()}
    factors = {
        "qomax_factor": {"value": 0.94, "sd": 0.03},
        "kla_factor": {"value": 1.07, "sd": 0.02},
    }
    age_h = (time - START) / 3600
    device = {"answering": True, "error": "", "last_good": time, "simulated": True, "armed": True}
    return {
        "site": "Zhongshan 3",
        "time": time,
        "speed": 60.0,
        "simulated": True,
        "scan_s": 1.0,
        "scans": round(age_h * 3600),
        "scans_missed": 0,
        "samples_stored": round(age_h * 3600) * 40,
        "samples_forwarded": 0,
        "samples_lost": 0,
        "pid": 1234,
        "devices": {
            "R1-io": {**device, "address": "127.0.0.1:5020", "insecure": False},
            "R1-gas": {**device, "address": "opc.tcp://127.0.0.1:4840/fermloop", "insecure": True},
        },
        "reactors": {
            "R1": {
                "stopped": False,
                "batch": {
                    "id": "R1-20261122-0001",
                    "recipe": "ecoli",
                    "state": "RUNNING",
                    "phase": "feed",
                    "age_h": age_h,
                    "phase_age_h": age_h - 7.5,
                    "phases": ["batch", "feed", "induce", "harvest"],
                    "message": "",
                    "question": "",
                    "version": 1,
                    "parameters": {"mu": dict(MU)},
                },
                "loops": {name: _loop(name, now) for name in LIMITS},
                "tags": {
                    f"R1.{n}": {"value": now[n], "unit": u, "quality": "GOOD", "age_s": 0.0}
                    for n, u in UNITS.items()
                },
                "interlocks": {
                    "low_do": _lock("R1.do below 12 % for 20 s: R1.feed = 0"),
                    "high_volume": _lock("R1.weight above 4.4 kg for 5 s", most_min=0),
                    "ph_window": _lock("R1.ph below 6 or above 8 for 2 s"),
                },
                "estimate": {**estimate, **factors},
                "optimiser": {
                    "mode": "on",
                    "state": "good",
                    "reason": "",
                    "plans": 35,
                    "sheds": 0,
                    "late": 0,
                    "next_in_s": 132.0,
                    "good_in_a_row": 12,
                    "plan": _plan(time),
                },
            }
        },
        "alarms": [],
    }


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = True
    answer: Callable[[str], tuple[int, bytes]]
    obey: Callable[[str, dict[str, Any]], tuple[int, bytes]]
    asked: int = 0


class _Request(BaseHTTPRequestHandler):
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self.server.asked += 1
        status, body = self.server.answer(self.path)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, body = self.server.obey(self.path, sent)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class FarEnd:
    """A controller's command socket that answers ``GET /state`` with ``state`` or ``raw``.

    Attributes:
        told: every command with its body, in order.
        refusal: what it answers to commands instead of obeying: status and words.
        ahead: what it answers to a what-if.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state: dict[str, Any] = state()
        self.raw: tuple[int, bytes] | None = None
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.refusal: tuple[int, Said] | None = None
        self.ahead: dict[str, Any] = {}
        self._server: _Server | None = None

    @property
    def asked(self) -> int:
        """Requests so far."""
        return self._server.asked if self._server else 0

    def start(self) -> None:
        """Open the socket."""
        self.path.unlink(missing_ok=True)
        server = _Server(str(self.path), _Request)
        server.answer = self._answer
        server.obey = self._obey
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Be gone, socket and all, as after a kill."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.path.unlink(missing_ok=True)
        self._server = None

    def _answer(self, path: str) -> tuple[int, bytes]:
        if path == "/state":
            return self.raw or (200, json.dumps(self.state).encode())
        known: dict[str, dict[str, Any]] = {
            "/recipes/R1": {"recipes": RECIPES},
            "/events?limit=1": {"events": []},
        }
        return (200, json.dumps(known[path]).encode()) if path in known else (404, b"{}")

    def _obey(self, path: str, sent: dict[str, Any]) -> tuple[int, bytes]:
        self.told.append((path, sent))
        if self.refusal is not None:
            return self.refusal[0], json.dumps(answer(ValueError(self.refusal[1]))).encode()
        if path.startswith("/what-if/"):
            return 200, json.dumps(self.ahead).encode()
        return 200, json.dumps({"ok": True, "text": f"done: {path}"}).encode()

    def __enter__(self) -> "FarEnd":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


PASSWORD = "溶氧 35 percent"
PEOPLE = {"eva": Role.ENGINEER, "ana": Role.OPERATOR, "vic": Role.VIEWER}


@functools.cache
def _people() -> str:
    with tempfile.TemporaryDirectory() as folder:
        users = Users(Path(folder) / "users.json")
        for name, role in PEOPLE.items():
            users.add(name, role, PASSWORD)
        return users.path.read_text(encoding="utf-8")


def acts(time: float) -> list[Event]:
    """Return what an audit trail of some minutes has in it."""
    ana, why = "operator:ana", "acetate rising"
    asked = {"value": 95.0, "who": "vic", "role": "viewer", "reason": ""}
    no = said("role", action="setpoint", role=word("viewer"), least=word("operator"))
    return [
        change(time, "operator:eva", "ana", "user made", "", "operator", "new shift"),
        change(time + 60, ana, "R1.do", "setpoint", 30.0, 35.0, why, "%"),
        change(time + 120, "recipe", "R1.feed", "mode", "AUTO", "CASCADE"),
        refusal(time + 180, "R1.do", "setpoint", asked, no),
        change(time + 240, ana, "R1", "safe stop", "running", "stopped", "drill"),
    ]


def people(folder: Path) -> Path:
    """Write the users of a plant into ``folder``: one of each role, all with ``PASSWORD``."""
    path = folder / "users.json"
    path.touch(0o600)
    path.write_text(_people(), encoding="utf-8")
    return path


def fill(
    path: Path,
    start: float,
    end: float,
    step: float,
    gap: tuple[float, float] = (0.0, 0.0),
    doubtful: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Write a real store with a row every ``step`` s and none from ``gap[0]`` to ``gap[1]``.

    pH is UNCERTAIN from ``doubtful[0]`` on and BAD in the second half, to ``doubtful[1]``.
    """
    middle = sum(doubtful) / 2
    tags = {name: Tag(f"R1.{name}", UNITS.get(name, "1"), -1e4, 1e4) for name in curves(start)}
    with SqliteStore(path, commit_s=0.05, wait_when_full=True) as store:
        for i in range(int((end - start) / step) + 1):
            time = start + i * step
            if gap[0] <= time < gap[1]:
                continue
            now = curves(time)
            samples = {n: Sample(tags[n], time, v, Quality.GOOD) for n, v in now.items()}
            if doubtful[0] <= time < middle:
                samples["ph"] = samples["ph"]._replace(quality=Quality.UNCERTAIN)
            elif middle <= time < doubtful[1]:
                samples["ph"] = Sample(tags["ph"], time, math.nan, Quality.BAD)
            store.append(samples.values())
        for event in acts(end - 600):
            store.record(event)
        store.flush()
