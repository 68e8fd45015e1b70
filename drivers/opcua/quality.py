"""How far a value of an OPC UA server may be trusted: its status code, its age, its clock. Pure.

A status code is 32 bits: severity (31, 30), sub-code (27-16), structure and semantics changed (15,
14), and for a value limit bits (9, 8) and overflow (7). Source: OPC UA Part 4, 7.39; Part 8, 6.
"""

from drivers.point import Quality

LAST_USABLE_S = 5.0  # s for which a value that nobody updates any more is UNCERTAIN; then BAD
# The severity says GOOD or UNCERTAIN; what a controller may make of it is less.
_LESS = {
    0x00960000: Quality.UNCERTAIN,  # GoodLocalOverride: typed in by hand, not measured
    0x00A50000: Quality.BAD,  # GoodNoData
    0x04070000: Quality.UNCERTAIN,  # GoodFaultStateActive
    0x04080000: Quality.UNCERTAIN,  # GoodInitiateFaultState
    0x40920000: Quality.BAD,  # UncertainInitialValue: nothing has been measured yet
    0x42090000: Quality.BAD,  # UncertainSimulatedValue: the transmitter is in simulation
}
# Nobody updates the value: UNCERTAIN only for a while.
_FADING = {
    0x408F0000,  # UncertainNoCommunicationLastUsableValue
    0x40900000,  # UncertainLastUsableValue
}
_BY_SEVERITY = (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD, Quality.BAD)  # 3 is reserved: BAD
_CHANGED = 0xC000  # structure or semantics (unit, range) of the value
_DATA_VALUE, _LIMITS = 0x0400, 0x0300  # the value stands at its low or high limit, or cannot move


def quality(status: int, *, actuator: bool = False) -> Quality:
    """Return the quality that a status code gives a value.

    A measurement at its sensor's limit is UNCERTAIN: the true value may lie beyond. An actuator may
    stand at its limit.
    """
    found = _LESS.get(status & 0xFFFF0000)
    if found is None:
        found = _BY_SEVERITY[status >> 30 & 3]
    if found is not Quality.GOOD:
        return found
    limited = status & _DATA_VALUE and status & _LIMITS and not actuator
    return Quality.UNCERTAIN if limited or status & _CHANGED else Quality.GOOD


def fading(status: int) -> bool:
    """Return whether it is the last value of a source that does not answer any more."""
    return status & 0xFFFF0000 in _FADING


def by_age(age: float, allowed: float) -> Quality:
    """Return the quality of a value whose source stamped it ``age`` s before the server's now."""
    if age <= allowed:
        return Quality.GOOD
    return Quality.UNCERTAIN if age <= 2 * allowed else Quality.BAD


def status_name(status: int) -> str:
    """Return the name of a status code, ``Good`` or ``BadSensorFailure``, without its bits."""
    from asyncua.ua.status_codes import code_to_name_doc

    code = status & 0xFFFF0000
    return code_to_name_doc.get(code, (f"0x{code:08X}", ""))[0]
