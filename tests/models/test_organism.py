"""What every organism owes to a vessel: tables that are true, and balances that close."""

from pathlib import Path

import pytest

from models import symbolic
from models.bioreactor import Bioreactor
from models.fn import SCALARS
from models.organism import Organism
from models.organisms import ORGANISMS
from models.vessels import PRODUCTION_100M3, VESSELS, Stirred

ALL = [make() for make in ORGANISMS.values()]


@pytest.mark.parametrize("organism", ALL, ids=lambda o: o.name)
def test_the_table_in_its_docstring_is_what_it_computes_with(organism: Organism) -> None:
    rows = [line.split() for line in (type(organism).__doc__ or "").splitlines()]
    table = {row[0]: row[1:] for row in rows if len(row) > 3}
    for variable in (*organism.species, *organism.parameters):
        unit, value, *_ = table[variable.name]
        assert unit == variable.unit, variable.name
        if variable in organism.parameters:
            assert float(value) == variable.default, variable.name
            assert variable.source, variable.name


@pytest.mark.parametrize("organism", ALL, ids=lambda o: o.name)
@pytest.mark.parametrize("vessel", VESSELS.values(), ids=lambda v: v.name)
def test_names_in_a_vessel_are_its_own(organism: Organism, vessel: Stirred) -> None:
    model = Bioreactor(organism, vessel)
    for kind in (model.states, model.inputs, model.parameters):
        names = [v.name for v in kind]
        assert len(set(names)) == len(names)
    named = {v.name for v in model.parameters}
    assert {"broth", "salting", "c_base", "c_acid", "UA"} <= named
    for feed in organism.feeds:
        assert set(feed.brings.values()) <= named
        assert set(feed.brings) <= {v.name for v in organism.species} | {"NH3", "PO4", "strong"}
    assert set(organism.called.values()) <= {v.name for v in organism.species}


@pytest.mark.parametrize("organism", ALL, ids=lambda o: o.name)
def test_floats_symbols_and_machine_code_agree_in_the_largest_vessel(
    organism: Organism, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = Bioreactor(organism, PRODUCTION_100M3)
    p = [v.default for v in model.parameters]
    state = dict(zip((v.name for v in model.states), model.start(p), strict=True))
    state |= {organism.called["biomass"]: 20.0, organism.called["substrate"]: 0.01, "O": 0.004}
    state |= {"V": 6e4, "M": 6.1e4, "T": 26.0, "antifoam": 0.02, "yO2": 0.19, "yCO2": 0.015}
    x, u = list(state.values()), [0.3 * v.high for v in model.inputs]
    plain = [*model.rhs(0.0, x, u, p, SCALARS), *model.output(0.0, x, u, p, SCALARS)]
    traced = symbolic.trace(model)
    functions = [traced.rhs_function(), traced.output_function()]
    for compiler in ("gcc", None):
        made = symbolic.compiled(functions, compiler)
        found: list[float] = []
        for function in made.values():
            assert function.native == (compiler is not None)
            for buffer, values in zip(function.arguments, (x, u, p), strict=True):
                buffer[:] = type(buffer)("d", values)
            function()
            found += function.results[0]
        assert found == pytest.approx(plain, rel=1e-6, abs=1e-9)
