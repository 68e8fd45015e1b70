"""A campaign's results as tables: Parquet for analysis, JSON for programs.

The only file here that imports pyarrow.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from fermloop.campaign.results import Row
from fermloop.failure import FailureError


def write_trajectory(path: Path, trajectory: Mapping[str, Sequence[float | None]]) -> None:
    """Write true values over the batch's age, a column each, whole or not at all."""
    _parquet(path, {name: list(values) for name, values in trajectory.items()})


def columns(path: Path) -> dict[str, list[Any]]:
    """Return the columns of a Parquet file by name."""
    parquet: Any = import_module("pyarrow.parquet")
    return parquet.read_table(path).to_pydict()


def write_results(folder: Path, manifest: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Write ``results.json`` (``campaign``: the manifest, ``rows``) and ``results.parquet``.

    The table is flat: ``estimated.product_g`` is a column. A failed batch's figures are null.
    """
    text = json.dumps({"campaign": manifest, "rows": rows}, indent=1, ensure_ascii=False)
    _whole(folder / "results.json", (text + "\n").encode())
    flat_rows = [dict(flat(row)) for row in rows]
    names = dict.fromkeys(name for row in flat_rows for name in row)
    _parquet(folder / "results.parquet", {name: [r.get(name) for r in flat_rows] for name in names})


def flat(row: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a row's values by name, with dots where tables are inside each other."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from flat(cast("Row", value), f"{at}{name}.")
        else:
            yield at + name, value


def _parquet(path: Path, columns: Mapping[str, Iterable[Any]]) -> None:
    pa: Any = import_module("pyarrow")  # has no types
    parquet: Any = import_module("pyarrow.parquet")
    arrays: dict[str, Any] = {}
    for name, values in columns.items():
        array = pa.array(values)
        arrays[name] = array.cast(pa.float64()) if array.type == pa.null() else array
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table(arrays), sink)
    _whole(path, sink.getvalue().to_pybytes())


def _whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole, on the disk, or not at all.

    Raises:
        FailureError: it cannot be written.
    """
    aside = path.with_name(f".{path.name}")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise FailureError(f"{path}: cannot be written: {error.strerror}") from None
