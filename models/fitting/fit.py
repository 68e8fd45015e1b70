"""Parameters from batches: the most probable ones, given what was believed before.

Some quantities are the same in every batch (a yield), some are each batch's own (its inoculum, its
strain's productivity).
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.optimize import least_squares

from models.fitting.experiment import Experiment, Floats
from models.fitting.problem import Found, Prior, Problem
from models.fitting.simulation import Simulation
from models.model import Model

ROUNDS = 8  # how often the trust in each series is estimated anew
LEVEL = 0.5 * 1.6449**2  # what the cost rises by at an end of a 90 % interval


class Fitted:
    """Parameters as the batches say they are.

    Attributes:
        found: what all batches share.
        own: what each batch has of its own, by batch.
        trust: by series, how many times its stated sd its residuals really are; 1 or more.
        correlation: of what is shared, shape (n, n), in the order of ``found``.
        residuals: by batch and series: hours, measured, modelled and sd.
        cost: half the sum of the squared residuals, priors included.
    """

    def __init__(self, problem: Problem, z: Floats, cost: float, covariance: Floats) -> None:
        self._problem, self._z, self.cost = problem, z, cost
        self._covariance = covariance
        n = len(problem.shared)
        sd = np.sqrt(np.diag(covariance))
        self.found = [
            problem.found(p, None, z[k], sd[k], None) for k, p in enumerate(problem.shared)
        ]
        usual = self.parameters
        self.own: dict[str, list[Found]] = {
            batch.name: [
                problem.found(p, batch, z[at], sd[at], usual.get(p.name))
                for p, at in zip(problem.own, problem.places(b), strict=True)
            ]
            for b, batch in enumerate(problem.batches)
        }
        self.trust = dict(problem.trust)
        self.correlation = covariance[:n, :n] / np.outer(sd[:n], sd[:n])
        self.residuals: Mapping[str, Mapping[str, tuple[Floats, Floats, Floats, Floats]]] = {
            batch.name: problem.compared(b, z) for b, batch in enumerate(problem.batches)
        }

    @property
    def parameters(self) -> dict[str, float]:
        """What is shared, by name, each in its unit."""
        return {f.name: f.median for f in self.found}

    def profile(self, name: str) -> tuple[float, float]:
        """Return the ends of the 90 % interval by profile likelihood, in its unit.

        Everything else is fitted again at each: where the problem is curved they differ from those
        of ``found``.

        Raises:
            ValueError: it is not shared by all batches.
        """
        problem = self._problem
        names = [p.name for p in problem.shared]
        if name not in names:
            raise ValueError(f"{name}: is not shared by all batches; {', '.join(names)}")
        k = names.index(name)
        sd = math.sqrt(self._covariance[k, k])
        low, high = (self._end(k, sign * sd) for sign in (-1.0, 1.0))
        prior = problem.shared[k]
        median = problem.median(prior, None)
        return median * math.exp(prior.sd * low), median * math.exp(prior.sd * high)

    def _end(self, k: int, sd: float) -> float:
        """Return where the cost has risen by ``LEVEL`` on one side, by regula falsi."""
        near, far, z = 0.0, 1.6449, self._z
        rise = 0.0
        for _ in range(12):
            at = self._z[k] + far * sd
            z, cost = _fitted(self._problem, z, (k, at))
            found = cost - self.cost
            if abs(found - LEVEL) < 0.05 * LEVEL:
                break
            # the cost is about a parabola: its root is about a line
            slope = (math.sqrt(max(found, 1e-9)) - math.sqrt(rise)) / (far - near)
            if found < LEVEL:
                near, rise = far, found
            far = min(
                max(near + (math.sqrt(LEVEL) - math.sqrt(rise)) / max(slope, 0.05), 0.05), 8.0
            )
        return float(self._z[k] + far * sd)

    def foretell(
        self, batch: Experiment, name: str, hours: float, *, draws: int = 100, seed: int = 0
    ) -> tuple[float, float, float]:
        """Return median and ends of the 90 % interval of a state or output of another batch.

        Nothing that was measured in that batch is looked at, only what was done.

        Args:
            batch: what was done in it.
            name: of a state or output.
            hours: when.
            draws: from what is known of the parameters, and believed of each batch's own.
            seed: of the draws.
        """
        at = np.array([hours])
        return self._drawn(
            batch, lambda z: float(self._problem.value(batch, z, (name,), at)[0]), draws, seed
        )

    def foretell_of(
        self,
        batch: Experiment,
        figure: Callable[[Floats], float],
        *,
        draws: int = 100,
        seed: int = 0,
    ) -> tuple[float, float, float]:
        """Return the same of any figure of the whole batch, as all product that was made.

        Args:
            batch: what was done in it.
            figure: of the states at the edges of its steps, shape (k + 1, states).
            draws: as in ``foretell``.
            seed: likewise.
        """
        return self._drawn(batch, lambda z: figure(self._problem.path(batch, z)), draws, seed)

    def _usual(self) -> tuple[Floats, Floats]:
        """Return mean and sd of what a batch has of its own; the prior counts as one batch."""
        places = [self._problem.places(b) for b in range(len(self._problem.batches))]
        seen = np.array([self._z[at] for at in places])
        spread = np.diag(self._covariance)
        square = np.sum([self._z[at] ** 2 + spread[at] for at in places], axis=0)
        count = len(places) + 1.0
        return seen.sum(axis=0) / count, np.sqrt((1.0 + square) / count)

    def _drawn(
        self, batch: Experiment, figure: Callable[[Floats], float], draws: int, seed: int
    ) -> tuple[float, float, float]:
        batch.check(self._problem.simulation.model)
        random = np.random.default_rng(seed)
        shared = len(self._problem.shared)
        mean, spread = self._z[:shared], self._covariance[:shared, :shared]
        z = random.multivariate_normal(mean, spread, draws, method="cholesky")
        usual, wide = self._usual()
        own = usual + wide * random.standard_normal((draws, len(usual)))
        values = [figure(np.concatenate(row)) for row in zip(z, own, strict=True)]
        median = figure(np.concatenate([mean, usual]))
        low, high = np.nanquantile(values, (0.05, 0.95))
        return float(median), float(low), float(high)


def fit(
    model: Model,
    batches: Sequence[Experiment],
    priors: Sequence[Prior],
    *,
    substeps: int = 6,
) -> Fitted:
    """Return the parameters that explain the batches best.

    Args:
        model: equations, with ``rhs`` and ``output``.
        batches: what was done and seen.
        priors: what may be changed, and how far.
        substeps: steps of the integration in each step of a batch.

    Raises:
        ValueError: no batch, no prior, or one that model or batch has no place for; or the model
            cannot run a batch with the priors' own values.
    """
    problem = Problem(Simulation(model, substeps), batches, priors)
    z = np.zeros(problem.size)
    problem.refuse_what_does_not_run(z)
    problem.weigh(z)  # a wrong prior is far from the data: what is off most must not lead at once
    for _ in range(ROUNDS):
        z, _ = _fitted(problem, z)
        if not problem.weigh(z):
            break
    slopes = problem.slopes(z)
    # never singular: each has a prior
    covariance = np.asarray(np.linalg.inv(slopes.T @ slopes), dtype=np.float64)
    r = problem.residuals(z)
    return Fitted(problem, z, float(0.5 * r @ r), covariance)


def _fitted(
    problem: Problem, z: Floats, held: tuple[int, float] | None = None
) -> tuple[Floats, float]:
    """Return the best place near ``z`` and its cost; ``held``: one quantity and where it stays."""
    free = np.arange(problem.size)
    whole = z.copy()
    if held is not None:
        whole[held[0]] = held[1]
        free = np.delete(free, held[0])

    def placed(part: Floats) -> Floats:
        whole[free] = part
        return whole

    done = least_squares(
        lambda part: problem.residuals(placed(part)),
        z[free],
        lambda part: problem.slopes(placed(part))[:, free],
        ftol=1e-6,
        xtol=1e-6,
    )
    return placed(np.asarray(done.x, dtype=np.float64)).copy(), float(done.cost)
