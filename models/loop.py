"""Many steps of a model in one call of generated C: of one plant, or of many side by side."""

import ctypes
import re
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.symbolic import Compiled, library

Array = NDArray[np.float64]
LANES: Final = 16  # plants side by side in one vector; as many fill two registers of AVX-512

_INLINE = ("-fno-semantic-interposition",)  # the step may become part of its loop
_LOOP = """
CASADI_SYMBOL_EXPORT void {name}_loop(double *restrict x, const double *restrict u,
    const double *restrict p, double h, long long steps, double *restrict path,
    long long *iw, double *w) {{
  double now[{nx}], after[{nx}], dt = h;
  const double *arg[{arg}] = {{now, u, p, &dt}};
  double *res[{res}] = {{after}};
  for (int i = 0; i < {nx}; i++) now[i] = x[i];
  for (long long k = 0; k < steps; k++) {{
    arg[1] = u + k * {nu};
    {inner}(arg, res, iw, w, 0);
    for (int i = 0; i < {nx}; i++) path[k * {nx} + i] = now[i] = after[i];
  }}
  for (int i = 0; i < {nx}; i++) x[i] = now[i];
}}
"""

_VECTORS = """
#include <math.h>
typedef double V __attribute__((vector_size({bytes})));
#define EACH(f) static inline __attribute__((always_inline)) V v##f(V x) {{ \\
    for (int l = 0; l < {lanes}; l++) x[l] = f(x[l]); return x; }}
EACH(sqrt) EACH(exp) EACH(log) EACH(fabs)
static inline __attribute__((always_inline)) V vsq(V x) {{ return x * x; }}
static inline __attribute__((always_inline)) {step}

__attribute__((target_clones("avx512f", "avx2", "default")))
void {name}_lanes(double *x, const double *u, const double *p, double h, long long steps) {{
  V now[{nx}], after[{nx}], held[{nu}], par[{np}], dt = (V){{0}} + h;
  const V *arg[] = {{now, held, par, &dt}};
  V *res[] = {{after}};
  for (int i = 0; i < {nx}; i++) for (int l = 0; l < {lanes}; l++) now[i][l] = x[i * {lanes} + l];
  for (int i = 0; i < {np}; i++) for (int l = 0; l < {lanes}; l++) par[i][l] = p[i * {lanes} + l];
  for (long long k = 0; k < steps; k++) {{
    for (int i = 0; i < {nu}; i++) held[i] = (V){{0}} + u[k * {nu} + i];
    lanes_step(arg, res, 0, 0, 0);
    for (int i = 0; i < {nx}; i++) now[i] = after[i];
  }}
  for (int i = 0; i < {nx}; i++) for (int l = 0; l < {lanes}; l++) x[i * {lanes} + l] = now[i][l];
}}
"""


def _on_vectors(source: str, name: str, shape: tuple[int, int, int]) -> str:
    """Return C that makes the step of ``source`` on vectors: the same operations, many plants."""
    step = source[source.index("static int casadi_f0(") :]
    step = step[len("static ") : step.index("\n}\n") + 3]
    for pattern, by in (
        (r"arg\[(\d+)\]\? arg\[\d+\]\[(\d+)\] : 0", r"arg[\1][\2]"),
        (r"if \(res\[\d+\]!=0\) ", ""),
        (r"=(-?[0-9.][0-9.e+-]*);", r"=(V){0}+\1;"),  # a constant, for every plant
        (r"\b(sqrt|exp|log|fabs)\(", r"v\1("),
        (r"\bcasadi_sq\b", "vsq"),
        (r"\bcasadi_f0\b", "lanes_step"),
        (r"\bcasadi_real\b", "V"),
        (r"\bcasadi_int\b", "long long"),
    ):
        step = re.sub(pattern, by, step)
    nx, nu, n_p = shape
    return _VECTORS.format(step=step, name=name, nx=nx, nu=nu, np=n_p, lanes=LANES, bytes=8 * LANES)


class Loop:
    """Many steps of one step function in a single call, each with inputs of its own.

    In C the loop stands beside the step, so that the compiler sees both: what depends on the
    parameters alone is computed once. Without a compiler Python steps CasADi's virtual machine,
    with the same numbers. Other threads run meanwhile: each may step a plant of its own.

    Args:
        function: ``(x, u, p, h) -> x``, as ``rosenbrock`` makes it.
        compiler: the C compiler's command; ``None`` for the virtual machine.

    Attributes:
        native: whether it runs as machine code.
    """

    def __init__(self, function: Any, compiler: str | None = "gcc") -> None:
        self._shape = (function.numel_in(0), function.numel_in(1), function.numel_in(2))
        self._function = function
        name = function.name()
        code = _LOOP.format(
            name=name,
            inner=name,
            nx=self._shape[0],
            nu=self._shape[1],
            arg=max(4, function.sz_arg()),
            res=max(1, function.sz_res()),
        )
        made = library([function], compiler, lambda source: source + code, _INLINE)
        self.native = made is not None
        self._call: Any = None
        if made is not None:
            self._call = ctypes.CDLL(str(made))[f"{name}_loop"]
            self._call.restype = None
        self._compiler = compiler
        self._lanes: Any = None

    def __call__(self, x: Array, u: Array, p: Array, h: float) -> Array:
        """Return the states after each step, shape (steps, nx).

        Args:
            x: states at the start, shape (nx,).
            u: inputs, held during each step, shape (steps, nu).
            p: parameters, shape (np,).
            h: one step, in the model's time unit.

        Raises:
            ValueError: a shape does not fit the function.
        """
        nx, nu, n_p = self._shape
        if x.shape != (nx,) or u.ndim != 2 or u.shape[1] != nu or p.shape != (n_p,):
            raise ValueError(
                f"{self._function.name()}: x {x.shape}, u {u.shape}, p {p.shape} are not allowed; "
                f"({nx},), (steps, {nu}) and ({n_p},) are"
            )
        path = np.empty((len(u), nx))
        x, u, p = (np.ascontiguousarray(a, np.float64) for a in (x, u, p))
        if self._call is None:
            return self._stepped(x, u, p, h, path)
        integers = (ctypes.c_longlong * max(1, self._function.sz_iw()))()
        work = (ctypes.c_double * max(1, self._function.sz_w()))()
        steps = ctypes.c_longlong(len(u))
        at = [ctypes.c_void_p(a.ctypes.data) for a in (x.copy(), u, p, path)]
        self._call(*at[:3], ctypes.c_double(h), steps, at[3], integers, work)
        return path

    def _stepped(
        self,
        x: Array,
        u: Array,
        p: Array,
        h: float,
        path: Array,
    ) -> Array:
        step = Compiled(self._function, None)
        now, inputs, parameters, length = (np.frombuffer(a) for a in step.arguments)
        after = np.frombuffer(step.results[0])
        now[:], parameters[:], length[:] = x, p, h
        for row, held in zip(path, u, strict=True):
            inputs[:] = held
            step()
            row[:] = now[:] = after
        return path

    def many(self, x: Array, u: Array, p: Array, h: float) -> Array:
        """Return the states of many plants at the end, shape (plants, nx).

        They stand side by side in vectors, each operation being done for sixteen at once, and
        give the very numbers that each gives alone.

        Args:
            x: states of each at the start, shape (plants, nx).
            u: inputs of all, held during each step, shape (steps, nu).
            p: parameters of each, shape (plants, np).
            h: one step, in the model's time unit.

        Raises:
            ValueError: a shape does not fit the function.
        """
        nx, nu, n_p = self._shape
        if x.shape != (len(p), nx) or u.shape[1:] != (nu,) or p.shape[1:] != (n_p,):
            raise ValueError(
                f"{self._function.name()}: x {x.shape}, u {u.shape}, p {p.shape} are not allowed; "
                f"(plants, {nx}), (steps, {nu}) and (plants, {n_p}) are"
            )
        call = self._vectors()
        if call is None:
            return np.array([self(a, u, b, h)[-1] for a, b in zip(x, p, strict=True)])
        u = np.ascontiguousarray(u, np.float64)
        ends: list[Array] = []
        for first in range(0, len(x), LANES):
            rows = np.minimum(np.arange(first, first + LANES), len(x) - 1)  # the last fills up
            now, par = (np.ascontiguousarray(a[rows].T, np.float64) for a in (x, p))
            at = [ctypes.c_void_p(a.ctypes.data) for a in (now, u, par)]
            call(*at, ctypes.c_double(h), ctypes.c_longlong(len(u)))
            ends.append(now.T)
        return np.concatenate(ends)[: len(x)]

    def _vectors(self) -> Any:
        """Return the step on vectors, compiled when first asked for; ``None`` if it cannot be."""
        if self._lanes is None and self.native:
            name = self._function.name()
            made = library(
                [self._function],
                self._compiler,
                lambda source: _on_vectors(source, name, self._shape),
                ("-Wno-psabi",),
            )
            self._lanes = False
            if made is not None:
                self._lanes = ctypes.CDLL(str(made))[f"{name}_lanes"]
                self._lanes.restype = None
        return self._lanes or None
