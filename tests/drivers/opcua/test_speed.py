"""Quality, units and clocks cost less than a tenth of bare asyncua's batched reads."""

import pytest

from tests.bench.bench_opcua import measure, ratio

pytestmark = pytest.mark.real_time


@pytest.mark.long
async def test_nine_tenths_of_bare_asyncuas_values_per_second() -> None:
    found = await measure(nodes=20, rounds=40)
    assert ratio(found) >= 0.9, {name: sorted(f)[len(f) // 2] for name, f in found.items()}
