"""Device profiles: found by name or by path, and merged into a plant file before it is checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeGuard

from controller.consistency.devices import KEYS
from controller.plant_file.config import ConfigError, read_toml, validate
from controller.plant_file.device_settings import Place
from controller.profiles.settings import ABOUT, ProfileSettings, inconsistencies

FOLDER = Path(str(files("drivers").joinpath("profiles")))
_PLACE = {*Place.model_fields, "node"}
_WIRES = set(KEYS)

Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Profile:
    """A checked profile.

    Attributes:
        name: as the plant file says it.
        settings: what it holds.
        table: the same as it stands in the file.
    """

    name: str
    settings: ProfileSettings
    table: Table


def known() -> list[str]:
    """Return the names of the profiles that come with fermloop."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_profile(name: str, folder: Path | None = None) -> Profile:
    """Return the checked profile of a name, or of a file's path relative to ``folder``.

    Raises:
        ConfigError: there is none, or it is wrong; a line a mistake.
    """
    is_path = "/" in name or "\\" in name or name.endswith(".toml")
    if not is_path and name not in known():
        raise ConfigError([f"{name} is not allowed; {_listed(name, known())} or a path to a file"])
    path = (folder or Path()) / name if is_path else FOLDER / f"{name}.toml"
    table = read_toml(path)
    settings = validate(ProfileSettings, table, path.name)
    lines = [f"{path.name}: {line}" for line in inconsistencies(settings)]
    if lines:
        raise ConfigError(lines)
    return Profile(name, settings, table)


def expand(table: Table, path: Path) -> Table:
    """Return the tables of the plant file at ``path`` with every device's profile merged in.

    What the plant file says goes before what the profile says. Whatever has not the form of a
    device is left as it is: the check of the whole file names it.

    Raises:
        ConfigError: no such profile or signal, a mistake in a profile, a key that only the plant
            can know is missing; a line a mistake.
    """
    devices = table.get("device")
    if not _is_table(devices):
        return table
    lines: list[str] = []
    expanded: Table = {}
    for name, device in devices.items():
        expanded[name] = _device(f"device.{name}", device, path, lines)
    if lines:
        raise ConfigError(list(dict.fromkeys(f"{path.name}: {line}" for line in lines)))
    return {**table, "device": expanded}


def _device(where: str, device: Any, path: Path, lines: list[str]) -> Any:
    if not _is_table(device):
        return device
    tags: list[Any] = device["tags"] if isinstance(device.get("tags"), list) else []
    name = device.get("profile")
    if not isinstance(name, str):
        for i, tag in enumerate(tags):
            if _is_table(tag) and "signal" in tag and name is None:
                lines.append(f"{where}.tags.{i}.signal: is not allowed without {where}.profile")
        return device
    try:
        profile = load_profile(name, path.parent)
    except ConfigError as error:
        lines.extend(f"{where}.profile: {line}" for line in error.lines)
        return device
    driver = device.get("driver")
    if isinstance(driver, str):
        protocol = profile.settings.profile.protocol
        fitting = [d for d in KEYS if d.startswith("modbus") == (protocol == "modbus")]
        if driver not in fitting:
            lines.append(
                f"{where}.profile: {name} is of a {protocol} device, not for {driver}; "
                f"{', '.join(fitting)}"
            )
            return device
    merged = _merged(_defaults(profile, driver), device)
    if tags:
        merged["tags"] = [_tag(f"{where}.tags.{i}", t, profile, lines) for i, t in enumerate(tags)]
    return merged


def _defaults(profile: Profile, driver: Any) -> Table:
    """Return what the profile says of the device, without what the driver knows nothing of."""
    given: Table = profile.table.get("device", {})
    common = {k: v for k, v in given.items() if k not in _WIRES}
    whole = _merged(common, given.get(driver, {}))
    return {key: value for key, value in whole.items() if key in KEYS.get(driver, ())}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Table:
    """Return both, ``above`` first; a table within is merged in the same way, a list is not."""
    merged = {**below, **above}
    for key in below.keys() & above.keys():
        if _is_table(below[key]) and _is_table(above[key]):
            merged[key] = _merged(below[key], above[key])
    return merged


def _tag(where: str, tag: Any, profile: Profile, lines: list[str]) -> Any:
    if not _is_table(tag) or not isinstance(tag.get("signal"), str):
        return tag
    if isinstance(tag.get("name"), str):
        where = f"{where} ({tag['name']})"
    name: str = tag["signal"]
    signal = profile.settings.signal.get(name)
    if signal is None:
        known_signals = _listed(name, list(profile.settings.signal))
        lines.append(f"{where}.signal: {name} is not allowed; {known_signals} of {profile.name}")
        return tag
    if "safe" in tag and not signal.writable:
        lines.append(f"{where}.safe: is not allowed; {name} of {profile.name} is only read")
    for key in signal.needs.keys() - tag.keys():
        lines.append(
            f"{where}.{key}: missing; {key} ({signal.needs[key]}) is required, "
            f"{profile.name} cannot know it"
        )
    given = {k: v for k, v in profile.table["signal"][name].items() if k not in ABOUT}
    if tag.keys() & _PLACE:
        given = {k: v for k, v in given.items() if k not in _PLACE}
    return {**given, **tag}


def _listed(wrong: str, names: list[str]) -> str:
    """Return the names, the one that was probably meant first."""
    return ", ".join(
        sorted(names, key=lambda n: SequenceMatcher(None, wrong, n).ratio(), reverse=True)
    )


def _is_table(value: Any) -> TypeGuard[Table]:
    return isinstance(value, dict)
