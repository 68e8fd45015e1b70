"""The optimiser's problem put together of its stages is the problem written out whole."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from controller.planning.economic.program import Program
from controller.planning.economic.transcription import Transcription
from models import symbolic
from models.symbolic import ca
from tests.controller.economies import case

NEAR = 1e-12  # of the greatest number of a matrix


def off(found: Any, wanted: Any) -> float:
    """How far two matrices differ anywhere, as a share of the greatest number."""
    wanted = ca.DM(wanted)
    return float(ca.mmax(ca.fabs(ca.vec(ca.DM(found) - wanted)))) / float(ca.mmax(ca.fabs(wanted)))


@pytest.fixture(scope="module", params=["yeast_300l", "ecoli_5l"])
def program(request: pytest.FixtureRequest) -> Program:
    """A small one of a plant with a weighed tank, and of one that leads pure oxygen."""
    settings = case(request.param).settings
    return Transcription(dataclasses.replace(settings, stages=4, scenarios=2)).program


def anywhere(program: Program) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variables, and numbers that a solve is given, that nothing is special about."""
    random = np.random.default_rng(5)
    sizes: list[int] = [program.nlp[name].shape[0] for name in ("x", "p")]
    return random.uniform(0.2, 1.0, sizes[0]), random.uniform(0.5, 1.0, sizes[1])


def written_out(program: Program, x: Any, p: Any, lam_f: float, lam_g: Any) -> dict[str, Any]:
    """Values and derivatives by CasADi, of the whole problem in symbols."""
    nlp = program.nlp
    whole = ca.Function("whole", [nlp["x"], nlp["p"]], [nlp["f"], nlp["g"]])
    xs, ps = ca.SX.sym("x", len(x)), ca.SX.sym("p", len(p))
    f, g = whole(xs, ps)
    curved, slope = ca.hessian(lam_f * f + ca.dot(lam_g, g), xs)
    found = [f, g, ca.gradient(f, xs), ca.jacobian(g, xs), slope, curved]
    values = ca.Function("written_out", [xs, ps], found)(x, p)
    return dict(zip(("f", "g", "f_x", "g_x", "l_x", "l_xx"), values, strict=True))


@pytest.mark.parametrize("compiler", [True, False])
def test_its_derivatives_are_those_of_the_problem_written_out(
    program: Program, *, compiler: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiler:
        monkeypatch.setattr(symbolic.shutil, "which", dict[str, str]().get)
    x, p = anywhere(program)
    lam_f, lam_g = 0.7, np.random.default_rng(6).normal(size=len(program.equality))
    wanted = written_out(program, x, p, lam_f, lam_g)
    found, ipopt = program.functions("fatrop"), program.functions("ipopt")
    assert off(found["nlp_f"](x, p), wanted["f"]) < NEAR
    assert off(found["nlp_g"](x, p), wanted["g"]) < NEAR
    assert off(found["nlp_grad_f"](x, p), wanted["f_x"]) < NEAR
    assert off(found["nlp_jac_g"](x, p)[1], wanted["g_x"]) < NEAR
    slope, curved = found["nlp_hess_l"](x, p, lam_f, lam_g)
    assert off(slope, wanted["l_x"]) < NEAR
    assert off(curved, wanted["l_xx"]) < NEAR
    assert off(ipopt["nlp_grad_f"](x, p)[1], wanted["f_x"]) < NEAR
    assert off(ipopt["nlp_hess_l"](x, p, lam_f, lam_g), ca.triu(wanted["l_xx"])) < NEAR


def test_a_limit_that_is_passed_is_given_the_slack_that_it_needs(program: Program) -> None:
    x, p = anywhere(program)
    x[program.slack] = 0.0
    over = program.over(x, p)
    x[program.slack] = over
    room = np.array(program.functions("fatrop")["nlp_g"](x, p)).ravel()
    least = room[program.room].reshape(4, 4, -1).min(axis=1)  # of two vessels at two points
    assert least == pytest.approx(np.zeros(program.slack.shape), abs=1e-9)
