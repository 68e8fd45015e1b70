"""The mapping file: which column is which tag, in which unit, and when."""

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import Field

from controller.plant_file.config import Settings

# Factors to the first unit of each kind: only within a kind can a unit become another.
KINDS: Final[tuple[Mapping[str, float], ...]] = (
    {"mL/h": 1.0, "L/h": 1e3, "mL/min": 60.0, "mL/s": 3600.0},
    {"g/h": 1.0, "kg/h": 1e3, "g/min": 60.0},
    {"g": 1.0, "kg": 1e3, "t": 1e6},
    {"mL": 1.0, "L": 1e3, "m3": 1e6},
    {"mm": 1.0, "cm": 10.0, "m": 1e3},
    {"mbar": 1.0, "bar": 1e3, "kPa": 10.0, "MPa": 1e4, "Pa": 0.01},
    {"mg/L": 1.0, "g/L": 1e3, "kg/m3": 1e3},
    {"mmol/L": 1.0, "mol/L": 1e3},
    {"s": 1.0, "min": 60.0, "h": 3600.0},
    {"mV": 1.0, "V": 1e3},
    {"mA": 1.0, "A": 1e3},
    {"W": 1.0, "kW": 1e3},
    {"uS/cm": 1.0, "mS/cm": 1e3},
    {"1": 1.0, "%": 0.01, "[ppm]": 1e-6},
    {"L/min": 1.0, "m3/h": 1000.0 / 60.0},  # gas
)
WARMTH: Final = {"Cel": (1.0, 0.0), "K": (1.0, -273.15), "[degF]": (5.0 / 9.0, -160.0 / 9.0)}


class TimeSettings(Settings):
    """The column that says when."""

    column: str
    form: str = Field(
        "iso",
        description="iso; s (since 1970 UTC); s, min or h of age where began is given; or a "
        "pattern: %d.%m.%Y %H:%M:%S",
    )
    zone: str | None = Field(None, description="Asia/Shanghai; this machine's if not given")
    began: str | None = Field(None, description="date and time at age 0, where the column is ages")


class ColumnSettings(Settings):
    """One column of values."""

    tag: str = Field(description="R1.do")
    unit: str = Field(min_length=1, description="of the column; turned into that of the tag")
    quality: str | None = Field(None, description="column with GOOD, UNCERTAIN, BAD or nothing")
    low: float | None = Field(None, description="of a tag that nobody knows yet, in this unit")
    high: float | None = Field(None, description="the same")


class MappingSettings(Settings):
    """The whole file."""

    reactor: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    batch: str = Field(min_length=1, description="its id in the store: R1-2024-017")
    recipe: str = ""
    inoculated: str | None = Field(None, description="date and time; the first row if not given")
    separator: str = Field(",", min_length=1, max_length=1, description="of a CSV")
    decimal: str = Field(".", pattern=r"^[.,]$", description="of a CSV")
    encoding: str = Field("utf-8-sig", description="of a CSV; gb18030, latin-1")
    missing: tuple[str, ...] = Field(("", "-", "NA", "NaN", "nan", "null"), description="no value")
    time: TimeSettings
    columns: dict[str, ColumnSettings] = Field(min_length=1)


def conversion(unit: str, wanted: str) -> tuple[float, float] | None:
    """Return factor and offset from one unit to another; ``None`` where there is no way."""
    if unit == wanted:
        return 1.0, 0.0
    if unit in WARMTH and wanted in WARMTH:
        (a, b), (c, d) = WARMTH[unit], WARMTH[wanted]
        return a / c, (b - d) / c
    for kind in KINDS:
        if unit in kind and wanted in kind:
            return kind[unit] / kind[wanted], 0.0
    return None


def fitting(wanted: str) -> Iterator[str]:
    """Yield the units that can become ``wanted``."""
    for kind in (WARMTH, *KINDS):
        if wanted in kind:
            yield from kind
            return
    yield wanted
