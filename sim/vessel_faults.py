"""Faults of the vessel and what it is supplied with, and of the devices and their wires."""

from collections.abc import Callable
from typing import Final

from sim.contaminant import Contaminant
from sim.drive_faults import off
from sim.fault_kinds import (
    BIOREACTOR,
    DEVICE,
    OPCUA,
    VESSEL,
    Begin,
    Case,
    End,
    Kind,
    Size,
    percent,
    together,
)
from sim.faulty import insert


def parameter(name: str, change: Callable[[float, float], float]) -> Begin:
    """Return what replaces a parameter of the model by ``change(value, size)``."""

    def begin(case: Case) -> End:
        return case.bioreactor.spoil(name, lambda value: change(value, case.size))

    return begin


def _less(value: float, lost: float) -> float:
    return value * (1.0 - lost / 100.0)


def _contaminate(case: Case) -> End:
    Contaminant(case.bioreactor, case.size)
    return lambda: None


def _power_dip(case: Case) -> End:
    vessel = case.vessel
    rest = [n for n in vessel.drives if n != "pressure"]  # the exhaust valve closes, as it must
    powered = together([insert(vessel.drives[name], 1, off(case, name)) for name in rest])
    connected = wire("refused")(case)

    def restarted() -> None:
        vessel.to_safe()
        connected()

    def end() -> None:
        powered()
        vessel.to_safe()  # what had been wanted is forgotten
        case.later(case.size, restarted)

    return end


def wire(kind: str) -> Begin:
    """Return what gives each wire a fault of the same name."""
    return lambda case: together([w.begin(kind, case.size) for w in case.wires])


VESSEL_FAULTS: Final = (
    Kind("cooling", BIOREACTOR, "coolant does not flow", parameter("cooler", _less),
         percent("lost", 100.0)),
    Kind("coolant", BIOREACTOR, "coolant is warm: the chiller is lost",
         parameter("T_coolant", lambda _, size: size),
         Size("its temperature", "Cel", 32.0, 0.0, 100.0)),
    Kind("kla", BIOREACTOR, "oxygen transfer is less: antifoam, viscosity",
         parameter("broth", _less), percent("lost", 40.0, -50.0, 95.0)),
    Kind("foam", BIOREACTOR, "foam lives longer, until it wets the exhaust filter and broth leaves",
         parameter("foaming", lambda value, size: value * size),
         Size("so many times as long", "1", 10.0, 1.0, 1000.0)),
    Kind("contamination", BIOREACTOR, "a foreign organism eats substrate and oxygen", _contaminate,
         Size("of it at the start", "g/L", 1e-3, 1e-9, 10.0), for_ever=True),
    Kind("power", VESSEL, "power dip: drives stop, gas closes, devices restart with safe values",
         _power_dip, Size("that devices need to restart", "s", 20.0, 0.0, 3600.0), for_s=10.0),
    Kind("cut", DEVICE, "no answer, no refusal: cable or gateway", wire("cut"), alone=True),
    Kind("refused", DEVICE, "nobody listens: connections are reset and refused",
         wire("refused"), alone=True),
    Kind("slow", DEVICE, "every answer comes late", wire("slow"),
         Size("late, in s of the wire: they are never accelerated", "s", 0.3, 0.0, 60.0)),
    Kind("frozen", DEVICE, "a gateway repeats what it last read; writes are answered and lost",
         wire("frozen"), alone=True),
    Kind("exception", DEVICE, "answers every request with an error: a Modbus exception, or "
         "BadDeviceFailure", wire("exception"), Size("Modbus exception code", "1", 4.0, 1.0, 11.0),
         alone=True),
    Kind("uncertain", OPCUA, "every value is Uncertain", wire("uncertain")),
)  # fmt: skip
