"""What no key of ``[device.NAME]`` sees alone: who lives where, what goes with which driver."""

from collections.abc import Iterator

from controller.consistency.registers import (
    MODBUS_ONLY,
    Taken,
    wrong_infos,
    wrong_reads,
    wrong_register,
)
from controller.plant_file.device_settings import DeviceSettings, TagSettings
from drivers.third_party import wrong_name

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
    if modbus(device):
        yield from wrong_reads(key, device)
        yield from wrong_infos(key, device)


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


def wrong_place(where: str, device: DeviceSettings, t: TagSettings, taken: Taken) -> Iterator[str]:
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
    if modbus(device):
        yield from wrong_register(where, device, t, taken)
        return
    if t.node is None or t.table is not None:
        yield f"{where}: node (nsu=URI;s=NAME) alone is required for an OPC UA device"
        return
    for given in sorted(t.model_fields_set & {*MODBUS_ONLY}):
        yield f"{where}.{given}: is not allowed with opcua; it goes with Modbus registers"
    ((other, _, _),) = taken.setdefault(("node", t.node), [(t.name, 0, 0)])
    if other != t.name:
        yield f"{where}.node: {t.node} is not allowed; {other} lives there"


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
