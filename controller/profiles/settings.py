"""A device profile: one TOML file that says where the signals of a model of device live."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from controller.consistency.devices import wrong_place
from controller.consistency.registers import wrong_infos, wrong_reads
from controller.plant_file.config import Settings
from controller.plant_file.device_settings import (
    Coding,
    DeviceSettings,
    InfoSettings,
    QualitySettings,
    ReadSettings,
    SerialSettings,
    SubscribeSettings,
    TagSettings,
    WatchdogSettings,
)

Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class SourceSettings(Settings):
    """A document that somebody really read, and what it was read for."""

    title: str = Field(min_length=1)
    revision: str = Field(min_length=1, description="document number, date, commit")
    pages: str = Field("", description="pages or lines")
    where: str = Field(min_length=1, description="where it can be read")
    by: Literal["maker", "third party"] = "maker"
    says: str = Field(min_length=1, description="what was taken from it")


class HeadSettings(Settings):
    """What the profile is of, who says so, and how far it was tried."""

    name: str = Field(min_length=1)
    maker: str = Field(min_length=1)
    model: str = Field(min_length=1)
    protocol: Literal["modbus", "opcua"] = "modbus"
    source: tuple[SourceSettings, ...] = Field(min_length=1)
    tested: str = Field(min_length=1, description="what was tested and how")
    notes: tuple[str, ...] = ()


class DefaultSettings(Settings):
    """Keys of ``[device.NAME]`` that the device needs; the plant file's own go before them."""

    unit_id: int | None = Field(None, ge=0, le=247)
    timeout_s: float | None = Field(None, gt=0, le=10, description="wall s")
    serial: SerialSettings | None = None
    gap_s: float | None = Field(None, ge=0, le=1, description="wall s")
    transaction_zero: bool | None = None
    writes: Literal["multiple", "single", "read_write"] | None = None
    read: ReadSettings | None = None
    watchdog: WatchdogSettings | None = None
    subscribe: SubscribeSettings | None = None
    max_skew_s: float | None = Field(None, gt=0, description="s")
    info: tuple[InfoSettings, ...] = ()


class DriverDefaults(DefaultSettings):
    """The same, and what differs from it over one wire."""

    modbus_tcp: DefaultSettings | None = None
    modbus_tls: DefaultSettings | None = None
    modbus_rtu: DefaultSettings | None = None
    modbus_rtu_over_tcp: DefaultSettings | None = None
    opcua: DefaultSettings | None = None


class SignalSettings(Coding):
    """One register or node of the device: the keys of a tag, but its name and its safe value."""

    about: str = Field(min_length=1)
    page: str = Field("", description="where the source says so")
    writable: bool = Field(False, description="a tag of it may have a safe value")
    needs: dict[Key, str] = Field(
        default_factory=dict[Key, str],
        description="keys that only the plant file can give, and what they mean",
    )
    unit: str | None = Field(None, description="UCUM code")
    low: float | None = None
    high: float | None = None
    scale: float = Field(1.0, description="unit per count, not 0")
    offset: float = Field(0.0, description="unit")
    states: dict[int, str] = Field(default_factory=dict[int, str], description="names of values")
    quality: QualitySettings | None = Field(None, description="where the device tells quality")
    node: str | None = Field(None, description="OPC UA node id: nsu=URI;s=NAME")
    max_age_s: float | None = Field(None, gt=0, description="s")


class ProfileSettings(Settings):
    """A whole profile."""

    profile: HeadSettings
    device: DriverDefaults = Field(default_factory=lambda: DriverDefaults.model_validate({}))
    signal: dict[Key, SignalSettings] = Field(min_length=1)


ABOUT = {"about", "page", "writable", "needs"}  # what a signal has and a tag has not


def inconsistencies(profile: ProfileSettings) -> Iterator[str]:
    """Yield what no key of a profile sees alone, each with its key and what is allowed."""
    opcua = profile.profile.protocol == "opcua"
    device = _device(profile.device, opcua)
    if not opcua:
        yield from _defaults(profile.device)
    for name, signal in profile.signal.items():
        where = f"signal.{name}"
        for key in signal.needs:
            if key not in TagSettings.model_fields or key in ("name", "signal"):
                yield f"{where}.needs.{key}: no key of a tag"
        if signal.scale == 0:
            yield f"{where}.scale: 0 is not allowed; unit per count, not 0"
            continue
        if signal.low is not None and signal.high is not None and signal.low >= signal.high:
            yield f"{where}.high: {signal.high:g} is not allowed; above low, {signal.low:g}"
            continue
        tag = _tag(signal)
        for line in wrong_place(where, device, tag, {}):
            yield line.replace(f"{where}.safe", f"{where}.writable")


def _defaults(device: DriverDefaults) -> Iterator[str]:
    """Yield what is wrong with what is read of a Modbus device, over each wire."""
    wires = sorted(DriverDefaults.model_fields.keys() - DefaultSettings.model_fields.keys())
    parts = [("device", device), *((f"device.{wire}", getattr(device, wire)) for wire in wires)]
    for key, part in parts:
        if part is not None:
            yield from wrong_reads(key, _device(part))
            yield from wrong_infos(key, _device(part))


def _device(part: DefaultSettings, opcua: bool = False) -> DeviceSettings:
    """Return a device as a plant may have it, for its registers to be checked."""
    given = part.model_dump(include={"read", "info", "writes"}, exclude_none=True)
    anything = {"name": "R1.any", "unit": "1", "low": 0, "high": 1}
    return DeviceSettings.model_validate(
        {
            **({} if opcua else given),
            "driver": "opcua" if opcua else "modbus_tcp",
            "address": "opc.tcp://any:1" if opcua else "any:1",
            "tags": [anything],
        }
    )


def _tag(signal: SignalSettings) -> TagSettings:
    """Return a tag of the signal as a plant may have it, to be checked as a tag is."""
    given = signal.model_dump(exclude=ABOUT | {"unit", "low", "high"}, exclude_unset=True)
    step = abs(signal.scale)
    low = signal.low if signal.low is not None else signal.offset
    if signal.low is None and signal.high is not None:
        low = signal.high - step
    high = signal.high if signal.high is not None else low + step
    return TagSettings.model_validate(
        {
            **given,
            "name": "R1.signal",
            "unit": signal.unit or "1",
            "low": low,
            "high": high,
            "safe": low if signal.writable else None,
        }
    )
