"""An OPC UA device of the plant file: its driver, its link, its certificates and secrets."""

from typing import Any

from controller.plant_file.config import ConfigError
from controller.plant_file.device_settings import DeviceSettings
from drivers.clock import Clock
from drivers.driver import Driver
from drivers.opcua import Info, Node, OpcUaDriver


def opcua_driver(name: str, settings: DeviceSettings, link: Any, clock: Clock) -> Driver:
    """Return the driver of an OPC UA device over ``link``."""
    nodes = [Node(t.tag(), t.node or "", t.max_age_s) for t in settings.tags]
    return OpcUaDriver(
        name,
        nodes,
        link,
        clock,
        subscribe_s=settings.subscribe.interval_s if settings.subscribe else None,
        max_skew_s=settings.max_skew_s,
        info=[Info(i.name, i.node or "", i.equals) for i in settings.info],
    )


def opcua_link(settings: DeviceSettings) -> Any:
    """Return an OPC UA link; its certificates, keys and secrets are read here.

    Raises:
        ConfigError: one of them cannot be used.
    """
    from drivers.opcua.certificates import SecurityError
    from drivers.opcua.link import OpcUaLink
    from drivers.opcua.security import Login, Security

    security = login = None
    try:
        if (s := settings.security) is not None:
            security = Security(s.policy, s.certificate, s.key, s.trusted, s.application_uri)
        if (by := settings.login) is not None and by.user is not None:
            login = Login.with_password(by.user, by.password_file, by.password_env)
        elif by is not None:
            login = Login.with_certificate(by.certificate or "", by.key or "")
    except SecurityError as error:
        raise ConfigError([f"{settings.address}: {error}"]) from None
    return OpcUaLink(
        settings.address,
        settings.timeout_s,
        security=security,
        login=login,
        insecure=settings.insecure,
    )
