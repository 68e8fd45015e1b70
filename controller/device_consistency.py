"""What no key of ``[device.NAME]`` sees alone: who lives where, what goes with which driver."""

from collections.abc import Iterator

from controller.device_settings import DeviceSettings, TagSettings
from drivers.third_party import wrong_name

WORDS = {
    "bit": 1,
    "int16": 1,
    "uint16": 1,
    "int32": 2,
    "uint32": 2,
    "float32": 2,
    "float64": 4,
}
_ALL = {"driver", "address", "profile", "timeout_s", "required", "info", "tags"}
_MODBUS = _ALL | {"unit_id", "gap_s", "writes", "read", "watchdog"}
# Which keys of a device go with which driver; any other driver takes ``options``.
KEYS = {
    "modbus_tcp": _MODBUS | {"transaction_zero"},
    "modbus_tls": _MODBUS | {"transaction_zero", "tls"},
    "modbus_rtu": _MODBUS | {"serial"},
    "modbus_rtu_over_tcp": _MODBUS,
    "opcua": _ALL | {"insecure", "security", "login", "subscribe", "max_skew_s"},
}
_OTHER = _ALL - {"profile", "info"} | {"options"}
_OTHER_TAG = {"name", "unit", "low", "high", "safe", "max_age_s", "options"}


def modbus(device: DeviceSettings) -> bool:
    """Return whether it is spoken to in Modbus, over whatever wire."""
    return device.driver.startswith("modbus_") and device.driver in KEYS


def own(device: DeviceSettings) -> bool:
    """Return whether its driver is one of ours and not somebody else's class."""
    return device.driver in KEYS


def wrong_keys(key: str, device: DeviceSettings) -> Iterator[str]:
    """Yield each key that the device's driver does not know, and what it misses."""
    if why := wrong_name(device.driver, KEYS):
        yield f"{key}.driver: {why}"
        return
    allowed = KEYS.get(device.driver, _OTHER)
    for given in sorted(device.model_fields_set - allowed):
        yield f"{key}.{given}: is not allowed with {device.driver}; {', '.join(sorted(allowed))}"
    if device.driver == "modbus_tls" and device.tls is None:
        yield f"{key}.tls: missing; ca, certificate and key are required with modbus_tls"
    if device.driver.startswith("modbus_rtu") and not 1 <= device.unit_id <= 247:
        yield f"{key}.unit_id: {device.unit_id} is not allowed; 1 to 247 on a serial line"
    if device.driver == "opcua" and device.insecure == (device.security is not None):
        yield (
            f"{key}.security: either security (policy, certificate, key, trusted) or "
            "insecure = true is required with opcua"
        )
    if device.driver == "opcua":
        for number, info in enumerate(device.info, start=1):
            if info.node is None or info.table is not None:
                yield f"{key}.info {number}: node (nsu=URI;s=NAME) alone is required with opcua"
    if device.driver == "opcua" and device.insecure and device.login is not None:
        yield f"{key}.login: is not allowed with insecure = true; security is required for secrets"
    yield from _address(key, device)


def _address(key: str, device: DeviceSettings) -> Iterator[str]:
    if device.driver == "opcua" and not device.address.startswith("opc.tcp://"):
        yield f"{key}.address: {device.address} is not allowed; opc.tcp://HOST:PORT/PATH"
    if device.driver == "modbus_rtu":
        if not device.address.startswith("/") and not device.address.upper().startswith("COM"):
            yield f"{key}.address: {device.address} is not allowed; a serial port: /dev/ttyUSB0"
        return
    if not own(device):
        return  # whatever it means to its driver
    host, _, port = device.address.removeprefix("opc.tcp://").split("/")[0].rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        yield f"{key}.address: {device.address} is not allowed; HOST:PORT with a port 1 to 65535"


def wrong_place(
    where: str, device: DeviceSettings, t: TagSettings, taken: dict[tuple[str, int | str], str]
) -> Iterator[str]:
    """Yield what is wrong with where a tag lives; ``taken`` remembers who lives where."""
    if not own(device):
        if given := sorted(t.model_fields_set - _OTHER_TAG):
            yield (
                f"{where}: {', '.join(given)} is not allowed; with {device.driver} where a tag "
                "lives is said in its options"
            )
        return
    if t.options:
        yield f"{where}.options: is not allowed with {device.driver}"
    if device.driver == "opcua":
        if t.node is None or t.table is not None:
            yield f"{where}: node (nsu=URI;s=NAME) alone is required for an OPC UA device"
            return
        cells: list[tuple[str, int | str]] = [("node", t.node)]
    else:
        if len(t.places) != 1 or t.node is not None:
            yield (
                f"{where}: exactly one of input, holding, coil, discrete (0-based) or "
                "input_number, holding_number, coil_number, discrete_number (1-based) is required"
            )
            return
        if t.scale == 0:
            yield f"{where}.scale: 0 is not allowed; unit per count, not 0"
            return
        table, start = t.places[0]
        kind = t.type or ("bit" if table in ("coil", "discrete") else None)
        if kind is None:
            yield f"{where}.type: missing; one of {', '.join(WORDS)} is required"
            return
        if (kind == "bit") != (table in ("coil", "discrete")):
            yield f"{where}.type: {kind} is not allowed in {table}; bit goes with coil and discrete"
            return
        if t.safe is not None and table in ("input", "discrete"):
            yield f"{where}.safe: an actuator must be a holding register or a coil, not {table}"
        yield from _fits(where, t, kind)
        cells = [(table, start + k) for k in range(WORDS[kind])]
        if device.watchdog is not None:
            taken.setdefault(("holding", device.watchdog.holding), "the watchdog")
    for cell in cells:
        if cell in taken:
            yield f"{where}.{cell[0]}: {cell[1]} is not allowed; {taken[cell]} lives there"
            return
        taken[cell] = t.name


def _fits(where: str, t: TagSettings, kind: str) -> Iterator[str]:
    """Yield if the range of a tag does not fit the counts of its register."""
    bounds = {
        "int16": (-0x8000, 0x7FFF),
        "uint16": (0, 0xFFFF),
        "int32": (-0x80000000, 0x7FFFFFFF),
        "uint32": (0, 0xFFFFFFFF),
    }.get(kind)
    if bounds is None:
        return
    counts = [(v - t.offset) / t.scale for v in (t.low, t.high)]
    if min(counts) < bounds[0] - 0.5 or max(counts) > bounds[1] + 0.5:
        yield (
            f"{where}: {t.low:g} to {t.high:g} {t.unit} does not fit {kind} "
            f"with scale {t.scale:g}; {bounds[0]} to {bounds[1]} counts are allowed"
        )


def wrong_lines(devices: dict[str, DeviceSettings]) -> Iterator[str]:
    """Yield what devices that share one Modbus line say differently, and unit ids that meet."""
    first: dict[tuple[str, str], str] = {}
    units: dict[tuple[str, str, int], str] = {}
    for name, device in devices.items():
        if not modbus(device):
            continue
        line = (device.driver, device.address)
        other = first.setdefault(line, name)
        for shared in ("gap_s", "serial", "tls"):
            if getattr(device, shared) != getattr(devices[other], shared):
                yield f"device.{name}.{shared}: must be as in device.{other}; they share a line"
        same = units.setdefault((*line, device.unit_id), name)
        if same != name:
            yield f"device.{name}.unit_id: {device.unit_id} is not allowed; device.{same} has it"
