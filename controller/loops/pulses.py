"""Small doses: a flow that a pump cannot hold, given as pulses of the least that it can."""


class Pulses:
    """Gives less than ``least`` as pulses of ``least``; their mean is what was wanted.

    Args:
        least: the least flow that the pump holds, in the actuator's unit.
        on_s: the shortest pulse, s; the scan rounds it up.
    """

    __slots__ = ("_least", "_on", "_on_s", "_owed")

    def __init__(self, least: float, on_s: float) -> None:
        self._least = least
        self._on_s = on_s
        self._owed = 0.0  # what was wanted and has not been given, unit * s
        self._on = False

    def step(self, wanted: float, dt: float) -> float:
        """Return what the pump should do for the next ``dt`` s, in its unit."""
        if wanted <= 0.0 or wanted >= self._least:
            self._owed, self._on = 0.0, False  # nothing wanted: nothing is owed any more
            return wanted
        self._owed += wanted * dt
        if self._on:
            self._on = self._owed >= self._least * dt
        else:
            self._on = self._owed >= self._least * max(self._on_s, dt)
        if not self._on:
            return 0.0
        self._owed -= self._least * dt
        return self._least
