"""How far each instrument is from what the soft sensor expects, as tags: once an update."""

from controller.sensing.sensing import Sensing
from drivers.point import GOOD, Sample, Tag

_WIDE = 1e3


class InnovationTags:
    """Makes samples of the innovations, see ``controller.innovations``.

    Args:
        reactor: ``R1``.
    """

    def __init__(self, reactor: str) -> None:
        self._reactor = reactor
        self._tags: dict[str, Tag] = {}
        self._told: object = None  # the estimate that was made samples of last

    def samples(self, now: float, sensing: Sensing) -> list[Sample]:
        """Return a sample for each instrument if the soft sensor has been updated.

        Args:
            now: s since 1970 UTC.
            sensing: of the reactor.
        """
        if sensing.estimate is None or sensing.estimate is self._told:
            return []
        self._told = sensing.estimate
        return [Sample(self._tag(n), now, v, GOOD) for n, v in sensing.innovations.items()]

    def _tag(self, instrument: str) -> Tag:
        name = f"{self._reactor}.innovation.{instrument}"
        return self._tags.setdefault(instrument, Tag(name, "1", -_WIDE, _WIDE))
