"""What every test shares: the same generated cases in every run, and no long pauses.

A suite that draws other cases each time fails for somebody who changed nothing. New cases are
searched for on purpose: ``HYPOTHESIS_PROFILE=explore make test``.

Servers and devices of a test live in this process. A search for garbage through thousands of tests
makes them stand still for up to a second, which is longer than what they are tested against; so
what has been loaded, and what each file leaves behind, is taken out of that search, as
``fermloop run`` and ``simulate`` do.
"""

import gc
import os

import pytest
from hypothesis import settings

settings.register_profile("same", derandomize=True, database=None, deadline=None, print_blob=True)
settings.register_profile("explore", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="module", autouse=True)
def short_pauses() -> None:  # pyright: ignore[reportUnusedFunction]
    """Search the heap for garbage between two files, and what is left never again."""
    gc.collect()
    gc.freeze()
