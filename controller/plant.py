"""A checked plant: the plant file, its tags, and where its data live."""

from pathlib import Path

from controller.consistency.plant import inconsistencies
from controller.plant_file.config import ConfigError, read_toml, validate
from controller.plant_file.fitted import with_strains
from controller.plant_file.region_file import regions
from controller.plant_file.settings import PlantSettings
from controller.profiles.profiles import expand
from controller.sensing.gas import GasBalance
from drivers.point import Tag


class Plant:
    """A checked plant: its settings and every tag by name.

    Attributes:
        path: the file it was read from.
        settings: what the file says.
        text: the file itself, as it was when it was read.
        tags: every tag by name.
        gas: what is calculated from the gases of each reactor, by its name.
        regions: where the optimiser may lead, by reactor; only where the plant file names it.
        device_of: the device's name by tag name.
        data_dir: where the store, the socket and the state live.
    """

    def __init__(self, path: Path, settings: PlantSettings, data_dir: Path) -> None:
        self.path = path
        self.settings = settings
        self.text = path.read_text(encoding="utf-8")
        self.data_dir = data_dir
        self.tags: dict[str, Tag] = {}
        self.device_of: dict[str, str] = {}
        for name, device in settings.device.items():
            for t in device.tags:
                self.tags[t.name] = t.tag()
                self.device_of[t.name] = name
        self.gas = {
            name: GasBalance(name, r.measured, self.tags, r.do_calibration_bar)
            for name, r in settings.reactor.items()
        }
        self.regions = regions(settings, path, self.tags | self.calculated)

    def quantity(self, name: str) -> Tag:
        """Return a tag that is measured, moved or calculated.

        Raises:
            KeyError: there is none of this name.
        """
        return self.tags[name] if name in self.tags else self.calculated[name]

    @property
    def calculated(self) -> dict[str, Tag]:
        """Every calculated tag by name."""
        return {t.name: t for gas in self.gas.values() for t in gas.tags.values()}

    @property
    def socket(self) -> Path:
        """The command socket."""
        return self.data_dir / "control.sock"

    @property
    def store(self) -> Path:
        """The local store."""
        return self.data_dir / "store.sqlite"


def load_plant(path: str | Path, *, data_dir: str | Path | None = None) -> Plant:
    """Return the checked plant of a TOML file; touches no device.

    Args:
        path: the plant file.
        data_dir: overrides the file's ``data_dir``.

    Raises:
        ConfigError: one line a mistake: file, key, value and what was allowed.
    """
    path = Path(path)
    table = expand(read_toml(path), path)
    table.pop("simulation", None)
    settings = validate(PlantSettings, table, path.name)
    lines = [f"{path.name}: {line}" for line in inconsistencies(settings)]
    if lines:
        raise ConfigError(lines)
    settings = with_strains(settings, path)
    return Plant(path, settings, Path(data_dir if data_dir is not None else settings.data_dir))
