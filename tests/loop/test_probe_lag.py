"""A slow DO probe (RELIABILITY §2): 10 to 60 s more of lag, and no oscillation that lasts."""

import numpy as np
import pytest

from tests.loop.rig import Rig


@pytest.mark.long
@pytest.mark.parametrize("lag_s", [10, 20, 30, 40, 50, 60])
def test_a_slow_probe_is_no_reason_to_oscillate(steady: Rig, lag_s: int) -> None:
    steady.vessel.faults.inject("do.slow", None, float(lag_s))
    steady.run(900)
    steady.controller.set_setpoint("R1.do", 40.0, "a test", "ana")
    steady.run(1500)
    do = np.array([steady.vessel.truth["do_percent"] for _ in steady.scans(2400)])
    assert abs(do.mean() - 40.0) <= 2.0
    first, last = do[:1200].std(), do[1200:].std()
    assert last <= max(first, 0.6)  # it does not grow, and what is left is the probe's noise
    assert np.ptp(do[1200:]) <= 4.0
