"""Optimal-control problems of the literature, stated as anybody would state them."""

from typing import Any

from models.model import Functions, Variable


class Plain:
    """What all of them have; no outputs, no parameters."""

    time_unit = "h"
    parameters = ()
    outputs = ()


class CuthrellBiegler(Plain):
    """Penicillin fed-batch. Cuthrell and Biegler, Comput. Chem. Eng. 13 (1989) 49-62."""

    states = (
        Variable("X", "g/L", low=0, high=40),
        Variable("P", "g/L", low=0),
        Variable("S", "g/L", low=0, high=25),
        Variable("V", "L", low=1, high=10),
    )
    inputs = (Variable("F", "g/h", low=0, high=50),)

    def rhs(self, t: Any, x: Any, u: Any, p: Any, fn: Functions) -> tuple[Any, ...]:
        X, P, S, V = x
        (F,) = u
        mu = 0.11 * S / (0.006 * X + S)
        rho = 0.0055 * S / (1e-4 + S * (1 + 10 * S))
        dS = -mu * X / 0.47 - rho * X / 1.2 - 0.029 * X * S / (1e-4 + S) + F / V * (1 - S / 500)
        return (mu * X - X * F / (500 * V), rho * X - 0.01 * P - P * F / (500 * V), dS, F / 500)


class ParkRamirez(Plain):
    """Secreted protein. Park and Ramirez, AIChE J. 34 (1988) 1550-1558."""

    states = (
        *(Variable(n, "g/L", low=0) for n in ("PM", "PT", "X", "S")),
        Variable("V", "L", low=0.1),
    )
    inputs = (Variable("F", "L/h", low=0, high=2),)

    def rhs(self, t: Any, x: Any, u: Any, p: Any, fn: Functions) -> tuple[Any, ...]:
        PM, PT, X, S, V = x
        D = u[0] / V
        g3 = 21.87 * S / ((S + 0.4) * (S + 62.5))
        g1 = 4.75 * g3 / (0.12 + g3)
        g2 = S / (0.1 + S) * fn.exp(-5 * S)
        return (
            g1 * (PT - PM) - D * PM,
            g2 * X - D * PT,
            g3 * X - D * X,
            -7.3 * g3 * X + D * (20 - S),
            u[0],
        )


class Ethanol(Plain):
    """Ethanol fed-batch. Chen and Hwang, Chem. Eng. Commun. 97 (1990) 9-26."""

    states = (
        *(Variable(n, "g/L", low=0) for n in ("X", "S", "P")),
        Variable("V", "L", low=0, high=200),
    )
    inputs = (Variable("F", "L/h", low=0, high=12),)

    def rhs(self, t: Any, x: Any, u: Any, p: Any, fn: Functions) -> tuple[Any, ...]:
        X, S, P, V = x
        D = u[0] / V
        mu = 0.408 / (1 + P / 16) * S / (0.22 + S)
        q = 1.0 / (1 + P / 71.5) * S / (0.44 + S)
        return (mu * X - D * X, -10 * mu * X + D * (150 - S), q * X - D * P, u[0])


class Induced(Plain):
    """Two feeds, glucose and inducer. Tholudur and Ramirez, Int. J. Control 66 (1997) 115."""

    states = tuple(Variable(n, "1", low=0) for n in ("V", "X", "S", "P", "I", "shock", "recovery"))
    inputs = (Variable("sugar", "L/h", low=0, high=1), Variable("inducer", "L/h", low=0, high=1))

    def rhs(self, t: Any, x: Any, u: Any, p: Any, fn: Functions) -> tuple[Any, ...]:
        V, X, S, P, inducer, shock, recovery = x
        D = (u[0] + u[1]) / V
        glucose = S / (0.108 + S + S**2 / 14814.8)
        mu = 0.407 * glucose * (shock + 0.22 * recovery / (0.22 + inducer))
        made = 0.095 * glucose * (0.0005 + inducer) / (0.022 + inducer)
        k = 0.09 * inducer / (0.034 + inducer)
        return (
            u[0] + u[1],
            mu * X - D * X,
            100 * u[0] / V - D * S - mu * X / 0.51,
            made * X - D * P,
            4 * u[1] / V - D * inducer,
            -k * shock,
            k * (1 - recovery),
        )


class Heated(Plain):
    """A to B to C in a heated batch; T makes the most B. Ray, Advanced Process Control (1981)."""

    states = (Variable("a", "1"), Variable("b", "1"))
    inputs = (Variable("T", "K", low=298, high=398),)
    parameters = (Variable("k1", "1/h", 4000.0), Variable("k2", "1/h", 6.2e5))

    def rhs(self, t: Any, x: Any, u: Any, p: Any, fn: Functions) -> tuple[Any, ...]:
        r1 = p[0] * fn.exp(-2500 / u[0]) * x[0] ** 2
        return (-r1, r1 - p[1] * fn.exp(-5000 / u[0]) * x[1])


class Cart(Plain):
    """A mass that is pushed; its speed has a limit."""

    time_unit = "s"
    states = (Variable("s", "m"), Variable("v", "m/s", low=-10, high=0.7))
    inputs = (Variable("a", "m/s2", low=-1, high=1),)

    def rhs(self, t: Any, x: Any, u: Any, p: Any, fn: Functions) -> tuple[Any, ...]:
        return (x[1], u[0])
