"""Instruments that are read together show to the last bit what each shows by itself."""

import random
from array import array
from dataclasses import asdict, dataclass

import pytest

from sim.faulty import FaultyFeeling, insert
from sim.instruments import Instrument
from sim.panel import Noise, Panel


@dataclass
class Sort:
    """What an instrument of the table below is like."""

    lag_s: float
    noise: float
    gain: float = 1.0
    offset: float = 0.0
    drift: float = 0.0
    digit: float = 0.0
    delay_s: float = 0.0
    share: float = 0.0
    full: float = 0.0
    every_s: float = 0.0


SORTS = {
    "temperature": Sort(10.0, 0.02, offset=0.05, digit=0.01),
    "ph": Sort(8.0, 0.005, offset=0.01, drift=0.003),
    "do": Sort(35.0, 0.3, 1.015, 0.3, 0.2),
    "offgas_o2": Sort(10.0, 0.01, offset=0.02, drift=0.03, delay_s=4.5),
    "capacitance": Sort(20.0, 0.15, 1.12, share=0.02),
    "power": Sort(0.0, 0.02, 1.03, digit=0.1, share=0.01),
    "turbidity": Sort(3.0, 0.02, share=0.02, digit=0.05, full=60.0),
    "glucose": Sort(18.0, 0.4, digit=0.5, delay_s=2.0, every_s=30.0),
}


def made(sort: Sort, start: float) -> Instrument:
    return Instrument(**asdict(sort), start=start)


@pytest.mark.parametrize("steps", [(1.0,), (1.0, 0.37, 2.5)])
def test_together_they_show_what_each_shows_alone(steps: tuple[float, ...]) -> None:
    numbers = array("d", [20.0 + k for k in range(len(SORTS))])
    panel = Panel(
        "R1",
        7,
        {
            name: ((numbers, k), lambda start, sort=sort: made(sort, start))
            for k, (name, sort) in enumerate(SORTS.items())
        },
    )
    alone = [made(sort, numbers[k]) for k, sort in enumerate(SORTS.values())]
    noise = Noise(7, tuple(SORTS))
    truth, age, ends = random.Random(3), 0.0, None
    for turn in range(600):
        dt = steps[turn % len(steps)]
        age += dt
        numbers[:] = array("d", [x + truth.gauss(0.0, 0.5) for x in numbers])
        if turn in (200, 300):  # two faults, the second before the first
            ends = [
                insert(panel.instruments, f"R1.{name}", lambda p: FaultyFeeling(p, felt))
                for name in ("do", "offgas_o2", "glucose")
            ] + (ends or [])
        if turn == 400:
            for end in ends or ():
                end()
        extra = (turn >= 200) + (turn >= 300) if turn < 400 else 0
        panel.look(age, dt)
        for name, probe, value, normal in zip(SORTS, alone, numbers, noise.row(), strict=True):
            spoiled = extra if name in ("do", "offgas_o2", "glucose") else 0
            for _ in range(spoiled):
                value = felt(value, age, dt)
            assert panel.shown[f"R1.{name}"] == probe.show(value, age, dt, normal), (name, turn)


def felt(truth: float, age: float, dt: float) -> float:
    return 0.9 * truth + 3.0
