"""Where batches come from: a store, or files that are read through an import mapping."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from controller.plant_file.config import ConfigError, read_toml, validate
from controller.sensing.laboratory import Entry
from controller.sensing.laboratory_files import entry, rows
from drivers.point import Tag
from fermloop.commissioning.record import Record, recorded
from fermloop.failure import USAGE, FailureError
from fermloop.importing.batch import prepare
from fermloop.importing.mapping import MappingSettings
from fermloop.importing.source import read
from fermloop.importing.writing import events, write
from historian.history import History
from historian.schema import StoreError

FILES: Final = (".csv", ".parquet", ".pq")


@dataclass(frozen=True)
class Sources:
    """Where to look for a batch that is named.

    Attributes:
        reactor: whose batches.
        tags: of the plant, by name, for files.
        analytes: that the laboratory may have found.
        store: of the plant.
        mapping: what the columns of files are; ``None`` where no file is named.
        samples: the laboratory's results that are in no store: CSV files as its folder takes
            them, or folders of such.
    """

    reactor: str
    tags: Mapping[str, Tag]
    analytes: Sequence[str]
    store: Path
    mapping: Path | None
    samples: Sequence[Path]

    def records(self, names: Sequence[str], wanted: Sequence[str]) -> list[Record]:
        """Return the batches that are named: ids in the store, or files.

        Args:
            names: of the batches.
            wanted: tags without their reactor.

        Raises:
            FailureError: there is no such batch, store or mapping; a line each.
            ConfigError: a file or its mapping is wrong; a line a mistake.
        """
        entries = [e for path in self.samples for e in self._entries(path)]
        return [
            self._from_file(Path(name), wanted, entries)
            if Path(name).suffix.lower() in FILES
            else self._from_store(self.store, name, wanted, entries)
            for name in names
        ]

    def _from_store(
        self, store: Path, name: str, wanted: Sequence[str], entries: Sequence[Entry]
    ) -> Record:
        try:
            with History(store) as history:
                return recorded(history, name, wanted, entries)
        except (LookupError, ValueError, StoreError) as error:
            text = str(error.args[0] if error.args else error)
            raise FailureError([f"--batches: {text}", f"store: {store}"], USAGE) from None

    def _from_file(self, path: Path, wanted: Sequence[str], entries: Sequence[Entry]) -> Record:
        if self.mapping is None:
            raise FailureError(f"--map: is required for {path}, as fermloop import has it", USAGE)
        mapping = validate(MappingSettings, read_toml(self.mapping), self.mapping.name)
        mapping = mapping.model_copy(update={"batch": path.stem})
        if mapping.reactor != self.reactor:
            raise FailureError(
                f"{self.mapping.name}: reactor: {mapping.reactor} is not {self.reactor}", USAGE
            )
        batch = prepare(read(path, mapping), mapping, self.mapping.name, self.tags)
        with TemporaryDirectory() as folder:
            store = Path(folder) / "store.sqlite"
            write(store, batch, events(batch, path))
            return self._from_store(store, path.stem, wanted, entries)

    def _entries(self, path: Path) -> list[Entry]:
        """Return the results of a file, or of every CSV file of a folder."""
        found: list[Entry] = []
        lines: list[str] = []
        for file in sorted(path.glob("*.csv")) if path.is_dir() else [path]:
            try:
                table = rows(file)
            except (OSError, ValueError) as error:
                raise ConfigError([f"{file.name}: {error}"]) from None
            for k, row in enumerate(table, 2):
                try:
                    result, _ = entry(row, self.reactor)
                except (LookupError, ValueError) as error:
                    lines.append(f"{file.name} line {k}: {error}")
                    continue
                if result.corrects:
                    lines.append(
                        f"{file.name} line {k}: corrects: mend the row itself in this file"
                    )
                if result.analyte not in self.analytes:
                    known = ", ".join(self.analytes)
                    lines.append(f"{file.name} line {k}: {result.analyte}: no analyte; {known} are")
                found.append(result)
        if lines:
            raise ConfigError(lines)
        return found
