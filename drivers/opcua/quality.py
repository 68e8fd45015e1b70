"""How far a value of an OPC UA server may be trusted. Pure."""


def status_name(status: int) -> str:
    """Return the name of a status code, ``Good`` or ``BadSensorFailure``, without its bits."""
    from asyncua.ua.status_codes import code_to_name_doc

    code = status & 0xFFFF0000
    return code_to_name_doc.get(code, (f"0x{code:08X}", ""))[0]
