"""Units of liquid flows and of masses, as tags have them, in one of each."""

from typing import Final

ML_PER_H: Final = {"mL/h": 1.0, "mL/min": 60.0, "L/h": 1000.0}  # of one of a liquid flow's units
KG: Final = {"g": 1e-3, "kg": 1.0, "t": 1e3}
