"""One reactor as an optimiser sees it: its control model, what is moved, and each limit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.planning.economic.settings import EconomicSettings
from models.control import ControlModel
from models.fn import SCALARS
from models.organisms import ORGANISMS, of_strain
from models.vessels import VESSELS

Floats = NDArray[np.float64]

INNER = ("stirrer", "air", "pressure", "oxygen")  # what the oxygen loop sets, in that order
TOGETHER = ("stirrer", "air")  # of these
SLOW = ("biomass", "product", "precursor")  # of the species that have a word; the rest is eaten
KWH = 1e-3  # kWh of a W h
M3_PER_H = 60e-3  # of a L/min


class Problem:
    """What is moved in one reactor, what comes of it, and where its limits are.

    Args:
        settings: the reactor's.
    """

    def __init__(self, settings: EconomicSettings) -> None:
        self.settings = s = settings
        self.model = ControlModel(
            of_strain(ORGANISMS[s.organism](), s.strain), VESSELS[s.vessel], s.calibration_bar
        )
        names = [v.name for v in self.model.inputs]
        for name in (*s.moves, *s.feed_prices):
            if name not in names or name in s.aeration:
                allowed = ", ".join(n for n in names if n not in s.aeration)
                raise ValueError(f"{name}: no input of {self.model.name}; {allowed} are")
        self.inputs = names
        self.moved = tuple(n for n in names if n in s.moves)
        self.given = tuple(n for n in names if n not in s.moves and n not in s.aeration)
        self.states = tuple(v.name for v in self.model.states)
        self.defaults = {v.name: v.default for v in self.model.parameters}
        for name in s.learned:
            if name not in self.defaults:
                raise ValueError(f"learned.{name}: no parameter of {self.model.name}")
        self.ranges = np.array([s.moves[n] for n in self.moved])
        self.inner = tuple(n for n in INNER if n in s.aeration)
        self.reach = np.array([s.aeration[n] for n in self.inner])
        called = self.model.organism.called
        self.product = self.states.index(called["product"])
        self.substrate = self.states.index(called["substrate"])
        self.biomass = self.states.index(called["biomass"])
        words = {name: word for word, name in called.items()}
        self.eaten = [words.get(n, "biomass") not in SLOW for n in self.states]
        self.stiff = [i for i, eaten in enumerate(self.eaten) if eaten]
        self.slow = [i for i, eaten in enumerate(self.eaten) if not eaten]
        self.tracked = tuple(self.states.index(called.get(w, w)) for w in s.track)
        main = self.model.organism.feeds[0].name
        # where the main feed stands among what is moved, if its tank is weighed
        weighed = s.tank_empty_kg is not None and main in s.moves
        self.tank = [self.moved.index(main)] if weighed else []
        self.limits = tuple(self.used(None, None))
        self.full = self._full_aeration()

    def used(self, x: Any, y: Any) -> dict[str, Any]:
        """Return each limit as a share of it that is used; names alone without arguments."""
        s, called = self.settings, self.model.organism.called
        names = ["oxygen transfer", "flooding", "cooling", "volume"]
        by_product = tuple(called)[-1]
        if s.by_product_max_g_per_l is not None:
            names.append(by_product)
        if s.substrate_max_g_per_l is not None:
            names.append("substrate")
        if x is None:
            return dict.fromkeys(names)
        volume = x[self.states.index("V")]
        shares = [
            y[0] / (s.oxygen_share * y[1]),
            y[2] / s.flooding_share,
            y[3] / (s.cooling_share * y[4]),
            volume / (s.volume_share * s.volume_max_l),
        ]
        if s.by_product_max_g_per_l is not None:
            shares.append(x[self.states.index(called[by_product])] / s.by_product_max_g_per_l)
        if s.substrate_max_g_per_l is not None:
            shares.append(x[self.substrate] / s.substrate_max_g_per_l)
        return dict(zip(names, shares, strict=True))

    def arrange(self, moved: Any, inner: Any, given: Any) -> list[Any]:
        """Return the model's inputs in their order."""
        by_name = {n: moved[i] for i, n in enumerate(self.moved)}
        by_name |= {n: given[i] for i, n in enumerate(self.given)}
        by_name |= {n: inner[i] for i, n in enumerate(self.inner)}
        return [by_name[n] for n in self.inputs]

    def parameters(self, factors: Any) -> list[Any]:
        by_name: dict[str, Any] = dict(self.defaults)
        for i, name in enumerate(self.settings.learned):
            by_name[name] = by_name[name] * factors[i]
        return list(by_name.values())

    def _full_aeration(self) -> Floats:
        """Return the most of what the oxygen loop sets that does not flood the impeller."""
        low, high = self.reach.T
        most = high.copy()
        x = [v.default for v in self.model.states]
        u = {v.name: v.default for v in self.model.inputs}
        parameters = list(self.defaults.values())
        for _ in range(20):
            u |= dict(zip(self.inner, most, strict=True))
            flooded = float(
                self.model.output(0.0, x, [u[n] for n in self.inputs], parameters, SCALARS)[2]
            )
            if flooded <= self.settings.flooding_share or most[1] <= low[1]:
                break
            most[1] = max(0.9 * most[1], low[1])
        return most

    def drawn(self, hours: Floats, moved: Floats) -> Floats:
        """Return what the main feed has taken from its tank at the nodes, L; nothing if endless."""
        flows = moved[:, self.tank].sum(axis=1)
        return np.concatenate([[0.0], np.cumsum(0.5 * hours * (flows[:-1] + flows[1:]))])
