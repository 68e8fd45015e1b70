"""What the optimiser of any process may move, at which prices, inside which limits."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

from models.organisms import ORGANISMS
from models.vessels import VESSELS

SHARES = ("oxygen_share", "cooling_share", "flooding_share", "volume_share")


class Range(NamedTuple):
    """How far an input may go and how fast, in the model's unit and per h."""

    low: float
    high: float
    per_h: float


@dataclass(frozen=True, slots=True)
class EconomicSettings:
    """One reactor's problem; inputs are named and in the units of ``models.control``.

    Attributes:
        organism: key of ``ORGANISMS``.
        vessel: key of ``VESSELS``.
        calibration_bar: head pressure at which the oxygen probe reads 100 % in air.
        moves: what the optimiser sets.
        aeration: how far what the oxygen loop leads may go: ``stirrer``, ``air`` and, where it
            leads them, ``pressure`` and ``oxygen``.
        volume_max_l: of the broth.
        by_product_max_g_per_l: of acetate or ethanol; ``None``: the organism makes none.
        substrate_max_g_per_l: while feeding; more has run away.
        oxygen_share: of what can be transferred that a plan may use.
        cooling_share: of the heat that jacket and coolant could carry away; the rest is control's.
        flooding_share: of the gas flow that floods the impeller, likewise.
        volume_share: of ``volume_max_l``, likewise.
        product_price: of a g, drawn off or in the vessel at the end.
        biomass_price: of a g at the end.
        feed_prices: of a L of each feed.
        energy_price: of a kWh.
        oxygen_price: of a normal m3 of pure oxygen.
        time_price: of an hour.
        tank_empty_kg: weight at which the main feed's tank gives no more; ``None``: it is endless.
        track: species that are to follow a trajectory, and the weight of an error of its whole
            size all the time, in g of product.
        horizon_h: receding; ``None``: to the end of the batch.
        stages: of the horizon.
        iterations: of one solve; one that has not ended by then ends nowhere.
        learned: parameters of the model whose factor the estimate knows.
        derated: of these, the share of the estimate that a plan counts on: near the most that
            cells respire, overflow is a cliff, and no model knows where.
        scenarios: vessels that must stay within the limits under one plan, the likely one first.
        caution: standard deviations at which the others stand.
        strain: parameters of the strain, by name, that are not the model's own.
    """

    organism: str
    vessel: str
    moves: Mapping[str, Range]
    aeration: Mapping[str, tuple[float, float]]
    volume_max_l: float
    calibration_bar: float | None = None
    by_product_max_g_per_l: float | None = None
    substrate_max_g_per_l: float | None = None
    oxygen_share: float = 0.95
    cooling_share: float = 0.8
    flooding_share: float = 0.9
    volume_share: float = 0.97
    product_price: float = 1.0
    biomass_price: float = 0.0
    feed_prices: Mapping[str, float] = field(default_factory=dict[str, float])
    energy_price: float = 0.0
    oxygen_price: float = 0.0
    time_price: float = 0.0
    tank_empty_kg: float | None = None
    track: Mapping[str, float] = field(default_factory=dict[str, float])
    horizon_h: float | None = None
    stages: int = 24
    iterations: int = 200
    learned: tuple[str, ...] = ()
    derated: Mapping[str, float] = field(default_factory=dict[str, float])
    scenarios: int = 3
    caution: float = 1.0
    strain: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        for key, value, known in (
            ("organism", self.organism, ORGANISMS),
            ("vessel", self.vessel, VESSELS),
        ):
            if value not in known:
                raise ValueError(f"{key}: {value!r} is none of {', '.join(known)}")
        if not self.moves:
            raise ValueError("moves: nothing; at least one input is required")
        for name, r in self.moves.items():
            if not (math.isfinite(sum(r)) and r.low < r.high and r.per_h > 0):
                raise ValueError(f"moves.{name}: {r} is not allowed; low < high, per_h > 0")
        for key in SHARES:
            if not 0.0 < getattr(self, key) <= 1.0:
                raise ValueError(f"{key}: {getattr(self, key):g} is not allowed; above 0, up to 1")
        if not 4 <= self.stages <= 60:
            raise ValueError(f"stages: {self.stages} is not allowed; it must be 4 to 60")
        if not 20 <= self.iterations <= 1000:
            raise ValueError(f"iterations: {self.iterations} is not allowed; it must be 20 to 1000")
        if not 1 <= self.scenarios <= 9:
            raise ValueError(f"scenarios: {self.scenarios} is not allowed; it must be 1 to 9")

    def as_json(self) -> dict[str, Any]:
        """Return them as JSON can carry them."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "EconomicSettings":
        """Return the settings that ``as_json`` wrote.

        Raises:
            ValueError: an unknown key or a value that is not allowed.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(plain) - known):
            raise ValueError(f"{', '.join(unknown)}: no such setting of the optimiser")
        values = dict(plain)
        values["moves"] = {name: Range(*row) for name, row in plain["moves"].items()}
        values["aeration"] = {name: tuple(row) for name, row in plain["aeration"].items()}
        values["learned"] = tuple(plain.get("learned", ()))
        return cls(**values)
