"""What is kept for a restart: seldom enough to cost nothing, often enough to be fresh."""

from dataclasses import dataclass, field
from typing import Any

from controller.plant import load_plant
from controller.reactor import Reactor
from controller.restart import EVERY_S, Memory
from historian.events import Event

PLANT = load_plant("sim/plants/ecoli_5l.toml")


@dataclass
class Shelf:
    """Where state is kept; it counts what was put there."""

    kept: dict[str, object] = field(default_factory=dict[str, object])
    puts: int = 0

    def put_state(self, key: str, obj: object) -> None:
        self.kept[key] = obj
        self.puts += 1

    def get_state(self, key: str) -> Any:
        return self.kept.get(key)


def reactor() -> Reactor:
    told: list[Event] = []
    return Reactor("R1", PLANT, told.append, None, lock_step=False)


def test_it_is_kept_at_once_and_then_at_most_every_half_second() -> None:
    shelf, wall = Shelf(), 100.0
    memory = Memory(shelf, lambda: wall)
    one = reactor()
    for step in range(20):
        wall = 100.0 + 0.1 * step
        memory.keep(1000.0 + step, [one])
    assert shelf.puts == 2.0 / EVERY_S
    memory.keep(2000.0, [one], at_once=True)
    recalled = memory.recall("R1")
    assert recalled is not None
    assert recalled["time"] == 2000.0


def test_what_was_never_kept_is_not_recalled() -> None:
    assert Memory(Shelf(), lambda: 0.0).recall("R1") is None


def test_a_reactor_that_has_done_nothing_can_be_kept_and_restored() -> None:
    state = reactor().as_state(50.0)
    again = reactor()
    assert again.restore(state, 55.0) == "R1: back after 5 s: loops back in their modes; " \
        "no batch under way"  # fmt: skip
    assert again.as_state(50.0) == state


def test_a_clock_that_was_set_back_makes_no_negative_outage() -> None:
    state = reactor().as_state(1000.0)
    assert reactor().restore(state, 10.0).startswith("R1: back after 0 s")
