"""What every model is: named variables with units and one right-hand side written once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Variable:
    """A state, input, parameter or output of a model.

    Attributes:
        name: the symbol of the source.
        unit: as printed in the source: ``g/L``, ``1/h``.
        default: value of a parameter, or a sensible start of a state, in ``unit``.
        low: least allowed value, in ``unit``.
        high: greatest allowed value, in ``unit``.
        doc: what it is.
        source: where the default comes from.
    """

    name: str
    unit: str
    default: float = 0.0
    low: float = float("-inf")
    high: float = float("inf")
    doc: str = ""
    source: str = ""


class ModelError(ValueError):
    """A model cannot be used; the message names it and why, a line a fault."""


class Functions(Protocol):
    """What a right-hand side may call: the same names for floats, arrays and CasADi symbols."""

    def exp(self, a: Any) -> Any: ...
    def log(self, a: Any) -> Any: ...
    def sqrt(self, a: Any) -> Any: ...
    def max(self, a: Any, b: Any, eps: float = 1e-3) -> Any:
        """Return the smooth greater of two, ``0.5 (a + b + sqrt((a - b)^2 + eps^2))``."""
        ...

    def min(self, a: Any, b: Any, eps: float = 1e-3) -> Any:
        """Return the smooth lesser of two, ``0.5 (a + b - sqrt((a - b)^2 + eps^2))``."""
        ...


class Model(Protocol):
    """Equations and nothing else: the same in, the same out."""

    @property
    def time_unit(self) -> Literal["h", "s"]: ...
    @property
    def states(self) -> Sequence[Variable]: ...
    @property
    def inputs(self) -> Sequence[Variable]: ...
    @property
    def parameters(self) -> Sequence[Variable]: ...
    @property
    def outputs(self) -> Sequence[Variable]: ...

    def rhs(self, t: Any, x: Any, u: Any, p: Any, fn: Functions) -> Sequence[Any]:
        """Return ``dx/dt``, length ``len(states)``, in state units per ``time_unit``."""
        ...

    def output(self, t: Any, x: Any, u: Any, p: Any, fn: Functions) -> Sequence[Any]:
        """Return what instruments see, length ``len(outputs)``."""
        ...
