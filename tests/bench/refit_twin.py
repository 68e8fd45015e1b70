"""How far are the models that we believe from plants of another structure, at their very best?

Batches of each twin under feeds of several shapes, without any noise; the believed model's
strain is fitted to all of them by least squares; what is left is told in units of the instruments'
noise (1: as large as the noise itself). Below 1 nobody could tell the twin from the model, and a
test on it would be no more honest than a test on the model.

Run with ``python tests/bench/refit_twin.py [ecoli] [yeast] [penicillin]``; about a minute each. The
fits are kept in ``refits.json`` beside it, where the next run and the test go on from.
"""

import json
import math
import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from models.culture import Culture
from models.fn import SCALARS
from models.organism import Organism
from models.organisms import ORGANISMS, TWINS
from models.symbolic import Compiled, compiled, rosenbrock

KEPT: Final = Path(__file__).with_name("refits.json")
LOOK: Final = 90  # steps between two looks: half an hour; of a mould one and a half
REACH: Final = 5.0
EVALUATIONS: Final = 40
NOISE: Final = {  # share of the reading, and what is added: PROCESS 3
    "biomass": (0.03, 0.1),  # g/L; capacitance 1-3 %, dry weight 5 %
    "substrate": (0.05, 0.05),  # g/L; offline, limit of detection
    "product": (0.04, 0.05),  # g/L; HPLC 2-5 %
    "by-product": (0.04, 0.05),
    "OUR": (0.02, 0.27),  # mmol/(L.h); 0.01 % of the off-gas at 1 vvm, flow 2 %
    "CER": (0.02, 0.27),
}
Feeding = Callable[[float], Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class Trial:
    """One batch: what it starts with, and what is fed (L/h) or held at an age in h."""

    hours: float
    start: Mapping[str, float]
    given: Feeding
    step_s: float = 20.0


def _induced(at_h: float) -> Feeding:
    """Return the feed of inducer that brings 3 L to about 1 mmol/L within half an hour."""
    return lambda t: {"inducer": 0.06 if at_h <= t < at_h + 0.5 else 0.0}


def _exponential(mu: float, grams: float, feed: float, begin: float, cap: float) -> Feeding:
    """Return a feed (g/L sugar ``feed``) for growth of ``grams`` from ``begin`` h, up to a cap."""

    def given(t: float) -> Mapping[str, float]:
        if t < begin:
            return {"feed": 0.0}
        flow = (mu / 0.48 + 0.03) * grams * math.exp(mu * (t - begin)) / feed
        return {"feed": min(flow, cap)}

    return given


def _pulses(flow: float, period_h: float) -> Feeding:
    """Return a feed that is on for half of the time, at twice its mean."""
    return lambda t: {"feed": 2.0 * flow if (t % period_h) < 0.5 * period_h else 0.0}


def _all(*parts: Feeding, **held: float) -> Feeding:
    return lambda t: {k: v for part in parts for k, v in part(t).items()} | held


def _bolus(flow: float, every_h: float, liters: float) -> Feeding:
    """Return a steady feed with a bolus now and then, given within six minutes."""
    return lambda t: {"feed": flow + (liters / 0.1 if every_h <= t and t % every_h < 0.1 else 0.0)}


ECOLI = (
    Trial(20.0, {"X": 1.0, "S": 10.0}, _all(_exponential(0.15, 15.0, 500, 4.5, 0.03), _induced(9))),
    Trial(12.0, {"X": 5.0, "S": 0.1}, _all(_exponential(0.30, 15.0, 500, 0.0, 0.06), _induced(6))),
    Trial(12.0, {"X": 12.0, "S": 0.1}, _all(_pulses(0.02, 2.0), _induced(3.0))),
    Trial(16.0, {"X": 12.0, "S": 0.1}, _all(_bolus(0.008, 4.0, 0.02))),
    Trial(
        24.0,
        {"X": 12.0, "S": 0.1},
        _all(_exponential(0.08, 36.0, 500, 0.0, 0.02), _induced(0), T=33.0),
    ),
)
YEAST = (
    Trial(16.0, {"X": 1.0, "S": 15.0}, _all(_exponential(0.12, 18.0, 350, 12.0, 0.05))),
    Trial(8.0, {"X": 5.0, "S": 0.1}, _all(_exponential(0.30, 15.0, 350, 0.0, 0.15))),
    Trial(10.0, {"X": 10.0, "S": 0.1}, _all(_pulses(0.02, 2.0))),
    Trial(16.0, {"X": 10.0, "S": 0.1}, _all(_bolus(0.01, 4.0, 0.02))),
    Trial(12.0, {"X": 10.0, "S": 0.1}, _all(_exponential(0.15, 30.0, 350, 0.0, 0.10), T=33.0)),
)


def _mould(sugar: Callable[[float], float], oil: float) -> Trial:
    """Return 120 h of 3 L with sugar that rises for 40 h, times what it is at an age in h."""

    def given(t: float) -> Mapping[str, float]:
        ramp = min(1.0, 0.08 + t / 40.0)
        feeds = {"feed": 0.006 * ramp * sugar(t), "oil": oil, "paa": 6e-4 * ramp}
        return feeds | {"nitrogen": 8e-4 * ramp, "water": 5e-4, "O": 0.012}

    return Trial(120.0, {"X": 0.5, "S": 1.0, "NH3": 150.0}, given, 60.0)


PENICILLIN = (
    _mould(lambda _t: 1.0, 2e-4),
    _mould(lambda _t: 0.6, 2e-4),
    _mould(lambda t: 1.3 if t % 24.0 < 12.0 else 0.7, 6e-4),
)
TRIALS: Final[Mapping[str, Sequence[Trial]]] = {
    "ecoli": ECOLI,
    "yeast": YEAST,
    "penicillin": PENICILLIN,
}


class Grown:
    """An organism in batches: its control model, stepped with any parameters of the strain."""

    def __init__(self, organism: Organism) -> None:
        self.organism = organism
        self.model = Culture(organism)
        step = rosenbrock(self.model, name=f"fl_{self.model.name}_step")
        self._step: Compiled = next(iter(compiled([step]).values()))
        self._medium = [v.default for v in organism.medium]
        self._inputs: dict[Trial, list[array[float]]] = {}
        self.strain = np.array([v.default for v in organism.parameters])

    def seen(self, trial: Trial, strain: Sequence[float]) -> NDArray[np.float64]:
        """Return what instruments would see without noise: a row each ``LOOK``, as ``words``."""
        model, p = self.model, [*strain, *self._medium]
        x = {v.name: v.default for v in model.states} | {"V": 3.0, "NH3": 3000.0}
        now, u, numbers, h = self._step.arguments
        now[:] = array("d", (x | dict(trial.start)).values())
        numbers[:] = array("d", p)
        h[0] = trial.step_s / 3600.0
        states = [v.name for v in model.states]
        at = [states.index(species) for species in words(self.organism).values()]
        amounts = [k for k, v in enumerate(self.organism.species) if v.unit == "g/L"]
        rows: list[list[float]] = []
        for k, given in enumerate(self._given(trial), 1):
            u[:] = given
            self._step()
            now[:] = self._step.results[0]
            for j in amounts:
                now[j] = max(now[j], 0.0)  # a trace, where a pulse ends
            if k % LOOK == 0:
                _, our, cer = model.output(0.0, list(now), list(u), p, SCALARS)
                rows.append([*(now[j] for j in at), our, cer])
        return np.array(rows)

    def _given(self, trial: Trial) -> "list[array[float]]":
        """Return the inputs of each step."""
        if trial not in self._inputs:
            rest = {v.name: v.default for v in self.model.inputs} | {"O": 0.004}
            step_h = trial.step_s / 3600.0
            self._inputs[trial] = [
                array("d", (rest | dict(trial.given(k * step_h))).values())
                for k in range(round(trial.hours / step_h))
            ]
        return self._inputs[trial]


def words(organism: Organism) -> dict[str, str]:
    """Return the species that instruments see, by the words of ``NOISE``; each species once."""
    found: dict[str, str] = {}
    for word, species in organism.called.items():
        if species not in found.values():
            found[word if word in NOISE else "by-product"] = species
    return found


class Comparison:
    """A believed model against the batches of its twin."""

    def __init__(self, name: str) -> None:
        self.believed = Grown(ORGANISMS[name]())
        twin = Grown(ORGANISMS[TWINS[name]]())
        self.trials: Sequence[Trial] = TRIALS[name]
        self.truth = [twin.seen(trial, list(twin.strain)) for trial in self.trials]
        self.kinds = (*words(self.believed.organism), "OUR", "CER")
        self._fitted = self.believed.strain > 0.0

    def gaps(self, logs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return model less twin over the noise, shape (looks, kinds).

        Args:
            logs: of each fitted parameter over the believed one.
        """
        strain = self.believed.strain.copy()
        strain[self._fitted] *= np.exp(logs)
        share, added = np.array([NOISE[kind] for kind in self.kinds]).T
        with np.errstate(all="ignore"):
            found = [
                (self.believed.seen(trial, list(strain)) - truth) / (share * truth + added)
                for trial, truth in zip(self.trials, self.truth, strict=True)
            ]
        return np.clip(np.nan_to_num(np.concatenate(found), nan=1e3), -1e3, 1e3)

    def believed_logs(self) -> NDArray[np.float64]:
        """Return where the believed model is."""
        return np.zeros(int(self._fitted.sum()))

    def fit(self, logs: NDArray[np.float64], evaluations: int) -> NDArray[np.float64]:
        """Return the best parameters from ``logs`` on, each within a factor of ``REACH``."""
        reach = math.log(REACH)
        out = least_squares(
            lambda z: self.gaps(z).ravel(),
            np.clip(logs, -0.99 * reach, 0.99 * reach),
            bounds=(-reach, reach),
            diff_step=np.full(logs.shape, 1e-3),
            max_nfev=evaluations,
        )
        return out.x


def rms(gaps: NDArray[np.float64]) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt(np.mean(gaps * gaps)))


def kept() -> dict[str, dict[str, float]]:
    """Return the parameters of the best fit so far, over the believed ones, by organism."""
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}


def start(name: str, comparison: Comparison) -> NDArray[np.float64]:
    """Return where the last fit ended, or the believed model."""
    known = kept().get(name, {})
    fitted = [v.name for v in comparison.believed.organism.parameters if v.default > 0.0]
    return np.array([math.log(known.get(n, 1.0)) for n in fitted])


def main(names: Sequence[str]) -> None:
    """Fit each, keep the fit, and print what is left."""
    for name in names:
        comparison = Comparison(name)
        before = rms(comparison.gaps(comparison.believed_logs()))
        logs = min(
            (start(name, comparison), comparison.believed_logs()),
            key=lambda z: rms(comparison.gaps(z)),
        )
        logs = comparison.fit(logs, EVALUATIONS)
        gaps = comparison.gaps(logs)
        parameters = [v for v in comparison.believed.organism.parameters if v.default > 0.0]
        ratios = {v.name: round(math.exp(z), 4) for v, z in zip(parameters, logs, strict=True)}
        text = json.dumps(kept() | {name: ratios}, indent=1) + "\n"
        KEPT.write_text(text, encoding="utf-8")
        each = ", ".join(f"{kind} {rms(gaps[:, k]):.1f}" for k, kind in enumerate(comparison.kinds))
        print(f"{name} to {TWINS[name]}: {before:.1f} before, {rms(gaps):.2f} refitted ({each})")
        print(f"  {ratios}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or list(TRIALS))
