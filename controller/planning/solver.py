"""What plans and foresees for a reactor, whichever it is: asked with an estimate, it answers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from controller.planning.economic.settings import EconomicSettings
from controller.planning.optimiser_settings import OptimiserSettings

if TYPE_CHECKING:
    from controller.planning.outlook import Outlook, Question
    from controller.planning.plan import Plan, Situation
    from controller.sensing.estimate import Estimate

SolverSettings = OptimiserSettings | EconomicSettings


class Solver(Protocol):
    """Keeps nothing between questions but what it has built; never raises for numbers."""

    def warm_up(self) -> None:
        """Build what is slow to build, so that the first answer is as fast as any."""
        ...

    def plan(self, estimate: "Estimate", situation: "Situation") -> "Plan":
        """Return a plan; what is wrong is its status."""
        ...

    def foresee(self, estimate: "Estimate", question: "Question") -> "Outlook":
        """Return what comes of every course asked for."""
        ...


def solver_of(settings: SolverSettings) -> Solver:
    """Return what plans by these settings; it imports CasADi."""
    if isinstance(settings, EconomicSettings):
        from controller.planning.economic.estimated import Estimated

        return Estimated(settings)
    from controller.planning.foresight import FedBatchSolver

    return FedBatchSolver(settings)


def settings_of(plain: Mapping[str, Any]) -> SolverSettings:
    """Return the settings that either ``as_json`` wrote.

    Raises:
        ValueError: an unknown key or a value that is not allowed.
    """
    if "moves" in plain:
        return EconomicSettings.from_json(plain)
    return OptimiserSettings.from_json(plain)
