"""One simulated reactor: the model with its own parameters, behind real drives and probes."""

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from models.bioreactor import Bioreactor
from models.symbolic import Compiled, compiled, plant_step
from sim.actuators import SWITCH, Actuators
from sim.calibration import DRIVES, PROBES, drives
from sim.failing import failure
from sim.fault_parts import VesselParts
from sim.faults import Faults
from sim.head import HeadPressure
from sim.lines import LINES, Tank, mixed
from sim.panel import panel
from sim.reactors import reactor
from sim.sights import Bottle, View
from sim.stepped import Stepped
from sim.variation import (
    INDEPENDENT,
    INOCULUM,
    SALTS,
    SUBSTRATE,
    SUPPLY,
    Variation,
    drawn,
    draws,
)
from sim.wandering import Wandering, air_o2, day

if TYPE_CHECKING:
    from sim.contaminant import Contaminant
    from sim.lines import Lines

__all__ = ["DRIVES", "PROBES", "Vessel"]

FINER: Final = 64  # steps in place of one where oxygen is scarce; with 32 some states alternate
Picker = Callable[[Sequence[float]], tuple[float, ...]]


@lru_cache
def _reactor(organism: str, vessel: str) -> tuple[Bioreactor, Any]:
    model = reactor(organism, vessel)
    return model, plant_step(model, f"fl_{model.name}_plant")


class Vessel(Stepped):
    """A reactor in plant time: set actuators, let time pass, look at its instruments.

    The seed draws the strain, kLa, the inoculum and every calibration; the same seed and the
    same calls give the same numbers. Seed 0 is the model itself, with perfect calibration but
    with noise and lags.

    Args:
        organism: key of ``models.organisms.ORGANISMS``, or ``package.module:Class`` of an organism
            or of a whole plant, see ``sim.reactors``.
        vessel: key of ``models.vessels.VESSELS``.
        seed: at least 0.
        prefix: of the tags.
        start_time: plant time at inoculation, s.
        safe: safe value of actuators by tag; those not named go where the vessel has them safe.
        volume_l: broth at the start, the vessel's usual if not given.
        substrate_g_per_l: substrate at the start.
        biomass_g_per_l: biomass at the start, by the inoculation plan.
        instruments: unit that each is set to show, by name; its own where it is empty. Those that
            every vessel has if not given: what nobody looks at costs no time.

        variation: how quantities are drawn: each for itself, or as they go together in life, with
            utilities, lag and media that vary too. Correlated, but for ``INDEPENDENT``.

    Attributes:
        step_s: longest step, s; a longer one than 1 s is for coarse searches only.
        sampled_l: broth that was taken as samples, L.
        sampled: what was in it, by the organism's words, in the species' unit times L.
        poured: what was in the medium and the seed that came in, likewise.
        lines: the tanks beside it, if a batch begins with a clean vessel.
        contaminants: foreign organisms in it.

    Raises:
        ModelError: somebody's own organism or plant is not fit to be run.
        ValueError: organism, vessel or an instrument is unknown, or ``safe`` names no actuator.
    """

    def __init__(
        self,
        organism: str,
        vessel: str,
        seed: int | None = 0,
        prefix: str = "R1",
        start_time: float = 0.0,
        safe: Mapping[str, float] | None = None,
        volume_l: float | None = None,
        substrate_g_per_l: float = 10.0,
        biomass_g_per_l: float = 0.3,
        instruments: Mapping[str, str] | None = None,
        variation: Variation | None = None,
    ) -> None:
        self.model, function = _reactor(organism, vessel)
        self._step: Compiled = compiled([function])[function.name()]
        self.about: Mapping[str, str] = {
            "organism": self.model.organism.name,
            "vessel": self.model.vessel.name,
        }
        self.prefix = prefix
        self.seed = seed or 0
        self.time = start_time
        self.step_s = 1.0
        self._start = start_time
        of_old = (organism, vessel) in INDEPENDENT
        draw = draws(self.seed, variation or ("independent" if of_old else "correlated"))
        self.parameters = drawn(self.model.parameters, draw)
        self.parameters["air_o2"] = air_o2(draw.more, vessel)
        self._made_up = (  # how far cells, substrate and salts are from what was planned
            draw.old.factor("inoculum", INOCULUM),
            draw.more.factor("substrate", SUBSTRATE),
            draw.more.factor("salts", SALTS),
        )
        self._p = self._step.arguments[2]
        self._p[:] = array("d", self.parameters.values())
        self._x = self._step.arguments[0]
        self._x[:] = array("d", self._contents(volume_l, biomass_g_per_l, substrate_g_per_l))
        self._u = self._step.arguments[1]
        self._h = self._step.arguments[3]
        self._x_after, self._y = self._step.results
        self._run = self._step.run
        self._wandering = Wandering(
            self.model, self.parameters, self._p, day(draw.more, self.model), self.seed
        )
        self._wandering.begin(start_time)
        self._watchers: list[Callable[[], None]] = []
        self._energy_wh = self.sampled_l = 0.0
        self.sampled = dict.fromkeys(self.model.organism.called, 0.0)
        self.poured = dict(self.sampled)
        self.lines: Lines | None = None
        self.contaminants: list[Contaminant] = []
        self._initial = tuple(self._x)
        self._place()
        actuators = {n: a for n, a in self.model.actuators.items() if a.high}
        made = drives(draw.old, actuators, draw.more.factor("supply", SUPPLY))
        view = View(self.model, self._x, self._u, self._y, self._p, made, self._age)
        self._bottle = Bottle(view, self.model.organism.feeds[0].name)
        # by name: which input it moves, and the drive; a fault stands before the one that it spoils
        self.drives: dict[str, list[Any]] = {n: [self._inputs[n], d] for n, d in made.items()}
        self._moves = list(self.drives.values())
        lines = dict.fromkeys(LINES.get(self.model.vessel.name, ()), 0.0)  # see sim.lines
        safe_of = {n: self.model.actuators[n].safe for n in made}
        self._actuators = Actuators(prefix, safe_of | lines)
        self.set_safe(safe or {})
        self._actuators.to_safe()
        self._wanted = self._actuators.wanted  # of each drive, and of the lines behind them
        self._u[:] = array("d", [v.default for v in self.model.inputs])
        for (at, drive), value in zip(self._moves, self._wanted, strict=False):
            drive.value = min(value, drive.high) * drive.gain
            self._u[at] = drive.value
        if "pressure" in made:
            part = self.drives["pressure"]
            part[1] = HeadPressure(part[1], self.model, self._u, self._x)
        self._h[0] = 0.0
        self._step()  # outputs of the start
        wanted = dict.fromkeys(PROBES, "") if instruments is None else instruments
        # drives read back, and so do their local/remote switches
        wanted = {n: unit for n, unit in wanted.items() if n.removesuffix(SWITCH) not in made}
        self.panel = panel(view, self._bottle, draw, self.seed, prefix, wanted)
        self.panel.look(0.0, 1.0)
        self.faults = Faults(self, VesselParts(self))

    def _age(self) -> float:
        return self.time - self._start

    def _place(self) -> None:
        """Find out where everything stands among the model's states, inputs and parameters."""
        model, organism = self.model, self.model.organism
        at = {v.name: k for k, v in enumerate(model.states)}
        self._at = at
        self._inputs = {v.name: k for k, v in enumerate(model.inputs)}
        self._finite = tuple(at[n] for n in ("O", "pH", "T"))
        self._o2 = at["O"]
        self._known = {word: at[name] for word, name in organism.called.items()}
        last = tuple(organism.called.values())[-1]
        self._now = tuple(at[n] for n in ("T", "pH", last, "V"))
        self._amounts = (  # what can end at 0: by a collapse of oxygen, or because gas stops
            *(at[v.name] for v in organism.species[1:] if v.unit.endswith("/L")),
            *(at[n] for n in ("O", "CO2", "HCO3", "NH3", "foam", "filter")),
        )
        self._amounts_of: Picker = itemgetter(*self._amounts)
        half = next((v.default for v in organism.parameters if v.name == "KO"), 0.0)
        self._scarce = 3.0 * half  # g/L: below it one step of 1 s overshoots without end
        feed = organism.feeds[0]
        self._feed = self._inputs[feed.name]
        self._feed_g_per_l = self.parameters[feed.brings[organism.called["substrate"]]]

    def set_safe(self, safe: Mapping[str, float]) -> None:
        """Set what ``to_safe`` moves actuators to, by tag."""
        self._actuators.set_safe(safe)

    def _one(self, dt: float) -> None:
        if self.faults.due <= self.time:
            self.faults.turn()
        age = self.time - self._start
        u = self._u
        for (at, drive), wanted in zip(self._moves, self._wanted):  # noqa: B905 (lines come last)
            if wanted != drive.rests_at:
                u[at] = drive.move(wanted, age, dt)
        if self._bottle.drawn_l >= self._bottle.full_l:
            u[self._feed] = 0.0
        if self._wandering.on:
            self._wandering.move(age, dt, self.time)
        self._integrate(dt)
        self._bottle.draw(dt)
        self._energy_wh += self._y[8] * dt / 3600.0
        self.time += dt
        self.panel.look(self.time - self._start, dt)

    def _integrate(self, dt: float) -> None:
        """Move the states by ``dt``; in finer steps where oxygen runs out and uptake bends."""
        x, after, o2 = self._x, self._x_after, self._o2
        self._h[0] = dt / 3600.0
        self._run()
        if after[o2] >= self._scarce <= x[o2]:
            self._accept()
            return
        self._h[0] /= FINER
        for _ in range(FINER):
            self._run()
            self._accept()

    def _accept(self) -> None:
        """Go to where the step has led, if it is anywhere, and have no less than none there."""
        x, after = self._x, self._x_after
        o2, ph, broth = self._finite
        if not math.isfinite(after[o2] + after[ph] + after[broth]):
            raise FloatingPointError(self._failure())
        x[:] = after
        if min(self._amounts_of(after)) < 0.0:  # a trace, after a violent step of an input
            for k in self._amounts:
                if x[k] < 0.0:
                    x[k] = 0.0

    def _failure(self) -> str:
        """Return what to know of a step that has left the numbers."""
        who = f"{self.prefix} ({self.model.name}, seed {self.seed})"
        step_s = self._h[0] * 3600.0
        return failure(who, self.model, self.age, step_s, (self._x, self._u, self._x_after))

    def now(self) -> tuple[float, float, float, float, float]:
        """Return true temperature (Cel), pH, DO (%), by-product (g/L) and volume (L), quickly."""
        broth, ph, by_product, volume = self._now
        x = self._x
        return x[broth], x[ph], self._y[0], x[by_product], x[volume]

    @property
    def age(self) -> float:
        """Plant s since inoculation."""
        return self.time - self._start

    def spoil(self, name: str, change: Callable[[float], float]) -> Callable[[], None]:
        """Change a parameter of the model; return what makes it as it was."""
        was = self.parameters[name]
        self.set_parameter(name, change(was))
        return lambda: self.set_parameter(name, was)

    def flow(self, name: str) -> float:
        """Return what an input, named without prefix, really gave in the last step."""
        return self._u[self._inputs[name]]

    def arrays(self) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
        """Return states, inputs and outputs in the model's order, as they are from now on."""
        return self._x, self._u, self._y

    def state(self) -> dict[str, float]:
        """Return the model's states by name, see ``Bioreactor.states``."""
        return {v.name: value for v, value in zip(self.model.states, self._x, strict=True)}

    def set_state(self, **values: float) -> None:
        """Replace states by name: another inoculum, another start. pH is not recomputed."""
        for name, value in values.items():
            self._x[self._at[name]] = value

    def take(self, litres: float) -> None:
        """Take broth out as it is: a sample."""
        x, volume, mass = self._x, self._at["V"], self._at["M"]
        self.sampled_l += litres
        for word, k in self._known.items():
            self.sampled[word] += litres * x[k]
        x[mass] *= 1.0 - litres / x[volume]
        x[volume] -= litres

    def _contents(
        self, volume_l: float | None, biomass_g_per_l: float, substrate_g_per_l: float
    ) -> list[float]:
        """Return the states of a vessel full of what was to be made up so, as it came out."""
        cells, sugar, salts = self._made_up
        return self.model.start(
            list(self._p), volume_l, biomass_g_per_l * cells, substrate_g_per_l * sugar, salts=salts
        )

    def tank(self, volume_l: float, biomass_g_per_l: float, substrate_g_per_l: float) -> Tank:
        """Return a tank beside it of medium or seed, as it came out of the kitchen."""
        return Tank(self._contents(volume_l, biomass_g_per_l, substrate_g_per_l), volume_l)

    def pour(self, litres: float, contents: Sequence[float]) -> None:
        """Pour in so much of what ``contents`` are the states of: medium or a seed."""
        for word, k in self._known.items():
            self.poured[word] += litres * contents[k]
        mixed(self.model, self._x, litres, contents)

    def set_parameter(self, name: str, value: float) -> None:
        """Replace a parameter of the model from now on: another strain, another utility."""
        self.parameters[name] = value
        self._wandering.put(name)

    @property
    def truth(self) -> dict[str, float]:
        """What really is, which no controller may see."""
        x, y, at, known = self._x, self._y, self._at, self._known
        volume = x[at["V"]]
        return {
            **{f"{word}_g_per_l": x[k] for word, k in known.items()},
            "product_g": x[known["product"]] * volume,
            "volume_l": volume,
            "mass_kg": x[at["M"]],
            "do_percent": y[0],
            "ph": x[at["pH"]],
            "temperature_cel": x[at["T"]],
            "jacket_temperature_cel": x[at["Tj"]],
            "our_mmol_per_l_h": y[1] + sum(c.our for c in self.contaminants),
            "cer_mmol_per_l_h": y[2] + sum(c.cer for c in self.contaminants),
            "otr_mmol_per_l_h": y[3],
            "kla_per_h": y[4],
            "growth_per_h": y[5],
            "foam_percent": x[at["foam"]],
            "head_bar": y[10],
            "power_w": y[8],
            "energy_kwh": self._energy_wh / 1e3,
            "fed_substrate_g": self._bottle.drawn_l * self._feed_g_per_l,
            "start_substrate_g": self._initial[known["substrate"]] * self._initial[at["V"]],
            "age_h": (self.time - self._start) / 3600.0,
        }
