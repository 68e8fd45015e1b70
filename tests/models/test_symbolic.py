"""Tracing, the stiff step and the compiled code give the same numbers as plain floats."""

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from models import symbolic
from models.ecoli import EColi
from models.fn import ARRAYS, SCALARS
from models.model import Functions, ModelError, Variable

ROOT = Path(__file__).parents[2]
MODEL = EColi()
X = [8.0, 0.4, 0.3, 0.1, 0.8, 3.2]
U = [0.03, 500.0, 3e-4, 1.0]
P = [v.default for v in MODEL.parameters]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def run(function: symbolic.Compiled, *arguments: Sequence[float]) -> list[float]:
    for buffer, values in zip(function.arguments, arguments, strict=True):
        buffer[:] = type(buffer)("d", values)
    function()
    return list(function.results[0])


def test_floats_arrays_symbols_and_machine_code_agree() -> None:
    plain = list(MODEL.rhs(0.0, X, U, P, SCALARS))
    columns = [np.full(3, v) for v in X]
    arrays = [np.broadcast_to(v, (3,))[1] for v in MODEL.rhs(0.0, columns, U, P, ARRAYS)]
    rhs = symbolic.trace(MODEL).rhs_function()
    (native,) = symbolic.compiled([rhs]).values()
    (virtual,) = symbolic.compiled([rhs], compiler=None).values()
    assert native.native
    assert not virtual.native
    for other in (arrays, run(native, X, U, P), run(virtual, X, U, P)):
        np.testing.assert_allclose(other, plain, rtol=1e-9, atol=1e-12)


def test_machine_code_is_made_once(tmp_path: Path) -> None:
    rhs = symbolic.trace(MODEL).rhs_function()
    symbolic.compiled([rhs])
    (made,) = (tmp_path / "fermloop").iterdir()
    stamp = made.stat().st_mtime_ns
    symbolic.compiled([symbolic.trace(MODEL).rhs_function()])
    assert [f.stat().st_mtime_ns for f in (tmp_path / "fermloop").iterdir()] == [stamp]


def test_a_broken_compiler_leaves_the_virtual_machine(tmp_path: Path) -> None:
    rhs = symbolic.trace(MODEL).rhs_function()
    for compiler in ("false", "no-such-compiler"):
        (function,) = symbolic.compiled([rhs], compiler=compiler).values()
        assert not function.native
        np.testing.assert_allclose(run(function, X, U, P), MODEL.rhs(0.0, X, U, P, SCALARS))


def test_a_cache_that_others_may_write_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "fermloop"
    folder.mkdir()
    folder.chmod(0o777)
    rhs = symbolic.trace(MODEL).rhs_function()
    (function,) = symbolic.compiled([rhs]).values()
    assert not function.native
    assert list(folder.iterdir()) == []


def test_names_that_could_clash_are_refused() -> None:
    function = symbolic.rosenbrock(MODEL, name="step")
    with pytest.raises(ValueError, match="step: the name of a compiled function begins with fl_"):
        symbolic.compiled([function])


@pytest.mark.parametrize("substeps", [1, 4])
def test_the_step_is_of_second_order_and_agrees_with_bdf(substeps: int) -> None:
    (step,) = symbolic.compiled([symbolic.rosenbrock(MODEL, substeps)]).values()
    exact = solve_ivp(
        lambda t, x: np.array(MODEL.rhs(t, list(x), U, P, SCALARS)),
        (0.0, 0.5),
        X,
        method="BDF",
        rtol=1e-10,
        atol=1e-12,
    ).y[:, -1]
    errors: list[float] = []
    for n in (100, 200):
        x: list[float] = X
        for _ in range(n):
            x = run(step, x, U, P, [0.5 / n])
        errors.append(float(np.max(np.abs((np.array(x) - exact) / (np.abs(exact) + 0.1)))))
    assert errors[1] < 1e-4
    assert errors[0] / errors[1] > 3.0


class Decay:
    """A small model whose right-hand side is broken on purpose in the tests below."""

    time_unit: Literal["h", "s"] = "h"
    states: Sequence[Variable] = (Variable("c", "g/L", 1.0),)
    inputs: Sequence[Variable] = ()
    parameters = (Variable("k", "1/h", 0.5),)
    outputs: Sequence[Variable] = ()

    def rhs(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        return (-p[0] * x[0],)

    def output(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        return ()


class CallsMath(Decay):
    def rhs(self, t: Any, x: Any, u: Any, p: Any, fn: Functions) -> Sequence[Any]:
        return (-math.exp(x[0]),)


class Branches(Decay):
    def rhs(self, t: Any, x: Any, u: Any, p: Any, fn: Functions) -> Sequence[Any]:
        return (-p[0] if x[0] > 0 else 0.0,)


class TakesTheGreater(Decay):
    def rhs(self, t: Any, x: Any, u: Any, p: Any, fn: Functions) -> Sequence[Any]:
        return (-max(x[0], 0.0),)


class Remembers(Decay):
    calls = 0

    def rhs(self, t: Any, x: Any, u: Any, p: Any, fn: Functions) -> Sequence[Any]:
        self.calls += 1
        return (-self.calls * x[0],)


class GivesTwo(Decay):
    def rhs(self, t: Any, x: Any, u: Any, p: Any, fn: Functions) -> Sequence[Any]:
        return (x[0], x[0])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (CallsMath(), r"CallsMath\.rhs: a symbol was taken for a number; call fn\.exp"),
        (Branches(), r"Branches\.rhs: it branches on a symbol"),
        (TakesTheGreater(), r"TakesTheGreater\.rhs: it branches on a symbol"),
        (Remembers(), r"Remembers\.rhs: c is -1 on symbols but -2 on floats"),
        (GivesTwo(), r"GivesTwo\.rhs: 2 values for 1 names"),
    ],
)
def test_a_model_that_is_no_equation_is_refused_by_name(model: Decay, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        symbolic.trace(model)


def test_a_model_without_inputs_decays_as_known() -> None:
    (step,) = symbolic.compiled([symbolic.rosenbrock(Decay())], compiler=None).values()
    assert run(step, [1.0], [], [0.5], [0.1])[0] == pytest.approx(math.exp(-0.05), rel=1e-4)


@pytest.mark.long
def test_eight_processes_that_start_at_once_compile_a_model_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = tmp_path / "called"
    gcc = shutil.which("gcc")
    assert gcc is not None
    wrapper = tmp_path / "bin/gcc"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho >> {called}\nsleep 1\nexec {gcc} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    asked = (
        "from models import symbolic; from models.ecoli import EColi\n"
        "(f,) = symbolic.compiled([symbolic.trace(EColi()).rhs_function()]).values()\n"
        f"f.arguments[0][:] = type(f.arguments[0])('d', {X})\n"
        "f(); print(f.native, list(f.results[0]))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", asked], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    said = {process.communicate(timeout=120)[0] for process in started}
    assert len(said) == 1
    assert said.pop().startswith("True [")
    assert called.read_text() == "\n"
    (made,) = (tmp_path / "fermloop").iterdir()
    assert made.suffix == ".so"
