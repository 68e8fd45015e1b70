"""How well each loop holds its setpoint, counted scan by scan."""

SETTLING_H = 1.0  # the first hour of a batch is not judged


class LoopKpi:
    """Time in band and the integral of the absolute error of one loop.

    Args:
        band: half width of the band, in the measured unit.
    """

    __slots__ = ("_band", "_error", "_inside", "_seconds")

    def __init__(self, band: float) -> None:
        self._band = band
        self._inside = 0.0
        self._seconds = 0.0
        self._error = 0.0

    def update(self, setpoint: float, measured: float, dt: float) -> None:
        """Count ``dt`` s; a BAD measurement (NaN) counts as out of the band."""
        error = abs(measured - setpoint)
        self._seconds += dt
        if error <= self._band:
            self._inside += dt
        if error == error:  # a gap is not integrated
            self._error += error * dt

    def report(self) -> dict[str, float | None]:
        """Return the share in band (0..1) and the IAE in measured unit × h."""
        share = self._inside / self._seconds if self._seconds else None
        return {"in_band": share, "iae": self._error / 3600.0}
