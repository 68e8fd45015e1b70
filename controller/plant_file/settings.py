"""The plant file: TOML read into frozen models, checked whole before any device is touched."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from controller.plant_file.alarm_settings import AlarmSettings, PriorityName
from controller.plant_file.config import ConfigError, Settings
from controller.plant_file.device_settings import DeviceSettings
from controller.plant_file.economy_settings import EconomySettings
from controller.plant_file.loop_settings import LoopSettings
from controller.plant_file.promotion_settings import GuardrailSettings, PromotionSettings

Positive = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]


class WindowSettings(Settings):
    """One measurement, or what an actuator holds; outside it is above or below."""

    measured: str
    above: float | None = None
    below: float | None = None


class InterlockSettings(Settings):
    """While a measurement is outside, or any or all of several are, actuators are forced."""

    measured: str | None = None
    above: float | None = None
    below: float | None = None
    any: tuple[WindowSettings, ...] = Field((), description="trips when one of them is outside")
    all: tuple[WindowSettings, ...] = Field((), description="trips when all of them are outside")
    for_s: float = Field(0.0, ge=0, description="s")
    clear_s: float = Field(0.0, ge=0, description="s")
    force: dict[str, float] = Field(default_factory=dict, description="held at, in their unit")
    at_most: dict[str, float] = Field(default_factory=dict, description="in their unit")
    at_least: dict[str, float] = Field(default_factory=dict, description="in their unit")
    no_start: tuple[str, ...] = Field((), description="stay at rest if they are")
    on_bad: Literal["trip", "hold"] = "trip"
    priority: PriorityName = Field("low", description="of the alarm while it is tripped")
    bad_s: float = Field(30.0, ge=0, description="s without a usable reading before it trips")
    latch: bool = Field(False, description="stays tripped until somebody resets it")
    bypass_max_min: float | None = Field(
        None, ge=0, description="min; 0: never bypassed; the plant's if not given"
    )

    @model_validator(mode="after")
    def _check(self) -> "InterlockSettings":
        given = [self.measured is not None, bool(self.any), bool(self.all)]
        if sum(given) != 1:
            raise ValueError("one of measured, any and all is required")
        if self.measured is None and (self.above is not None or self.below is not None):
            raise ValueError("above and below belong into each entry of any or all")
        if not (self.force or self.at_most or self.at_least or self.no_start):
            raise ValueError("one of force, at_most, at_least and no_start is required")
        return self

    @property
    def windows(self) -> tuple[WindowSettings, ...]:
        """What is measured, one window or several."""
        if self.measured is None:
            return self.any or self.all
        return (WindowSettings(measured=self.measured, above=self.above, below=self.below),)

    @property
    def values(self) -> "list[tuple[str, str, float]]":
        """What is demanded: key, actuator and value in its unit."""
        keys = ("force", "at_most", "at_least")
        return [(key, name, v) for key in keys for name, v in getattr(self, key).items()]


class DoseSettings(Settings):
    """The greatest volume in any hour."""

    max_l_per_h: float = Field(gt=0, description="L in any hour")


class ModelSettings(Settings):
    """What the estimator believes at inoculation."""

    organism: Literal["ecoli", "yeast", "penicillin"]
    vessel: Literal["5l", "300l", "100m3"]
    parameters: str = Field("", description="file that fermloop fit wrote, beside this one")
    strain: dict[str, float] = Field(
        default_factory=dict, description="parameters of the strain in place of the model's own"
    )
    method: Literal["ukf", "ekf"] = Field("ukf", description="filter by points, or by slopes")
    volume_l: Positive
    biomass_g_per_l: Positive
    substrate_g_per_l: float = Field(ge=0)
    feed_substrate_g_per_l: Positive
    estimator_period_s: Positive = 10.0
    kla_sd: float = Field(0.2, gt=0, lt=1, description="of kLa from batch to batch, as a share")
    offgas_delay_s: float = Field(45.0, ge=0, description="from the vessel to the analyser")
    offgas_lag_s: float = Field(10.0, ge=0, description="of the analyser")
    offgas_every_s: float = Field(0.0, ge=0, description="between its visits; 0: it stays")
    offgas_noise_percent: float = Field(0.015, gt=0, description="% absolute")
    offgas_offset_percent: float = Field(0.03, gt=0, description="% absolute; it wanders so a day")
    offgas_co2_offset_percent: float = Field(0.015, gt=0, description="likewise, of CO2")
    do_noise_percent: float = Field(1.0, gt=0, description="% of air saturation")
    probe_cv: float = Field(0.12, gt=0, lt=1, description="of biomass and ethanol probes")
    probe_noise: float = Field(0.2, gt=0, description="likewise beside that, g/L")
    probe_offset: float = Field(0.1, gt=0, description="of the ethanol probe, learned, g/L")
    weight_noise: float = Field(1e-3, gt=0, lt=0.1, description="of what the vessel holds")
    feed_weight_noise: float = Field(4e-4, gt=0, lt=0.1, description="likewise, of the feed's")


class OptimiserSettings(Settings):
    """How often it plans, when it may lead, and how far; what for is in ``EconomySettings``."""

    period_s: Positive = 300.0
    latency_s: Positive = 30.0
    feed_loop: Name = "feed"
    do_loop: Name = "do"
    advice_every_s: Positive = 1800.0
    advice_hold_h: float = Field(2.0, gt=0, le=24, description="h an accepted suggestion leads")
    promotion: PromotionSettings = Field(
        default_factory=lambda: PromotionSettings.model_validate({})
    )
    guardrail: GuardrailSettings = Field(
        default_factory=lambda: GuardrailSettings.model_validate({})
    )


class AnalyteSettings(Settings):
    """What the laboratory may enter of one analyte."""

    unit: str = Field(min_length=1, description="g/L, mmol/L, 1")
    low: float = 0.0
    high: float = Field(description="what is above is refused: a factor of ten is soon typed")
    max_age_h: Positive = 168.0
    cv: float = Field(0.05, gt=0, lt=1, description="standard deviation of a result, as a share")
    g_per_l: float | None = Field(None, gt=0, description="dry weight of one: an optical density")

    @model_validator(mode="after")
    def _check(self) -> "AnalyteSettings":
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        return self


class LaboratorySettings(Settings):
    """Results that people or files enter."""

    folder: str | None = Field(None, description="CSV files put here are entered")
    analyte: dict[Name, AnalyteSettings] = Field(min_length=1)


Consumer = Literal["stirring", "aeration", "heating", "chilling"]


class Factors(Settings):
    """What a batch is reckoned with: a site's own figures in place of ours.

    The defaults are inside the ranges of the usual figures: turnaround 6 to 24 h, electricity 0.02
    to 0.8 kg/kWh by country, glucose 0.7 to 1.2 kg/kg, ammonia about 2.4 kg/kg (world mean of the
    IEA's Ammonia Technology Roadmap, 2021, recalled).
    """

    turnaround_h: float = Field(12.0, ge=0, description="from a harvest to the next start, h")
    grid_co2e_kg_per_kwh: float = Field(0.4, ge=0, description="of electricity, kg/kWh")
    substrate_co2e_kg_per_kg: float = Field(1.0, ge=0, description="of sugar and oil, kg/kg")
    ammonia_co2e_kg_per_kg: float = Field(2.4, ge=0, description="of ammonia, kg/kg")


class ReportSettings(Factors):
    """What the report of a batch reckons with."""

    vessel: Literal["5l", "300l", "100m3"] | None = Field(
        None, description="whose power is reckoned from speeds and flows; the model's if not given"
    )
    product: Literal["product", "biomass"] = Field("product", description="what is made")
    start_volume_l: Positive | None = Field(None, description="the model's if not given")
    start_substrate_g_per_l: float | None = Field(None, ge=0, description="the same")
    substrate_g_per_l: dict[str, Positive] = Field(
        default_factory=dict[str, float],
        description="of each pump that feeds some (feed, oil); the model's feed if not given",
    )
    ammonia_mol_per_l: dict[str, Positive] = Field(
        default_factory=dict[str, float], description="of each pump that brings some (base)"
    )
    heating_co2e_kg_per_kwh: float | None = Field(
        None, ge=0, description="of the jacket's heat where it is steam; else that of electricity"
    )
    power: dict[Consumer, str] = Field(
        default_factory=dict[Consumer, str],
        description="tags of meters, W or kW, in place of what is reckoned",
    )


class ReactorSettings(Settings):
    """One vessel: its loops, interlocks, dose limits and model."""

    volume_max_l: Positive
    do_calibration_bar: float = Field(
        1.01325, gt=0, description="bar, absolute, at which the DO probe reads 100 % in air"
    )
    measured: dict[str, str] = Field(default_factory=dict)
    loop: dict[Name, LoopSettings] = Field(min_length=1)
    interlock: dict[Name, InterlockSettings] = Field(default_factory=dict)
    exclusive: tuple[tuple[str, ...], ...] = Field(
        (), description="actuators of which only one is open at a time"
    )
    dose: dict[str, DoseSettings] = Field(default_factory=dict)
    alarm: dict[Name, AlarmSettings] = Field(default_factory=dict)
    model: ModelSettings | None = None
    optimiser: OptimiserSettings | None = None
    economy: EconomySettings | None = None
    laboratory: LaboratorySettings | None = None
    report: ReportSettings = Field(default_factory=lambda: ReportSettings.model_validate({}))

    @property
    def planned(self) -> tuple[str, ...]:
        """The loops that the optimiser may lead, the main feed first."""
        if self.optimiser is None or self.economy is None:
            return ()
        feed = self.optimiser.feed_loop
        return tuple(sorted(self.economy.move, key=lambda name: (name != feed, name)))


class ConsoleSettings(Settings):
    """The web console's own address."""

    address: str = Field("127.0.0.1:8080", pattern=r"^.+:\d{1,5}$", description="HOST:PORT")
    certificate: str | None = Field(None, description="PEM file; TLS, and any address")
    key: str | None = Field(None, description="PEM file, readable by its owner alone")

    @model_validator(mode="after")
    def _check(self) -> "ConsoleSettings":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key are required together")
        return self


class InfluxSettings(Settings):
    """Where samples are forwarded. The token comes from a file or the environment only."""

    enabled: bool = False
    url: str = Field("", description="http://HOST:PORT")
    org: str = ""
    bucket: str = ""
    token_file: str | None = None
    token_env: str | None = None

    @model_validator(mode="after")
    def _check(self) -> "InfluxSettings":
        if self.enabled:
            for key in ("url", "org", "bucket"):
                if not getattr(self, key):
                    raise ValueError(f"{key} is required when enabled = true")
            if (self.token_file is None) == (self.token_env is None):
                raise ValueError("either token_file or token_env is required when enabled = true")
        return self


class StoreSettings(Settings):
    """How long the local store keeps what; minutes, hours, events and the audit trail: for good."""

    seal_after_h: float | None = Field(
        None, ge=0, description="h after its end a batch goes to Parquet; never if not given"
    )
    keep_days: float | None = Field(None, gt=0, description="days; older rows are dropped")
    keep_gb: float | None = Field(
        None, gt=0, description="GB of store and sealed batches; above it the oldest are dropped"
    )


class PlantSettings(Settings):
    """The whole plant file but for ``[simulation]``, which the controller never reads."""

    site: Name
    data_dir: str = "data"
    scan_s: float = Field(1.0, ge=0.1, le=10, description="s")
    bypass_max_min: float = Field(
        480.0, ge=0, le=1440, description="min; no interlock is bypassed for longer"
    )
    console: ConsoleSettings = Field(default_factory=lambda: ConsoleSettings.model_validate({}))
    influx: InfluxSettings = Field(default_factory=lambda: InfluxSettings.model_validate({}))
    store: StoreSettings = Field(default_factory=lambda: StoreSettings.model_validate({}))
    device: dict[Name, DeviceSettings] = Field(min_length=1)
    reactor: dict[Name, ReactorSettings] = Field(min_length=1)


def influx_token(settings: InfluxSettings) -> str:
    """Return the token from its file or the environment.

    Raises:
        ConfigError: it is missing or empty.
    """
    if settings.token_file is not None:
        where = f"influx.token_file: {settings.token_file}"
        try:
            token = Path(settings.token_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError([f"{where}: {error.strerror}; a readable file is required"]) from None
    else:
        where = f"influx.token_env: {settings.token_env}"
        token = os.environ.get(settings.token_env or "", "").strip()
    if not token:
        raise ConfigError([f"{where}: the token is empty; a secret is required"])
    return token
