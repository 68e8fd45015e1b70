"""``[device.NAME]`` of the plant file: where a device is, how it is spoken to, its tags."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from controller.plant_file.config import Settings
from drivers.modbus.cells import Table, Type
from drivers.point import Tag

Address = Annotated[int, Field(ge=0, le=65535)]
Number = Annotated[int, Field(ge=1, le=65536)]
TABLES: tuple[Table, ...] = ("input", "holding", "coil", "discrete")


class Place(Settings):
    """Where something lives in a Modbus device: a 0-based address or a 1-based number."""

    input: Address | None = Field(None, description="0-based input register")
    holding: Address | None = Field(None, description="0-based holding register")
    coil: Address | None = Field(None, description="0-based coil")
    discrete: Address | None = Field(None, description="0-based discrete input")
    input_number: Number | None = Field(None, description="1-based input register (30001 is 1)")
    holding_number: Number | None = Field(None, description="1-based holding register (40001 is 1)")
    coil_number: Number | None = Field(None, description="1-based coil")
    discrete_number: Number | None = Field(None, description="1-based discrete input (10001 is 1)")

    @property
    def places(self) -> list[tuple[Table, int]]:
        """Every table and 0-based address that is given; exactly one is right."""
        found: list[tuple[Table, int]] = []
        for table in TABLES:
            address: int | None = getattr(self, table)
            number: int | None = getattr(self, f"{table}_number")
            if address is not None:
                found.append((table, address))
            if number is not None:
                found.append((table, number - 1))
        return found

    @property
    def table(self) -> Table | None:
        """Which Modbus table it lives in."""
        return self.places[0][0] if self.places else None

    @property
    def address(self) -> int:
        """Its 0-based address, as on the wire."""
        return self.places[0][1]


class Coding(Place):
    """How a number or a text is written in registers."""

    type: Type | None = None
    words: Literal["big", "little"] = Field("big", description="order of the 16-bit words")
    bytes: Literal["big", "little"] = Field("big", description="order of the bytes of a word")
    mask: int | None = Field(None, gt=0, description="the bits of an integer that are meant")
    length: int | None = Field(None, ge=1, le=125, description="registers of a string")


class QualitySettings(Coding):
    """A status register, its bits or a bit, that says how far the tag may be trusted."""

    good: tuple[int, ...] = Field(min_length=1, description="what it holds while the tag is GOOD")
    uncertain: tuple[int, ...] = Field((), description="and while UNCERTAIN; all others are BAD")


class TagSettings(Coding):
    """One register or node. A tag with ``safe`` is an actuator."""

    name: str = Field(pattern=r"^[A-Za-z]\w*\.[A-Za-z][\w.]*$", description="REACTOR.quantity")
    unit: str = Field(description="UCUM code")
    low: float
    high: float
    safe: float | None = Field(None, description="in unit; makes the tag an actuator")
    remote: str | None = Field(
        None, description="of an actuator: the tag of its local/remote switch, 1 = remote"
    )
    safe_zero: bool = Field(False, description="air or a stirrer may stand still to be safe")
    scale: float = Field(1.0, description="unit per count, not 0")
    offset: float = Field(0.0, description="unit")
    states: dict[int, str] = Field(default_factory=dict[int, str], description="names of values")
    quality: QualitySettings | None = Field(None, description="where the device tells quality")
    node: str | None = Field(None, description="OPC UA node id: nsu=URI;s=NAME")
    max_age_s: float | None = Field(None, gt=0, description="s; older by the server is stale")
    noise: float | None = Field(
        None, gt=0, description="standard deviation of a reading, unit; without it it is stuck"
    )
    stuck_s: float = Field(120.0, ge=10, le=86400, description="s without noise before it is")
    step: float | None = Field(
        None, gt=0, description="greatest change between two readings, unit; goes with noise"
    )
    signal: str | None = Field(None, description="which signal of the device's profile")
    options: dict[str, Any] = Field(
        default_factory=dict[str, Any], description="for a third-party driver"
    )

    def tag(self) -> Tag:
        """Return the tag; ``ValueError`` if its range is empty or its safe value outside."""
        return Tag(self.name, self.unit, self.low, self.high, self.safe, self.states)


class InfoSettings(Coding):
    """What is read after each connection, and what it must be: the right device, rightly read."""

    name: str = Field(min_length=1, description="serial number, firmware, ...")
    node: str | None = Field(None, description="OPC UA node id: nsu=URI;s=NAME")
    equals: str | int | float | None = Field(None, description="anything else refuses the device")


class WatchdogSettings(Settings):
    """A register that the controller must keep changing, or the device makes itself safe."""

    holding: Address
    within_s: float = Field(3.0, gt=0)
    armed_input: Address | None = Field(None, description="0-based input register, 1 when armed")


class SerialSettings(Settings):
    """A serial line; every device on it says the same."""

    baudrate: int = Field(19200, ge=300, le=1_000_000, description="bit/s")
    parity: Literal["N", "E", "O"] = "E"
    stop_bits: Literal[1, 2] = 1
    data_bits: Literal[7, 8] = 8
    echo: bool = Field(False, description="a two-wire adapter gives back what is sent")


class TlsSettings(Settings):
    """Modbus/TCP Security: both sides show a certificate."""

    ca: str = Field(description="PEM file of who signed the device's certificate")
    certificate: str = Field(description="PEM file, ours")
    key: str = Field(description="PEM file, ours, readable by us alone")
    server_name: str | None = Field(None, description="in the device's certificate; else its host")


class WholeSettings(Place):
    """Neighbouring registers that the device answers only all at once."""

    count: int = Field(ge=1, le=125, description="registers")


class ReadSettings(Settings):
    """What one request may read; less where a device can do less."""

    max_registers: int = Field(125, ge=1, le=125)
    max_bits: int = Field(2000, ge=1, le=2000)
    max_gap: int = Field(16, ge=0, le=124, description="unused registers that are read along")
    whole: tuple[WholeSettings, ...] = Field((), description="ranges read only as a whole")


class SecuritySettings(Settings):
    """How an OPC UA connection is signed and encrypted."""

    policy: Literal["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"] = (
        "Basic256Sha256"
    )
    certificate: str = Field(description="DER or PEM file, ours; see fermloop cert")
    key: str = Field(description="PEM file, ours, readable by us alone")
    trusted: str = Field(description="folder of trusted servers' or authorities' certificates")
    application_uri: str | None = Field(None, description="of the server; else as it says itself")


class LoginSettings(Settings):
    """Who we are for an OPC UA server: a user with a password, or a certificate."""

    user: str | None = None
    password_file: str | None = Field(None, description="readable by us alone")
    password_env: str | None = Field(None, description="name of an environment variable")
    certificate: str | None = Field(None, description="DER or PEM file of the user")
    key: str | None = Field(None, description="PEM file of the user")

    @model_validator(mode="after")
    def _check(self) -> "LoginSettings":
        secrets = [s for s in (self.password_file, self.password_env) if s is not None]
        by_name = self.user is not None and len(secrets) == 1
        by_certificate = self.certificate is not None and self.key is not None
        if by_name == by_certificate or (by_certificate and (self.user or secrets)):
            raise ValueError(
                "either user with password_file or password_env, or certificate with key, "
                "is required"
            )
        return self


class SubscribeSettings(Settings):
    """Changes are sent to us instead of being asked for."""

    interval_s: float = Field(0.5, gt=0, le=60, description="s between two publications")


class DeviceSettings(Settings):
    """A device on a wire. Which keys go with which driver is checked with the whole file."""

    driver: str = Field(
        description="modbus_tcp, modbus_tls, modbus_rtu, modbus_rtu_over_tcp, opcua, an entry "
        "point of fermloop.drivers or package.module:Class"
    )
    address: str = Field(description="HOST:PORT, a serial port or opc.tcp://HOST:PORT/PATH")
    profile: str | None = Field(None, description="one of drivers/profiles, or a file")
    unit_id: int = Field(1, ge=0, le=255)
    timeout_s: float = Field(0.5, gt=0, le=10, description="wall s")
    required: bool = True
    insecure: bool = False
    # Modbus
    serial: SerialSettings | None = None
    tls: TlsSettings | None = None
    gap_s: float = Field(0.0, ge=0, le=1, description="wall s of silence between two requests")
    transaction_zero: bool = Field(False, description="take replies with transaction 0")
    writes: Literal["multiple", "single", "read_write"] = Field(
        "multiple", description="function codes 15 and 16, 5 and 6, or 23"
    )
    read: ReadSettings = Field(default_factory=lambda: ReadSettings.model_validate({}))
    watchdog: WatchdogSettings | None = None
    # OPC UA
    security: SecuritySettings | None = None
    login: LoginSettings | None = None
    subscribe: SubscribeSettings | None = None
    max_skew_s: float = Field(5.0, gt=0, description="s between the server's clock and ours")

    info: tuple[InfoSettings, ...] = ()
    options: dict[str, Any] = Field(
        default_factory=dict[str, Any], description="for a third-party driver"
    )
    tags: tuple[TagSettings, ...] = Field(min_length=1)
