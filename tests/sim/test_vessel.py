"""The simulated vessel: repeatable, closed in its balances, stable where it must not be nice."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from models import heat, ph
from models.ecoli import C_A, C_P, C_S, C_X
from models.fn import SCALARS
from sim.faulty import FaultyDrive, StuckDrive, insert
from sim.truth import Truth
from sim.vessel import DRIVES, PROBES, Vessel

NAMES = [f"R1.{name}" for name in (*PROBES, *DRIVES)]


class Hand:
    """A plain PI for these tests, so that they stand without the controller."""

    def __init__(self, kp: float, ti_s: float, low: float, high: float) -> None:
        self.kp, self.ti_s, self.low, self.high = kp, ti_s, low, high
        self.integral = 0.0

    def move(self, error: float) -> float:
        wanted = self.kp * error + self.integral
        output = min(self.high, max(self.low, wanted))
        if output == wanted:
            self.integral += self.kp * error / self.ti_s
        return output


def hold(vessel: Vessel, stirrer: float = 0.0) -> Callable[[], None]:
    """Return what holds temperature, pH and DO (or a fixed ``stirrer``), once a second."""
    temperature, acidity = Hand(30.0, 400.0, -100.0, 100.0), Hand(60.0, 600.0, -100.0, 100.0)
    oxygen = Hand(0.8, 90.0, 0.0, 100.0)

    def second() -> None:
        heat = temperature.move(37.0 - vessel.read("R1.temperature"))
        vessel.write("R1.heater", max(0.0, heat))
        vessel.write("R1.cooling", max(0.0, -heat))
        dose = acidity.move(7.0 - vessel.read("R1.ph"))
        vessel.write("R1.base", 0.05 * max(0.0, dose))
        vessel.write("R1.acid", 0.05 * max(0.0, -dose))
        demand = oxygen.move(30.0 - vessel.read("R1.do"))
        vessel.write("R1.stirrer", stirrer or 300.0 + 700.0 * min(1.0, demand / 60.0))
        vessel.write("R1.air", 6.0 if stirrer else 2.0 + 4.0 * max(0.0, (demand - 55.0) / 45.0))
        vessel.advance(vessel.time + 1.0)

    return second


def grow(vessel: Vessel, hours: float, feed: Callable[[float], float]) -> Truth:
    """Run a whole batch by hand; ``feed`` gives mL/h at an age in h."""
    truth, second = Truth.of(vessel), hold(vessel)
    dosed = 0
    for k in range(round(hours * 3600)):
        age = k / 3600.0
        vessel.write("R1.feed", feed(age))
        vessel.write("R1.inducer", 2.0 if age > 12.0 and dosed < 300 else 0.0)
        dosed += age > 12.0
        second()
    return truth


def recipe(age: float) -> float:
    return 0.0 if age < 6.0 else min(35.0, 9.0 * math.exp(0.16 * (age - 6.0)))


def content_mol(vessel: Vessel) -> tuple[float, float]:
    """Return carbon and available electrons of everything but CO2, mol."""
    t = vessel.truth
    parts = (
        (C_X, 4.2, "biomass_g_per_l"),
        (C_S, 4.0, "substrate_g_per_l"),
        (C_A, 4.0, "acetate_g_per_l"),
        (C_P, 4.2, "product_g_per_l"),
    )
    carbon = sum(c * t[name] for c, _, name in parts)
    electrons = sum(c * gamma * t[name] for c, gamma, name in parts)
    return carbon * t["volume_l"], electrons * t["volume_l"]


def test_it_shows_every_tag_and_reads_back_what_was_written() -> None:
    vessel = Vessel("ecoli", "5l", 1, safe={"R1.air": 2.0})
    vessel.advance(5.0)
    assert all(math.isfinite(vessel.read(name)) for name in NAMES)
    assert vessel.actual("R1.air") == 2.0
    vessel.write("R1.feed", 12.5)
    assert vessel.read("R1.feed") == vessel.actual("R1.feed") == 12.5
    vessel.to_safe()
    assert vessel.actual("R1.feed") == 0.0
    assert vessel.actual("R1.stirrer") == 300.0


@pytest.mark.parametrize("name", ["R1.ph", "R2.feed", "feed"])
def test_what_is_no_actuator_cannot_be_moved(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: no actuator of this vessel; it has R1.stirrer"):
        Vessel("ecoli", "5l").write(name, 1.0)


def test_what_is_no_number_or_unknown_is_refused() -> None:
    with pytest.raises(ValueError, match=r"R1\.feed: nan is no number"):
        Vessel("ecoli", "5l").write("R1.feed", math.nan)
    with pytest.raises(ValueError, match="organism: yeti is not allowed; one of ecoli"):
        Vessel("yeti", "5l")
    with pytest.raises(ValueError, match="vessel: bucket is not allowed; 5l, "):
        Vessel("ecoli", "bucket")


def test_a_seed_repeats_and_seeds_differ() -> None:
    def run(seed: int) -> list[float]:
        vessel = Vessel("ecoli", "5l", seed, start_time=1.79e9)
        vessel.advance(1.79e9 + 1800.0)
        return [vessel.read(name) for name in NAMES] + list(vessel.truth.values())

    assert run(3) == run(3)
    assert run(3) != run(4)
    assert Vessel("ecoli", "5l", 3).parameters["qOmax"] != pytest.approx(0.4276, rel=1e-3)


def test_seed_zero_is_the_model_itself() -> None:
    vessel = Vessel("ecoli", "5l")
    assert vessel.parameters == {v.name: v.default for v in vessel.model.parameters}


def test_seeds_spread_at_least_as_the_reference_experiment() -> None:
    drawn = [Vessel("ecoli", "5l", seed) for seed in range(1, 81)]
    for name, least in (("qOmax", 0.12), ("broth", 0.12), ("Yem", 0.06), ("qPm", 0.15)):
        spread = np.std([math.log(v.parameters[name]) for v in drawn])
        assert spread == pytest.approx(least, rel=0.25)
    inocula = [math.log(v.truth["biomass_g_per_l"]) for v in drawn]
    assert np.std(inocula) == pytest.approx(0.15, rel=0.25)


def test_time_may_come_in_any_pieces() -> None:
    whole, pieces = Vessel("ecoli", "5l"), Vessel("ecoli", "5l")
    whole.advance(600.0)
    for k in range(1, 801):
        pieces.advance(0.75 * k)
    for name, value in whole.truth.items():
        assert pieces.truth[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_without_cells_nothing_grows_oxygen_saturates_and_ph_stays() -> None:
    vessel = Vessel("ecoli", "5l")
    kill(vessel)
    vessel.write("R1.stirrer", 600.0)
    second = hold(vessel, stirrer=600.0)
    for _ in range(3 * 3600):
        second()
    t = vessel.truth
    assert t["biomass_g_per_l"] == 0.0
    assert t["substrate_g_per_l"] * t["volume_l"] == pytest.approx(30.0, rel=1e-6)
    assert t["do_percent"] == pytest.approx(100.0, abs=0.2)
    assert t["ph"] == pytest.approx(7.0, abs=0.01)
    assert t["temperature_cel"] == pytest.approx(37.0, abs=0.1)


def kill(vessel: Vessel) -> None:
    vessel.set_state(X=0.0)


def test_a_whole_batch_closes_in_carbon_electrons_and_mass() -> None:
    vessel = Vessel("ecoli", "5l")
    carbon, electrons, mass = *content_mol(vessel), vessel.truth["mass_kg"]
    co2 = o2 = pumped = dried = 0.0  # mol, mol, mL, kg
    second = hold(vessel)
    for k in range(16 * 3600):
        vessel.write("R1.feed", recipe(k / 3600.0))
        vessel.write("R1.inducer", 2.0 if 10 * 3600 <= k < 10 * 3600 + 300 else 0.0)
        second()
        if k % 10 == 0:
            t = vessel.truth
            co2 += t["cer_mmol_per_l_h"] * t["volume_l"] * 1e-3 / 360.0
            o2 += t["our_mmol_per_l_h"] * t["volume_l"] * 1e-3 / 360.0
            air, warm = vessel.flow("air"), t["temperature_cel"]
            dried += 0.1 * heat.evaporation(air, warm, 1.05, SCALARS) / 360.0
        pumped += (vessel.flow("base") + vessel.flow("acid") + vessel.flow("inducer")) / 60.0
    t = vessel.truth
    fed = t["fed_substrate_g"]
    assert t["biomass_g_per_l"] > 15.0
    assert t["product_g"] > 1.0
    carbon_in = carbon + C_S * fed
    electrons_in = electrons + 4.0 * C_S * fed
    carbon_now, electrons_now = content_mol(vessel)
    assert carbon_now + co2 == pytest.approx(carbon_in, rel=0.001)
    assert electrons_now + 4.0 * o2 == pytest.approx(electrons_in, rel=0.001)
    gas = (32.0 * o2 - 44.0 * co2) * 1e-3
    weight = mass + pumped * 1e-3 * 1.01 + fed / 500.0 * 1.19 - dried + gas
    assert t["mass_kg"] == pytest.approx(weight, abs=0.003)  # CO2 that stays is 2 g
    assert vessel.read("R1.weight") == pytest.approx(t["mass_kg"], abs=0.005)
    assert vessel.read("R1.feed_weight") == pytest.approx(2.5 - fed / 500.0 * 1.19, abs=0.005)


def test_ph_as_a_state_is_the_solution_of_the_charge_balance_all_along() -> None:
    vessel = Vessel("ecoli", "5l")
    second = hold(vessel)
    worst = 0.0
    for k in range(10 * 3600):
        vessel.write("R1.feed", recipe(k / 3600.0))
        if k == 3 * 3600:
            vessel.write("R1.acid", 5.0)
            vessel.advance(vessel.time + 60.0)
        second()
        if k % 60 == 0:
            s = vessel.state()
            ions = ph.Ions(s["NH3"], s["HCO3"], s["A"] * 1e3 / 60.05, s["PO4"], s["strong"])
            worst = max(worst, abs(ph.solve(ions) - s["pH"]))
    assert worst < 1e-3


def test_a_collapse_of_oxygen_stays_stable_and_never_negative() -> None:
    vessel = Vessel("ecoli", "5l")
    vessel.set_state(X=35.0, S=2.0)
    second = hold(vessel, stirrer=1000.0)
    least = math.inf
    for k in range(2 * 3600):
        vessel.write("R1.feed", 60.0)
        if k == 600:
            vessel.write("R1.antifoam", 5.0)
        if k == 1200:
            vessel.write("R1.antifoam", 0.0)
        if k == 1800:
            second = hold(vessel, stirrer=200.0)
        second()
        s = vessel.state()
        least = min(least, *(s[n] for n in ("X", "S", "A", "P", "O", "CO2", "HCO3", "NH3", "yO2")))
        assert 4.0 < s["pH"] < 9.0
    assert least >= 0.0
    assert vessel.truth["do_percent"] < 2.0


def test_halving_the_step_changes_nothing_that_is_reported() -> None:
    def run(step: float) -> dict[str, float]:
        vessel = Vessel("ecoli", "5l")
        vessel.write("R1.stirrer", 900.0)
        vessel.write("R1.air", 5.0)
        vessel.write("R1.heater", 5.0)
        vessel.write("R1.base", 0.15)
        for k in range(round(9 * 3600 / step)):
            if k * step == 6 * 3600.0:
                vessel.write("R1.feed", 15.0)
                vessel.write("R1.inducer", 0.1)
            vessel.advance((k + 1) * step)
        return vessel.truth

    whole, half = run(1.0), run(0.5)
    for name in ("product_g", "biomass_g_per_l", "volume_l", "do_percent", "energy_kwh", "mass_kg"):
        assert half[name] == pytest.approx(whole[name], rel=1e-3), name


def test_the_steps_agree_with_a_stiff_solver() -> None:
    vessel = Vessel("ecoli", "5l")
    vessel.write("R1.stirrer", 600.0)
    vessel.advance(60.0)
    model, p = vessel.model, list(vessel.parameters.values())
    x0, u = list(vessel.state().values()), [vessel.flow(v.name) for v in model.inputs]
    exact = solve_ivp(
        lambda t, x: np.array(model.rhs(t, list(x), u, p, SCALARS)),
        (0.0, 2.0),
        x0,
        method="BDF",
        rtol=1e-8,
        atol=1e-10,
    ).y[:, -1]
    vessel.advance(60.0 + 7200.0)
    for variable, a, b in zip(model.states, vessel.state().values(), exact, strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-6), variable.name


def test_antifoam_takes_oxygen_transfer_and_gives_it_back() -> None:
    vessel = Vessel("ecoli", "5l")
    kill(vessel)
    vessel.write("R1.stirrer", 800.0)
    vessel.advance(600.0)
    before = vessel.truth["kla_per_h"]
    vessel.write("R1.antifoam", 1.0)
    vessel.advance(630.0)
    vessel.write("R1.antifoam", 0.0)
    vessel.advance(640.0)
    dip = vessel.truth["kla_per_h"] / before
    assert 0.5 <= dip <= 0.8
    vessel.advance(640.0 + 3600.0)
    assert vessel.truth["kla_per_h"] / before > 0.88


def test_a_jacket_holds_37_from_inoculation_to_the_oxygen_limit() -> None:
    vessel = Vessel("ecoli", "5l", 5)
    truth = grow(vessel, 20.0, recipe)
    report = truth.as_report()
    bands = report["true_in_band"]
    assert isinstance(bands, dict)
    assert bands["temperature"] > 0.99
    assert bands["ph"] > 0.9
    assert vessel.truth["our_mmol_per_l_h"] > 50.0


def test_base_follows_growth() -> None:
    vessel = Vessel("ecoli", "5l")
    second = hold(vessel)
    base = acid = 0.0
    for k in range(14 * 3600):
        vessel.write("R1.feed", recipe(k / 3600.0))
        second()
        base += vessel.flow("base") / 60.0 * 4.0  # mmol
        acid += vessel.flow("acid") / 60.0 * 1.6  # mmol H+: phosphoric, 1 mol/L, at pH 7
    s = vessel.state()
    grown = s["X"] * s["V"] - 0.9
    kept = (s["HCO3"] + s["A"] / 60.05e-3) * s["V"]  # acids that stayed
    assert (base - acid - kept) / grown == pytest.approx(8.0, rel=0.03)  # mmol/g, N/C 0.2


@pytest.mark.parametrize(
    "seed", [4, *(pytest.param(seed, marks=pytest.mark.long) for seed in (6, 24))]
)
def test_no_violence_of_its_actuators_breaks_it(seed: int) -> None:
    chance = np.random.default_rng(seed)
    vessel = Vessel("ecoli", "5l", seed)
    if seed == 6:
        vessel.set_state(X=45.0, S=20.0)
    most = {"stirrer": 1000.0, "air": 10.0, "oxygen": 5.0, "heater": 100.0, "cooling": 100.0}
    for _ in range(120):
        for name in DRIVES:
            share = chance.choice([0.0, 1.0, chance.uniform()], p=[0.4, 0.1, 0.5])
            vessel.write(f"R1.{name}", share * most.get(name, 2.0))
        vessel.advance(vessel.time + 300.0)
        state = vessel.state()
        state.pop("strong")
        assert all(math.isfinite(v) and v >= 0.0 for v in state.values()), state
        assert state["T"] < 81.0


def test_an_empty_bottle_feeds_nothing() -> None:
    vessel = Vessel("ecoli", "5l")
    vessel.write("R1.feed", 200.0)
    vessel.advance(12 * 3600.0)
    assert vessel.flow("feed") == 0.0
    assert vessel.read("R1.feed_weight") == pytest.approx(0.1, abs=0.005)


@pytest.mark.parametrize(("biomass", "glucose"), [(8.0, 0.02), (8.0, 5.0), (45.0, 10.0)])
def test_uptake_never_exceeds_transfer_for_long_when_oxygen_runs_out(
    biomass: float, glucose: float
) -> None:
    vessel = Vessel("ecoli", "5l", 0)
    vessel.set_state(X=biomass, S=glucose)
    vessel.write("R1.feed", 20.0)  # and the stirrer at its safe 300 r/min
    vessel.advance(120.0)
    for second in range(121, 420):
        vessel.advance(second)
        truth = vessel.truth
        assert 0.0 <= truth["do_percent"] < 0.3
        assert truth["our_mmol_per_l_h"] == pytest.approx(truth["otr_mmol_per_l_h"], rel=0.02)


def test_an_integration_that_fails_says_when_where_and_from_what() -> None:
    vessel = Vessel("ecoli", "5l", seed=3)
    vessel.write("R1.feed", 20.0)
    vessel.advance(60.0)
    vessel.set_state(X=math.inf)
    before = vessel.state()
    with pytest.raises(FloatingPointError) as failed:
        vessel.advance(120.0)
    said = str(failed.value)
    assert said.startswith("R1 (ecoli_5l, seed 3) at 0.0167 h: the integration fails: X, ")
    assert f"T {before['T']:.6g} Cel" in said
    assert "feed 20." in said
    assert vessel.state() == before
    assert vessel.time == 60.0


def test_a_pump_at_rest_gives_its_own_again_when_its_fault_ends() -> None:
    vessel = Vessel("ecoli", "5l", 0)
    vessel.write("R1.inducer", 2.0)
    vessel.advance(60.0)
    before = vessel.flow("inducer")
    end = insert(vessel.drives["inducer"], 1, lambda pump: FaultyDrive(pump, lambda f, _: 0.5 * f))
    vessel.advance(120.0)
    assert vessel.flow("inducer") == pytest.approx(0.5 * before)
    end()
    vessel.advance(121.0)
    assert vessel.flow("inducer") == before
    stuck = insert(vessel.drives["inducer"], 1, lambda pump: StuckDrive(pump, 0.7))
    vessel.advance(130.0)
    assert vessel.flow("inducer") == 0.7
    stuck()
    vessel.advance(131.0)
    assert vessel.flow("inducer") == before
