"""Tuning rules: what a PI should be for a process model or an ultimate point."""

import math
from dataclasses import dataclass

from controller.tuning.identify import UltimatePoint
from controller.tuning.process import Process


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a rule says.

    Attributes:
        rule: its name, for people.
        kp: gain, u/y.
        ti_s: integral time, s.
        tau_c_s: the closed loop's time constant that was asked for, s; NaN where the rule has none.
    """

    rule: str
    kp: float
    ti_s: float
    tau_c_s: float = math.nan


def first_order(process: Process, *lags_s: float) -> Process:
    """Return ``process`` with its second lag and ``lags_s`` (filters, s) in lag and dead time.

    The half rule: of the largest lag that goes, half is dead time and half is added to the first
    lag; of the others everything is dead time. An integrator's lag cannot grow, so that
    everything is dead time there.

    Source: S. Skogestad, J. Process Control 13 (2003) 291-309, §2 and its example E6.
    """
    lags = sorted((lag for lag in (process.lag2_s, *lags_s) if lag > 0.0), reverse=True)
    if not lags:
        return process
    if process.integrating:
        return Process(process.slope, 0.0, process.dead_s + sum(lags))
    lags = sorted([process.lag_s, *lags], reverse=True)
    first, second, *rest = lags
    dead_s = process.dead_s + second / 2 + sum(rest)
    return Process.lag(process.gain, first + second / 2, dead_s)


def simc(
    process: Process, dt: float, *, tau_c_s: float | None = None, filter_s: float = 0.0
) -> Proposal:
    """Return the PI of SIMC.

    Args:
        process: the model.
        dt: scan, s; half of it counts as dead time.
        tau_c_s: time constant wanted of the closed loop, s; ``None``: as much as the dead time,
            the fastest that is robust.
        filter_s: filter of the measurement in the controller, s.

    Raises:
        ValueError: ``tau_c_s`` is not positive.

    Source: S. Skogestad, J. Process Control 13 (2003) 291-309.
    """
    model = first_order(process, filter_s)
    dead_s = model.dead_s + dt / 2
    tau = dead_s if tau_c_s is None else tau_c_s
    if not 0.0 < tau < math.inf:
        raise ValueError(f"tau_c: {tau:g} is not allowed; it (s) must be > 0")
    kp = 1.0 / (model.slope * (tau + dead_s))
    return Proposal("SIMC", kp, min(model.lag_s, 4.0 * (tau + dead_s)), tau)


def tyreus_luyben(point: UltimatePoint) -> Proposal:
    """Return the PI of Tyreus and Luyben: calm, for slow and integrating processes.

    Source: B. D. Tyreus, W. L. Luyben, Ind. Eng. Chem. Res. 31 (1992) 2625-2628.
    """
    return Proposal("Tyreus-Luyben", point.gain / 3.2, 2.2 * point.period_s)


def ziegler_nichols(point: UltimatePoint) -> Proposal:
    """Return the PI of Ziegler and Nichols, only to compare with: it leaves little margin.

    Source: J. G. Ziegler, N. B. Nichols, Trans. ASME 64 (1942) 759-768.
    """
    return Proposal("Ziegler-Nichols", 0.45 * point.gain, point.period_s / 1.2)
