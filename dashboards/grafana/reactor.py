"""The reactor's board: one definition, built once for each language."""

from collections.abc import Iterator
from typing import Any

from dashboards.grafana import queries
from dashboards.grafana.panels import (
    ABNORMAL,
    DOUBTFUL,
    GREYS,
    OP,
    PV,
    SP,
    Limit,
    Place,
    Series,
    address,
    annotation,
    board,
    heading,
    link,
    table,
    timeline,
    trend,
    variable,
)
from dashboards.grafana.plain import Json
from dashboards.grafana.texts import TEXTS

# Two seconds would do for a scan of 1 s; five also carry a scan that is late or coarser.
SCAN, ESTIMATE = "5s", "30s"
G_PER_L, KG, OF_PLANT = "suffix: g/L", "masskg", "none"
PERCENT, RPM = "percent", "rotrpm"
MODES = {
    0: "#6b7078",
    1: "#a3927c",
    2: "#8f959c",
    3: "#a7adb5",
    4: "#6f8297",
    5: DOUBTFUL,
    6: ABNORMAL,
}
ALARM_STATES = {0: "#c9cdd1", 1: "#a3927c", 2: DOUBTFUL, 3: ABNORMAL}
QUALITIES = {0: ABNORMAL, 1: DOUBTFUL, 2: "#8f959c"}

LOOPS = ("temperature", "ph", "do", "agitation", "air", "feed")
MEASURED = (
    ("temperature", "temperature"),
    ("ph", "ph"),
    ("do", "do"),
    ("agitation", "agitation"),
    ("air_flow", "air"),
    ("offgas_o2", "offgas.o2"),
    ("offgas_co2", "offgas.co2"),
    ("weight", "weight"),
)
# field, text, unit: what the table of newest values shows
NEWEST = (
    ("age", "age", "h"),
    ("do", "do", "%"),
    ("ph", "ph", ""),
    ("temperature", "temperature", "°C"),
    ("agitation", "agitation", "r/min"),
    ("air_flow", "air", ""),  # in the unit of the plant file: L/min or m3/h, mL/h or L/h
    ("feed", "feed", ""),
    ("weight", "weight", "kg"),
    ("est.biomass", "biomass", "g/L"),
    ("est.product", "product", "g/L"),
)


def uid(language: str) -> str:
    """Return the board's address part: ``/d/<uid>``."""
    return f"fermloop-reactor-{language}"


def reactor(language: str) -> Json:
    """Return the board in ``en`` or ``zh`` as plain classic JSON."""
    t = TEXTS[language]
    other = next(known for known in TEXTS if known != language)
    return board(
        title=f"fermloop · {t['title']}",
        uid=uid(language),
        description=t["about"],
        tags=["fermloop", language],
        variables=[
            variable("site", t["site"], queries.SITES),
            variable("reactor", t["reactor"], queries.REACTORS),
            address("console", t["console"], "http://127.0.0.1:8080"),
        ],
        links=[
            link(t["operate"], "${console}/#${reactor}"),
            link(t["other_language"], f"/d/{uid(other)}", keep=True),
        ],
        annotations=[annotation(t["alarms.begun"], queries.alarms_begun(), "id", "priority")],
        panels=[*_state(t), *_loops(t), *_estimates(t), *_trust(t), *_alarms(t)],
    )


def _state(t: dict[str, str]) -> Iterator[Any]:
    yield heading(t["state"], 0)
    named = [(f, t[k] + (f" ({unit})" if unit else "")) for f, k, unit in NEWEST]
    yield table(
        t["now"],
        Place(0, 1, 7, 11),
        [(queries.latest(field), name) for field, name in named],
        (t["now.name"], t["now.value"], t["now.age"]),
        description=t["now.about"],
    )
    yield timeline(
        t["phase"],
        Place(7, 1, 17, 3),
        [(queries.trend("phase", "last"), t["phase"])],
        {},
        every=SCAN,
        description=t["phase.about"],
    )
    yield timeline(
        t["modes"],
        Place(7, 4, 17, 8),
        [(queries.trend(f"{loop}.mode", "last"), t[loop]) for loop in LOOPS],
        {value: (t[f"mode.{value}"], colour) for value, colour in MODES.items()},
        every=SCAN,
        description=t["modes.about"],
    )


def _loops(t: dict[str, str]) -> Iterator[Any]:
    yield heading(t["loops"], 12)
    operate = link(t["operate"], "${console}/#${reactor}")
    for x, y, loop, unit, limit in (
        (0, 13, "do", PERCENT, Limit(20.0, above=False)),
        (12, 13, "ph", "pH", None),
        (0, 21, "temperature", "celsius", None),
    ):
        yield trend(
            t[loop],
            Place(x, y, 12, 8),
            [_pv(t, loop), _sp(t, loop), _op(t, loop)],
            unit,
            every=SCAN,
            description=t.get(f"{loop}.about", ""),
            limit=limit,
            link=operate,
        )
    yield trend(
        t["feed"],
        Place(12, 21, 12, 8),
        [Series(queries.trend("feed"), t["feed.pump"], steps=True), _sp(t, "feed")],
        OF_PLANT,
        every=SCAN,
        link=operate,
    )
    yield trend(
        t["agitation"],
        Place(0, 29, 12, 8),
        [_pv(t, "agitation"), _sp(t, "agitation")],
        RPM,
        every=SCAN,
        link=operate,
    )
    yield trend(
        t["gas"],
        Place(12, 29, 12, 8),
        [
            Series(queries.trend("air_flow"), t["air"]),
            Series(queries.trend("air.sp", "last"), f"{t['air']} {t['sp']}", SP, True, steps=True),
            Series(queries.trend("oxygen_flow"), t["oxygen"], OP),
        ],
        OF_PLANT,
        every=SCAN,
        link=operate,
    )
    yield trend(
        t["offgas"],
        Place(0, 37, 12, 8),
        [
            Series(queries.trend("offgas_o2"), t["offgas.o2"]),
            Series(queries.trend("offgas_co2"), t["offgas.co2"], GREYS[3], unit=PERCENT),
        ],
        PERCENT,
        every=SCAN,
    )
    yield trend(
        t["weight"],
        Place(12, 37, 12, 8),
        [
            Series(queries.trend("weight"), t["weight.vessel"]),
            Series(queries.trend("feed_weight"), t["weight.feed"], GREYS[3]),
        ],
        KG,
        every=SCAN,
    )


def _estimates(t: dict[str, str]) -> Iterator[Any]:
    yield heading(t["estimates"], 45)
    for n, (name, unit) in enumerate(
        (
            ("biomass", G_PER_L),
            ("product", G_PER_L),
            ("substrate", G_PER_L),
            ("acetate", G_PER_L),
            ("volume", "litre"),
        )
    ):
        yield trend(
            t[name],
            Place(n % 2 * 12, 46 + n // 2 * 8, 12, 8),
            [
                Series(queries.trend(f"est.{name}"), t[name]),
                Series(
                    queries.band_edge(f"est.{name}", "+"),
                    t["estimate.upper"],
                    SP,
                    fills_to=t["estimate.lower"],
                    hidden=True,
                ),
                Series(queries.band_edge(f"est.{name}", "-"), t["estimate.lower"], SP, hidden=True),
            ],
            unit,
            every=ESTIMATE,
            description=t.get(f"{name}.about", t["estimate.about"]),
            limit=Limit(2.0, above=True) if name == "acetate" else None,
        )
    yield trend(
        t["factors"],
        Place(12, 62, 12, 8),
        [
            Series(queries.trend("est.qomax_factor"), t["qomax_factor"]),
            Series(queries.trend("est.kla_factor"), t["kla_factor"], GREYS[3]),
        ],
        "none",
        every=ESTIMATE,
        description=t["factors.about"],
    )


def _alarms(t: dict[str, str]) -> Iterator[Any]:
    yield heading(t["alarms"], 80)
    yield timeline(
        t["alarms"],
        Place(0, 81, 24, 8),
        [(queries.alarms(), "$tag_id")],
        {value: (t[f"alarm.{value}"], colour) for value, colour in ALARM_STATES.items()},
        every=SCAN,
        description=t["alarms.about"],
    )


def _trust(t: dict[str, str]) -> Iterator[Any]:
    yield heading(t["trust"], 70)
    yield timeline(
        t["trust"],
        Place(0, 71, 24, 9),
        [(queries.quality(field), t[name]) for field, name in MEASURED],
        {value: (t[f"quality.{value}"], colour) for value, colour in QUALITIES.items()},
        every=SCAN,
        description=t["trust.about"],
    )


def _pv(t: dict[str, str], loop: str) -> Series:
    return Series(queries.trend(loop), t["pv"], PV)


def _sp(t: dict[str, str], loop: str) -> Series:
    return Series(queries.trend(f"{loop}.sp", "last"), t["sp"], SP, dashed=True, steps=True)


def _op(t: dict[str, str], loop: str) -> Series:
    return Series(queries.trend(f"{loop}.op"), t["op"], OP, unit=PERCENT)
