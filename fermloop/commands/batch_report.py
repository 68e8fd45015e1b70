"""``fermloop report``: a batch as a page that can be printed and signed."""

import getpass
import os
from collections.abc import Sequence
from pathlib import Path

from drivers.clock import wall
from fermloop.batch_report.page import page
from fermloop.commands.stores import opened
from fermloop.failure import USAGE, FailureError
from historian.schema import StoreError


def run(
    batch: str,
    out: Path | None,
    show: str,
    references: Sequence[str],
    plant: Path | None,
    store: Path | None,
) -> None:
    """Write the page and say where it is."""
    path = out or Path(f"{batch}.html")
    with opened(plant, store) as reader:
        try:
            text = page(reader, batch, show, wall(), getpass.getuser(), references)
        except LookupError as error:
            raise FailureError(str(error.args[0]), USAGE) from None
        except StoreError as error:
            raise FailureError(str(error), USAGE) from None
    aside = path.with_name(f"{path.name}.new{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        raise FailureError(f"{path}: {error.strerror}") from None
    finally:
        aside.unlink(missing_ok=True)
    print(f"{path}: open it in a browser; Print makes paper or a PDF of it")
