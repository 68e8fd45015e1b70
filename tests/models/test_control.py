"""The control model: what oxygen can be transferred, with air and with pure oxygen beside it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.control import ControlModel
from models.fn import SCALARS
from models.offgas import MOL_PER_H
from models.organisms import ORGANISMS
from models.oxygen import AIR_O2
from models.vessels import VESSELS

MODELS = {
    organism: ControlModel(ORGANISMS[organism](), VESSELS[vessel])
    for organism, vessel in (("ecoli", "5l"), ("yeast", "300l"), ("penicillin", "100m3"))
}
GAS = {"ecoli": 5.0, "yeast": 200.0, "penicillin": 60e3}  # L/min


def transferred(name: str, **inputs: float) -> float:
    """Return the most that can be transferred at half the stirrer's speed, mmol/(L.h)."""
    model = MODELS[name]
    usual = {v.name: v.default for v in model.inputs}
    usual |= {"stirrer": 0.5 * usual["stirrer"], "do": 0.0, **inputs}
    x = [v.default for v in model.states]
    p = [v.default for v in model.parameters]
    y = model.output(0.0, x, list(usual.values()), p, SCALARS)
    return float(y[[v.name for v in model.outputs].index("OTR")])


@pytest.mark.parametrize("name", MODELS)
def test_pure_oxygen_beside_the_air_drives_more_across(name: str) -> None:
    gas = GAS[name]
    plain = transferred(name, air=gas)
    rich = transferred(name, air=0.9 * gas, oxygen=0.1 * gas)
    share = 0.9 * AIR_O2 + 0.1
    assert rich == pytest.approx(plain * share / AIR_O2, rel=1e-9)  # kLa is that of all the gas


@pytest.mark.parametrize("name", MODELS)
@given(air=st.floats(0.01, 1.0), oxygen=st.floats(0.0, 1.0))
def test_no_more_is_transferred_than_goes_in(name: str, air: float, oxygen: float) -> None:
    volume = dict(zip((v.name for v in MODELS[name].states), MODELS[name].states, strict=True))
    gas = GAS[name]
    most = (AIR_O2 * air + oxygen) * gas * MOL_PER_H / volume["V"].default * 1e3
    assert 0.0 < transferred(name, air=air * gas, oxygen=oxygen * gas) < most
