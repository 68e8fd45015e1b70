"""All nights at the plant; the next is one more module and one more line here."""

from typing import Final

from tests.nights import chiller_lost, lying_probe, power_dip
from tests.nights.night import Night

NIGHTS: Final[dict[str, Night]] = {
    night.name: night for night in (power_dip.NIGHT, lying_probe.NIGHT, chiller_lost.NIGHT)
}
