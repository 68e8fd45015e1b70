"""A Modbus server by libmodbus, which nobody here wrote (Debian's libmodbus5).

    python libmodbus_server.py tcp PORT | rtu PORT [UNIT]

100 of each: bit k is k odd, input register k is 1000 + k, holding register k is k. Says ``ready``.
"""

import ctypes
import sys

UNIT = 9


class Mapping(ctypes.Structure):
    """modbus_mapping_t of modbus.h, libmodbus 3.1."""

    _fields_ = (
        ("nb_bits", ctypes.c_int),
        ("start_bits", ctypes.c_int),
        ("nb_input_bits", ctypes.c_int),
        ("start_input_bits", ctypes.c_int),
        ("nb_input_registers", ctypes.c_int),
        ("start_input_registers", ctypes.c_int),
        ("nb_registers", ctypes.c_int),
        ("start_registers", ctypes.c_int),
        ("tab_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_registers", ctypes.POINTER(ctypes.c_uint16)),
        ("tab_registers", ctypes.POINTER(ctypes.c_uint16)),
    )


def library() -> ctypes.CDLL:
    """Return libmodbus with the types of what is used of it."""
    lib = ctypes.CDLL("libmodbus.so.5", use_errno=True)
    lib.modbus_new_tcp.argtypes = [ctypes.c_char_p, ctypes.c_int]
    lib.modbus_new_rtu.argtypes = [
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char,
        ctypes.c_int,
        ctypes.c_int,
    ]
    for name in ("modbus_new_tcp", "modbus_new_rtu"):
        getattr(lib, name).restype = ctypes.c_void_p
    lib.modbus_mapping_new.argtypes = [ctypes.c_int] * 4
    lib.modbus_mapping_new.restype = ctypes.POINTER(Mapping)
    lib.modbus_set_slave.argtypes = [ctypes.c_void_p, ctypes.c_int]
    lib.modbus_connect.argtypes = [ctypes.c_void_p]
    lib.modbus_tcp_listen.argtypes = [ctypes.c_void_p, ctypes.c_int]
    lib.modbus_tcp_accept.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)]
    lib.modbus_receive.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    lib.modbus_reply.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.POINTER(Mapping),
    ]
    return lib


def main() -> None:
    """Serve until killed."""
    kind, where = sys.argv[1:3]
    lib = library()
    mapping = lib.modbus_mapping_new(100, 100, 100, 100)
    for k in range(100):
        mapping.contents.tab_bits[k] = mapping.contents.tab_input_bits[k] = k % 2
        mapping.contents.tab_input_registers[k] = 1000 + k
        mapping.contents.tab_registers[k] = k
    query = ctypes.create_string_buffer(260)
    listening = ctypes.c_int(-1)
    if kind == "tcp":
        context = lib.modbus_new_tcp(b"127.0.0.1", int(where))
        listening.value = lib.modbus_tcp_listen(context, 5)
    else:
        context = lib.modbus_new_rtu(where.encode(), 115200, b"N", 8, 1)
        lib.modbus_set_slave(context, UNIT)
        if lib.modbus_connect(context) < 0:
            sys.exit(f"cannot open {where}: errno {ctypes.get_errno()}")
    print("ready", flush=True)
    while True:
        if kind == "tcp":
            lib.modbus_tcp_accept(context, ctypes.byref(listening))
        while True:
            size = lib.modbus_receive(context, query)
            if size > 0:
                lib.modbus_reply(context, query, size, mapping)
            elif size < 0 and kind == "tcp":
                break  # the client has gone


if __name__ == "__main__":
    main()
