"""A model of somebody's own as a plant: its equations behind drives and probes, and nothing else.

It knows no organism and no vessel. ``[simulation.R1] model = "package.module:Class"`` names it; see
"A model of your own" in this room's README.
"""

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from drivers.point import Tag
from models.model import Variable
from models.symbolic import Compiled, compiled
from sim.actuators import Actuators
from sim.bare_settings import BareSettings, Number
from sim.bare_wiring import PLACES, Wired, wired
from sim.calibration import instrument, piece
from sim.failing import failure
from sim.fault_kinds import BALANCE, PT100, PUMP, SENSOR, VALVE, VESSEL
from sim.faults import Faults
from sim.instruments import Drive
from sim.panel import Panel
from sim.stepped import Stepped
from sim.variation import ByName

FINER: Final = 8  # steps in place of one that would leave a state's limits
DEEPEST: Final = 5  # times that each of them is divided once more
SORTS: Final = {"Cel": PT100, "kg": BALANCE, "g": BALANCE, "t": BALANCE}  # of a sensor, by unit


class BarePlant(Stepped):
    """A model in plant time: set actuators, let time pass, look at its instruments.

    A seed draws the numbers that have a spread and every calibration; the same seed and the same
    calls give the same numbers. Seed 0 is the model itself, with the noise and lags of its probes.

    Args:
        settings: its table of the plant file.
        tags: those that it stands behind.
        seed: at least 0.
        prefix: of the tags.
        start_time: plant time at the start, s.

    Attributes:
        step_s: longest step, s.

    Raises:
        ConfigError: the model is not fit to be run, or does not fit its table and tags.
        FloatingPointError: from the drawn numbers its equations give no numbers.
    """

    def __init__(
        self,
        settings: BareSettings,
        tags: Sequence[Tag],
        seed: int = 0,
        prefix: str = "R1",
        start_time: float = 0.0,
    ) -> None:
        made = wired(prefix, settings, tags)
        self.model, self.words = made.model, made.words
        self.name = settings.model
        self.about: Mapping[str, str] = {"model": settings.model}
        self.prefix, self.seed = prefix, seed
        self.time = self._start = start_time
        self.step_s = settings.step_s
        self._unit_s = 3600.0 if self.model.time_unit == "h" else 1.0
        self._step: Compiled = compiled([made.function])[made.function.name()]
        self._x, self._u, self._p, self._h = self._step.arguments
        self._x_after, self._y = self._step.results
        self._watchers: list[Callable[[], None]] = []
        draw = ByName(seed)
        self._fill(settings, draw)
        self._limits = [
            (k, v.low, v.high)
            for k, v in enumerate(self.model.states)
            if math.isfinite(v.low) or math.isfinite(v.high)
        ]
        moved = {
            n: _drive(n, lead.low, lead.high, lead.like, draw) for n, lead in made.leads.items()
        }
        # by name: which input it moves, and the drive; a fault stands before the one that it spoils
        self.drives: dict[str, list[Any]] = {
            n: [made.leads[n].at, drive] for n, drive in moved.items()
        }
        self._moves = [(self.drives[n], lead.scale) for n, lead in made.leads.items()]
        self._scales = {n: lead.scale for n, lead in made.leads.items()}
        self.units = {n: t.unit for t in tags if (n := t.name.partition(".")[2]) in made.leads}
        self._actuators = Actuators(prefix, {n: lead.safe for n, lead in made.leads.items()})
        self._wanted = self._actuators.wanted
        for ((at, drive), scale), value in zip(self._moves, self._wanted, strict=True):
            drive.value = value * drive.gain
            self._u[at] = drive.value * scale
        self._look()
        self._require_numbers(self._x_after, self._y)
        self.panel = Panel(prefix, seed, self._seen(made, draw))
        self.panel.look(0.0, 1.0)
        self.faults = Faults(self, BareParts(made))

    def _fill(self, settings: BareSettings, draw: ByName) -> None:
        """Put the numbers of this batch in their places."""
        for buffer, variables, given in (
            (self._x, self.model.states, settings.start),
            (self._u, self.model.inputs, settings.inputs),
            (self._p, self.model.parameters, settings.parameters),
        ):
            values = [_drawn(v, given.get(v.name), draw) for v in variables]
            buffer[: len(values)] = array("d", values)  # a state more is time, from 0

    def _seen(self, made: Wired, draw: ByName) -> dict[str, Any]:
        numbers = {"x": self._x, "y": self._y, "u": self._u}
        found: dict[str, Any] = {}
        for name, sheet in made.sheets.items():
            place, _, variable = sheet.of.partition(".")
            names = [v.name for v in getattr(self.model, PLACES[place])]
            where = numbers[place], names.index(variable)
            found[name] = where, partial(instrument, name, sheet, piece(draw, name, sheet), 0.0, {})
        return found

    def _one(self, dt: float) -> None:
        if self.faults.due <= self.time:
            self.faults.turn()
        age = self.time - self._start
        for k, ((at, drive), scale) in enumerate(self._moves):
            self._u[at] = drive.move(self._wanted[k], age, dt) * scale
        self._step_by(dt / self._unit_s)
        self.time += dt
        self.panel.look(self.time - self._start, dt)

    def _step_by(self, h: float, deep: int = DEEPEST) -> None:
        """Move the states by ``h``; in finer steps where one would leave limits or the numbers.

        A state that stands at its limit and is pushed against it stays there.
        """
        self._h[0] = h
        self._step()
        if deep and self._leaves():
            for _ in range(FINER):
                self._step_by(h / FINER, deep - 1)
            return
        x, beyond = self._x, False
        self._require_numbers(self._x_after, ())
        x[:] = self._x_after
        for k, low, high in self._limits:
            if not low <= x[k] <= high:
                x[k] = min(max(x[k], low), high)
                beyond = True
        if beyond:
            self._look()  # outputs of where it really is
        self._require_numbers((), self._y)

    def _leaves(self) -> bool:
        """Whether the step ends nowhere, or has gone through a limit and not stood at it."""
        x, after = self._x, self._x_after
        if not math.isfinite(sum(after)):
            return True
        gone = [
            (k, low if y < low else high)
            for k, low, high in self._limits
            if not low <= (y := after[k]) <= high
        ]
        if not gone:
            return False
        if any(x[k] != limit for k, limit in gone):
            return True
        self._h[0] *= 1e-6  # which way is it pushed?
        self._step()
        inside = any(low < after[k] < high for k, low, high in self._limits if (k, x[k]) in gone)
        self._h[0] *= 1e6
        self._step()
        return inside

    def _look(self) -> None:
        """Compute the outputs of where the states are now."""
        self._h[0] = 0.0
        self._step()

    def _require_numbers(self, states: Sequence[float], outputs: Sequence[float]) -> None:
        """Refuse what is no number: at which age, and what there was before."""
        if math.isfinite(sum(states) + sum(outputs)):
            return
        who = f"{self.prefix} ({self.name}, seed {self.seed})"
        after = [*self._x_after[: len(self.model.states)], *self._y]
        step_s = self._h[0] * self._unit_s
        raise FloatingPointError(
            failure(who, self.model, self.age, step_s, (self._x, self._u, after))
        )

    @property
    def age(self) -> float:
        """Plant s since the start."""
        return self.time - self._start

    @property
    def parameters(self) -> dict[str, float]:
        """The parameters of this batch by name."""
        return _by_name(self.model.parameters, self._p)

    def flow(self, name: str) -> float:
        """Return what a drive really gave in the last step, in its tag's unit."""
        at: int = self.drives[name][0]
        return self._u[at] / self._scales[name]

    def arrays(self) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
        """Return states, inputs and outputs in the model's order, as they are from now on."""
        return self._x, self._u, self._y

    @property
    def truth(self) -> dict[str, float]:
        """What really is, by name and unit, which no controller may see."""
        values = {"age_h": self.age / 3600.0}
        for variables, numbers in ((self.model.states, self._x), (self.model.outputs, self._y)):
            values |= {f"{v.name} ({v.unit})": y for v, y in zip(variables, numbers, strict=False)}
        return values


class BareParts:
    """What of a model can fail: its instruments and actuators, and the power of all."""

    def __init__(self, made: Wired) -> None:
        self._sheets, self._leads, self._spans = made.sheets, made.leads, made.spans

    def sorts(self) -> Mapping[str, tuple[str, ...]]:
        read = {n: (SENSOR, SORTS.get(sheet.unit, SENSOR)) for n, sheet in self._sheets.items()}
        moved = {n: (PUMP if lead.pump else VALVE,) for n, lead in self._leads.items()}
        return {**read, **moved, VESSEL: (VESSEL,)}

    def usual(self, name: str) -> float:
        return self._spans[name]


def _by_name(variables: Sequence[Variable], numbers: Sequence[float]) -> dict[str, float]:
    return {v.name: value for v, value in zip(variables, numbers, strict=False)}


def _drawn(v: Variable, given: Number | None, draw: ByName) -> float:
    """Return what a seed makes of a number, inside its limits."""
    factor = draw.factor(f"own {v.name}", given.spread) if given is not None else 1.0
    return min(max(v.default * factor, v.low), v.high)


def _drive(name: str, low: float, high: float, like: Any, draw: ByName) -> Drive:
    return Drive(
        high,
        low=low,
        lag_s=like.lag_s,
        ramp=like.rate_per_s,
        gain=draw.factor(f"own {name}.drive", like.gain),
        step=like.step,
        least=-math.inf,  # it may be moved below 0
        dead=like.dead,
    )
