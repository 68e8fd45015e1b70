"""Plants under control for the tests of the closed loop."""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.loop.rig import FED, GROWN, Rig, plant_file


@pytest.fixture
def fed(tmp_path: Path) -> Path:
    """Return a recipe that feeds from the first minute and induces after two hours."""
    path = tmp_path / "fed.toml"
    path.write_text(FED)
    return path


@pytest.fixture
def make(tmp_path: Path) -> Generator[Callable[..., Rig]]:
    """Return what makes a rig of the demo's plant, not yet connected."""
    with ExitStack() as stack:

        def rig(changes: dict[str, str] | None = None, **more: Any) -> Rig:
            return stack.enter_context(Rig(plant_file(tmp_path, changes), **more))

        yield rig


@pytest.fixture
def grown(make: Callable[..., Rig]) -> Rig:
    """Return a rig with 8 g/L in the vessel, not yet connected."""
    rig = make(GROWN)
    rig.vessel.set_state(X=8.0)
    return rig


@pytest.fixture
def steady(grown: Rig, fed: Path) -> Rig:
    """Return a rig that has run a fed batch for a quarter of an hour, every loop settled."""
    grown.begin(fed)
    grown.hours(0.25)
    return grown
