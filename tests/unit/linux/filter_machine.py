"""A small interpreter of the kernel's filter instructions, so that a filter can be asked on any machine."""

from __future__ import annotations

import struct

import pytest

ALLOWED, ERRNO = 0x7FFF0000, 0x00050000
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
machines = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])


def decision(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """What the kernel would do with this call: the filter's return value."""
    data = struct.pack("=iIQ6Q", number, arch, 0, *arguments, *(6 - len(arguments)) * (0,))
    at, accumulator = 0, 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("=HBBI", program, at * 8)
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
        elif code == 0x54:
            accumulator &= value
        elif code == 0x06:
            return int(value)
        else:
            met = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}
            at += if_true if met[code] else if_false
