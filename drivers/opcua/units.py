"""What unit and range a server gives a node, as UCUM, and whether the plant file agrees. Pure.

Source of the codes: UNECE Recommendation 20 as in OPC UA Part 8, 5.6.4.3 (EUInformation), and the
OPC Foundation's table UNECE_to_OPCUA.csv; P1 (percent) from Recommendation 20 itself.
"""

import re
from dataclasses import dataclass

UNECE = "http://www.opcfoundation.org/UA/units/un/cefact"  # whose UnitId spells a UNECE code


def _pairs(table: str) -> dict[str, str]:
    return {a: b for a, _, b in (pair.partition("=") for pair in table.split())}


# UNECE common code=UCUM code.
_UCUM = _pairs(
    """
    CEL=Cel KEL=K FAH=[degF] P1=% C62=1 59=[ppm] Q30=[pH]
    LTR=L MLT=mL CMQ=mL DMQ=L 4G=uL HLT=hL MTQ=m3 KGM=kg GRM=g MGM=mg TNE=t LBR=[lb_av]
    L2=L/min 41=mL/min 40=mL/s G55=mL/h LD=L/d G51=L/s E92=L/h J92=L/min G48=mL/h G49=mL/min
    J93=L/s 2J=mL/s MQH=m3/h MQS=m3/s G53=m3/min 4X=kL/h
    KGS=kg/s E93=kg/h F31=kg/min F27=g/h F28=g/min F29=g/s BAR=bar MBR=mbar PAL=Pa KPA=kPa
    MPA=MPa A97=hPa PS=[psi] ATM=atm UA=mm[Hg] HN=mm[Hg]
    GL=g/L M1=mg/L KMQ=kg/m3 A93=g/m3 H29=ug/L F23=g/L GJ=g/mL 23=g/mL B35=kg/L C38=mol/L
    M33=mmol/L C36=mol/m3 C34=mol C18=mmol L23=mol/h
    RPM={r}/min M46={r}/min C94=/min RPS={r}/s HTZ=Hz SEC=s MIN=min HUR=h DAY=d C26=ms B98=us
    VLT=V 2Z=mV AMP=A 4K=mA C39=nA WTT=W KWT=kW NU=N.m D10=S/m H61=mS/cm G42=uS/cm C24=mPa.s
    MTR=m CMT=cm MMT=mm MTS=m/s DD=deg
    """
)
# How servers write units that name no UNECE code: display name, lower case, without spaces.
# mPa stays unknown: mega or milli?
_WRITTEN = _pairs(
    """
    °c=Cel degc=Cel ºc=Cel ℃=Cel celsius=Cel cel=Cel °f=[degF] degf=[degF] ph=[pH] [ph]=[pH]
    %=% percent=% rpm={r}/min r/min={r}/min u/min={r}/min {r}/min={r}/min 1/min=/min min-1=/min
    min⁻¹=/min psi=[psi] ppm=[ppm] slpm=L/min lpm=L/min nl/min=L/min sccm=mL/min m³/h=m3/h
    µs/cm=uS/cm μs/cm=uS/cm m³=m3 kg/m³=kg/m3 µl=uL mmhg=mm[Hg] 1=1 s=s mpa=
    """
)
# Several ways to say one thing.
_SAME = _pairs(
    """
    {r}/min=/min {r}/s=Hz /s=Hz cm3=mL dm3=L kg/m3=g/L g/m3=mg/L hPa=mbar kg/L=g/mL
    mol/m3=mmol/L kL/h=m3/h
    """
)
_RANGE = 1e-6  # what a range may differ by, as part of its span: a Float is no Double


@dataclass(frozen=True, slots=True)
class Description:
    """What a server says of a node; ``None`` where it says nothing.

    Attributes:
        unit: as people read it there.
        ucum: the same as a UCUM code; ``None`` if it is not known here.
        eu_range: least and greatest value in use, in that unit (EURange).
        instrument_range: least and greatest value that the instrument can give.
    """

    unit: str | None = None
    ucum: str | None = None
    eu_range: tuple[float, float] | None = None
    instrument_range: tuple[float, float] | None = None


def ucum(namespace: str | None, unit_id: int, display_name: str | None) -> str | None:
    """Return the UCUM code of an EUInformation; ``None`` if it is not known here."""
    if unit_id > 0 and (namespace or UNECE) == UNECE:
        found = _UCUM.get(unece(unit_id))
        if found is not None:
            return found
    return written(display_name or "")


def unece(unit_id: int) -> str:
    """Return the UNECE code that a UnitId spells: 4408652 is CEL."""
    if not 0 < unit_id < 1 << 31:
        return ""
    text = unit_id.to_bytes(4, "big").strip(b"\0")
    return text.decode("ascii") if text.isalnum() else ""


def written(text: str) -> str | None:
    """Return the UCUM code of a unit as people write it; ``None`` if it is not known here."""
    bare = re.sub(r"\s", "", text)
    if bare in _KNOWN:
        return bare
    found = _WRITTEN.get(bare.lower())
    if found is None:
        found = _BY_LOWER.get(bare.lower())
    return found or None


def _lower_case() -> dict[str, str]:
    """Return UCUM codes by their lower case, but those that then mean two things (mPa, MPa)."""
    taken: dict[str, str] = {}
    for code in _UCUM.values():
        lower = code.lower()
        taken[lower] = code if taken.get(lower, code) == code else ""
    return taken


_KNOWN = frozenset(_UCUM.values())
_BY_LOWER = _lower_case()


def agree(plant: str, server: str) -> bool:
    """Return whether two UCUM codes say the same unit."""
    return _SAME.get(plant, plant) == _SAME.get(server, server)


def contradiction(unit: str, told: Description) -> str | None:
    """Return how the server's unit contradicts the plant file's ``unit``; ``None`` if it does not.

    A unit that is not known here contradicts nothing; ``doubts`` names it.
    """
    if told.ucum is None or agree(unit, told.ucum):
        return None
    return f"the server gives it in {told.unit or told.ucum}, the plant file in {unit}"


def doubts(unit: str, low: float, high: float, told: Description) -> list[str]:
    """Return what else differs between a tag and what the server says of its node."""
    found: list[str] = []
    if told.unit and told.ucum is None:
        found.append(
            f"the server gives it in {told.unit}, which is not known here; "
            f"is that {unit} as in the plant file?"
        )
    if told.ucum is not None and not agree(unit, told.ucum):
        return found  # ranges in different units say nothing
    if told.eu_range is not None and _differs((low, high), told.eu_range):
        found.append(
            f"the server's range is {told.eu_range[0]:g} to {told.eu_range[1]:g}, "
            f"the plant file's {low:g} to {high:g} {unit}"
        )
    span = told.instrument_range
    if span is not None and (low < span[0] or high > span[1]) and _differs((low, high), span):
        found.append(
            f"the instrument reaches {span[0]:g} to {span[1]:g}, "
            f"the plant file {low:g} to {high:g} {unit}"
        )
    return found


def _differs(ours: tuple[float, float], theirs: tuple[float, float]) -> bool:
    room = _RANGE * max(ours[1] - ours[0], abs(theirs[1] - theirs[0]))
    return any(abs(a - b) > room for a, b in zip(ours, theirs, strict=True))
