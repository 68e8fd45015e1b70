"""What every organism owes to a vessel: tables that are true, and balances that close."""

import pytest

from models.bioreactor import Bioreactor
from models.organism import Organism
from models.organisms import ORGANISMS
from models.vessels import VESSELS, Stirred

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
