"""The Modbus lines of a plant: devices that name the same wire and address share one connection."""

from typing import TYPE_CHECKING

from controller.plant_file.device_settings import DeviceSettings, SerialSettings

if TYPE_CHECKING:
    from drivers.modbus.bus import Bus, BusLink


class Lines:
    """Makes each line when its first device is wired; made once a plant."""

    def __init__(self) -> None:
        self._buses: dict[tuple[str, str], Bus] = {}

    def link(self, settings: DeviceSettings) -> "BusLink":
        """Return the link of a Modbus device; opens nothing yet."""
        from drivers.modbus.bus import BusLink

        line = (settings.driver, settings.address)
        bus = self._buses.get(line)
        if bus is None:
            bus = self._buses[line] = _bus(settings)
        return BusLink(
            bus,
            settings.unit_id,
            settings.timeout_s,
            transaction_zero=settings.transaction_zero,
        )


def _bus(settings: DeviceSettings) -> "Bus":
    """Return the line that a device's table describes."""
    if settings.driver == "modbus_rtu":
        from drivers.modbus.rtu import SerialLine, serial_bus

        given = settings.serial or SerialSettings.model_validate({})
        return serial_bus(settings.address, SerialLine(**given.model_dump()), settings.gap_s)
    host, _, port = settings.address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if settings.driver == "modbus_rtu_over_tcp":
        from drivers.modbus.rtu import rtu_tcp_bus

        return rtu_tcp_bus(host, int(port), settings.gap_s)
    if settings.tls is not None:
        from drivers.modbus.tls import Identification, tls_bus

        ours = Identification(**settings.tls.model_dump())
        return tls_bus(host, int(port), ours, settings.gap_s)
    from drivers.modbus.tcp import tcp_bus

    return tcp_bus(host, int(port), settings.gap_s)
