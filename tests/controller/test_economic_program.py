"""The optimiser's problem put together of its stages is the problem written out whole."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from controller.planning.economic import condensed
from controller.planning.economic.optimiser import Economic
from controller.planning.economic.program import Program
from controller.planning.economic.stage import Stage
from controller.planning.economic.transcription import Transcription
from models import symbolic
from models.symbolic import ca
from tests.controller.economies import case

NEAR = 1e-9  # of the greatest number of a matrix
STAGES, VESSELS = 4, 2

Floats = NDArray[np.float64]


def off(found: Any, wanted: Any) -> float:
    """How far two matrices differ anywhere, as a share of the greatest number."""
    wanted = ca.DM(wanted)
    return float(ca.mmax(ca.fabs(ca.vec(ca.DM(found) - wanted)))) / float(ca.mmax(ca.fabs(wanted)))


@pytest.fixture(scope="module", params=["yeast_300l", "ecoli_5l"])
def problem(request: pytest.FixtureRequest) -> Transcription:
    """A small one of a plant with a weighed tank, and of one that leads pure oxygen."""
    settings = case(request.param).settings
    return Transcription(dataclasses.replace(settings, stages=STAGES, scenarios=VESSELS))


def anywhere(problem: Transcription, program: Program) -> tuple[Floats, Floats]:
    """Variables, and numbers that a solve is given, that nothing is special about."""
    random = np.random.default_rng(5)
    sizes: list[int] = [program.nlp[name].shape[0] for name in ("x", "p")]
    program.begin(np.full((STAGES, 2, VESSELS, len(problem.states)), 0.5))
    return random.uniform(0.2, 1.0, sizes[0]), random.uniform(0.5, 1.0, sizes[1])


def solved_for(stage: Stage) -> Any:
    """One part as ``Condensed`` has it, its balances solved by CasADi."""
    own = sum(stage.variables.values()) - stage.inside
    q, given, points = (
        ca.SX.sym(n, k)
        for n, k in (("q", own), ("given", stage.values.size1_in(1)), ("points", stage.inside))
    )
    rows, _ = stage.values(ca.vertcat(q, points), given)
    balances = ca.Function("balances", [points, q, given], [rows[: stage.inside]])
    solver = ca.rootfinder("met", "newton", balances, {"abstol": 1e-13})
    q, given = ca.MX.sym("q", own), ca.MX.sym("given", given.shape[0])
    points = solver(ca.DM.ones(stage.inside) * 0.5, q, given)
    rows, cost = stage.values(ca.vertcat(q, points), given)
    return ca.Function("part", [q, given], [rows[stage.inside :], cost])


def written_out(
    problem: Transcription, program: Program, x: Floats, p: Floats, lam_f: float, lam_g: Floats
) -> dict[str, Any]:
    """Values and derivatives by CasADi, of the whole problem in symbols."""
    xs, ps = ca.MX.sym("x", len(x)), ca.MX.sym("p", len(p))
    f, g = program.whole(xs, ps, solved_for(Stage(problem)).map(STAGES * VESSELS))
    curved, slope = ca.hessian(lam_f * f + ca.dot(lam_g, g), xs)
    found = [f, g, ca.gradient(f, xs), ca.jacobian(g, xs), slope, curved]
    values = ca.Function("written_out", [xs, ps], found)(x, p)
    return dict(zip(("f", "g", "f_x", "g_x", "l_x", "l_xx"), values, strict=True))


@pytest.mark.parametrize("compiler", [True, False])
def test_its_derivatives_are_those_of_the_problem_written_out(
    problem: Transcription, *, compiler: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = problem.program
    if not compiler:
        monkeypatch.setattr(symbolic.shutil, "which", dict[str, str]().get)
        program = Transcription(problem.settings).program
    x, p = anywhere(problem, program)
    lam_f, lam_g = 0.7, np.random.default_rng(6).normal(size=len(program.equality))
    wanted = written_out(problem, program, x, p, lam_f, lam_g)
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


def test_a_limit_that_is_passed_is_given_the_slack_that_it_needs(problem: Transcription) -> None:
    program = problem.program
    x, p = anywhere(problem, program)
    x[program.slack] = 0.0
    over = program.over(x, p)
    x[program.slack] = over
    room = np.array(program.functions("fatrop")["nlp_g"](x, p)).ravel()
    least = room[program.room].reshape(STAGES, 2 * VESSELS, -1).min(axis=1)
    assert least == pytest.approx(np.zeros(program.slack.shape), abs=1e-9)


def test_where_balances_are_not_met_a_solver_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = case("ecoli_5l")
    plant = Economic(asked.settings)
    monkeypatch.setattr(condensed, "STEPS", 0)
    plan = plant.plan(asked.belief, asked.situation)
    assert plan.status == "good"
    assert plan.reason.startswith("not optimised: ")
