"""The filter of system calls, run by a small interpreter of the kernel's instructions: for both machines."""

from __future__ import annotations

import errno
import struct

import pytest

from omnimind.linux import seccomp

ALLOWED, REFUSED = 0x7FFF0000, 0x00050000 | errno.EPERM
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
READ = {"x86_64": 0, "aarch64": 63}
EXECVE = {"x86_64": 59, "aarch64": 221}
SOCKET = {"x86_64": 41, "aarch64": 198}
CLONE = {"x86_64": 56, "aarch64": 220}
PTRACE = {"x86_64": 101, "aarch64": 117}
CLONE3 = 435
THREAD = 0x003D0F00
FORK = 0x01200011
machines = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])


def decision(program: bytes, arch: int, number: int, first: int = 0) -> int:
    data = struct.pack("=iIQQQQQQQ", number, arch, 0, first, 0, 0, 0, 0, 0)
    at, accumulator = 0, 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("=HBBI", program, at * 8)
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
        elif code == 0x06:
            return int(value)
        else:
            met = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[
                code
            ]
            at += if_true if met else if_false


@machines
def test_ordinary_calls_pass_and_ways_out_do_not(machine: str) -> None:
    program = seccomp.program(machine, (), threads_only=True)
    assert decision(program, ARCH[machine], READ[machine]) == ALLOWED
    for number in (EXECVE[machine], SOCKET[machine], PTRACE[machine]):
        assert decision(program, ARCH[machine], number) == REFUSED


@machines
def test_a_thread_may_be_made_and_a_process_may_not(machine: str) -> None:
    program = seccomp.program(machine, (), threads_only=True)
    assert decision(program, ARCH[machine], CLONE[machine], THREAD) == ALLOWED
    assert decision(program, ARCH[machine], CLONE[machine], FORK) == REFUSED
    assert decision(program, ARCH[machine], CLONE3) == 0x00050000 | errno.ENOSYS


@machines
def test_what_a_server_needs_is_left_to_it(machine: str) -> None:
    program = seccomp.program(machine, seccomp.PROCESSES | seccomp.NETWORK, threads_only=False)
    for number in (EXECVE[machine], SOCKET[machine], CLONE[machine], CLONE3):
        assert decision(program, ARCH[machine], number, FORK) == ALLOWED
    assert decision(program, ARCH[machine], PTRACE[machine]) == REFUSED


@machines
def test_the_numbering_of_another_architecture_is_refused(machine: str) -> None:
    program = seccomp.program(machine, (), threads_only=True)
    assert decision(program, 0x40000003, READ[machine]) == REFUSED


def test_the_second_numbering_of_x86_is_refused() -> None:
    program = seccomp.program("x86_64", (), threads_only=True)
    assert decision(program, ARCH["x86_64"], 0x40000000 | READ["x86_64"]) == REFUSED
