"""A model's equations as CasADi expressions, as a stiff integration step, and as machine code.

The only file of this room that imports CasADi. One right-hand side is traced once; the simulator,
the estimator and the optimiser use the same expressions.
"""

import ctypes
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from array import array
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import casadi

from models.elimination import eliminate
from models.fn import SCALARS
from models.model import Functions, Model, ModelError, Variable

ca: Any = casadi  # its stubs leave most results untyped


class Symbols:
    """``Functions`` for CasADi symbols."""

    def exp(self, a: Any) -> Any:
        return ca.exp(a)

    def log(self, a: Any) -> Any:
        return ca.log(a)

    def sqrt(self, a: Any) -> Any:
        return ca.sqrt(a)

    def max(self, a: Any, b: Any, eps: float = 1e-3) -> Any:
        return 0.5 * (a + b + ca.sqrt((a - b) * (a - b) + eps * eps))

    def min(self, a: Any, b: Any, eps: float = 1e-3) -> Any:
        return 0.5 * (a + b - ca.sqrt((a - b) * (a - b) + eps * eps))


SYMBOLS: Functions = Symbols()


@dataclass(frozen=True, slots=True)
class Traced:
    """A model as expressions of its own symbols.

    Attributes:
        name: the model's, for messages and for generated names.
        t: time in the model's unit.
        x: states, SX of shape (n, 1).
        u: inputs.
        p: parameters.
        rhs: ``dx/dt``, shape (n, 1), per ``time_unit``.
        output: outputs, shape (m, 1).
        time_unit: ``h`` or ``s``.
    """

    name: str
    t: Any
    x: Any
    u: Any
    p: Any
    rhs: Any
    output: Any
    time_unit: str

    def rhs_function(self) -> Any:
        """Return a CasADi function ``(x, u, p) -> dx/dt`` at time 0."""
        return ca.Function(
            f"fl_{self.name}_rhs", [self.x, self.u, self.p], [ca.substitute(self.rhs, self.t, 0.0)]
        )

    def output_function(self) -> Any:
        """Return a CasADi function ``(x, u, p) -> y`` at time 0."""
        y = ca.substitute(self.output, self.t, 0.0)
        return ca.Function(f"fl_{self.name}_output", [self.x, self.u, self.p], [y])


@contextmanager
def no_float_of_a_symbol() -> Generator[None]:
    """Make ``math.exp(symbol)`` an error: CasADi itself answers NaN."""

    def refuse(_self: Any) -> float:
        raise TypeError("a symbol was taken for a number")

    before = ca.SX.__float__
    ca.SX.__float__ = refuse
    try:
        yield
    finally:
        ca.SX.__float__ = before


def _symbols(variables: Sequence[Variable]) -> Any:
    return ca.vertcat(*(ca.SX.sym(v.name) for v in variables)) if variables else ca.SX(0, 1)


def _elements(vector: Any) -> list[Any]:
    return list(ca.vertsplit(vector)) if vector.shape[0] else []


def _rows(matrix: Any) -> list[dict[int, Any]]:
    """Return what is not zero of a matrix: for each row, values by column."""
    rows: list[dict[int, Any]] = [{} for _ in range(matrix.shape[0])]
    sparsity = matrix.sparsity()
    for i, j in zip(sparsity.row(), sparsity.get_col(), strict=True):
        rows[i][j] = matrix[i, j]
    return rows


def trace(model: Model) -> Traced:
    """Return ``model`` as CasADi expressions.

    Raises:
        ModelError: it calls ``math`` on a symbol, branches on one, returns another number of
            values than it declares, or gives other numbers on symbols than on floats.
    """
    name = type(model).__name__
    t, x, u, p = ca.SX.sym("t"), *map(_symbols, (model.states, model.inputs, model.parameters))
    arguments = (t, _elements(x), _elements(u), _elements(p), SYMBOLS)
    parts: dict[str, Any] = {}
    for part, method, wanted in (
        ("rhs", model.rhs, model.states),
        ("output", model.output, model.outputs),
    ):
        try:
            with no_float_of_a_symbol():
                values = list(method(*arguments))
        except TypeError as error:
            raise ModelError(
                f"{name}.{part}: {error}; call fn.exp, fn.log, fn.sqrt, fn.min or fn.max, "
                "never math.* or float()"
            ) from error
        except Exception as error:
            if "truth value" not in str(error):
                why = f"fails on symbols: {type(error).__name__}: {error}; only fn.* may be called"
                raise ModelError(f"{name}.{part}: {why}") from error
            raise ModelError(
                f"{name}.{part}: it branches on a symbol; use fn.min or fn.max instead of if, "
                "min, max and comparisons"
            ) from error
        if len(values) != len(wanted):
            raise ModelError(f"{name}.{part}: {len(values)} values for {len(wanted)} names")
        parts[part] = ca.vertcat(*values) if values else ca.SX(0, 1)
    traced = Traced(name, t, x, u, p, parts["rhs"], parts["output"], model.time_unit)
    _same_as_floats(model, traced)
    return traced


def _same_as_floats(model: Model, traced: Traced) -> None:
    """Catch what tracing cannot see, such as ``math.floor`` or a value remembered between calls."""
    x, u, p = ([v.default for v in part] for part in (model.states, model.inputs, model.parameters))
    for part, method in (("rhs", model.rhs), ("output", model.output)):
        at = ca.Function("at", [traced.t, traced.x, traced.u, traced.p], [getattr(traced, part)])
        symbolic = [float(v) for v in ca.DM(at(0.0, x, u, p)).full().ravel()]
        plain = [float(v) for v in method(0.0, x, u, p, SCALARS)]
        wanted = model.states if part == "rhs" else model.outputs
        for variable, a, b in zip(wanted, symbolic, plain, strict=True):
            if not abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1e-3):
                raise ModelError(
                    f"{traced.name}.{part}: {variable.name} is {a:g} on symbols but {b:g} on "
                    "floats at the defaults; only fn.* may be called and nothing remembered"
                )


def autonomous(traced: Traced) -> Traced:
    """Return a trace whose equations name no time: where they do, a last state counts it from 0.

    The steps below hold everything but the states, so they would hold time too.
    """
    if not ca.depends_on(ca.vertcat(traced.rhs, traced.output), traced.t):
        return traced
    now = ca.SX.sym("now")
    rhs, output = (ca.substitute(part, traced.t, now) for part in (traced.rhs, traced.output))
    return replace(traced, x=ca.vertcat(traced.x, now), rhs=ca.vertcat(rhs, 1.0), output=output)


GAMMA = 1.0 - 0.5**0.5  # of the two L-stable second-order ROS2 methods, the more accurate


def rosenbrock(model: Model | Traced, substeps: int = 1, name: str = "") -> Any:
    """Return a CasADi function ``(x, u, p, h) -> x`` that integrates over ``h`` with ``u`` held.

    ROS2 with the exact Jacobian: second order, L-stable, no iteration, so its cost is fixed and
    it can be differentiated. It stays stable where dissolved oxygen collapses and an explicit
    method goes to negative oxygen.

    Args:
        model: the model, or its trace.
        substeps: equal steps inside ``h``.
        name: of the function; ``fl_MODEL_step`` if not given.

    Source: J. G. Verwer et al., SIAM J. Sci. Comput. 20 (1999) 1456-1480.
    """
    traced = model if isinstance(model, Traced) else trace(model)
    h = ca.SX.sym("h")
    step = h / substeps
    f = ca.substitute(traced.rhs, traced.t, 0.0)
    n = traced.x.shape[0]
    matrix = ca.SX.eye(n) - GAMMA * step * ca.jacobian(f, traced.x)
    # both stages share the factors: the second side is only known after the first is solved, so
    # the solution is written as a function of the side and called twice
    side = ca.SX.sym("side", n)
    (y,) = eliminate(_rows(matrix), [_elements(side)])
    solve = ca.vertcat(*y)
    k1 = ca.substitute(solve, side, f)
    inner = ca.Function("inner", [traced.x, traced.u, traced.p], [f])
    k2 = ca.substitute(solve, side, inner(traced.x + step * k1, traced.u, traced.p) - 2.0 * k1)
    after = traced.x + step * (1.5 * k1 + 0.5 * k2)
    name = name or f"fl_{traced.name}_step"
    one = ca.Function(name, [traced.x, traced.u, traced.p, h], [after])
    if substeps == 1:
        return one
    x = traced.x
    for _ in range(substeps):
        x = one(x, traced.u, traced.p, h)
    return ca.Function(name, [traced.x, traced.u, traced.p, h], [x])


def plant_step(model: Model | Traced, name: str = "") -> Any:
    """Return a CasADi function ``(x, u, p, h) -> (x, y)``: one step and the outputs after it.

    Args:
        model: the model, or its trace.
        name: of the function; ``fl_MODEL_plant`` if not given.
    """
    traced = model if isinstance(model, Traced) else trace(model)
    h = ca.SX.sym("h")
    after = rosenbrock(traced)(traced.x, traced.u, traced.p, h)
    y = traced.output_function()(after, traced.u, traced.p)
    return ca.Function(
        name or f"fl_{traced.name}_plant", [traced.x, traced.u, traced.p, h], [after, y]
    )


class Compiled:
    """A function on fixed buffers: fill ``arguments``, call, take from ``results``.

    Attributes:
        name: of the function.
        arguments: one ``array('d')`` per argument, dense and column by column; write into them,
            never replace or resize them. ``numpy.frombuffer`` gives a view.
        results: one ``array('d')`` per result.
        native: whether it runs as machine code; CasADi's virtual machine gives the same numbers.
        run: computes ``results`` from ``arguments``, as a call does, without Python in between.
    """

    __slots__ = ("_keep", "arguments", "name", "native", "results", "run")

    def __init__(self, function: Any, library: Path | None) -> None:
        self.name: str = function.name()
        self.native = library is not None
        self.arguments = [
            array("d", bytes(8 * function.numel_in(i))) for i in range(function.n_in())
        ]
        self.results = [
            array("d", bytes(8 * function.numel_out(i))) for i in range(function.n_out())
        ]
        if library is None:
            buffer, trigger = function.buffer()
            for i, a in enumerate(self.arguments):
                buffer.set_arg(i, memoryview(a))
            for i, r in enumerate(self.results):
                buffer.set_res(i, memoryview(r))
            self._keep: Any = (function, buffer)
            self.run: Callable[[], object] = trigger
            return
        handle = ctypes.CDLL(str(library))
        pointers = [
            (ctypes.c_void_p * max(1, len(group)))(*(a.buffer_info()[0] for a in group))
            for group in (self.arguments, self.results)
        ]
        integers = (ctypes.c_longlong * max(1, function.sz_iw()))()
        work = (ctypes.c_double * max(1, function.sz_w()))()
        # pointers go in tables that leave room for the calls that a function makes inside
        tables = [
            (ctypes.c_void_p * max(size, len(pointers[i])))(*pointers[i])
            for i, size in enumerate((function.sz_arg(), function.sz_res()))
        ]
        call = handle[self.name]
        self._keep = (handle, tables, integers, work)
        arguments = (*(ctypes.c_void_p(ctypes.addressof(t)) for t in tables), integers, work, 0)
        self.run = partial(call, *arguments)

    def __call__(self) -> None:
        """Compute ``results`` from ``arguments``."""
        self.run()


def cache_dir() -> Path:
    """Return where compiled models are kept between runs."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "fermloop"


def compiled(
    functions: Sequence[Any], compiler: str | None = "gcc", flags: Sequence[str] = ()
) -> dict[str, Compiled]:
    """Return ``functions`` as machine code, by name.

    C is generated and compiled once per content and kept in ``cache_dir()``. Where there is no
    compiler, or it fails, or others may write to the cache, CasADi's virtual machine runs them:
    the same numbers, more slowly.

    Args:
        functions: CasADi functions; their names begin with ``fl_``, as one called ``step``
            clashes with libc.
        compiler: the C compiler's command; ``None`` for the virtual machine.
        flags: for the compiler, beside the usual.
    """
    for function in functions:
        if not function.name().startswith("fl_"):
            raise ValueError(f"{function.name()}: the name of a compiled function begins with fl_")
    made = library(functions, compiler, flags=flags)
    return {f.name(): Compiled(f, made) for f in functions}


@contextmanager
def _alone(lock: Path) -> Generator[None]:
    """Let one process at a time compile; where no lock can be had, each makes the same bytes."""
    with lock.open("wb") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file is closed, or the process dies
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


# no fused or reordered arithmetic: bit for bit what the virtual machine computes
_FLAGS = ("-O3", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC")


def library(
    functions: Sequence[Any],
    compiler: str | None,
    whole: Callable[[str], str] = str,
    flags: Sequence[str] = (),
) -> Path | None:
    """Return the shared library of ``functions``, made once per content.

    Args:
        functions: CasADi functions.
        compiler: the C compiler's command; ``None`` for none.
        whole: makes the whole source of what CasADi generates.
        flags: for the compiler, beside the usual.

    Returns:
        Its path in ``cache_dir()``; ``None`` if there is no compiler, or it fails, or others may
        write to the cache.
    """
    command = shutil.which(compiler) if compiler else None
    if command is None:
        return None
    flags = [*_FLAGS, *flags]
    prefix = f"fl_{functions[0].name()}"
    generator = ca.CodeGenerator(prefix, {"casadi_int": "long long int"})
    for function in functions:
        generator.add(function)
    source = whole(generator.dump())
    key = hashlib.sha256(
        "\0".join([source, command, *flags, os.uname().machine]).encode()
    ).hexdigest()[:32]
    try:
        folder = cache_dir()
        target = folder / f"{prefix}-{key}.so"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        entry = folder.stat()
        if entry.st_uid != os.getuid() or entry.st_mode & 0o022:
            return None  # what is loaded from there runs in this process
        if target.exists():
            return target
        with (
            _alone(folder / f".{target.name}.lock"),
            tempfile.TemporaryDirectory(dir=folder) as room,
        ):
            if target.exists():
                return target  # another process has made it meanwhile
            c_file, so_file = Path(room) / "model.c", Path(room) / "model.so"
            c_file.write_text(source)
            subprocess.run(  # arguments are ours; nothing of the plant file reaches them
                [command, *flags, "-o", str(so_file), str(c_file), "-lm"],
                check=True,
                capture_output=True,
                timeout=300,
            )
            so_file.replace(target)  # whole or not at all
    except (OSError, RuntimeError, subprocess.SubprocessError):  # RuntimeError: no home
        return None
    return target
