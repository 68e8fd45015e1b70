"""A model that is not consistent is refused by name, before anything runs."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest

from models.bioreactor import Bioreactor
from models.check import check_model, check_organism, check_plant, known_unit
from models.culture import Culture
from models.model import Functions, ModelError, Variable
from models.organism import Composition, Exchange, Feed, Surroundings
from models.organisms import ORGANISMS
from models.vessels import BENCH_5L, VESSELS
from models.yeast import Parameters, Yeast


@pytest.mark.parametrize("organism", ORGANISMS.values(), ids=ORGANISMS)
def test_ours_are_fit_to_be_run(organism: Callable[[], Any]) -> None:
    for vessel in VESSELS.values():
        check_plant(Bioreactor(organism(), vessel))
    check_model(Culture(organism()))


class Mine(Yeast):
    """Somebody's yeast, with one thing wrong."""

    def __init__(self, **wrong: Any) -> None:
        for name, value in wrong.items():
            setattr(self, name, value)


def changed(part: Sequence[Variable], name: str, **change: Any) -> tuple[Variable, ...]:
    return tuple(replace(v, **change) if v.name == name else v for v in part)


def without(part: Sequence[Variable], name: str) -> tuple[Variable, ...]:
    return tuple(v for v in part if v.name != name)


class NoRate(Mine):
    def exchange(
        self, x: Sequence[Any], at: Surroundings, p: Sequence[Any], fn: Functions
    ) -> Exchange:
        e = super().exchange(x, at, p, fn)
        return e._replace(species=e.species[:2])


class Breatharian(Mine):
    """It grows a tenth faster than what it eats allows."""

    def exchange(
        self, x: Sequence[Any], at: Surroundings, p: Sequence[Any], fn: Functions
    ) -> Exchange:
        e = super().exchange(x, at, p, fn)
        dX, dS, dE = e.species
        return e._replace(species=(1.1 * dX, dS, dE))


class Greedy(Mine):
    """It eats ethanol that is not there."""

    def exchange(
        self, x: Sequence[Any], at: Surroundings, p: Sequence[Any], fn: Functions
    ) -> Exchange:
        X, S, E = x
        return super().exchange((X, S, E + 0.1), at, p, fn)


class Named(Mine):
    """It takes its strain's parameters by name, as an organism without our tuples would."""

    def exchange(
        self, x: Sequence[Any], at: Surroundings, p: Sequence[Any], fn: Functions
    ) -> Exchange:
        return super().exchange(x, at, Parameters(*p[: -len(self.medium)]), fn)


class Lost(Mine):
    def exchange(
        self, x: Sequence[Any], at: Surroundings, p: Sequence[Any], fn: Functions
    ) -> Exchange:
        return super().exchange(x, at, p, fn)._replace(our=math.nan)


class Tokens:
    """Hardly an organism."""

    name = "tokens"


Q = Yeast.parameters
M = Yeast.medium
COMPOSED: Mapping[str, Composition] = Yeast.composition
WRONG: tuple[tuple[Any, str], ...] = (
    (Tokens(), r"Tokens: it has no temperature, acidity, .*kla_factor; name, .* are required"),
    (
        Mine(parameters=changed(Q, "KS", unit="grams")),
        r"Mine.parameters.KS: unit 'grams' is not kn",
    ),
    (Mine(parameters=changed(Q, "KS", default=math.nan)), r"KS: default nan; a number is required"),
    (Mine(parameters=changed(Q, "KS", default=-1.0)), r"KS: default -1 is outside 0.0001 to inf g"),
    (Mine(parameters=changed(Q, "KS", high=-1.0)), r"KS: limits 0.0001 to -1; low <= high is req"),
    (Mine(parameters=(*Q, Q[0])), r"Mine.parameters.qSmax: it is there twice"),
    (Mine(parameters=("KS", *Q)), r"Mine.parameters\[0\]: 'KS' is not allowed; a models.model.Var"),
    (Named(parameters=without(Q, "KiE")), r"Named.exchange: fails: TypeError: .* argument: 'YE'"),
    (Mine(medium=without(M, "c_base")), r"Mine.medium: c_base \(mmol/L\) is missing; broth, salt"),
    (Mine(medium=changed(M, "c_base", unit="g/L")), r"c_base: g/L is not allowed; mmol/L is requ"),
    (Mine(medium=changed(M, "S_feed", unit="mmol/L")), r"feed: S_feed of S is mmol/L; .* in g/L"),
    (Mine(medium=without(M, "S_feed")), r"Mine.feeds.feed: S_feed of S is not there; a parameter"),
    (Mine(medium=without(M, "rho_feed")), r"Mine.feeds.feed: rho_feed is not there; .* in kg/L"),
    (Mine(feeds=()), r"Mine.feeds: there is none; the feed of substrate is required, first"),
    (Mine(feeds=(Feed("feed", "hose", {"S": "S_feed"}),)), r"pump 'hose' is not allowed; feed, d"),
    (Mine(feeds=(Feed("air", "feed", {"S": "S_feed"}),)), r"feeds.air: the name is taken; the ve"),
    (Mine(feeds=(Feed("feed", "feed", {"G": "S_feed"}),)), r"feed: brings G; X, S, E, NH3, PO4, s"),
    (Mine(called={"biomass": "X", "substrate": "S"}), r"Mine.called: product is missing; biomass"),
    (
        Mine(called={**Yeast.called, "ethanol": "Et"}),
        r"called: ethanol = 'Et' is not allowed; a sp",
    ),
    (
        Mine(composition={**COMPOSED, "Q": COMPOSED["X"]}),
        r"Mine.composition: Q is no species; X, S",
    ),
    (
        Mine(composition={**COMPOSED, "E": Composition(0.05, 0.26)}),
        r"carbon does not close: .* 1 %",
    ),
    (Mine(composition={"X": COMPOSED["X"]}), r"Mine.exchange: carbon does not close: .* \(at X "),
    (Mine(species=(*Yeast.species, Variable("V", "L", 1.0))), r"V: the vessel has a state of that"),
    (NoRate(), r"NoRate.exchange: 2 rates for 3 species"),
    (Breatharian(), r"Breatharian.exchange: carbon does not close: .* are made; 1 % is allowed"),
    (Greedy(), r"Greedy.exchange: E is taken at .* where there is none"),
    (Lost(), r"Lost.exchange: our is nan; numbers are required"),
)


@pytest.mark.parametrize(("organism", "says"), WRONG, ids=range(len(WRONG)))
def test_an_organism_is_refused_by_name(organism: Any, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        check_organism(organism, BENCH_5L)


def test_all_that_is_wrong_is_said_at_once() -> None:
    twice = Mine(medium=without(without(M, "broth"), "c_acid"), feeds=())
    with pytest.raises(ModelError) as refused:
        check_organism(twice, BENCH_5L)
    assert len(str(refused.value).splitlines()) == 3


class Tank:
    """A model with one state, as somebody may write it."""

    time_unit: Literal["h", "s"] = "h"
    states = (Variable("V", "L", 1.0, 0.0),)
    inputs = (Variable("F", "L/h", 0.1),)
    parameters: Sequence[Variable] = (Variable("k", "1/h", 0.1),)
    outputs = (Variable("level", "%"),)

    def __init__(self, **wrong: Any) -> None:
        for name, value in wrong.items():
            setattr(self, name, value)

    def rhs(self, t: Any, x: Any, u: Any, p: Any, fn: Functions) -> Sequence[Any]:
        return (u[0] - p[0] * x[0],)

    def output(self, t: Any, x: Any, u: Any, p: Any, fn: Functions) -> Sequence[Any]:
        return (100.0 * x[0],)


def two(*_arguments: Any) -> Sequence[Any]:
    return 1.0, 2.0


def none(*_arguments: Any) -> Sequence[Any]:
    return ()


def nan(*_arguments: Any) -> Sequence[Any]:
    return (math.nan,)


def numeric(_t: Any, x: Any, *_arguments: Any) -> Sequence[Any]:
    return (math.exp(x[0]),)


BAD_TANKS: tuple[tuple[Any, str], ...] = (
    (Tank(rhs=None), "Tank.rhs: fails at the defaults: TypeError"),
    (Tank(time_unit="min"), "Tank.time_unit: 'min' is not allowed; h or s is"),
    (Tank(states=(Variable("V", "litres", 1.0),)), "Tank.states.V: unit 'litres' is not known"),
    (Tank(rhs=two), "Tank.rhs: 2 values for 1 names: V"),
    (Tank(output=none), "Tank.output: 0 values for 1 names: level"),
    (Tank(rhs=nan), "Tank.rhs: V is nan at the defaults"),
    (Tank(parameters=()), "Tank.rhs: fails at the defaults: IndexError"),
    (Tank(rhs=numeric), "call fn.exp"),
)


@pytest.mark.parametrize(("model", "says"), BAD_TANKS, ids=range(len(BAD_TANKS)))
def test_a_model_is_refused_by_name(model: Any, says: str) -> None:
    check_model(Tank())
    with pytest.raises(ModelError, match=says):
        check_model(model)


class Leaky(Bioreactor):
    """A whole plant with a state of its own, in the wrong place or rightly."""

    def __init__(self, first: bool) -> None:
        super().__init__(Yeast(), BENCH_5L)
        more = Variable("lost", "L", doc="broth on the floor")
        self._first = first
        self.states = (more, *self.states) if first else (*self.states, more)

    def rhs(
        self, t: Any, x: Sequence[Any], u: Sequence[Any], p: Sequence[Any], fn: Functions
    ) -> Sequence[Any]:
        return (*super().rhs(t, x[:-1], u, p, fn), 0.01)


def test_a_whole_plant_keeps_the_order_of_what_a_vessel_looks_at() -> None:
    check_plant(Leaky(first=False))
    with pytest.raises(ModelError, match=r"Leaky.states: lost, X, .* come first; X, S, E, V"):
        check_plant(Leaky(first=True))


def test_a_whole_plant_has_the_inputs_and_outputs_of_its_vessel() -> None:
    plant = Bioreactor(Yeast(), BENCH_5L)
    plant.inputs = changed(plant.inputs, "air", unit="m3/h")
    with pytest.raises(ModelError, match=r"Bioreactor.inputs: air in L/min is missing; .* in m3/h"):
        check_plant(plant)
    deaf = Bioreactor(Yeast(), BENCH_5L)
    deaf.outputs = deaf.outputs[1:]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ModelError, match=r"Bioreactor.outputs: DO in % is missing"):
        check_plant(deaf)


def test_units_are_those_of_the_field() -> None:
    for unit in ("g/(g.h)", "mmol/(L.h)", "1", "[pH]", "{r}/min", "(g/L)3.g/g", "W/K", "kg/L"):
        assert known_unit(unit), unit
    for unit in ("", "grams", "g/", "g per L", "g/(g.h", "1/hour", "°C"):
        assert not known_unit(unit), unit
